//! Which network card is behind an address of a network that the endpoint is in.

use std::net::{IpAddr, Ipv4Addr};

use formwork_boot_proto::{dhcp::HardwareAddress, dhcp6::hardware_of_link_local};
use formwork_store::Snapshot;

use super::dhcp6::is_of_card;

/// Where the kernel of Linux tells it (proc(5)).
const TABLE: &str = "/proc/net/arp";

/// The flag of an entry that is complete (`ATF_COM` of `net/if_arp.h`).
const COMPLETE: u32 = 2;

/// Returns the hardware address behind an address, in lower case; nothing for one beyond a router. Blocks the thread for a
/// moment.
///
/// In IPv6 it is one of `cards` to which the address belongs by its making: by DHCPv6 here, or a link-local one.
pub(super) fn card_of(objects: &Snapshot, address: IpAddr, cards: &[String]) -> Option<String> {
    match address.to_canonical() {
        IpAddr::V4(address) => card_in(&std::fs::read_to_string(TABLE).ok()?, address),
        IpAddr::V6(address) => {
            let of_link_local = hardware_of_link_local(address);
            let is_it =
                |card: HardwareAddress| of_link_local == Some(card) || is_of_card(objects, address, card);
            cards.iter().find(|card| card.parse().is_ok_and(is_it)).map(|card| card.to_lowercase())
        }
    }
}

/// Finds the card of an address in the kernel's table: address, kind of hardware, flags, hardware address, and more.
fn card_in(table: &str, address: Ipv4Addr) -> Option<String> {
    let mut rows = table.lines().skip(1).map(str::split_whitespace);
    rows.find_map(|mut row| {
        let is_it = row.next()?.parse() == Ok(address);
        let flags = row.nth(1)?.strip_prefix("0x").and_then(|flags| u32::from_str_radix(flags, 16).ok())?;
        let card = row.next()?;
        (is_it && flags & COMPLETE != 0).then(|| card.to_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "IP address       HW type     Flags       HW address            Mask     Device\n\
        10.0.0.7         0x1         0x0         00:00:00:00:00:00     *        eth0\n\
        short\n\
        10.0.0.50        0x1         0x6         52:54:00:AB:00:01     *        eth0\n";

    #[test]
    fn card_is_told_only_where_the_entry_is_complete() {
        assert_eq!(card_in(ROWS, [10, 0, 0, 50].into()).as_deref(), Some("52:54:00:ab:00:01"));
        assert_eq!(card_in(ROWS, [10, 0, 0, 7].into()), None);
        assert_eq!(card_in(ROWS, [10, 0, 0, 5].into()), None);
        assert_eq!(card_in("", [10, 0, 0, 50].into()), None);
    }
}
