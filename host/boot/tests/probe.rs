//! The prober on a wire of two virtual interfaces: it is `cli0` with 10.99.0.2/24, and the squatter is the kernel at the
//! other end.

use std::fs;
use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use formwork_boot::{
    InterfaceTable, LinkLayer, NetworkProber, ProbeConfig, ProbeFailure, Probed, Prober, Reach,
};
use formwork_boot_proto::dhcp::HardwareAddress;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::link::{ip, on_a_wire};
use super::soon;

const SQUATTER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 9);

fn mac(last: u8) -> Option<HardwareAddress> {
    Some(HardwareAddress::ethernet([2, 0, 0, 0, 0, last]))
}

/// The squatter's end.
async fn squat() {
    assert!(ip(&["link", "set", "srv0", "address", "02:00:00:00:00:66"]));
    std::future::pending().await
}

/// The prober's end, with an address on it.
fn wire() -> (Arc<InterfaceTable>, Reach) {
    assert!(ip(&["link", "set", "cli0", "address", "02:00:00:00:00:02"]));
    assert!(ip(&["address", "add", "10.99.0.2/24", "dev", "cli0"]));
    let interfaces = InterfaceTable::read().unwrap();
    let wire = Reach::Link(interfaces.current().by_name("cli0").unwrap().index);
    (Arc::new(interfaces), wire)
}

fn prober() -> (NetworkProber, Reach) {
    let (interfaces, wire) = wire();
    (NetworkProber::open(interfaces, ProbeConfig::default()), wire)
}

/// Asks until an answer comes within `most`: other work of the machine may delay one, but not each.
async fn within(most: Duration, prober: &impl Prober, address: Ipv4Addr, reach: Reach) -> (Probed, Duration) {
    soon(async {
        loop {
            let (found, took) = timed(prober.in_use(address, reach)).await;
            if took < most {
                return (found, took);
            }
        }
    })
    .await
}

/// Asks until it is answered: a wire that just came up loses what goes over it.
async fn taken(prober: &impl Prober, address: Ipv4Addr, reach: Reach) -> Probed {
    soon(async {
        loop {
            match prober.in_use(address, reach).await {
                Probed::Free => {}
                found => return found,
            }
        }
    })
    .await
}

async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    (future.await, began.elapsed())
}

#[test]
fn address_of_a_squatter_is_taken_by_its_hardware_address() {
    on_a_wire(squat, || async {
        let (prober, wire) = prober();
        assert_eq!(taken(&prober, SQUATTER, wire).await, Probed::Taken { by: mac(0x66) });
        let (found, _) = within(Duration::from_millis(200), &prober, SQUATTER, wire).await;
        assert_eq!(found, Probed::Taken { by: mac(0x66) }, "an answer ends the probe");
    });
}

#[test]
fn squatter_with_another_mask_and_a_strict_filter_is_found_by_the_repeat() {
    let squat = || async {
        for scope in ["all", "srv0"] {
            fs::write(format!("/proc/sys/net/ipv4/conf/{scope}/rp_filter"), "1").unwrap();
        }
        assert!(ip(&["address", "flush", "dev", "srv0"]));
        assert!(ip(&["address", "add", "10.99.0.77/32", "dev", "srv0"]));
        squat().await;
    };
    on_a_wire(squat, || async {
        let (prober, wire) = prober();
        let address = Ipv4Addr::new(10, 99, 0, 77);
        assert_eq!(taken(&prober, address, wire).await, Probed::Taken { by: mac(0x66) });
        let (_, took) = timed(prober.in_use(address, wire)).await;
        assert!(took >= Duration::from_millis(250), "the first question was answered: {took:?}");
    });
}

#[test]
fn address_that_nobody_has_is_free_after_half_a_second() {
    on_a_wire(squat, || async {
        let (prober, wire) = prober();
        for reach in [wire, Reach::Routed] {
            let (found, took) = within(Duration::from_millis(600), &prober, NOBODY, reach).await;
            assert_eq!(found, Probed::Free);
            assert!(took >= Duration::from_millis(500), "{took:?}");
        }
    });
}

