//! Subnets, reservations and leases of the store, and what they are to a decision.

use std::net::Ipv4Addr;

use formwork_boot_proto::dhcp::{
    HardwareAddress, code,
    server::{self, LeaseState, Mode, Picker},
};
use formwork_model::{DhcpOption, Lease, Reservation, Subnet, Timestamp};

use super::options::Configured;

/// The only strategy that there is: a client is its hardware address (drp-behaviour.md 6.1).
const STRATEGY: &str = "MAC";

/// Reads a subnet and its options; `None` for one that no address can be given in, which the log tells.
pub(super) fn subnet(stored: &Subnet) -> Option<(server::Subnet, Configured)> {
    let name = &stored.name;
    if stored.strategy != STRATEGY {
        let strategy = &stored.strategy;
        tracing::warn!(target: "formwork_boot::dhcp", subnet = name, strategy, "a subnet of an unknown strategy is not served");
        return None;
    }
    let (network, prefix) = stored.subnet.split_once('/')?;
    let address = |text: &str| text.parse::<Ipv4Addr>().ok();
    let active = address(&stored.active_start).zip(address(&stored.active_end));
    // Former leases are no claim either where only reservations count.
    let active = active.filter(|_| !stored.only_reservations && !stored.proxy);
    // The range from the last address to the first has none.
    let active = active.unwrap_or((Ipv4Addr::BROADCAST, Ipv4Addr::UNSPECIFIED));
    let mut subnet = server::Subnet::new(name, address(network)?, prefix.parse().ok()?, active);
    let options = Configured::new(name, &stored.options);
    subnet.routers = addresses(options.bytes(code::ROUTER).unwrap_or_default());
    subnet.active_lease_secs = seconds(stored.active_lease_time);
    subnet.reserved_lease_secs = seconds(stored.reserved_lease_time);
    subnet.enabled = stored.enabled;
    subnet.mode = match (stored.proxy, stored.unmanaged) {
        (true, _) => Mode::Proxy,
        (_, true) => Mode::Unmanaged,
        _ => Mode::Full,
    };
    subnet.pickers = match stored.only_reservations {
        true => vec![Picker::None],
        false => stored.pickers.iter().filter_map(|word| picker(word)).collect(),
    };
    subnet.next_server = address(&stored.next_server);
    subnet.skip_probe = stored.skip_dad;
    Some((subnet, options))
}

fn picker(word: &str) -> Option<Picker> {
    Some(match word {
        "hint" => Picker::Hint,
        "nextFree" => Picker::NextFree,
        "mostExpired" => Picker::MostExpired,
        "none" => Picker::None,
        _ => return None,
    })
}

fn addresses(bytes: &[u8]) -> Vec<Ipv4Addr> {
    bytes.as_chunks::<4>().0.iter().map(|octets| Ipv4Addr::from(*octets)).collect()
}

fn seconds(stored: i64) -> u32 {
    u32::try_from(stored.max(0)).unwrap_or(u32::MAX)
}

/// Reads a reservation and its options; `None` for one that names no client by its hardware address.
pub(super) fn reservation(stored: &Reservation) -> Option<(server::Reservation, Configured)> {
    if stored.strategy != STRATEGY {
        return None;
    }
    let reservation = server::Reservation {
        address: stored.addr.parse().ok()?,
        token: stored.token.parse().ok()?,
        lease_secs: Some(seconds(stored.duration)).filter(|secs| *secs > 0),
        next_server: stored.next_server.parse().ok(),
        is_scoped: stored.scoped,
        skip_probe: stored.skip_dad,
    };
    Some((reservation, Configured::new(&stored.addr, &stored.options)))
}

/// What is stored with a lease besides the lease itself.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The server identifier.
    pub(super) server: String,
    /// The address that selected the subnet.
    pub(super) via: String,
    /// The client's machine; empty where it has none.
    pub(super) machine: String,
    /// What the client was given.
    pub(super) options: Vec<DhcpOption>,
    /// What the client sent.
    pub(super) provided: Vec<DhcpOption>,
    pub(super) now: Timestamp,
}

