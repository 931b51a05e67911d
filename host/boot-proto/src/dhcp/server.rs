//! The decision what to answer to a DHCP request, as a pure function.
//!
//! [`decide`] reads the subnet, the [`Book`] of leases and the request, and returns a [`Verdict`]: the reply, the change
//! of the book that must be durable before the reply leaves, and the reason in words. Nothing waits here: a probe
//! whether an address is in use is the caller's, between two decisions (see [`Verdict::probe`]).
//!
//! A client is its hardware address, whatever its client identifier says (drp-behaviour.md 6.6).

mod address;
mod area;
mod book;
mod compose;
mod config;
mod decide;
mod destination;
mod lease;

pub use book::{Book, Link, OFFERS_MAX};
pub use config::{Mode, Picker, Reservation, Subnet};
pub use decide::{Context, Reason, Reply, Verdict, decide};
pub use destination::{Arrival, Destination};
pub use lease::{Lease, LeaseChange, LeaseState};

#[cfg(test)]
mod tests;
