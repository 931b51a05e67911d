//! Leases, and what a decision changes about them.

use std::net::Ipv4Addr;

use crate::dhcp::HardwareAddress;

/// How long a declined or clashing address is not given to anybody (drp-behaviour.md 6.5).
const BENCH_MS: u64 = 10 * 60 * 1000;

/// The state of a lease (drp-behaviour.md 6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// Offered, not yet asked for. Kept from everybody else until it expires.
    Offered,
    /// Confirmed.
    Bound,
    /// Released, or over. The record stays, so that the same client gets the address again.
    Expired,
    /// Declined or found in use; belongs to nobody until it expires.
    Invalid,
}

/// One address and who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// What a decision changes. All of it is one transaction, before the reply leaves.
///
/// A decision and its change of the [`Book`](super::Book) must not interleave with those of another request: two
/// decisions on the same state may choose the same address. The caller serializes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaseChange {
    /// The record or offer to write under its address; `None` when only something is removed.
    pub put: Option<Lease>,
    /// The addresses whose records and offers to remove: the client's former ones.
    pub remove: Vec<Ipv4Addr>,
    /// The addresses whose offers to remove, not what lies below them.
    pub withdraw: Vec<Ipv4Addr>,
    /// What is put is an offer of an address that nobody was asked about yet.
    pub is_unproved: bool,
}

impl LeaseChange {
    /// Tells whether the change must survive a crash. An offer need not: the client asks again.
    #[must_use]
    pub fn must_be_durable(&self) -> bool {
        !self.remove.is_empty() || self.put.as_ref().is_some_and(|lease| lease.state != LeaseState::Offered)
    }
}
