//! The interfaces of a namespace of its own, while they change.

use std::net::Ipv4Addr;

use formwork_boot::InterfaceTable;

use super::link::{ip, on_a_wire};
use super::until;

#[test]
fn interfaces_and_their_addresses_are_found_as_they_come_and_go() {
    on_a_wire(std::future::pending::<()>, || async {
        assert!(ip(&["link", "set", "cli0", "address", "02:00:00:00:00:02"]));
        assert!(ip(&["address", "add", "10.99.0.2/24", "dev", "cli0", "label", "cli0:boot"]));
        assert!(ip(&["address", "add", "10.98.0.2/16", "dev", "cli0"]));
        let table = InterfaceTable::read().unwrap();
        let interfaces = table.current();
        let wire = interfaces.by_name("cli0").unwrap();
        assert_eq!(wire.mac, Some([2, 0, 0, 0, 0, 2]));
        assert!(wire.is_up() && wire.speaks_arp() && !wire.is_loopback() && !wire.is_point_to_point());
        let addresses: Vec<_> = wire.addresses.iter().map(|it| (it.address, it.prefix_len)).collect();
        assert_eq!(addresses, [(Ipv4Addr::new(10, 99, 0, 2), 24), (Ipv4Addr::new(10, 98, 0, 2), 16)]);
        assert!(interfaces.has_mac([2, 0, 0, 0, 0, 2]));

        assert!(ip(&["address", "del", "10.98.0.2/16", "dev", "cli0"]));
        until(|| table.fresh().own_addresses().all(|own| own != Ipv4Addr::new(10, 98, 0, 2))).await;
        until(|| {
            table.fresh().by_name("cli0").is_some_and(|wire| wire.is_running() && wire.link_local().is_some())
        })
        .await;

        assert!(ip(&["link", "add", "late0", "type", "veth", "peer", "name", "late1"]));
        let index = nix::net::if_::if_nametoindex("late0").unwrap();
        until(|| table.fresh_with(index).by_index(index).is_some_and(|late| late.name == "late0")).await;
    });
}
