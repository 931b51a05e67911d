//! Decisions over invented networks and clients, and in `recorded` over real ones.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddrV6};

use super::*;
use crate::boot::{BootClient, BootOffer, Firmware, Platform};
use crate::dhcp::HardwareAddress;
use crate::dhcp6::{Duid, Message, MessageType, Options, Packet, code};

mod addresses;
mod drops;
mod invariants;
mod options;
mod recorded;
mod relays;

const SERVER: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);

/// A network with one server.
struct Lab {
    network: Network,
    server_id: Duid,
    reserved: BTreeMap<HardwareAddress, Ipv6Addr>,
    declined: Declined,
    now_ms: u64,
    asked: RefCell<Vec<BootClient>>,
}

impl Reservations for BTreeMap<HardwareAddress, Ipv6Addr> {
    fn address_of(&self, mac: HardwareAddress, _: Prefix) -> Option<Ipv6Addr> {
        self.get(&mac).copied()
    }

    fn owner_of(&self, address: Ipv6Addr) -> Option<HardwareAddress> {
        self.iter().find(|(_, reserved)| **reserved == address).map(|(mac, _)| *mac)
    }
}

fn mac(client: u8) -> HardwareAddress {
    HardwareAddress::ethernet([0x52, 0x54, 0, 0x77, 0, client])
}

/// The link-local address of the network card of [`mac`].
fn link_local(client: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe77, u16::from(client))
}

/// What is booted here, in the form that each firmware takes.
fn offer(client: &BootClient) -> BootOffer {
    match client.firmware {
        Firmware::PxeUefi if matches!(client.platform, Platform::Other(_)) => BootOffer::None,
        Firmware::Ipxe => BootOffer::Url("http://[fd77::1]:8091/default.ipxe".to_owned()),
        Firmware::HttpUefi => BootOffer::Url("http://[fd77::1]:8091/ipxe.efi".to_owned()),
        Firmware::PxeBios | Firmware::PxeUefi => BootOffer::File("ipxe.efi".to_owned()),
    }
}

/// An identifier that tells no network card.
fn duid(client: u8) -> Duid {
    Duid::uuid([client; 16])
}

fn prefix() -> Prefix {
    "fd77::/64".parse().unwrap()
}

impl Lab {
    fn new() -> Self {
        Self {
            network: Network { prefix: Some(prefix()), ..Network::default() },
            server_id: Duid::link_layer(mac(0xff)),
            reserved: BTreeMap::new(),
            declined: Declined::default(),
            now_ms: 1000,
            asked: RefCell::default(),
        }
    }

    fn decide(&self, packet: &Packet, arrival: &Arrival) -> Verdict {
        let boot = |client: &BootClient| {
            self.asked.borrow_mut().push(*client);
            BootUrl::from_offer(offer(client), SERVER)
        };
        let context = Context {
            network: Some(&self.network),
            server_id: &self.server_id,
            reservations: &self.reserved,
            declined: &self.declined,
            boot: &boot,
        };
        decide(&context, packet, arrival, self.now_ms)
    }

    /// Decides on a message of a client on the link.
    fn ask(&self, client: u8, message: Message) -> Verdict {
        self.decide(&Packet::direct(message), &from(link_local(client)))
    }

    /// The same for a client whose network card is not known.
    fn ask_unknown(&self, message: Message) -> Verdict {
        self.decide(&Packet::direct(message), &from("fe80::1234:5678:9abc:def0".parse().unwrap()))
    }

    /// What a client with one association gets; it has to be one address.
    fn address_of(&self, client: u8) -> Ipv6Addr {
        let verdict = self.ask(client, self.request(client, &[(1, &[])]));
        let [address] = verdict.given[..] else { panic!("{verdict:?}") };
        address
    }

    fn request(&self, client: u8, associations: &[(u32, &[Ipv6Addr])]) -> Message {
        self.to_us(MessageType::Request, client, associations)
    }

    fn to_us(&self, kind: MessageType, client: u8, associations: &[(u32, &[Ipv6Addr])]) -> Message {
        let mut message = message(kind, client, associations);
        message.options.push(code::SERVER_ID, self.server_id.as_bytes());
        message
    }
}

fn from(peer: Ipv6Addr) -> Arrival {
    Arrival { peer: SocketAddrV6::new(peer, 546, 0, 3), server_port: 547, unicast: false }
}

fn message(kind: MessageType, client: u8, associations: &[(u32, &[Ipv6Addr])]) -> Message {
    let mut message = Message::new(kind, [1, 2, client]);
    message.options.push(code::CLIENT_ID, duid(client).as_bytes());
    for (id, addresses) in associations {
        message.options.push(code::IA_NA, association(*id, addresses));
    }
    message
}

fn association(id: u32, addresses: &[Ipv6Addr]) -> Vec<u8> {
    let mut options = Options::new();
    for address in addresses {
        options.push(code::IA_ADDRESS, [&address.octets()[..], &[0; 8]].concat());
    }
    let mut value = [&id.to_be_bytes()[..], &[0; 8]].concat();
    options.write(&mut value);
    value
}

fn solicit(client: u8) -> Message {
    message(MessageType::Solicit, client, &[(1, &[])])
}

fn asking_for(mut message: Message, codes: &[u16]) -> Message {
    message
        .options
        .push(code::OPTION_REQUEST, codes.iter().flat_map(|code| code.to_be_bytes()).collect::<Vec<_>>());
    message
}

fn reply(verdict: &Verdict) -> &Message {
    &verdict.reply.as_ref().unwrap_or_else(|| panic!("{}", verdict.reason)).packet.message
}

/// The association with this id in a reply: T1, T2, its addresses with both lifetimes, and its status.
type Answered = (u32, u32, Vec<(Ipv6Addr, u32, u32)>, Option<u16>);

fn answered(message: &Message, id: u32) -> Answered {
    let value = message.options.all(code::IA_NA).find(|value| value[..4] == id.to_be_bytes()).unwrap();
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let options = Options::parse(&value[12..]).unwrap();
    let addresses = options.all(code::IA_ADDRESS).map(|value| {
        let address = Ipv6Addr::from(<[u8; 16]>::try_from(&value[..16]).unwrap());
        (address, number(&value[16..20]), number(&value[20..24]))
    });
    (number(&value[4..8]), number(&value[8..12]), addresses.collect(), status(&options))
}

fn status(options: &Options) -> Option<u16> {
    options.bytes(code::STATUS).map(|value| u16::from_be_bytes([value[0], value[1]]))
}
