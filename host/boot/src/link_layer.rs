//! All that needs raw sockets, opened together.

use std::sync::Arc;

use crate::interfaces::InterfaceTable;
use crate::probe::{NetworkProber, ProbeConfig};
use crate::raw::{FrameSender, ReplyWatch};

/// What the services do below UDP. Without `CAP_NET_RAW` most of it is missing, and DHCP works nevertheless.
#[derive(Debug)]
pub struct LinkLayer {
    /// Sends to clients without an address; `None`: broadcast instead.
    pub sender: Option<FrameSender>,
    /// Sees other DHCP servers.
    pub watch: Option<ReplyWatch>,
    /// Asks who has an address.
    pub prober: NetworkProber,
}

impl LinkLayer {
    /// Opens what is permitted, and logs one line of what is not. Needs a runtime of tokio.
    #[must_use]
    pub fn open(interfaces: &Arc<InterfaceTable>, probe: ProbeConfig) -> Self {
        let prober = NetworkProber::open(Arc::clone(interfaces), probe);
        let conflicts = match (prober.asks_by_arp(), prober.asks_by_ping()) {
            (true, true) => "are looked for",
            (true, false) => "are not looked for behind relay agents",
            (false, true) => "are looked for by ping alone",
            (false, false) => "are not looked for",
        };
        let sender = FrameSender::open(Arc::clone(interfaces));
        let watch = ReplyWatch::open(Arc::clone(interfaces));
        if let Some(error) = sender.as_ref().err().or(watch.as_ref().err()) {
            tracing::warn!(
                %error,
                "dhcp replies to new clients are broadcast, other dhcp servers stay unseen, and addresses in use {conflicts}"
            );
        } else if !prober.asks_by_ping() || !prober.asks_by_arp() {
            tracing::warn!("addresses in use {conflicts}");
        }
        Self { sender: sender.ok(), watch: watch.ok(), prober }
    }
}
