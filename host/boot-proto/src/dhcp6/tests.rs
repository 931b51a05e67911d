//! The parser and the writer, against hostile bytes and against `dhcproto` as an oracle.

use std::net::Ipv6Addr;

use dhcproto::v6::{self, DhcpOption, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use proptest::prelude::*;

use super::*;
use crate::boot::{Firmware, Platform};
use crate::dhcp::HardwareAddress;

const LINK: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe77, 1);

fn mac() -> HardwareAddress {
    HardwareAddress::ethernet([0x52, 0x54, 0, 0x77, 0, 1])
}

fn solicit() -> Message {
    let mut message = Message::new(MessageType::Solicit, [1, 2, 3]);
    message.options.push(code::CLIENT_ID, Duid::link_layer(mac()).as_bytes());
    message
}

fn relay(hop_count: u8, link: Ipv6Addr) -> Relay {
    Relay { hop_count, link, peer: CLIENT, options: Options::new() }
}

fn with_option(code: u16, value: &[u8]) -> Message {
    let mut message = solicit();
    message.options.push(code, value);
    message
}

#[test]
fn structural_damage_is_an_error() {
    let bytes = Packet::direct(solicit()).encode();
    assert_eq!(Packet::parse(&[]), Err(PacketError::Truncated { len: 0 }));
    assert_eq!(Packet::parse(&bytes[..3]), Err(PacketError::Truncated { len: 3 }));
    assert_eq!(Packet::parse(&bytes[..7]), Err(PacketError::OptionLength { code: 1 }));
    assert_eq!(Packet::parse(&bytes[..5]), Err(PacketError::OptionHeader));
    assert_eq!(Packet::parse(&[20, 1, 2, 3]), Err(PacketError::MessageType { code: 20 }));
    assert_eq!(Packet::parse(&[0, 1, 2, 3]), Err(PacketError::MessageType { code: 0 }));
    assert_eq!(Packet::parse(&vec![1; MAX_PACKET + 1]), Err(PacketError::Oversized { len: MAX_PACKET + 1 }));
    let many = [&[1, 1, 2, 3][..], &[0, 14, 0, 0].repeat(257)].concat();
    assert_eq!(Packet::parse(&many), Err(PacketError::TooManyOptions { max: 256 }));
}

#[test]
fn damaged_envelope_is_an_error() {
    let bytes = Packet { relays: vec![relay(0, LINK)], message: solicit() }.encode();
    assert_eq!(Packet::parse(&bytes[..33]), Err(PacketError::Truncated { len: 33 }));
    assert_eq!(Packet::parse(&bytes[..34]), Err(PacketError::EmptyRelay));
    let mut other_way = bytes.clone();
    other_way[0] = 13;
    assert_eq!(Packet::parse(&other_way), Err(PacketError::Direction), "a reply's envelope around a request");
    let mut mixed = Packet { relays: vec![relay(1, LINK), relay(0, LINK)], message: solicit() }.encode();
    mixed[38] = 13;
    assert_eq!(Packet::parse(&mixed), Err(PacketError::Direction), "both kinds of envelope");
}

#[test]
fn envelopes_are_limited_in_depth() {
    let nested = |count| Packet { relays: vec![relay(0, LINK); count], message: solicit() };
    assert_eq!(Packet::parse(&nested(MAX_RELAYS).encode()), Ok(nested(MAX_RELAYS)));
    assert_eq!(Packet::parse(&nested(MAX_RELAYS + 1).encode()), Err(PacketError::TooManyRelays));
}

#[test]
fn damaged_value_of_one_option_hides_no_other() {
    let mut message = solicit();
    message.options.push(code::IA_NA, [1, 2, 3]);
    message.options.push(code::OPTION_REQUEST, [0, 23, 0, 59, 0]);
    message.options.push(code::ARCHITECTURE, [0, 16, 0, 7, 9]);
    message.options.push(code::VENDOR_CLASS, [0, 0, 1]);
    message.options.push(code::USER_CLASS, [0, 4, b'i', b'P', b'X', b'E', 0, 200, 1]);
    let message = Packet::parse(&Packet::direct(message).encode()).unwrap().message;
    assert!(message.associations().is_empty());
    assert!(message.asks_for(code::DNS) && message.asks_for(code::BOOT_URL) && !message.asks_for(0));
    assert_eq!(message.architectures(), [16, 7]);
    assert!(message.is_ipxe() && !message.is_http_client());
}

