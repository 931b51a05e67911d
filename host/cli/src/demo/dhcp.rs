//! The client side of DHCP as firmware does it (RFC 2131, RFC 4578).

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use formwork_boot_proto::dhcp::{HardwareAddress, MessageType, Op, Packet, code};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

/// Waits for an answer, one a try, as usual firmware has them.
const WAITS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// The vendor class of a BIOS machine's PXE ROM.
const PXE_CLASS: &str = "PXEClient:Arch:00000:UNDI:002001";

/// What iPXE says of itself in its own option: bus, HTTP, DNS, TFTP, as sub-options of one byte each.
const IPXE_FEATURES: &[u8] = &[177, 5, 1, 0x1a, 0xf4, 0x10, 0, 19, 1, 1, 20, 1, 1, 21, 1, 1];

/// The options that firmware asks for.
const WANTED: &[u8] = &[
    code::SUBNET_MASK,
    code::ROUTER,
    code::DNS,
    code::HOST_NAME,
    code::VENDOR_SPECIFIC,
    code::VENDOR_CLASS,
    code::TFTP_SERVER,
    code::BOOT_FILE,
    code::IPXE,
];

/// Which program of a machine asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The ROM of the network card.
    Rom,
    /// iPXE.
    Ipxe,
}

/// A network card, and the machine that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Card {
    pub(super) mac: HardwareAddress,
    pub(super) uuid: Uuid,
}

/// What a server told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// The machine's address; 0.0.0.0 when none was given.
    pub(super) address: Ipv4Addr,
    /// The server of the next file.
    pub(super) next_server: Ipv4Addr,
    /// The file or the URL to boot; empty for nothing.
    pub(super) file: String,
}

/// Gets an address and a boot file from a server.
///
/// # Errors
///
/// The server does not answer, or refuses.
pub(super) async fn ask(server: SocketAddr, card: Card, stage: Stage) -> Result<Offer> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.context("failed to open a UDP socket")?;
    // Firmware takes a part of its MAC address; a random number serves as well.
    let xid = u32::from_be_bytes(first_bytes(Uuid::new_v4()));
    let discover = request(card, stage, MessageType::Discover, xid);
    let offer = exchange(&socket, server, &discover, MessageType::Offer).await?;
    let mut request = request(card, stage, MessageType::Request, xid);
    request.options.set(code::REQUESTED_ADDRESS, offer.yiaddr.octets());
    if let Some(id) = offer.server_id() {
        request.options.set(code::SERVER_ID, id.octets());
    }
    let acknowledged = exchange(&socket, server, &request, MessageType::Ack).await?;
    Ok(read(&acknowledged))
}

fn request(card: Card, stage: Stage, kind: MessageType, xid: u32) -> Packet {
    let mut packet = Packet::request(card.mac, xid);
    let options = &mut packet.options;
    options.set(code::MESSAGE_TYPE, [kind.code()]);
    options.set(code::PARAMETER_LIST, WANTED);
    options.set(code::MAX_MESSAGE_SIZE, 1472_u16.to_be_bytes());
    options.set(code::VENDOR_CLASS, PXE_CLASS);
    options.set(code::ARCHITECTURE, [0, 0]);
    // Firmware stores the first three fields of its UUID in the order of the processor.
    let machine_id: Vec<u8> = [0].into_iter().chain(card.uuid.to_bytes_le()).collect();
    options.set(code::MACHINE_ID, machine_id);
    if stage == Stage::Ipxe {
        options.set(code::USER_CLASS, "iPXE");
        let client_id: Vec<u8> = [1].into_iter().chain(card.mac.as_bytes().iter().copied()).collect();
        options.set(code::CLIENT_ID, client_id);
        options.set(code::IPXE, IPXE_FEATURES);
    }
    packet
}

async fn exchange(
    socket: &UdpSocket,
    server: SocketAddr,
    request: &Packet,
    wanted: MessageType,
) -> Result<Packet> {
    let bytes = request.encode(1472).bytes;
    for wait in WAITS {
        // A server that is not there yet shows itself as an error of the next call on some systems.
        let sent = socket.send_to(&bytes, server).await;
        if let Err(error) = sent
            && error.kind() != std::io::ErrorKind::ConnectionRefused
        {
            return Err(error).with_context(|| format!("failed to send to {server}"));
        }
        let deadline = Instant::now() + wait;
        let mut buffer = vec![0; 2048];
        while let Ok(received) = timeout_at(deadline, socket.recv_from(&mut buffer)).await {
            let Ok((length, _)) = received else { continue };
            let datagram = buffer.get(..length).unwrap_or_default();
            let Ok(reply) = Packet::parse(datagram) else { continue };
            if reply.op != Op::Reply || reply.xid != request.xid || reply.chaddr != request.chaddr {
                continue;
            }
            match reply.message_type() {
                Some(kind) if kind == wanted => return Ok(reply),
                Some(MessageType::Nak) => bail!("the DHCP server at {server} refuses this machine"),
                _ => {}
            }
        }
    }
    let seconds: u64 = WAITS.iter().map(Duration::as_secs).sum();
    bail!("no DHCP server answers at {server} within {seconds} s")
}

