//! What all parts of the daemon share.

use std::{net::Ipv4Addr, sync::Arc};

use formwork_api::Event;
use formwork_model::Timestamp;
use formwork_sandbox::{Host, HostCall, Sandbox};
use formwork_store::{Snapshot, Store};
use tokio::sync::broadcast;

use crate::{
    ServeOptions, auth::TokenKey, boot::BootCounts, clock::Clock, content::Library, files::FileRoot,
    logs::JobLogs, packs::Packs, plugins::Plugins, render::Renderer,
};

/// Injected events that wait for a slow listener before it loses some.
const INJECTED_EVENTS: usize = 4096;

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
    /// The parsed templates and the paths that they are served at.
    pub(crate) renderer: Renderer,
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
    /// Events that clients injected.
    pub(crate) injected: broadcast::Sender<Arc<Event>>,
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

    /// Makes the channel of injected events.
    pub(crate) fn event_channel() -> broadcast::Sender<Arc<Event>> {
        broadcast::channel(INJECTED_EVENTS).0
    }

    /// Returns the URL under which machines fetch files.
    pub(crate) fn file_url(&self) -> String {
        format!("http://{}:{}", self.address, self.options.static_port)
    }

    /// Returns the URL of the API as machines see it.
    pub(crate) fn api_url(&self) -> String {
        format!("https://{}:{}", self.address, self.options.api_port)
    }
}
