//! What the operator configured: subnets and reservations.

use std::net::Ipv4Addr;

use crate::dhcp::HardwareAddress;

/// What a subnet's clients get (drp-behaviour.md 6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Addresses and boot options.
    #[default]
    Full,
    /// Addresses, never boot options (`Unmanaged`).
    Unmanaged,
    /// Boot options only, beside another DHCP server (`Proxy`).
    Proxy,
}

/// A way to find an address for a new client (drp-behaviour.md 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Picker {
    /// The address that the client asks for, when it is in the range. Held by someone else, no other picker is tried:
    /// the client starts afresh. Not asked for or outside of the range, the next picker is tried.
    Hint,
    /// The next address of the range without any lease record, round robin.
    NextFree,
    /// The address whose lease expired first.
    MostExpired,
    /// None: new clients are refused.
    None,
}

/// A network in which addresses are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its name, for logs.
    pub name: String,
    /// An address of the network; host bits are ignored.
    pub network: Ipv4Addr,
    /// The length of the prefix, at most 32.
    pub prefix: u8,
    /// First address of the active range.
    pub active_start: Ipv4Addr,
    /// Last address of the active range.
    pub active_end: Ipv4Addr,
    /// Lease time in the active range, in seconds.
    pub active_lease_secs: u32,
    /// Lease time of a reservation that has none of its own, in seconds.
    pub reserved_lease_secs: u32,
    /// False: no new leases and no renewals; reservations are still answered.
    pub enabled: bool,
    /// What clients get.
    pub mode: Mode,
    /// How an address is found, in order.
    pub pickers: Vec<Picker>,
    /// The routers of the network, which are never given to clients. What clients are told stands in the options of
    /// [`Context`](super::Context).
    pub routers: Vec<Ipv4Addr>,
    /// The next server of the boot; `None` for this server.
    pub next_server: Option<Ipv4Addr>,
    /// Addresses are given without asking first whether somebody uses them (`SkipDAD`).
    pub skip_probe: bool,
}

impl Subnet {
    /// Makes a subnet with the defaults of drp-behaviour.md 6.1: all pickers, 60 s and 7200 s, this server boots.
    #[must_use]
    pub fn new(name: &str, network: Ipv4Addr, prefix: u8, active: (Ipv4Addr, Ipv4Addr)) -> Self {
        Self {
            name: name.to_owned(),
            network,
            prefix,
            active_start: active.0,
            active_end: active.1,
            active_lease_secs: 60,
            reserved_lease_secs: 7200,
            enabled: true,
            mode: Mode::Full,
            pickers: vec![Picker::Hint, Picker::NextFree, Picker::MostExpired],
            routers: Vec::new(),
            next_server: None,
            skip_probe: false,
        }
    }

    /// Returns the mask of the network.
    #[must_use]
    pub fn mask(&self) -> Ipv4Addr {
        let host_bits = 32_u32.saturating_sub(u32::from(self.prefix));
        Ipv4Addr::from_bits(u32::MAX.checked_shl(host_bits).unwrap_or(0))
    }

    /// Returns the broadcast address of the network.
    #[must_use]
    pub fn broadcast(&self) -> Ipv4Addr {
        self.network | !self.mask()
    }

    /// Tells whether an address is in the network.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address & self.mask() == self.network & self.mask()
    }

    /// Tells whether an address is in the active range.
    #[must_use]
    pub fn is_active(&self, address: Ipv4Addr) -> bool {
        self.contains(address) && (self.active_start..=self.active_end).contains(&address)
    }

    /// Tells whether an address of the network can belong to a host: not the network, not its broadcast address,
    /// save in networks of one or two addresses, which have neither (RFC 3021).
    #[must_use]
    pub fn is_host(&self, address: Ipv4Addr) -> bool {
        let ends = [self.network & self.mask(), self.broadcast()];
        self.contains(address) && (self.prefix >= 31 || !ends.contains(&address))
    }
}

/// An address kept for one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The address.
    pub address: Ipv4Addr,
    /// The client.
    pub token: HardwareAddress,
    /// Lease time in seconds; `None` for the subnet's.
    pub lease_secs: Option<u32>,
    /// The next server of the boot; `None` for the subnet's.
    pub next_server: Option<Ipv4Addr>,
    /// It holds in the subnet of its address only: the client may have others elsewhere.
    pub is_scoped: bool,
    /// The address is given without asking first whether somebody uses it (`SkipDAD`).
    pub skip_probe: bool,
}
