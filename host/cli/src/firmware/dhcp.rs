//! The DHCP of a PXE ROM and of iPXE: DISCOVER, OFFER, REQUEST, ACK.
//!
//! The packets are those that were seen on the wire (boot-lab.md section 2, "What each client sends"), but they go by
//! unicast from a port of our own: a server answers such a client where it asked from.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use anyhow::{Context, bail};
use formwork_boot_proto::dhcp::{MAX_PACKET, MessageType, Op, Packet, code, payload_limit};
use tokio::{net::UdpSocket, time::timeout};
use uuid::Uuid;

use super::{Machine, Progress};

/// Option 94: the type and version of the network interface driver (RFC 4578 section 2.2).
const NETWORK_INTERFACE: u8 = 94;

/// The largest message that the client takes, with the headers of IP and UDP.
const MAX_MESSAGE: u16 = 1472;

/// What the ROM says it is: a BIOS with UNDI 2.1.
const VENDOR_CLASS: &str = "PXEClient:Arch:00000:UNDI:002001";

/// The options that iPXE wants to know.
const WANTED: [u8; 23] =
    [1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, 128, 129, 130, 131, 132, 133, 134, 135, 175, 203];

/// Option 175: a virtio card, the version of iPXE, and what its build can do: pxeext 2, then 1 for iscsi, aoe, http,
/// tftp, dns, bzimage, multiboot, pxe, elf, menu and nfs.
const FEATURES: [u8; 48] = [
    177, 5, 1, 0x1a, 0xf4, 0x10, 0, 235, 3, 1, 0, 0, 16, 1, 2, 17, 1, 1, 18, 1, 1, 19, 1, 1, 21, 1, 1, 23, 1,
    1, 24, 1, 1, 25, 1, 1, 33, 1, 1, 34, 1, 1, 39, 1, 1, 41, 1, 1,
];

/// How long each try waits for an answer, in seconds: iPXE's first repeat comes after one.
const WAITS: [u64; 5] = [1, 2, 4, 4, 4];

/// How often a refused request starts over.
const MAX_REFUSALS: usize = 3;

/// Which program asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The PXE ROM.
    Rom,
    /// iPXE.
    Ipxe,
}

/// What a server gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The client's address.
    pub(crate) address: Ipv4Addr,
    /// The server's identifier.
    pub(crate) server: Ipv4Addr,
    /// Where the boot file is; the server itself where it names no other.
    pub(crate) next_server: Ipv4Addr,
    /// The network's mask.
    pub(crate) netmask: Option<Ipv4Addr>,
    /// The first router.
    pub(crate) gateway: Option<Ipv4Addr>,
    /// A file's name or a URL, of the `file` field or of option 67.
    pub(crate) boot_file: Option<String>,
}

/// Gets an address, and what to boot.
///
/// # Errors
///
/// No answer after all tries, or nothing but refusals.
pub(crate) async fn configure(
    machine: &Machine,
    server: SocketAddrV4,
    stage: Stage,
    progress: &Progress,
) -> anyhow::Result<Lease> {
    let local = if server.ip().is_loopback() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let socket = UdpSocket::bind((local, 0)).await.context("failed to open a port for DHCP")?;
    for _ in 0..MAX_REFUSALS {
        let conversation = Conversation { socket: &socket, server, progress };
        let mut discover = discover(machine, stage, new_transaction());
        let offer = conversation.ask(&mut discover, &[MessageType::Offer]).await?;
        progress.line(&format!("DHCP {stage} offer {} from {server}", offer.yiaddr));
        let mut request = request(&discover, &offer);
        let answer = conversation.ask(&mut request, &[MessageType::Ack, MessageType::Nak]).await?;
        if answer.message_type() == Some(MessageType::Ack) {
            let lease = lease(&answer);
            let file = lease.boot_file.as_deref().unwrap_or("nothing to boot");
            progress.line(&format!("DHCP {stage} lease {}, {file}", lease.address));
            return Ok(lease);
        }
        let reason =
            String::from_utf8_lossy(answer.options.bytes(code::MESSAGE).unwrap_or_default()).into_owned();
        progress.line(&format!("DHCP {stage} refused: {reason}"));
    }
    bail!("the DHCP server `{server}` refused {MAX_REFUSALS} times what it had offered")
}

impl std::fmt::Display for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Rom => "(PXE)",
            Self::Ipxe => "(iPXE)",
        })
    }
}

