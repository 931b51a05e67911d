//! A UDP socket that tells to which local address a datagram came, and answers from there.
//!
//! On a host with several addresses a plain socket on `0.0.0.0` answers from whichever address the route prefers, and
//! firmware drops an answer from an address that it did not ask.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{self, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg,
    sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// The receive buffer asked for. The default of 212,992 bytes holds 166 requests, and the rest of a boot storm waits
/// four seconds for its repeat; this holds 13,107 (boot-lab.md section 0).
const RECEIVE_BUFFER: usize = 8 << 20;

/// How a datagram came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Datagram {
    /// Its length.
    pub(crate) len: usize,
    /// The sender.
    pub(crate) peer: SocketAddr,
    /// Where it was sent to: an address of this host, or a broadcast or multicast address.
    pub(crate) destination: IpAddr,
    /// The address of this host from which to answer.
    pub(crate) local: IpAddr,
    /// The index of the interface it came through.
    pub(crate) interface: u32,
}

/// A bound UDP socket with packet information.
#[derive(Debug)]
pub(crate) struct InfoSocket {
    socket: UdpSocket,
}

impl InfoSocket {
    /// Binds a socket, to one interface where one is named.
    ///
    /// `SO_REUSEADDR` stays off: with it a second server on the port would start without an error, and each would get
    /// some of the packets. Sockets for different interfaces share a port without it.
    pub(crate) fn bind(address: SocketAddr, interface: Option<&str>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        match address {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => {
                socket.set_only_v6(false)?;
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            }
        }
        if let Some(interface) = interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        socket.set_broadcast(true)?;
        // Beyond net.core.rmem_max only with CAP_NET_ADMIN; otherwise as much as the system allows.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(Self { socket: UdpSocket::from_std(socket.into())? })
    }

    /// Opens a raw socket for `ICMPv6` messages of one type, in the clothes of a datagram socket: both receive and send
    /// whole messages with an address, and that is all that is used here. What it sends has the given hop limit.
    pub(crate) fn icmpv6(kind: u8, hop_limit: u8) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.attach_filter(&only_icmpv6(kind))?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        socket.set_multicast_hops_v6(u32::from(hop_limit))?;
        socket.set_unicast_hops_v6(u32::from(hop_limit))?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UdpSocket::from_std(socket.into())? })
    }

    /// Returns the address that it is bound to.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for a datagram. What is longer than `buffer` is cut.
    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        self.socket.async_io(Interest::READABLE, || self.receive_now(buffer)).await
    }

    fn receive_now(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        let mut control = nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
        let peer = message.address.as_ref().and_then(socket_address);
        let peer = peer.ok_or_else(|| io::Error::other("the datagram has no sender"))?;
        let mut datagram = Datagram {
            len: message.bytes,
            peer,
            destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            local: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            interface: 0,
        };
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    datagram.destination = IpAddr::V4(from_in_addr(info.ipi_addr));
                    datagram.local = IpAddr::V4(from_in_addr(info.ipi_spec_dst));
                    datagram.interface = u32::try_from(info.ipi_ifindex).unwrap_or(0);
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    datagram.destination = IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr));
                    datagram.local = datagram.destination;
                    datagram.interface = info.ipi6_ifindex;
                }
                _ => {}
            }
        }
        Ok(datagram)
    }

    /// Sends from `local`; through `interface` where that is not 0, which a broadcast needs.
    pub(crate) async fn send(
        &self,
        bytes: &[u8],
        to: SocketAddr,
        local: IpAddr,
        interface: u32,
    ) -> io::Result<()> {
        self.socket.async_io(Interest::WRITABLE, || self.send_now(bytes, to, local, interface)).await
    }

    fn send_now(&self, bytes: &[u8], to: SocketAddr, local: IpAddr, interface: u32) -> io::Result<()> {
        let (parts, descriptor) = ([IoSlice::new(bytes)], self.socket.as_raw_fd());
        let (to, flags) = (SockaddrStorage::from(to), MsgFlags::MSG_DONTWAIT);
        match local {
            IpAddr::V4(local) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: i32::try_from(interface).unwrap_or(0),
                    ipi_spec_dst: into_in_addr(local),
                    ipi_addr: into_in_addr(Ipv4Addr::UNSPECIFIED),
                };
                sendmsg(descriptor, &parts, &[ControlMessage::Ipv4PacketInfo(&info)], flags, Some(&to))?;
            }
            IpAddr::V6(local) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: local.octets() },
                    ipi6_ifindex: interface,
                };
                sendmsg(descriptor, &parts, &[ControlMessage::Ipv6PacketInfo(&info)], flags, Some(&to))?;
            }
        }
        Ok(())
    }
}

impl AsFd for InfoSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A filter of the kernel that lets in messages with this first byte, whole, and no others: a raw socket gets every
/// `ICMPv6` message of the host, each neighbour that is looked for and each echo.
fn only_icmpv6(kind: u8) -> [SockFilter; 4] {
    let instruction = |code: u32, jf, k| SockFilter::new(u16::try_from(code).unwrap_or(0), 0, jf, k);
    [
        instruction(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, u32::from(kind)),
        instruction(libc::BPF_RET | libc::BPF_K, 0, u32::MAX),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0),
    ]
}

/// Binds a socket for one transfer: to the address the request came to, and connected, so that packets of others do
/// not get in and a client that is gone is noticed by its ICMP error. A wait for a packet ends
/// after `patience`.
pub(crate) fn bind_transfer(datagram: &Datagram, patience: Duration) -> io::Result<net::UdpSocket> {
    let local = match datagram.local {
        IpAddr::V6(local) if local.is_unicast_link_local() => {
            SocketAddr::V6(SocketAddrV6::new(local, 0, 0, datagram.interface))
        }
        local => SocketAddr::new(local, 0),
    };
    let socket = net::UdpSocket::bind(local)?;
    socket.connect(datagram.peer)?;
    socket.set_read_timeout(Some(patience))?;
    Ok(socket)
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 =
        address.as_sockaddr_in().map(|address: &SockaddrIn| SocketAddr::V4(SocketAddrV4::from(*address)));
    let v6 = |address: &SockaddrIn6| SocketAddr::V6(SocketAddrV6::from(*address));
    v4.or_else(|| address.as_sockaddr_in6().map(v6))
}

/// The bytes of an `in_addr` are in network order whatever the machine.
fn from_in_addr(address: libc::in_addr) -> Ipv4Addr {
    Ipv4Addr::from(address.s_addr.to_ne_bytes())
}

fn into_in_addr(address: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) }
}
