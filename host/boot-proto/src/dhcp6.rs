//! DHCPv6 messages as they are on the wire (RFC 8415), and what firmware adds to them (RFC 5970).
//!
//! The parser is as tolerant as that of [`crate::dhcp`] and for the same reasons: options stay raw bytes until somebody
//! asks for one, an option with a damaged value reads as absent, and only structural damage is an error. The tests use
//! `dhcproto` as an oracle.
//!
//! - [`Packet`]: a message of a client or a server, inside the envelopes of the relay agents that it passed.
//! - [`server`]: what to answer, as a pure function without a lease table.

mod domain;
mod duid;
mod message_type;
mod options;
mod packet;
mod request;
pub mod server;

pub use domain::{DomainName, DomainNameError};
pub use duid::Duid;
pub use message_type::MessageType;
pub use options::{Options, code};
pub use packet::{MAX_PACKET, MAX_RELAYS, Message, Packet, PacketError, Relay};
pub use request::{Association, hardware_of_link_local};

#[cfg(test)]
mod tests;
