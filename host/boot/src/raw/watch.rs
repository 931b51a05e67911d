//! Replies of other DHCP servers on the links of this host.

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use formwork_boot_proto::dhcp::{HardwareAddress, MAX_PACKET, MessageType, Packet, code};
use nix::libc;

use super::{HINT, Pace, PacketSocket};
use crate::counters::count;
use crate::error::BindError;
use crate::interfaces::{InterfaceTable, Interfaces};
use crate::raw::filter;
use crate::raw::frame::UdpFrame;

/// The longest headers of Ethernet, IPv4 and UDP.
const HEADERS: usize = 14 + 60 + 8;

/// At most 1,280 replies a second are looked at: more than any network has of a second server's, and little work.
const BATCH: u32 = 64;
const PAUSE: Duration = Duration::from_millis(50);

/// After an error of the socket.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// A reply that another DHCP server sent to a client or a relay agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignReply {
    /// The index of the interface it came through.
    pub interface: u32,
    /// The hardware address that sent it: the server, or the router on the way from it.
    pub mac: HardwareAddress,
    /// The address that sent it.
    pub source: Ipv4Addr,
    /// OFFER, ACK or NAK.
    pub kind: MessageType,
    /// The whole message: `server_id`, `yiaddr`, `chaddr`, options.
    pub packet: Packet,
}

impl ForeignReply {
    /// Returns the boot file that it names, in the field or in option 67; empty where it names none.
    #[must_use]
    pub fn boot_file(&self) -> &[u8] {
        match self.packet.file.as_slice() {
            [] => self.packet.options.bytes(code::BOOT_FILE).unwrap_or_default(),
            file => file,
        }
    }
}

/// The running counters of a [`ReplyWatch`].
#[derive(Debug, Default)]
pub struct WatchCounters {
    frames: AtomicU64,
    replies: AtomicU64,
}

/// The counters of a [`ReplyWatch`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchCounts {
    /// Frames that the filter in the kernel let through.
    pub frames: u64,
    /// Replies of other servers among them.
    pub replies: u64,
}

impl WatchCounters {
    /// Reads all counters.
    #[must_use]
    pub fn snapshot(&self) -> WatchCounts {
        WatchCounts {
            frames: self.frames.load(Ordering::Relaxed),
            replies: self.replies.load(Ordering::Relaxed),
        }
    }
}

/// Watches for replies of other DHCP servers on all Ethernet interfaces.
///
/// What it can see are broadcasts, and frames to this host: a switch keeps unicasts to others away. A client that
/// firmware made asks for broadcasts or has no address to send to yet, so a second server shows itself at its first
/// OFFER as a rule. No interface is put into promiscuous mode.
#[derive(Debug)]
pub struct ReplyWatch {
    socket: PacketSocket,
    interfaces: Arc<InterfaceTable>,
    counters: Arc<WatchCounters>,
}

impl ReplyWatch {
    /// Opens the socket. Needs a runtime of tokio.
    ///
    /// # Errors
    ///
    /// The process lacks `CAP_NET_RAW`. Other servers stay unseen then.
    pub fn open(interfaces: Arc<InterfaceTable>) -> Result<Self, BindError> {
        let socket = PacketSocket::receiving(libc::ETH_P_IP as u16, &filter::dhcp_replies())
            .map_err(|source| BindError::new("dhcp watch", "packet socket".to_owned(), HINT, source))?;
        Ok(Self { socket, interfaces, counters: Arc::default() })
    }

    /// Returns the counters, which go on while the watch runs.
    #[must_use]
    pub fn counters(&self) -> Arc<WatchCounters> {
        Arc::clone(&self.counters)
    }

