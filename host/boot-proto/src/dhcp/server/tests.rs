//! Clients of boot-lab.md section 2 against the decision, with a table in memory.

mod addresses;
mod firmware;
mod invariants;
mod networks;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use super::*;
use crate::boot::{BootClient, BootOffer, Firmware, Platform};
use crate::dhcp::{HardwareAddress, MessageType, Packet, code};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const NOW: u64 = 1_000_000;

/// Answers with the usual loader of each platform, by the protocol of each firmware.
fn boot(client: &BootClient) -> BootOffer {
    let base = "http://10.77.0.1:8091";
    let loader = match client.platform {
        Platform::Bios => "lpxelinux.0",
        Platform::UefiAmd64 => "ipxe.efi",
        _ => return BootOffer::None,
    };
    match client.firmware {
        Firmware::Ipxe => BootOffer::Url(format!("{base}/default.ipxe")),
        Firmware::HttpUefi => BootOffer::Url(format!("{base}/{loader}")),
        Firmware::PxeBios | Firmware::PxeUefi => BootOffer::File(loader.to_owned()),
    }
}

struct Site {
    book: Book,
    subnet: Option<Subnet>,
    options: Vec<(u8, Vec<u8>)>,
    arrival: Arrival,
    is_known: bool,
    now: u64,
}

impl Site {
    fn new() -> Self {
        let mut subnet = Subnet::new("lab", ip(0), 24, (ip(100), ip(103)));
        subnet.routers = vec![SERVER];
        subnet.active_lease_secs = 600;
        let peer = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        Self {
            book: Book::new(),
            subnet: Some(subnet),
            options: vec![(code::ROUTER, SERVER.octets().to_vec())],
            arrival: Arrival { peer, server_port: 67, unicast: false, binl: false },
            is_known: false,
            now: NOW,
        }
    }

    fn subnet(&mut self) -> &mut Subnet {
        self.subnet.as_mut().unwrap()
    }

    /// Decides and writes the change, as the server does.
    fn ask(&mut self, request: &Packet) -> Verdict {
        let subnet = self.subnet.clone().map(Arc::new);
        if self.book.subnet_of(ip(0)) != subnet.as_ref() {
            self.book.set_subnets(subnet.clone());
        }
        self.book.lapse(self.now);
        let link = Link::Interface(1);
        let reservation = self.book.reservation_of(request.chaddr, subnet.as_deref());
        let boot = BootClient::from_request(request).map_or(BootOffer::None, |client| boot(&client));
        let context = Context {
            subnet: subnet.as_deref(),
            reservation: reservation.as_deref(),
            options: &self.options,
            server_id: SERVER,
            own: &[SERVER],
            link,
            is_known: self.is_known,
            book: &self.book,
            boot: &boot,
        };
        let verdict = decide(&context, request, &self.arrival, self.now);
        if let Some(change) = &verdict.lease {
            self.book.apply(change, link);
        }
        verdict
    }

    fn reserve(&mut self, client: u8, host: u8) {
        self.book.reserve(reserved(client, host));
    }

    fn recorded(&self) -> Vec<Ipv4Addr> {
        (0..=u8::MAX).map(ip).filter(|address| self.book.record_at(*address).is_some()).collect()
    }

    /// Runs DISCOVER and REQUEST and returns the address.
    fn lease(&mut self, client: u8) -> Ipv4Addr {
        let offer = self.ask(&message(client, MessageType::Discover)).reply.unwrap().packet;
        let ack = self.ask(&selecting(client, offer.yiaddr)).reply.unwrap().packet;
        assert_eq!(ack.message_type(), Some(MessageType::Ack));
        ack.yiaddr
    }
}

fn reserved(client: u8, host: u8) -> Reservation {
    Reservation {
        address: ip(host),
        token: mac(client),
        lease_secs: None,
        next_server: None,
        is_scoped: false,
        skip_probe: false,
    }
}

fn ip(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, host)
}

fn mac(client: u8) -> HardwareAddress {
    HardwareAddress::ethernet([0x52, 0x54, 0, 0x77, 0, client])
}

fn message(client: u8, kind: MessageType) -> Packet {
    let mut packet = Packet::request(mac(client), 0xfeed);
    packet.options.set(code::MESSAGE_TYPE, [kind.code()]);
    packet
}

fn selecting(client: u8, address: Ipv4Addr) -> Packet {
    let mut packet = message(client, MessageType::Request);
    packet.options.set(code::SERVER_ID, SERVER.octets());
    packet.options.set(code::REQUESTED_ADDRESS, address.octets());
    packet
}

fn init_reboot(client: u8, address: Ipv4Addr) -> Packet {
    let mut packet = message(client, MessageType::Request);
    packet.options.set(code::REQUESTED_ADDRESS, address.octets());
    packet
}

fn renewing(client: u8, address: Ipv4Addr) -> Packet {
    let mut packet = message(client, MessageType::Request);
    packet.ciaddr = address;
    packet
}

fn firmware(client: u8, class: &str, architecture: u16, broadcast: bool) -> Packet {
    let mut packet = message(client, MessageType::Discover);
    packet.options.set(code::VENDOR_CLASS, class);
    packet.options.set(code::ARCHITECTURE, architecture.to_be_bytes());
    if broadcast {
        packet.set_broadcast();
    }
    packet
}

fn nak(verdict: &Verdict) -> bool {
    let kind = verdict.reply.as_ref().and_then(|reply| reply.packet.message_type());
    kind == Some(MessageType::Nak)
}