#[test]
fn link_is_named_by_the_relay_agent_nearest_to_the_client_that_has_an_address_there() {
    let none = Ipv6Addr::UNSPECIFIED;
    let far = Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, 1);
    let packet = |links: &[Ipv6Addr]| Packet {
        relays: links.iter().map(|link| relay(0, *link)).collect(),
        message: solicit(),
    };
    assert_eq!(packet(&[]).link(), None);
    assert_eq!(packet(&[far, LINK]).link(), Some(LINK));
    assert_eq!(packet(&[far, none]).link(), Some(far), "a switch that relays without an address");
    assert_eq!(packet(&[none]).link(), None);
}

#[test]
fn network_card_is_what_the_first_relay_agent_saw_or_what_the_link_local_address_tells() {
    let mut packet = Packet::direct(solicit());
    assert_eq!(packet.hardware(CLIENT), Some(mac()));
    assert_eq!(packet.hardware(LINK), None);
    assert_eq!(packet.hardware("fe80::1234:5678:9abc:def0".parse().unwrap()), None, "a random one");
    packet.relays = vec![relay(1, LINK), relay(0, LINK)];
    assert_eq!(packet.hardware(LINK), Some(mac()), "the peer of the inner envelope");
    packet.relays[1].options.push(code::LINK_LAYER_ADDRESS, [0, 1, 2, 0, 0, 0, 0, 9]);
    assert_eq!(packet.hardware(LINK), Some(HardwareAddress::ethernet([2, 0, 0, 0, 0, 9])));
}

#[test]
fn firmware_is_told_by_classes_and_architecture() {
    let pxe = b"\0\0\x01\x57\0\x20PXEClient:Arch:00007:UNDI:003000";
    let http = b"\0\0\x01\x57\0\x21HTTPClient:Arch:00016:UNDI:003000";
    let firmware = |message: &Message| message.boot_client(None).map(|client| client.firmware);
    assert_eq!(firmware(&solicit()), None, "an operating system");
    assert_eq!(firmware(&with_option(code::ARCHITECTURE, &[0, 7])), Some(Firmware::PxeUefi));
    assert_eq!(firmware(&with_option(code::ARCHITECTURE, &[0, 16])), Some(Firmware::HttpUefi));
    assert_eq!(firmware(&with_option(code::VENDOR_CLASS, http)), Some(Firmware::HttpUefi));
    let mut ipxe = with_option(code::VENDOR_CLASS, pxe);
    ipxe.options.push(code::ARCHITECTURE, [0, 7]);
    assert_eq!(firmware(&ipxe), Some(Firmware::PxeUefi));
    ipxe.options.push(code::USER_CLASS, b"\0\x04iPXE".as_slice());
    let client = ipxe.boot_client(Some(mac())).unwrap();
    assert_eq!((client.firmware, client.platform, client.mac), (Firmware::Ipxe, Platform::UefiAmd64, mac()));
}

#[test]
fn uuid_of_a_boot_client_is_in_the_order_of_smbios_whoever_sends_it() {
    let network = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
    let smbios = *b"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
    let mut firmware = Message::new(MessageType::Solicit, [0; 3]);
    firmware.options.push(code::ARCHITECTURE, [0, 7]);
    let mut ipxe = firmware.clone();
    ipxe.options.push(code::USER_CLASS, b"\0\x04iPXE".as_slice());
    firmware.options.push(code::CLIENT_ID, Duid::uuid(smbios).as_bytes());
    ipxe.options.push(code::CLIENT_ID, Duid::uuid(network).as_bytes());
    for message in [firmware, ipxe] {
        assert_eq!(message.boot_client(None).unwrap().uuid, Some(smbios));
    }
}

#[test]
fn message_of_ours_reads_the_same_in_dhcproto() {
    let mut message = solicit();
    message.kind = MessageType::Reply;
    message.options.push(code::DNS, LINK.octets());
    message.options.push(code::PREFERENCE, [255]);
    let bytes = Packet::direct(message).encode();
    let oracle = v6::Message::decode(&mut Decoder::new(&bytes)).unwrap();
    assert_eq!((oracle.msg_type(), oracle.xid()), (v6::MessageType::Reply, [1, 2, 3]));
    assert_eq!(oracle.opts().get(OptionCode::Preference), Some(&DhcpOption::Preference(255)));
    let servers = DhcpOption::DomainNameServers(vec![LINK]);
    assert_eq!(oracle.opts().get(OptionCode::DomainNameServers), Some(&servers));
}

