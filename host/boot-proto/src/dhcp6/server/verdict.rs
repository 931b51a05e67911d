//! What comes in and what comes out of a decision.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV6};

use crate::dhcp::HardwareAddress;
use crate::dhcp6::{Duid, Packet, code};

/// The port of DHCPv6 servers and relay agents.
pub(super) const SERVER_PORT: u16 = 547;

/// The port of DHCPv6 clients.
pub(super) const CLIENT_PORT: u16 = 546;

/// How a datagram came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The sender.
    pub peer: SocketAddrV6,
    /// The port it was received on. On any other than 547 all replies go back to the sender, and unicast is allowed.
    pub server_port: u16,
    /// It was sent to one of this machine's addresses, not to a group.
    pub unicast: bool,
}

impl Arrival {
    /// Chooses where the reply to a packet goes: to the relay agent's port 547, unless it names another (RFC 8357), or
    /// to the client's port 546. A sender at a port of its own is a tool that waits there.
    #[must_use]
    pub fn reply_to(&self, packet: &Packet) -> SocketAddrV6 {
        let mut to = self.peer;
        let own_port = match packet.relays.first() {
            Some(relay) => relay.options.contains(code::RELAY_SOURCE_PORT),
            None => ![CLIENT_PORT, SERVER_PORT].contains(&to.port()),
        };
        if self.server_port == SERVER_PORT && !own_port {
            to.set_port(if packet.relays.is_empty() { CLIENT_PORT } else { SERVER_PORT });
        }
        to
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its identifier, without which only options can be asked for. The stages of a boot have different ones.
    pub duid: Option<Duid>,
    /// The network card that asks, where a relay agent or a link-local address tells it.
    pub hardware: Option<HardwareAddress>,
}

impl Client {
    /// Iterates over the hardware addresses by which the machine may be known, the surest first.
    pub fn macs(&self) -> impl Iterator<Item = HardwareAddress> {
        let in_duid = self.duid.as_ref().and_then(Duid::hardware).filter(|mac| Some(*mac) != self.hardware);
        self.hardware.into_iter().chain(in_duid)
    }
}

/// What to do about a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "declined addresses have to be remembered before the reply leaves"]
pub struct Verdict {
    /// What to send; `None` for silence.
    pub reply: Option<Reply>,
    /// Who asks; `None` where the message is not for this server.
    pub client: Option<Client>,
    /// The addresses that the client uses from now on. What is only advertised is not among them.
    pub given: Vec<Ipv6Addr>,
    /// The addresses that the client no longer uses.
    pub released: Vec<Ipv6Addr>,
    /// What to put into [`super::Declined`].
    pub declined: Vec<Ipv6Addr>,
    /// Why, for logs and for the operator.
    pub reason: Reason,
}

/// A reply and its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The message, in the envelopes of the relay agents that brought the request.
    pub packet: Packet,
    /// Where it goes.
    pub to: SocketAddrV6,
    /// The options that the client asked for and that have no room in a packet that every link carries; to be logged.
    pub omitted: Vec<u16>,
}

/// Why a verdict is as it is; its text form is a phrase for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the text form of each says what it means")]
#[non_exhaustive]
pub enum Reason {
    Advertised,
    Assigned,
    Extended,
    NoAddress,
    OnLink,
    NotOnLink,
    Released,
    Declined,
    Informed,
    Unicast,
    NotARequest,
    NamesAServer,
    NamesNoServer,
    OtherServer,
    NoClientId,
    AsksForAddresses,
    NoNetwork,
    Stateless,
    NoAssociation,
    NotOurs,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Advertised => "the address of this client is advertised",
            Self::Assigned => "the client gets its address",
            Self::Extended => "the client keeps its address",
            Self::NoAddress => "no address for this client: none is reserved, or all of its own are declined",
            Self::OnLink => "the client's addresses are of this network",
            Self::NotOnLink => "the client's addresses are not of this network",
            Self::Released => "the client released its address",
            Self::Declined => "the client declined the address; nobody gets it for ten minutes",
            Self::Informed => "the client asked for options only",
            Self::Unicast => "clients send to the group of all servers, not to one address",
            Self::NotARequest => "not a message from a client",
            Self::NamesAServer => "the message names a server where it must not",
            Self::NamesNoServer => "the message names no server where it must",
            Self::OtherServer => "the message is for another server",
            Self::NoClientId => "the message names no client",
            Self::AsksForAddresses => "a request for options only asks for addresses",
            Self::NoNetwork => "no network with DHCPv6 is on this link",
            Self::Stateless => "this network gives options but no addresses",
            Self::NoAssociation => "the message names no address",
            Self::NotOurs => "the client's addresses are of another server",
        })
    }
}
