//! ICMP echo (RFC 792), for addresses that ARP does not reach.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etherparse::{IcmpEchoHeader, Icmpv4Header, Icmpv4Slice, Icmpv4Type, Ipv4HeaderSlice};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use crate::raw::filter;

/// A socket that sends echo requests and receives the replies to them, and nothing else.
#[derive(Debug)]
pub(super) struct PingSocket {
    /// Tokio has no type for sockets of ICMP; this one waits for any socket.
    socket: UdpSocket,
    /// It receives whole packets with the header of IP. The other kind needs no rights of its own but the leave of
    /// `net.ipv4.ping_group_range`, and the kernel chooses its identifier.
    raw: bool,
    identifier: u16,
    /// Comes back in each reply: who is not on the way of the packets cannot make addresses look taken.
    cookie: [u8; 8],
}

impl PingSocket {
    /// Opens a raw socket or, where that is not permitted, a socket for ping alone. Needs a runtime of tokio.
    pub(super) fn open() -> io::Result<Self> {
        // The keys of the hasher are the random bytes that the standard library has.
        let [identifier, cookie] = [0, 1].map(|number| RandomState::new().hash_one(number));
        let (identifier, cookie) = (identifier as u16, cookie.to_be_bytes());
        let (socket, raw) = match Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)) {
            Ok(socket) => {
                socket.attach_filter(&filter::echo_replies(identifier))?;
                (socket, true)
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                (Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4))?, false)
            }
            Err(error) => return Err(error),
        };
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UdpSocket::from_std(socket.into())?, raw, identifier, cookie })
    }

    /// Sends an echo request.
    ///
    /// # Errors
    ///
    /// There is no route, or the send buffer is full ([`io::ErrorKind::WouldBlock`]).
    pub(super) fn send_now(&self, address: Ipv4Addr) -> io::Result<()> {
        let request = Icmpv4Type::EchoRequest(IcmpEchoHeader { id: self.identifier, seq: 1 });
        let header = Icmpv4Header::with_checksum(request, &self.cookie).to_bytes();
        let message = [header.as_slice(), &self.cookie].concat();
        SockRef::from(&self.socket).send_to(&message, &SocketAddr::from((address, 0)).into())?;
        Ok(())
    }

    /// Waits for a packet and returns who sent it where it is the reply to one of our requests.
    pub(super) async fn receive(&self) -> io::Result<Option<Ipv4Addr>> {
        let mut buffer = [0; 128];
        let (len, peer) = self.socket.recv_from(&mut buffer).await?;
        let IpAddr::V4(address) = peer.ip() else { return Ok(None) };
        let packet = buffer.get(..len).unwrap_or_default();
        Ok(self.is_reply(packet).then_some(address))
    }

    fn is_reply(&self, packet: &[u8]) -> bool {
        let header = match (self.raw, Ipv4HeaderSlice::from_slice(packet)) {
            (false, _) => 0,
            (true, Ok(header)) => header.slice().len(),
            (true, Err(_)) => return false,
        };
        let message = packet.get(header..).and_then(|message| Icmpv4Slice::from_slice(message).ok());
        message.is_some_and(|message| {
            matches!(message.icmp_type(), Icmpv4Type::EchoReply(_)) && message.payload() == self.cookie
        })
    }
}