/// Not by the oracle, which takes every message inside an envelope for another envelope.
#[test]
fn envelope_is_written_as_rfc_8415_section_9_draws_it() {
    let mut envelope = relay(3, LINK);
    envelope.options.push(code::INTERFACE_ID, *b"eth7");
    let message = Message::new(MessageType::Reply, [1, 2, 3]);
    let bytes = Packet { relays: vec![envelope], message }.encode();
    assert_eq!(bytes[..2], [13, 3]);
    assert_eq!((&bytes[2..18], &bytes[18..34]), (&LINK.octets()[..], &CLIENT.octets()[..]));
    assert_eq!(bytes[34..], *b"\x00\x12\x00\x04eth7\x00\x09\x00\x04\x07\x01\x02\x03");
}

fn options() -> impl Strategy<Value = Options> {
    let option = (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..40));
    proptest::collection::vec(option, 0..12).prop_map(|entries| {
        let mut options = Options::new();
        for (code, value) in entries.into_iter().filter(|(code, _)| *code != code::RELAY_MESSAGE) {
            options.push(code, value);
        }
        options
    })
}

fn address() -> impl Strategy<Value = Ipv6Addr> {
    any::<u128>().prop_map(Ipv6Addr::from_bits)
}

prop_compose! {
    fn packets()(
        kind in 1_u8..=11, transaction in any::<[u8; 3]>(), inner in options(),
        relays in proptest::collection::vec((any::<u8>(), address(), address(), options()), 0..5),
    ) -> Packet {
        let relays = relays.into_iter().map(|(hop_count, link, peer, options)| Relay { hop_count, link, peer, options });
        let kind = MessageType::from_code(kind).unwrap();
        Packet { relays: relays.collect(), message: Message { kind, transaction, options: inner } }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), kind in 0_u8..14) {
        let _ = Packet::parse(&bytes);
        let _ = Packet::parse(&[&[kind][..], &bytes].concat());
    }

    #[test]
    fn what_is_written_reads_back(packet in packets()) {
        prop_assert_eq!(Packet::parse(&packet.encode()), Ok(packet));
    }

    #[test]
    fn truncated_packets_never_panic(packet in packets(), cut in any::<prop::sample::Index>()) {
        let bytes = packet.encode();
        let _ = Packet::parse(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn random_values_never_panic_in_any_accessor(value in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut message = Message::new(MessageType::Solicit, [0; 3]);
        for code in [1, 2, 3, 6, 15, 16, 61] {
            message.options.push(code, value.clone());
        }
        let _ = (message.client_id(), message.server_id(), message.associations(), message.boot_client(None));
        let mut envelope = relay(0, LINK);
        envelope.options.push(code::LINK_LAYER_ADDRESS, value);
        let _ = Packet { relays: vec![envelope], message }.hardware(LINK);
    }

    #[test]
    fn packets_of_dhcproto_read_the_same(
        transaction in any::<[u8; 3]>(), id in any::<u32>(), named in address(), mac in any::<[u8; 6]>(),
        enterprise in any::<u32>(),
    ) {
        // Without the classes, which `dhcproto` writes with a wrong length.
        let mut oracle = v6::Message::new_with_id(v6::MessageType::Renew, transaction);
        let duid = v6::duid::Duid::enterprise(enterprise, &mac);
        let opts = oracle.opts_mut();
        let ours = Duid::link_layer(HardwareAddress::ethernet(mac));
        opts.insert(DhcpOption::ClientId(ours.as_bytes().to_vec()));
        opts.insert(DhcpOption::ServerId(duid.as_ref().to_vec()));
        let mut inner = v6::DhcpOptions::new();
        inner.insert(DhcpOption::IAAddr(v6::IAAddr {
            addr: named, preferred_life: 1, valid_life: 2, opts: v6::DhcpOptions::new(),
        }));
        opts.insert(DhcpOption::IANA(v6::IANA { id, t1: 3, t2: 4, opts: inner }));
        opts.insert(DhcpOption::ClientArchType(vec![v6::Architecture::BC, v6::Architecture::Itanium]));
        let mut bytes = Vec::new();
        oracle.encode(&mut Encoder::new(&mut bytes)).unwrap();
        let message = Packet::parse(&bytes).unwrap().message;
        prop_assert_eq!((message.kind, message.transaction), (MessageType::Renew, transaction));
        prop_assert_eq!(message.client_id(), Some(ours));
        prop_assert_eq!(message.server_id(), Duid::parse(duid.as_ref()));
        prop_assert_eq!(message.associations(), vec![Association { id, addresses: vec![named] }]);
        prop_assert_eq!(message.architectures(), vec![9, 2]);
    }
}