/// Returns a DISCOVER.
fn discover(machine: &Machine, stage: Stage, transaction: u32) -> Packet {
    let mut packet = Packet::request(machine.mac, transaction);
    let options = &mut packet.options;
    options.set(code::MESSAGE_TYPE, [MessageType::Discover.code()]);
    options.set(code::MAX_MESSAGE_SIZE, MAX_MESSAGE.to_be_bytes());
    options.set(code::ARCHITECTURE, [0, 0]);
    options.set(NETWORK_INTERFACE, [1, 2, 1]);
    options.set(code::VENDOR_CLASS, VENDOR_CLASS);
    if stage == Stage::Ipxe {
        // As iPXE sends it: without the length byte of RFC 3004.
        options.set(code::USER_CLASS, "iPXE");
        options.set(code::IPXE, FEATURES);
    }
    options.set(code::PARAMETER_LIST, WANTED);
    options.set(code::CLIENT_ID, [&[1], machine.mac.as_bytes()].concat());
    if let Some(uuid) = machine.uuid {
        // Type 0, then the bytes as SMBIOS stores them.
        options.set(code::MACHINE_ID, [&[0], &uuid.to_bytes_le()[..]].concat());
    }
    packet
}

/// Returns the REQUEST that takes an offer.
fn request(discover: &Packet, offer: &Packet) -> Packet {
    let mut packet = discover.clone();
    packet.options.set(code::MESSAGE_TYPE, [MessageType::Request.code()]);
    packet.options.set(code::SERVER_ID, offer.server_id().unwrap_or(offer.siaddr).octets());
    packet.options.set(code::REQUESTED_ADDRESS, offer.yiaddr.octets());
    packet
}

/// Returns a datagram as the reply to `asked`, when it is one of the types awaited and complete.
fn reply(asked: &Packet, awaited: &[MessageType], datagram: &[u8]) -> Option<Packet> {
    let packet = Packet::parse(datagram).ok()?;
    let kind = packet.message_type().filter(|kind| awaited.contains(kind))?;
    let ours = packet.op == Op::Reply && packet.xid == asked.xid && packet.chaddr == asked.chaddr;
    let complete = kind == MessageType::Nak || !packet.yiaddr.is_unspecified();
    (ours && complete && packet.server_id().is_some()).then_some(packet)
}

/// Reads an ACK.
fn lease(ack: &Packet) -> Lease {
    let server = ack.server_id().unwrap_or(Ipv4Addr::UNSPECIFIED);
    let field = Some(ack.file.as_slice()).filter(|file| !file.is_empty());
    let file = field.or_else(|| ack.options.bytes(code::BOOT_FILE)).map(String::from_utf8_lossy);
    let routers = ack.options.bytes(code::ROUTER).unwrap_or_default();
    Lease {
        address: ack.yiaddr,
        server,
        next_server: if ack.siaddr.is_unspecified() { server } else { ack.siaddr },
        netmask: ack.options.address(code::SUBNET_MASK),
        gateway: routers.first_chunk::<4>().copied().map(Ipv4Addr::from),
        boot_file: file.map(|file| file.trim_end_matches('\0').to_owned()).filter(|file| !file.is_empty()),
    }
}

fn new_transaction() -> u32 {
    Uuid::new_v4().as_fields().0
}

struct Conversation<'a> {
    socket: &'a UdpSocket,
    server: SocketAddrV4,
    progress: &'a Progress,
}

