//! The decision what to answer to a DHCP request, as a pure function.
//!
//! [`decide`] reads the subnet, the lease table and the request, and returns a [`Verdict`]: the reply, the change of
//! the lease table that must be durable before the reply leaves, and the reason in words. Nothing waits here: a probe
//! whether an address is in use is the caller's, between two decisions (see [`Lease::benched`]).
//!
//! A client is its hardware address, whatever its client identifier says (drp-behaviour.md 6.6).

mod address;
mod compose;
mod config;
mod decide;
mod destination;
mod lease;

pub use config::{Mode, Picker, Reservation, Subnet};
pub use decide::{Context, Reason, Reply, Verdict, decide};
pub use destination::{Arrival, Destination};
pub use lease::{Lease, LeaseChange, LeaseState, LeaseTable};

use crate::boot::{BootClient, BootOffer};

/// Answers what a client boots. The server implements it over machines and boot environments; [`crate::boot::choose`]
/// does the common part.
pub trait BootChooser {
    /// Returns the offer for one client.
    fn choose(&self, client: &BootClient) -> BootOffer;
}

impl<F: Fn(&BootClient) -> BootOffer> BootChooser for F {
    fn choose(&self, client: &BootClient) -> BootOffer {
        self(client)
    }
}

#[cfg(test)]
mod tests;
