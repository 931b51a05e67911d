//! How the boot of one machine went, told from what was seen of it.
//!
//! A [`Sighting`] is one thing that was seen: a packet of a capture ([`pcap`](crate::pcap)) or a step of a service of a
//! running endpoint. [`Story::tell`] picks those of one machine, divides them into attempts, one for each program that
//! asks for an address (the firmware, its loader, the operating system), and looks for what went wrong. The result is
//! data; [`Story::to_text`] writes it for people. A [`Journal`] remembers the sightings of an endpoint.

mod attempt;
mod dhcp_seen;
mod findings;
mod journal;
mod sighting;
mod stage;
mod tell;
mod text;
mod words;

pub use attempt::{Attempt, FileOutcome, FileSeen, Protocol, ServerSeen};
pub use dhcp_seen::{DhcpSeen, Message};
pub use findings::{Finding, FindingId, Severity};
pub use journal::{Journal, MAX_OF_ALL, MAX_OF_MACHINE};
pub use sighting::{
    ArpSeen, ClosedSeen, DecisionSeen, Dhcp6Seen, HttpEnd, HttpSeen, MAX_TEXT, Peer, RouterSeen, Sighting,
    TftpSeen, Transport, What, text,
};
pub use tell::{MAX_MACHINES, MAX_STORY, Outcome, Story, machines};
pub use words::describe;

#[cfg(test)]
mod tests;
