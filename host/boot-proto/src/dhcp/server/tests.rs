//! Clients of boot-lab.md section 2 against the decision, with a table in memory.

mod addresses;
mod firmware;
mod invariants;
mod networks;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::*;
use crate::boot::{DEFAULT_SCRIPT, Loaders};
use crate::dhcp::{HardwareAddress, MessageType, Packet, code};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const NOW: u64 = 1_000_000;

#[derive(Default)]
struct Table {
    leases: BTreeMap<Ipv4Addr, Lease>,
    reservations: Vec<Reservation>,
    last: Option<Ipv4Addr>,
}

impl LeaseTable for Table {
    fn leases_of(&self, token: HardwareAddress, subnet: Option<&Subnet>) -> Vec<Lease> {
        let here = |lease: &&Lease| subnet.is_none_or(|subnet| subnet.contains(lease.address));
        self.leases.values().filter(here).filter(|lease| lease.belongs_to(token)).cloned().collect()
    }

    fn lease_at(&self, address: Ipv4Addr) -> Option<Lease> {
        self.leases.get(&address).cloned()
    }

    fn reservation_of(&self, token: HardwareAddress, _: Option<&Subnet>) -> Option<Reservation> {
        self.reservations.iter().find(|reservation| reservation.token == token).cloned()
    }

    fn reserved_for(&self, address: Ipv4Addr) -> Option<HardwareAddress> {
        self.reservations.iter().find(|reservation| reservation.address == address).map(|found| found.token)
    }

    fn last_given(&self, _: &Subnet) -> Option<Ipv4Addr> {
        self.last
    }
}

fn boot(client: &BootClient) -> BootOffer {
    crate::boot::choose(client, &Loaders::default(), "http://10.77.0.1:8091", DEFAULT_SCRIPT)
}

struct Site {
    table: Table,
    subnet: Option<Subnet>,
    arrival: Arrival,
    now: u64,
}

impl Site {
    fn new() -> Self {
        let mut subnet = Subnet::new("lab", ip(0), 24, (ip(100), ip(103)));
        subnet.routers = vec![SERVER];
        subnet.active_lease_secs = 600;
        let peer = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        Self {
            table: Table::default(),
            subnet: Some(subnet),
            arrival: Arrival { peer, server_port: 67, unicast: false, binl: false },
            now: NOW,
        }
    }

    fn subnet(&mut self) -> &mut Subnet {
        self.subnet.as_mut().unwrap()
    }

    /// Decides and writes the change, as the server does.
    fn ask(&mut self, request: &Packet) -> Verdict {
        let context =
            Context { subnet: self.subnet.as_ref(), server_id: SERVER, leases: &self.table, boot: &boot };
        let verdict = decide(&context, request, &self.arrival, self.now);
        if let Some(change) = &verdict.lease {
            self.table.leases.retain(|address, _| !change.remove.contains(address));
            if let Some(lease) = change.put.clone() {
                if lease.state == LeaseState::Offered {
                    self.table.last = Some(lease.address);
                }
                self.table.leases.insert(lease.address, lease);
            }
        }
        verdict
    }

    fn reserve(&mut self, client: u8, host: u8) {
        self.table.reservations.push(Reservation {
            address: ip(host),
            token: mac(client),
            lease_secs: None,
            next_server: None,
            options: Vec::new(),
        });
    }

    /// Runs DISCOVER and REQUEST and returns the address.
    fn lease(&mut self, client: u8) -> Ipv4Addr {
        let offer = self.ask(&message(client, MessageType::Discover)).reply.unwrap().packet;
        let ack = self.ask(&selecting(client, offer.yiaddr)).reply.unwrap().packet;
        assert_eq!(ack.message_type(), Some(MessageType::Ack));
        ack.yiaddr
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