/// Writes a lease into an object of the store; what only the object knows is kept.
pub(super) fn to_stored(lease: &server::Lease, before: Option<&Lease>, facts: Facts) -> Lease {
    let mut stored = before.cloned().unwrap_or_default();
    stored.addr = lease.address.to_string();
    stored.token = lease.token.map(|client| client.to_string()).unwrap_or_default();
    stored.strategy = if lease.token.is_some() { String::from(STRATEGY) } else { String::new() };
    stored.state = String::from(match lease.state {
        LeaseState::Offered => "OFFER",
        LeaseState::Bound => "ACK",
        LeaseState::Expired => "EXPIRED",
        LeaseState::Invalid => "INVALID",
    });
    stored.expire_time = Timestamp::from_millis(i64::try_from(lease.expires_ms).unwrap_or(i64::MAX));
    stored.duration = i64::from(lease.duration_secs);
    stored.next_server = facts.server;
    stored.via = facts.via;
    stored.machine_uuid = facts.machine;
    stored.options = facts.options;
    stored.provided_options = facts.provided;
    stored.header.set_errors(Vec::new());
    if stored.header.created_at.is_unset() {
        stored.header.created_at = facts.now;
    }
    stored.header.last_modified_at = facts.now;
    stored
}

/// Reads a lease from an object of the store; `None` for one that is no lease of this server.
pub(super) fn lease(stored: &Lease) -> Option<server::Lease> {
    let state = match stored.state.as_str() {
        "OFFER" => LeaseState::Offered,
        "ACK" => LeaseState::Bound,
        "EXPIRED" => LeaseState::Expired,
        "INVALID" => LeaseState::Invalid,
        _ => return None,
    };
    let token: Option<HardwareAddress> = stored.token.parse().ok();
    if token.is_none() && state != LeaseState::Invalid {
        return None;
    }
    Some(server::Lease {
        address: stored.addr.parse().ok()?,
        token: token.filter(|_| state != LeaseState::Invalid),
        state,
        expires_ms: u64::try_from(stored.expire_time.millis()).unwrap_or(0),
        duration_secs: u32::try_from(stored.duration).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Subnet {
        Subnet {
            name: "lab".into(),
            subnet: "10.7.0.0/24".into(),
            strategy: STRATEGY.into(),
            active_start: "10.7.0.10".into(),
            active_end: "10.7.0.20".into(),
            pickers: vec!["nextFree".into(), "none".into()],
            options: vec![DhcpOption { code: 3, value: "10.7.0.1".into() }],
            ..Subnet::default()
        }
    }

    #[test]
    fn lease_reads_back_as_it_was_written() {
        let bound = server::Lease {
            address: Ipv4Addr::new(10, 0, 0, 5),
            token: Some(HardwareAddress::ethernet([2, 0, 0, 0, 0, 1])),
            state: LeaseState::Bound,
            expires_ms: 1000,
            duration_secs: 60,
        };
        for known in [bound, server::Lease::benched(Ipv4Addr::new(10, 0, 0, 6), 7)] {
            assert_eq!(lease(&to_stored(&known, None, Facts::default())), Some(known));
        }
        assert_eq!(lease(&Lease::default()), None);
    }

    #[test]
    fn subnet_of_the_store_has_its_range_its_pickers_and_its_routers() {
        let (subnet, _) = subnet(&stored()).unwrap();
        assert_eq!((subnet.active_start, subnet.active_end), ([10, 7, 0, 10].into(), [10, 7, 0, 20].into()));
        assert_eq!(subnet.pickers, [Picker::NextFree, Picker::None]);
        assert_eq!(subnet.routers, [Ipv4Addr::new(10, 7, 0, 1)]);
        assert!(super::subnet(&Subnet { strategy: "UUID".into(), ..stored() }).is_none());
    }

    #[test]
    fn subnet_of_reservations_has_no_range_in_which_a_former_lease_could_be() {
        let (subnet, _) = subnet(&Subnet { only_reservations: true, ..stored() }).unwrap();
        assert!(!subnet.is_active(Ipv4Addr::new(10, 7, 0, 10)));
        assert_eq!(subnet.pickers, [Picker::None]);
    }
}
