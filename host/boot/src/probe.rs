//! Whether an address that is about to be offered is in use already (RFC 2131 section 2.2).

mod network;
mod ping;
mod stock;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;

use formwork_boot_proto::dhcp::HardwareAddress;

pub use network::{NetworkProber, ProbeConfig};
pub use stock::Stock;

/// Where an address is, seen from this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// On the link of the interface with this index, where ARP asks everybody.
    Link(u32),
    /// Behind a router, as the clients of a relay agent are, where only ICMP gets to.
    Routed,
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// Nobody answered.
    Free,
    /// Somebody answered.
    Taken {
        /// The hardware address that answered; `None` for an answer from behind a router. A client that still uses
        /// the address of its former lease answers as well, and may have it again.
        by: Option<HardwareAddress>,
    },
    /// Nobody was asked, which says nothing about the address.
    Unknown(ProbeFailure),
}

/// Why nobody was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeFailure {
    /// As many probes as are allowed are under way, which are also those of others.
    #[error("too many probes are under way")]
    Busy,
    /// The process may use neither kind of socket.
    #[error("probes need CAP_NET_RAW, or for ping a group within net.ipv4.ping_group_range")]
    NotPermitted,
    /// The system does not send there.
    #[error("the probe cannot be sent: {0}")]
    Unsent(io::ErrorKind),
    /// The program is about to end.
    #[error("the prober has stopped")]
    Stopped,
}

/// The future of [`Prober::in_use`].
pub type ProbeFuture<'a> = Pin<Box<dyn Future<Output = Probed> + Send + 'a>>;

/// Finds out whether addresses are in use.
pub trait Prober: Send + Sync + 'static {
    /// Asks for an address. How long this may take is the prober's word; no probe waits for another one.
    fn in_use(&self, address: Ipv4Addr, reach: Reach) -> ProbeFuture<'_>;
}

/// Asks nobody and answers at once: every address is free but those that it is told of.
#[derive(Debug, Clone, Default)]
pub struct FakeProber {
    taken: HashMap<Ipv4Addr, Option<HardwareAddress>>,
}

impl FakeProber {
    /// Makes one for which some addresses are in use, each by a hardware address if that shall be known.
    #[must_use]
    pub fn new(taken: impl IntoIterator<Item = (Ipv4Addr, Option<HardwareAddress>)>) -> Self {
        Self { taken: taken.into_iter().collect() }
    }
}

impl Prober for FakeProber {
    fn in_use(&self, address: Ipv4Addr, _reach: Reach) -> ProbeFuture<'_> {
        let found = self.taken.get(&address).map_or(Probed::Free, |by| Probed::Taken { by: *by });
        Box::pin(std::future::ready(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fake_prober_finds_what_it_is_told_and_nothing_else() {
        let (squatted, other) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let by = Some(HardwareAddress::ethernet([2; 6]));
        let prober: Box<dyn Prober> = Box::new(FakeProber::new([(squatted, by)]));
        assert_eq!(prober.in_use(squatted, Reach::Link(1)).await, Probed::Taken { by });
        assert_eq!(prober.in_use(other, Reach::Routed).await, Probed::Free);
        assert_eq!(FakeProber::default().in_use(squatted, Reach::Routed).await, Probed::Free);
    }
}
