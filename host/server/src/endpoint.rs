//! What all parts of the daemon share.

use std::{net::Ipv4Addr, sync::Arc};

use formwork_api::Event;
use formwork_model::Timestamp;
use formwork_sandbox::Sandbox;
use formwork_store::{Snapshot, Store};
use tokio::sync::broadcast;

use crate::{
    ServeOptions, auth::TokenKey, content::Library, files::FileRoot, logs::JobLogs, render::Renderer,
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
    pub(crate) library: Library,
    /// The logs of jobs.
    pub(crate) logs: JobLogs,
    /// The files that machines boot from.
    pub(crate) files: FileRoot,
    /// The parsed templates and the paths that they are served at.
    pub(crate) renderer: Renderer,
    /// What signs tokens.
    pub(crate) key: TokenKey,
    /// Events that clients injected.
    pub(crate) injected: broadcast::Sender<Arc<Event>>,
}

impl Endpoint {
    /// Returns all objects as they are now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
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

/// Returns the time. The one real clock of the daemon: everything below takes the time as an argument.
#[expect(clippy::disallowed_methods, reason = "the one real clock")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))
}
