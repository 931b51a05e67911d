//! Where a reply goes (RFC 2131 section 4.1).

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::dhcp::{HardwareAddress, MessageType, Packet};

/// The port of DHCP servers and relay agents.
pub(crate) const SERVER_PORT: u16 = 67;

/// The hardware type whose frames are known here (RFC 1700).
const ETHERNET: u8 = 1;

/// The port of DHCP clients.
const CLIENT_PORT: u16 = 68;

/// How a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The sender.
    pub peer: SocketAddrV4,
    /// The port it was received on. On any other than 67 all replies go back to the sender.
    pub server_port: u16,
    /// It was sent to one of this machine's addresses, not broadcast.
    pub unicast: bool,
    /// It came to the boot server's port (4011), where addresses are never given.
    pub binl: bool,
}

impl Arrival {
    /// Returns the address that selects the subnet (drp-behaviour.md 6.2): what a relay says, or the client's own
    /// address where it renews by unicast through a router. `None` for a client on the server's own link, whose subnet
    /// is that of any address of the receiving interface.
    #[must_use]
    pub fn selector(&self, request: &Packet) -> Option<Ipv4Addr> {
        let renewing = self.unicast && !request.ciaddr.is_unspecified();
        request.relayed_link().or(renewing.then_some(request.ciaddr))
    }
}

/// Where a reply goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A relay agent.
    Relay(Ipv4Addr),
    /// All clients on the link.
    Broadcast,
    /// A client on Ethernet that does not answer ARP for its new address yet. Unicast needs an ARP entry or a raw
    /// socket; broadcast is as good (boot-lab.md section 2) and is what [`Destination::socket_address`] returns.
    Offered {
        /// The new address.
        address: Ipv4Addr,
        /// Its hardware address.
        hardware: HardwareAddress,
    },
    /// A client that uses its address already.
    Client(Ipv4Addr),
    /// Whoever sent the request.
    Source(SocketAddrV4),
}

impl Destination {
    /// Chooses where the reply of type `kind` to a request goes.
    #[must_use]
    pub fn of_reply(
        request: &Packet,
        kind: Option<MessageType>,
        address: Ipv4Addr,
        arrival: &Arrival,
    ) -> Self {
        let relayed = !request.giaddr.is_unspecified();
        // A client on a port of its own is a test or a tool that has an address: `drpcli info status`, for one.
        let own_port = !relayed && ![SERVER_PORT, CLIENT_PORT].contains(&arrival.peer.port());
        if (arrival.server_port != SERVER_PORT || own_port) && !arrival.peer.ip().is_unspecified() {
            Self::Source(arrival.peer)
        } else if relayed {
            Self::Relay(request.giaddr)
        } else if kind == Some(MessageType::Nak) {
            Self::Broadcast
        } else if !request.ciaddr.is_unspecified() {
            Self::Client(request.ciaddr)
        } else if request.wants_broadcast() || address.is_unspecified() || request.htype != ETHERNET {
            Self::Broadcast
        } else {
            Self::Offered { address, hardware: request.chaddr }
        }
    }

    /// Returns the address and port for an ordinary socket.
    #[must_use]
    pub fn socket_address(&self) -> SocketAddrV4 {
        match *self {
            Self::Relay(address) => SocketAddrV4::new(address, SERVER_PORT),
            Self::Broadcast | Self::Offered { .. } => SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT),
            Self::Client(address) => SocketAddrV4::new(address, CLIENT_PORT),
            Self::Source(peer) => peer,
        }
    }
}
