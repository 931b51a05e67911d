//! Frames of Ethernet over packet sockets, for what the sockets of UDP cannot do.
//!
//! A client without an address answers no ARP request, so the kernel cannot send to it alone ([`FrameSender`]); replies
//! of other DHCP servers go to ports that are not ours ([`ReplyWatch`]); and who has an address is asked by ARP
//! (`crate::probe`). All of it needs `CAP_NET_RAW`.
//!
//! One socket of a kind serves all interfaces: those that come and go need no care, and each frame says which one it
//! came through. No socket here takes all protocols: such a one would see every frame of every download. What remains
//! is filtered in the kernel, so that a frame that nobody waits for is neither copied nor wakes anybody.

pub(crate) mod filter;
pub(crate) mod frame;
mod pace;
mod sender;
mod watch;

use std::io;
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{LinkAddr, MsgFlags, recvfrom, sendto, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

pub(crate) use pace::Pace;
pub use sender::FrameSender;
pub use watch::{ForeignReply, ReplyWatch, WatchCounters, WatchCounts};

/// What would help where a packet socket is refused.
pub(crate) const HINT: &str = "packet sockets need CAP_NET_RAW";

/// The send buffer asked for: some thousand replies, so that a storm waits for the wire and not for this process.
const SEND_BUFFER: usize = 4 << 20;

/// Frames that may have been queued before the filter was there. More than that do not fit into the buffer.
const UNFILTERED_MAX: usize = 4096;

/// A packet socket for Ethernet frames of all interfaces in the namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    /// Tokio has no type for packet sockets; this one waits for any socket.
    socket: UdpSocket,
}

/// A frame that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// Its length, as far as it fitted into the buffer.
    pub(crate) len: usize,
    /// The index of the interface.
    pub(crate) interface: u32,
}

impl PacketSocket {
    /// Opens a socket that receives frames of one Ethernet type for which `filter` says so. Needs a runtime of tokio.
    pub(crate) fn receiving(ether_type: u16, filter: &[SockFilter]) -> io::Result<Self> {
        let socket = Self::open(ether_type)?;
        SockRef::from(&socket.socket).attach_filter(filter)?;
        let mut buffer = [0; 1];
        for _ in 0..UNFILTERED_MAX {
            if socket.receive_now(&mut buffer).is_err() {
                break;
            }
        }
        Ok(socket)
    }

    /// Opens a socket that only sends, with a large buffer for that.
    pub(crate) fn sending() -> io::Result<Self> {
        let socket = Self::open(0)?;
        // Beyond net.core.wmem_max only with CAP_NET_ADMIN; otherwise as much as the system allows.
        if setsockopt(&socket.socket, sockopt::SndBufForce, &SEND_BUFFER).is_err() {
            SockRef::from(&socket.socket).set_send_buffer_size(SEND_BUFFER)?;
        }
        Ok(socket)
    }

    fn open(ether_type: u16) -> io::Result<Self> {
        let protocol = Protocol::from(i32::from(ether_type.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UdpSocket::from_std(socket.into())? })
    }

    /// Waits for a frame; `None` for one that this host sent or that is not of Ethernet.
    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Arrived>> {
        self.socket.async_io(Interest::READABLE, || self.receive_now(buffer)).await
    }

    fn receive_now(&self, buffer: &mut [u8]) -> io::Result<Option<Arrived>> {
        let (len, link) = recvfrom::<LinkAddr>(self.socket.as_raw_fd(), buffer)?;
        let ours = |link: &LinkAddr| {
            link.pkttype() != libc::PACKET_OUTGOING
                && link.hatype() == libc::ARPHRD_ETHER
                && link.halen() == 6
        };
        let interface = link.filter(ours).and_then(|link| u32::try_from(link.ifindex()).ok());
        Ok(interface.map(|interface| Arrived { len, interface }))
    }

    /// Sends a whole frame through the interface of `link`; waits where the send buffer is full.
    pub(crate) async fn send(&self, frame: &[u8], link: &LinkAddr) -> io::Result<()> {
        self.socket.async_io(Interest::WRITABLE, || self.send_now(frame, link)).await
    }

    /// Sends a whole frame through the interface of `link`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] where the send buffer is full.
    pub(crate) fn send_now(&self, frame: &[u8], link: &LinkAddr) -> io::Result<()> {
        sendto(self.socket.as_raw_fd(), frame, link, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }
}
