//! Leases and the read-only view of them that a decision needs.

use std::net::Ipv4Addr;

use super::config::{Reservation, Subnet};
use crate::dhcp::HardwareAddress;

/// How long a declined or clashing address is not given to anybody (drp-behaviour.md 6.5).
const BENCH_MS: u64 = 10 * 60 * 1000;

/// How many addresses a default search looks at: a whole /16. Larger ranges want a lease table with an index.
const SEARCH_LIMIT: usize = 1 << 16;

/// The state of a lease (drp-behaviour.md 6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// Offered, not yet asked for. Kept from everybody else until it expires.
    Offered,
    /// Confirmed.
    Bound,
    /// Released. The record stays, so that the same client gets the address again.
    Expired,
    /// Declined or found in use; belongs to nobody until it expires.
    Invalid,
}

/// One address and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The client; `None` exactly when the state is [`LeaseState::Invalid`].
    pub token: Option<HardwareAddress>,
    /// The state; a lease of any state past `expires_ms` counts as expired.
    pub state: LeaseState,
    /// When it ends, in milliseconds on the caller's clock.
    pub expires_ms: u64,
    /// The lease time that was last given or offered, in seconds; 0 for an invalid lease.
    pub duration_secs: u32,
}

impl Lease {
    /// Makes the record of an address that must not be given for ten minutes: a client declined it, or a probe of the
    /// caller found somebody using it.
    #[must_use]
    pub fn benched(address: Ipv4Addr, now_ms: u64) -> Self {
        Self {
            address,
            token: None,
            state: LeaseState::Invalid,
            expires_ms: now_ms.saturating_add(BENCH_MS),
            duration_secs: 0,
        }
    }

    /// Tells whether the lease is over.
    #[must_use]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.state == LeaseState::Expired || self.expires_ms <= now_ms
    }

    /// Tells whether this lease is of that client.
    #[must_use]
    pub fn belongs_to(&self, token: HardwareAddress) -> bool {
        self.token == Some(token)
    }
}

/// What the caller must do to its lease table, all in one transaction, before the reply leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseChange {
    /// The record to write under its address; `None` when only something is removed.
    pub put: Option<Lease>,
    /// The addresses whose records to remove: the client's former ones.
    pub remove: Vec<Ipv4Addr>,
}

impl LeaseChange {
    /// Tells whether the change must survive a crash. An offer need not: the client asks again.
    #[must_use]
    pub fn must_be_durable(&self) -> bool {
        !self.remove.is_empty() || self.put.as_ref().is_some_and(|lease| lease.state != LeaseState::Offered)
    }
}

/// The lease table and the reservations as one decision sees them.
///
/// A decision and the commit of its change must not interleave with those of another request: two decisions on the
/// same state may choose the same address. The caller serializes them.
pub trait LeaseTable {
    /// Returns the leases of a client in a subnet, in any state; outside of all subnets when there is none. It is one
    /// at most, save while a client is moved to another address.
    fn leases_of(&self, token: HardwareAddress, subnet: Option<&Subnet>) -> Vec<Lease>;

    /// Returns the lease record of an address, in any state.
    fn lease_at(&self, address: Ipv4Addr) -> Option<Lease>;

    /// Returns the reservation of a client: the one in the subnet, or outside of all subnets when there is none.
    fn reservation_of(&self, token: HardwareAddress, subnet: Option<&Subnet>) -> Option<Reservation>;

    /// Returns for whom an address is reserved.
    fn reserved_for(&self, address: Ipv4Addr) -> Option<HardwareAddress>;

    /// Returns the address that was last given to a new client of the subnet, where the round robin goes on; `None`
    /// to search from the start of the range.
    fn last_given(&self, _subnet: &Subnet) -> Option<Ipv4Addr> {
        None
    }

    /// Returns the next address without any lease record that `usable` accepts, searching round robin from behind
    /// [`LeaseTable::last_given`]. Looks at 65,536 addresses at most.
    fn next_free(&self, subnet: &Subnet, usable: &dyn Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        let mut free = round_robin(subnet, self.last_given(subnet));
        free.find(|address| self.lease_at(*address).is_none() && usable(*address))
    }

    /// Returns the lease of the active range that expired first and that `usable` accepts. Looks at 65,536 addresses
    /// at most.
    fn most_expired(&self, subnet: &Subnet, now_ms: u64, usable: &dyn Fn(Ipv4Addr) -> bool) -> Option<Lease> {
        round_robin(subnet, None)
            .filter_map(|address| self.lease_at(address))
            .filter(|lease| lease.is_expired(now_ms) && usable(lease.address))
            .min_by_key(|lease| (lease.expires_ms, lease.address))
    }
}

/// Iterates over the active range, starting behind `last`.
fn round_robin(subnet: &Subnet, last: Option<Ipv4Addr>) -> impl Iterator<Item = Ipv4Addr> {
    let (start, end) = (subnet.active_start.to_bits(), subnet.active_end.to_bits());
    let last = last.filter(|last| subnet.is_active(*last));
    let first = last.map_or(start, |last| last.to_bits().saturating_add(1));
    (first..=end).chain(start..first).take(SEARCH_LIMIT).map(Ipv4Addr::from_bits)
}