    /// Hands each reply of another server to `found` until `shutdown` ends. `found` must not wait: replies that come
    /// meanwhile are lost beyond what the socket's buffer holds.
    pub async fn run(
        self,
        mut found: impl FnMut(ForeignReply) + Send,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        tokio::pin!(shutdown);
        let mut buffer = vec![0; HEADERS + MAX_PACKET];
        let mut pace = Pace::new(BATCH, PAUSE);
        loop {
            let received = tokio::select! {
                () = &mut shutdown => return,
                received = self.socket.receive(&mut buffer) => received,
            };
            match received {
                Ok(Some(arrived)) => {
                    count(&self.counters.frames);
                    let frame = buffer.get(..arrived.len).unwrap_or_default();
                    if let Some(reply) = foreign(&self.interfaces.fresh(), arrived.interface, frame) {
                        count(&self.counters.replies);
                        found(reply);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the watch for other dhcp servers failed to receive");
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
            pace.step().await;
        }
    }
}

/// Reads a frame; `None` where it is no reply of another server.
fn foreign(interfaces: &Interfaces, interface: u32, frame: &[u8]) -> Option<ForeignReply> {
    let frame = UdpFrame::parse(frame)?;
    // A broadcast through one interface comes back through another one on the same link.
    if interfaces.has_mac(frame.source_mac) || interfaces.with_address(*frame.source.ip()).is_some() {
        return None;
    }
    let packet = Packet::parse(frame.payload).ok()?;
    let replies = [MessageType::Offer, MessageType::Ack, MessageType::Nak];
    let kind = packet.message_type().filter(|kind| replies.contains(kind))?;
    let mac = HardwareAddress::ethernet(frame.source_mac);
    Some(ForeignReply { interface, mac, source: *frame.source.ip(), kind, packet })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use super::*;

    fn frame(source: Ipv4Addr, kind: MessageType) -> Vec<u8> {
        let request = Packet::request(HardwareAddress::ethernet([2, 0, 0, 0, 0, 9]), 1);
        let mut reply = Packet::reply_to(&request);
        reply.options.set(code::MESSAGE_TYPE, [kind.code()]);
        reply.options.set(code::BOOT_FILE, *b"in-option");
        let frame = UdpFrame {
            source_mac: [2, 0, 0, 0, 0, 1],
            target_mac: [0xff; 6],
            source: SocketAddrV4::new(source, 67),
            target: SocketAddrV4::new(Ipv4Addr::BROADCAST, 68),
            payload: &reply.encode(1472).bytes,
        };
        frame.encode().unwrap()
    }

    #[test]
    fn replies_of_another_server_are_read() {
        let other = Ipv4Addr::new(192, 0, 2, 1);
        for kind in [MessageType::Offer, MessageType::Ack, MessageType::Nak] {
            let reply = foreign(&Interfaces::default(), 7, &frame(other, kind)).unwrap();
            assert_eq!((reply.interface, reply.source, reply.kind), (7, other, kind));
            assert_eq!(reply.mac.to_string(), "02:00:00:00:00:01");
            assert_eq!(reply.packet.chaddr.to_string(), "02:00:00:00:00:09");
            assert_eq!(reply.boot_file(), b"in-option");
        }
        assert_eq!(foreign(&Interfaces::default(), 7, &frame(other, MessageType::Discover)), None);
    }

    #[test]
    fn what_this_host_sent_itself_is_not_foreign() {
        let interfaces = Interfaces::read().unwrap();
        let own = interfaces.own_addresses().next().unwrap();
        assert_eq!(foreign(&interfaces, 7, &frame(own, MessageType::Offer)), None);
    }

    #[test]
    fn boot_file_of_the_field_is_before_that_of_the_option() {
        let mut reply =
            foreign(&Interfaces::default(), 7, &frame(Ipv4Addr::BROADCAST, MessageType::Ack)).unwrap();
        reply.packet.file = b"in-field".to_vec();
        assert_eq!(reply.boot_file(), b"in-field");
        reply.packet.file.clear();
        reply.packet.options.remove(code::BOOT_FILE);
        assert_eq!(reply.boot_file(), b"");
    }
}
