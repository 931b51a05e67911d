//! Whether an address that is about to be offered is in use, and the stock of addresses that were asked for ahead.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use formwork_boot::{Interfaces, Probed, Prober, Reach, Stock};
use formwork_boot_proto::dhcp::{HardwareAddress, server::Subnet};

/// Asks, and remembers by subnet what it found.
pub(super) struct Probing {
    prober: Arc<dyn Prober>,
    stocks: Mutex<HashMap<String, Shelf>>,
}

/// The stock of one subnet.
#[derive(Default)]
struct Shelf {
    stock: Stock,
    is_filling: bool,
}

impl Probing {
    pub(super) fn new(prober: Arc<dyn Prober>) -> Self {
        Self { prober, stocks: Mutex::default() }
    }

    /// Tells whether somebody else than the client uses an address. Where nobody could be asked, nobody does: the
    /// client looks for itself and declines (RFC 2131 section 4.4.1).
    pub(super) async fn is_used(
        &self,
        address: Ipv4Addr,
        client: HardwareAddress,
        subnet: Option<&Subnet>,
        interfaces: &Interfaces,
        now_ms: u64,
    ) -> bool {
        let in_stock = |subnet: &Subnet| {
            self.locked().get_mut(&subnet.name).is_some_and(|shelf| shelf.stock.take(address, now_ms))
        };
        if subnet.is_some_and(in_stock) {
            return false;
        }
        let Some(reach) = reach(address, interfaces) else { return false };
        let found = self.prober.in_use(address, reach).await;
        if let Probed::Unknown(reason) = found {
            tracing::debug!(target: "formwork_boot::dhcp", %address, %reason, "an address is offered unprobed");
        }
        matches!(found, Probed::Taken { by } if by != Some(client))
    }

    /// Asks ahead for addresses of a subnet that will be offered next, `free` of them; one filling at a time.
    pub(super) async fn fill(
        &self,
        subnet: &Subnet,
        interfaces: &Interfaces,
        now_ms: u64,
        free: impl FnOnce(usize) -> Vec<Ipv4Addr>,
    ) {
        let wanted = {
            let mut stocks = self.locked();
            let shelf = stocks.entry(subnet.name.clone()).or_default();
            let wanted = shelf.stock.wanted(now_ms);
            if shelf.is_filling || wanted == 0 {
                return;
            }
            shelf.is_filling = true;
            wanted
        };
        let ahead = free(wanted);
        let held = |address: &Ipv4Addr| {
            self.locked().get(&subnet.name).is_some_and(|shelf| shelf.stock.holds(*address, now_ms))
        };
        let asked = ahead.into_iter().filter(|address| !held(address)).filter_map(|address| {
            let reach = reach(address, interfaces)?;
            Some(async move { (address, self.prober.in_use(address, reach).await) })
        });
        let found = futures_util::future::join_all(asked).await;
        let mut stocks = self.locked();
        let Some(shelf) = stocks.get_mut(&subnet.name) else { return };
        for (address, probed) in found {
            if probed == Probed::Free {
                shelf.stock.put(address, now_ms);
            }
        }
        shelf.is_filling = false;
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Shelf>> {
        self.stocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns where an address is: on a link of this host, or behind a router. `None` for the loopback, on which there is
/// nobody else.
fn reach(address: Ipv4Addr, interfaces: &Interfaces) -> Option<Reach> {
    match interfaces.iter().find(|interface| interface.address_facing(address).is_some()) {
        Some(interface) if interface.is_loopback() => None,
        Some(interface) => Some(Reach::Link(interface.index)),
        None => Some(Reach::Routed),
    }
}

#[cfg(test)]
mod tests {
    use formwork_boot::FakeProber;

    use super::*;

    const SQUATTED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);

    fn client() -> HardwareAddress {
        HardwareAddress::ethernet([2, 0, 0, 0, 0, 9])
    }

    fn subnet() -> Subnet {
        let address = |last| Ipv4Addr::new(192, 0, 2, last);
        Subnet::new("lab", address(0), 24, (address(10), address(12)))
    }

    fn probing(by: Option<HardwareAddress>) -> Probing {
        Probing::new(Arc::new(FakeProber::new([(SQUATTED, by)])))
    }

    #[tokio::test]
    async fn address_that_another_host_uses_is_used_and_the_clients_own_is_not() {
        let (subnet, interfaces) = (subnet(), Interfaces::default());
        let other = Some(HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]));
        for (by, used) in [(other, true), (None, true), (Some(client()), false)] {
            let found = probing(by).is_used(SQUATTED, client(), Some(&subnet), &interfaces, 0).await;
            assert_eq!(found, used, "{by:?}");
        }
        let free = Ipv4Addr::new(192, 0, 2, 12);
        assert!(!probing(other).is_used(free, client(), Some(&subnet), &interfaces, 0).await);
    }

    #[tokio::test]
    async fn what_was_found_free_ahead_is_not_asked_again_within_a_minute() {
        let (subnet, interfaces) = (subnet(), Interfaces::default());
        let free = Ipv4Addr::new(192, 0, 2, 10);
        let mut probing = probing(None);
        probing.fill(&subnet, &interfaces, 0, |_| vec![free, SQUATTED]).await;
        // From here on somebody answers for all of them.
        probing.prober = Arc::new(FakeProber::new([(free, None), (SQUATTED, None)]));
        assert!(!probing.is_used(free, client(), Some(&subnet), &interfaces, 59_999).await);
        assert!(
            probing.is_used(free, client(), Some(&subnet), &interfaces, 59_999).await,
            "it was taken out"
        );
        assert!(probing.is_used(SQUATTED, client(), Some(&subnet), &interfaces, 0).await);
        probing.prober = Arc::new(FakeProber::default());
        probing.fill(&subnet, &interfaces, 0, |_| vec![free]).await;
        probing.prober = Arc::new(FakeProber::new([(free, None)]));
        assert!(
            probing.is_used(free, client(), Some(&subnet), &interfaces, 60_000).await,
            "a minute is over"
        );
    }
}