fn read(reply: &Packet) -> Offer {
    let named = reply.options.bytes(code::BOOT_FILE).filter(|file| !file.is_empty());
    let file = String::from_utf8_lossy(named.unwrap_or(&reply.file));
    let next_server = Some(reply.siaddr).filter(|address| !address.is_unspecified());
    Offer {
        address: reply.yiaddr,
        next_server: next_server.or_else(|| reply.server_id()).unwrap_or(Ipv4Addr::UNSPECIFIED),
        file: file.trim_end_matches('\0').to_owned(),
    }
}

fn first_bytes(uuid: Uuid) -> [u8; 4] {
    let [a, b, c, d, ..] = uuid.into_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use formwork_boot_proto::boot::{BootClient, Firmware, Platform};

    use super::*;

    fn card() -> Card {
        let uuid = "c0ffee00-77aa-4c3d-9e1f-525400770001".parse().unwrap();
        Card { mac: "52:54:00:77:00:01".parse().unwrap(), uuid }
    }

    /// Writes a request and reads it as a server does.
    fn seen(stage: Stage) -> Packet {
        Packet::parse(&request(card(), stage, MessageType::Discover, 7).encode(1472).bytes).unwrap()
    }

    #[test]
    fn server_sees_a_bios_machine_and_then_ipxe() {
        let rom = seen(Stage::Rom);
        let client = BootClient::from_request(&rom).unwrap();
        assert_eq!((client.firmware, client.platform), (Firmware::PxeBios, Platform::Bios));
        assert_eq!(client.uuid, Some(card().uuid.to_bytes_le()));
        let ipxe = seen(Stage::Ipxe);
        assert_eq!(BootClient::from_request(&ipxe).unwrap().firmware, Firmware::Ipxe);
        assert_eq!(ipxe.message_type(), Some(MessageType::Discover));
    }

    #[test]
    fn file_of_the_option_wins_over_the_field() {
        let mut reply = Packet::reply_to(&seen(Stage::Rom));
        reply.file = b"field".to_vec();
        reply.yiaddr = Ipv4Addr::new(10, 0, 0, 50);
        reply.siaddr = Ipv4Addr::new(10, 0, 0, 1);
        assert_eq!(read(&reply).file, "field");
        reply.options.set(code::BOOT_FILE, "option\0");
        let expected = Offer { address: reply.yiaddr, next_server: reply.siaddr, file: "option".into() };
        assert_eq!(read(&reply), expected);
    }

    #[tokio::test]
    async fn lost_request_is_sent_again_and_foreign_answers_are_ignored() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let played = tokio::spawn(async move {
            let mut buffer = vec![0; 2048];
            let (_, _) = server.recv_from(&mut buffer).await.unwrap();
            for (kind, address) in [(MessageType::Offer, 50), (MessageType::Ack, 50)] {
                let (length, peer) = server.recv_from(&mut buffer).await.unwrap();
                let request = Packet::parse(&buffer[..length]).unwrap();
                let mut reply = Packet::reply_to(&request);
                reply.yiaddr = Ipv4Addr::new(10, 0, 0, address);
                reply.options.set(code::MESSAGE_TYPE, [kind.code()]);
                reply.options.set(code::SERVER_ID, [10, 0, 0, 1]);
                let foreign = Packet { xid: reply.xid.wrapping_add(1), ..reply.clone() };
                for packet in [foreign, reply] {
                    server.send_to(&packet.encode(1472).bytes, peer).await.unwrap();
                }
            }
        });
        let offer = ask(address, card(), Stage::Rom).await.unwrap();
        assert_eq!(offer.address, Ipv4Addr::new(10, 0, 0, 50));
        assert_eq!(offer.next_server, Ipv4Addr::new(10, 0, 0, 1));
        played.await.unwrap();
    }
}
