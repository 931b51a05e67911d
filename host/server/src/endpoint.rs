//! What all parts of the daemon share.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use formwork_blobs::Space;
use formwork_model::{Job, ObjectsExt, Timestamp};
use formwork_sandbox::{Host, HostCall, Sandbox};
use formwork_store::{Snapshot, Store};

use crate::{
    ServeOptions,
    accept::Places,
    auth::{Desk, TokenKey},
    boot::{BootCounts, Recorder},
    certificate::Certificate,
    clock::Clock,
    commands::{contents::updates::Updates, work_orders::Queue},
    connections::Connections,
    content::Library,
    files::FileRoot,
    hub::Hub,
    logs::JobLogs,
    metrics::ApiCounts,
    packs::Packs,
    plugins::Plugins,
    render::Renderer,
    secure::Vault,
};

/// One running endpoint.
pub(crate) struct Endpoint {
    /// The flags.
    pub(crate) options: ServeOptions,
    /// The address that machines are told.
    pub(crate) address: Ipv4Addr,
    /// The name of the endpoint.
    pub(crate) id: String,
    /// The hardware address of the first network card; empty when there is none.
    pub(crate) local_id: String,
    /// The objects.
    pub(crate) store: Store,
    /// What runs components.
    pub(crate) sandbox: Sandbox,
    /// The bytes of all components by digest.
    pub(crate) library: Arc<Library>,
    /// What uploads of packs share.
    pub(crate) packs: Packs,
    /// The logs of jobs.
    pub(crate) logs: JobLogs,
    /// The files that machines boot from.
    pub(crate) files: FileRoot,
    /// The release that is kept to be upgraded to.
    pub(crate) releases: Space,
    /// The parsed templates and the paths that they are served at.
    pub(crate) renderer: Renderer,
    /// What opens and seals secure params.
    pub(crate) vault: Arc<Vault>,
    /// What signs tokens.
    pub(crate) key: Arc<TokenKey>,
    /// Where the time comes from.
    pub(crate) clock: Clock,
    /// What plugins have in memory.
    pub(crate) plugins: Plugins,
    /// Answers what components ask of the world outside, in a simulation; none asks the world itself.
    pub(crate) outside: Option<Arc<dyn Host>>,
    /// What the boot services have counted.
    pub(crate) boot_counts: BootCounts,
    /// What the boot services saw of each machine.
    pub(crate) recorder: Recorder,
    /// The work orders that wait for any machine of their filter.
    pub(crate) queue: Queue,
    /// Where listeners get events from.
    pub(crate) hub: Arc<Hub>,
    /// Who calls.
    pub(crate) desk: Desk,
    /// What the endpoint proves its name with.
    pub(crate) certificate: Arc<Certificate>,
    /// What the file server proves its name with, when that is another.
    pub(crate) own_static_certificate: Option<Arc<Certificate>>,
    /// What the API has counted.
    pub(crate) api_counts: ApiCounts,
    /// Who is connected.
    pub(crate) connections: Arc<Connections>,
    /// The places for connections at all doors.
    pub(crate) places: Arc<Places>,
    /// The update of content that is being put together.
    pub(crate) updates: Updates,
}

impl Endpoint {
    /// Returns all objects as they are now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
    }

    /// Returns the time as this endpoint sees it.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns who answers a call of a component that leaves the endpoint, where it is not the world itself.
    pub(crate) fn outside(&self, call: &HostCall) -> Option<&Arc<dyn Host>> {
        let leaves =
            matches!(call, HostCall::Http(_) | HostCall::Files(_) | HostCall::Exec(_) | HostCall::Random(_));
        self.outside.as_ref().filter(|_| leaves)
    }

    /// Appends to the log of a job, and tells those who watch the jobs of its machine.
    pub(crate) async fn append_log(&self, job: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.logs.append(job, bytes).await?;
        if self.hub.has_listeners()
            && let Some(job) = self.snapshot().get::<Job>(job)
        {
            self.hub.tell_log(&job, bytes);
        }
        Ok(())
    }

    /// Returns what the file server proves its name with.
    pub(crate) fn static_certificate(&self) -> &Arc<Certificate> {
        self.own_static_certificate.as_ref().unwrap_or(&self.certificate)
    }

    /// Returns the address that a client is told who talks to `local`: the configured one, else the very one that it talks to,
    /// as another may lead nowhere in its network. The configured one is of IPv4 and only for who speaks that. A link-local
    /// one is no part of a URL.
    pub(crate) fn address_facing(&self, local: IpAddr) -> IpAddr {
        match (local.to_canonical(), self.options.static_ip) {
            (local, _) if local.is_unspecified() => self.address.into(),
            (IpAddr::V4(local), None) => local.into(),
            (IpAddr::V6(local), _) if !local.is_unicast_link_local() => local.into(),
            _ => self.address.into(),
        }
    }

    /// Returns the URL under which machines fetch files.
    pub(crate) fn file_url(&self) -> String {
        self.file_url_at(self.address.into())
    }

    /// Returns the URL under which machines fetch files that talk to `local`.
    pub(crate) fn file_url_facing(&self, local: IpAddr) -> String {
        self.file_url_at(self.address_facing(local))
    }

    /// Returns the URL of the API as machines see it.
    pub(crate) fn api_url(&self) -> String {
        self.api_url_at(self.address.into())
    }

    /// Returns the URL of the API for machines that talk to `local`.
    pub(crate) fn api_url_facing(&self, local: IpAddr) -> String {
        self.api_url_at(self.address_facing(local))
    }

    fn file_url_at(&self, address: IpAddr) -> String {
        format!("http://{}", SocketAddr::new(address, self.options.static_port))
    }

    fn api_url_at(&self, address: IpAddr) -> String {
        format!("https://{}", SocketAddr::new(address, self.options.api_port))
    }
}