#[test]
fn own_address_is_taken() {
    on_a_wire(squat, || async {
        let (prober, wire) = prober();
        assert_eq!(prober.in_use(OWN, wire).await, Probed::Taken { by: mac(2) });
    });
}

#[test]
fn address_behind_a_router_is_asked_by_icmp() {
    on_a_wire(squat, || async {
        let (prober, _) = prober();
        assert_eq!(taken(&prober, SQUATTER, Reach::Routed).await, Probed::Taken { by: None });
        let beyond = Ipv4Addr::new(192, 0, 2, 1);
        let (found, _) = within(Duration::from_millis(200), &prober, beyond, Reach::Routed).await;
        assert!(matches!(found, Probed::Unknown(ProbeFailure::Unsent(_))), "no route: {found:?}");
    });
}

/// Asks for `count` addresses at once.
async fn at_once(address: impl Fn(u32) -> Ipv4Addr, count: u32) -> (Vec<(Probed, Duration)>, Duration) {
    let (prober, wire) = prober();
    let prober = Arc::new(prober);
    timed(async {
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let (prober, address) = (Arc::clone(&prober), address(number));
            tasks.spawn(async move { timed(prober.in_use(address, wire)).await });
        }
        tasks.join_all().await
    })
    .await
}

#[test]
fn thousand_probes_at_once_do_not_wait_for_each_other() {
    on_a_wire(squat, || async {
        let first = Ipv4Addr::new(10, 99, 1, 0);
        let (found, took) = at_once(|number| (first.to_bits() + number).into(), 1000).await;
        let busy: Vec<_> =
            found.iter().filter(|(found, _)| *found == Probed::Unknown(ProbeFailure::Busy)).collect();
        assert_eq!((found.len(), busy.len()), (1000, 1000 - 256));
        assert_eq!(found.iter().filter(|(found, _)| *found == Probed::Free).count(), 256);
        assert!(busy.iter().all(|(_, took)| *took < Duration::from_millis(100)));
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
}

#[test]
fn probes_of_one_address_share_one() {
    on_a_wire(squat, || async {
        let before = sent("cli0");
        let (found, _) = at_once(|_| NOBODY, 1000).await;
        assert!(found.iter().all(|(found, _)| *found == Probed::Free));
        let questions = sent("cli0") - before;
        assert!((2..50).contains(&questions), "two, and what IPv6 does: {questions}");
    });
}

/// How many packets the kernel sent through an interface.
fn sent(interface: &str) -> u64 {
    let counts = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = counts.lines().find(|line| line.trim_start().starts_with(interface)).unwrap();
    line.split_whitespace().nth(10).unwrap().parse().unwrap()
}

#[test]
fn without_the_right_to_raw_sockets_only_ping_is_left_and_that_by_leave() {
    on_a_wire(squat, || async {
        let (interfaces, wire) = wire();
        let layer = LinkLayer::open(&interfaces, ProbeConfig::default());
        assert!(layer.sender.is_some() && layer.watch.is_some());
        assert!(layer.prober.asks_by_arp() && layer.prober.asks_by_ping());

        let mut rights = capabilities(None).unwrap();
        rights.effective.remove(CapabilitySet::NET_RAW);
        set_capabilities(None, rights).unwrap();
        let layer = LinkLayer::open(&interfaces, ProbeConfig::default());
        assert!(layer.sender.is_none() && layer.watch.is_none());
        assert!(!layer.prober.asks_by_arp() && !layer.prober.asks_by_ping());
        let found = layer.prober.in_use(SQUATTER, wire).await;
        assert_eq!(found, Probed::Unknown(ProbeFailure::NotPermitted));

        fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647").unwrap();
        let layer = LinkLayer::open(&interfaces, ProbeConfig::default());
        assert!(!layer.prober.asks_by_arp() && layer.prober.asks_by_ping());
        assert_eq!(taken(&layer.prober, SQUATTER, wire).await, Probed::Taken { by: None });
        assert_eq!(layer.prober.in_use(NOBODY, wire).await, Probed::Free);
    });
}
