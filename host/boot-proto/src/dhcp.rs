//! DHCPv4 messages as they are on the wire (RFC 2131, RFC 2132, RFC 3396, RFC 3046).
//!
//! Why not the `dhcproto` crate: version 0.15 panics on a packet with `hlen` above 16, which is a crash from the
//! network with one packet; one option that it cannot decode (a host name that is not UTF-8) silently ends the option
//! list, so that the architecture behind it is lost; it re-sorts the sub-options of option 82, which a relay agent must
//! get back byte for byte; it cuts the architecture list of option 93 to its first entry and does not follow option
//! overload. Here options stay raw bytes until somebody asks for one, and only structural damage is an error. The
//! tests use `dhcproto` as an oracle for packets that it does understand.

mod encode;
mod hardware;
mod options;
mod packet;
mod request;
pub mod server;
mod text;

pub use encode::{Encoded, MIN_PACKET, payload_limit};
pub use hardware::{HardwareAddress, HardwareAddressError};
pub use options::{Options, code};
pub use packet::{MAX_PACKET, Op, Packet, PacketError};
pub use request::MessageType;
pub use text::{OptionTextError, option_bytes, option_text};

#[cfg(test)]
mod tests;