impl Conversation<'_> {
    /// Sends until an answer comes, waiting longer each time.
    async fn ask(&self, packet: &mut Packet, awaited: &[MessageType]) -> anyhow::Result<Packet> {
        for wait in WAITS {
            packet.secs = u16::try_from(self.progress.seconds()).unwrap_or(u16::MAX);
            let datagram = packet.encode(payload_limit(Some(MAX_MESSAGE))).bytes;
            let server = self.server;
            let sent = self.socket.send_to(&datagram, server).await;
            sent.with_context(|| format!("failed to send to the DHCP server `{server}`"))?;
            match timeout(Duration::from_secs(wait), self.receive(packet, awaited)).await {
                Ok(answer) => return answer,
                Err(_) => self.progress.line(&format!("no answer from {server} within {wait} s")),
            }
        }
        bail!("the DHCP server `{}` does not answer", self.server)
    }

    async fn receive(&self, asked: &Packet, awaited: &[MessageType]) -> anyhow::Result<Packet> {
        let mut buffer = vec![0; MAX_PACKET];
        loop {
            let (len, sender) = self.socket.recv_from(&mut buffer).await.context("failed to receive")?;
            let expected = sender.ip() == IpAddr::V4(*self.server.ip());
            let datagram = buffer.get(..len).filter(|_| expected).unwrap_or_default();
            if let Some(packet) = reply(asked, awaited, datagram) {
                return Ok(packet);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use formwork_boot_proto::{
        boot::{BootClient, Firmware, Platform},
        dhcp::HardwareAddress,
    };

    use super::*;

    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 50);

    fn machine() -> Machine {
        let mac = HardwareAddress::ethernet([0x52, 0x54, 0, 0x77, 0, 1]);
        Machine { mac, uuid: Some("00112233-4455-6677-8899-aabbccddeeff".parse().unwrap()) }
    }

    fn on_the_wire(packet: &Packet) -> Packet {
        let encoded = packet.encode(payload_limit(Some(MAX_MESSAGE)));
        assert_eq!(encoded.omitted, Vec::<u8>::new());
        Packet::parse(&encoded.bytes).unwrap()
    }

    fn offer(discover: &Packet) -> Packet {
        let mut offer = Packet::reply_to(discover);
        offer.yiaddr = ADDRESS;
        offer.options.set(code::MESSAGE_TYPE, [MessageType::Offer.code()]);
        offer.options.set(code::SERVER_ID, SERVER.octets());
        offer
    }

    #[test]
    fn rom_is_a_bios_client_with_its_smbios_uuid_and_client_id() {
        let packet = on_the_wire(&discover(&machine(), Stage::Rom, 7));
        let client = BootClient::from_request(&packet).unwrap();
        assert_eq!((client.firmware, client.platform), (Firmware::PxeBios, Platform::Bios));
        assert_eq!(packet.architectures(), [0]);
        assert_eq!(packet.vendor_class(), VENDOR_CLASS.as_bytes());
        assert_eq!(packet.options.bytes(NETWORK_INTERFACE), Some(&[1, 2, 1][..]));
        assert_eq!(packet.client_id(), Some(&[1, 0x52, 0x54, 0, 0x77, 0, 1][..]));
        assert_eq!(packet.max_message_size(), Some(MAX_MESSAGE));
        let uuid = packet.machine_uuid().unwrap();
        assert_eq!(uuid[..8], [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66]);
        assert!(!packet.is_ipxe());
        assert!(!packet.wants_broadcast());
    }

    #[test]
    fn second_stage_says_ipxe_raw_and_lists_its_features() {
        let packet = on_the_wire(&discover(&machine(), Stage::Ipxe, 7));
        assert_eq!(BootClient::from_request(&packet).unwrap().firmware, Firmware::Ipxe);
        assert_eq!(packet.options.bytes(code::USER_CLASS), Some(&b"iPXE"[..]));
        let mut features = packet.options.bytes(code::IPXE).unwrap();
        let mut codes = Vec::new();
        while let [code, len, rest @ ..] = features {
            codes.push(*code);
            features = rest.get(usize::from(*len)..).unwrap();
        }
        assert_eq!(codes, [177, 235, 16, 17, 18, 19, 21, 23, 24, 25, 33, 34, 39, 41]);
    }

    #[test]
    fn machine_without_a_uuid_sends_none() {
        let packet = discover(&Machine { uuid: None, ..machine() }, Stage::Rom, 7);
        assert_eq!(on_the_wire(&packet).machine_uuid(), None);
    }

    #[test]
    fn request_names_the_server_and_address_of_the_offer() {
        let discover = discover(&machine(), Stage::Rom, 7);
        let packet = on_the_wire(&request(&discover, &offer(&discover)));
        assert_eq!(packet.message_type(), Some(MessageType::Request));
        assert_eq!((packet.server_id(), packet.requested_address()), (Some(SERVER), Some(ADDRESS)));
        assert_eq!(packet.xid, discover.xid);
    }

    #[test]
    fn only_a_complete_reply_to_this_very_question_is_taken() {
        let discover = discover(&machine(), Stage::Rom, 7);
        let good = offer(&discover);
        let taken =
            |packet: &Packet| reply(&discover, &[MessageType::Offer], &packet.encode(1000).bytes).is_some();
        assert!(taken(&good));
        assert!(!taken(&Packet { xid: 8, ..good.clone() }));
        assert!(!taken(&Packet { op: Op::Request, ..good.clone() }));
        assert!(!taken(&Packet { chaddr: HardwareAddress::ethernet([2; 6]), ..good.clone() }));
        assert!(!taken(&Packet { yiaddr: Ipv4Addr::UNSPECIFIED, ..good.clone() }));
        let mut other = good.clone();
        other.options.set(code::MESSAGE_TYPE, [MessageType::Ack.code()]);
        assert!(!taken(&other));
        other = good;
        other.options.remove(code::SERVER_ID);
        assert!(!taken(&other));
        assert_eq!(reply(&discover, &[MessageType::Offer], b"noise"), None);
    }

    #[test]
    fn boot_file_comes_from_its_field_or_from_option_67() {
        let mut ack = offer(&discover(&machine(), Stage::Rom, 7));
        assert_eq!(lease(&ack).boot_file, None);
        assert_eq!(lease(&ack).next_server, SERVER, "a server that names no other is the next one");
        ack.options.set(code::BOOT_FILE, "by-option.ipxe\0");
        assert_eq!(lease(&ack).boot_file.as_deref(), Some("by-option.ipxe"));
        ack.file = b"by-field.ipxe".to_vec();
        ack.siaddr = Ipv4Addr::new(10, 0, 0, 2);
        assert_eq!(lease(&ack).boot_file.as_deref(), Some("by-field.ipxe"));
        assert_eq!(lease(&ack).next_server, ack.siaddr);
    }
}
