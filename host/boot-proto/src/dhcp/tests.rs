//! The parser and the encoder, against hostile bytes and against `dhcproto` as an oracle.

use std::net::Ipv4Addr;

use dhcproto::v4::{self, DhcpOption, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};
use proptest::prelude::*;

use super::*;

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x77, 0, 1];

fn discover() -> Packet {
    let mut packet = Packet::request(HardwareAddress::ethernet(MAC), 0x1234_5678);
    packet.options.set(code::MESSAGE_TYPE, [1]);
    packet
}

/// A datagram with these bytes as its options field.
fn datagram(options: &[u8]) -> Vec<u8> {
    let mut bytes = discover().encode(576).bytes;
    bytes.truncate(240);
    bytes.extend_from_slice(options);
    bytes
}

#[test]
fn hardware_length_above_16_is_an_error() {
    let mut bytes = datagram(&[255]);
    bytes[2] = 17;
    assert_eq!(Packet::parse(&bytes), Err(PacketError::HardwareLength { hlen: 17 }));
    bytes[2] = 255;
    assert_eq!(Packet::parse(&bytes), Err(PacketError::HardwareLength { hlen: 255 }));
}

#[test]
fn structural_damage_is_an_error() {
    assert_eq!(Packet::parse(&[]), Err(PacketError::Truncated { len: 0 }));
    assert_eq!(Packet::parse(&datagram(&[])[..239]), Err(PacketError::Truncated { len: 239 }));
    assert_eq!(Packet::parse(&vec![1; 9217]), Err(PacketError::Oversized { len: 9217 }));
    let mut bytes = datagram(&[255]);
    bytes[236] = 0;
    assert_eq!(Packet::parse(&bytes), Err(PacketError::MagicCookie));
    let mut bytes = datagram(&[255]);
    bytes[0] = 3;
    assert_eq!(Packet::parse(&bytes), Err(PacketError::Op { op: 3 }));
    assert_eq!(
        Packet::parse(&datagram(&[53, 1, 1, 12, 9, b'x'])),
        Err(PacketError::OptionLength { code: 12 })
    );
    assert_eq!(Packet::parse(&datagram(&[53, 1, 1, 12])), Err(PacketError::OptionLength { code: 12 }));
}

#[test]
fn bad_value_of_one_option_hides_no_other() {
    let bytes = datagram(&[
        12, 2, 0xff, 0xfe, // a host name that is no text
        93, 1, 7, // half an architecture
        94, 2, 1, 2, // one byte short
        80, 1, 9, // should be empty
        0, 0, // padding in between
        53, 1, 1, 175, 0,
    ]);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.message_type(), Some(MessageType::Discover), "and no end mark is needed");
    assert!(packet.is_ipxe());
    assert!(packet.architectures().is_empty());
}

#[test]
fn long_option_in_pieces_is_one_value() {
    let mut options = vec![53, 1, 1, 43, 3, 1, 2, 3, 12, 1, b'h', 43, 2, 4, 5];
    options.push(255);
    let packet = Packet::parse(&datagram(&options)).unwrap();
    assert_eq!(packet.options.bytes(43), Some(&[1, 2, 3, 4, 5][..]));
    assert_eq!(packet.options.iter().map(|(code, _)| code).collect::<Vec<_>>(), [53, 43, 12]);
}

#[test]
fn overloaded_fields_are_read_as_options() {
    let mut bytes = datagram(&[52, 1, 3, 53, 1, 3, 43, 1, 1, 255]);
    bytes[44..48].copy_from_slice(&[12, 1, b'h', 255]);
    bytes[108..114].copy_from_slice(&[43, 1, 2, 60, 1, b'P']);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.options.bytes(43), Some(&[1, 2][..]), "options, then file, then sname");
    assert_eq!((packet.options.bytes(60), packet.options.bytes(12)), (Some(&b"P"[..]), Some(&b"h"[..])));
    assert!(packet.file.is_empty() && packet.sname.is_empty());
    assert!(!packet.options.contains(52));
}

#[test]
fn fields_that_are_not_overloaded_are_names() {
    let mut bytes = datagram(&[53, 1, 1, 255]);
    bytes[108..112].copy_from_slice(b"file");
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.file, b"file");
}

#[test]
fn ipxe_is_known_by_its_class_in_both_forms_and_by_its_option() {
    for (code, value, expected) in [
        (77, &b"iPXE"[..], true),
        (77, b"\x04iPXE", true),
        (77, b"\x03foo\x04iPXE", true),
        (77, b"\x09iPXE", false),
        (77, b"gPXE", false),
        (175, b"\xb1\x05\x01\x1a\xf4\x10\x00", true),
        (60, b"PXEClient:Arch:00000:UNDI:002001", false),
    ] {
        let mut packet = discover();
        packet.options.set(code, value);
        assert_eq!(packet.is_ipxe(), expected, "{value:?}");
    }
}

#[test]
fn whole_architecture_list_and_uuid_are_read() {
    let mut packet = discover();
    packet.options.set(code::ARCHITECTURE, [0, 7, 0, 16, 9]);
    assert_eq!(packet.architectures(), [7, 16]);
    let uuid = [0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
    packet.options.set(code::MACHINE_ID, [&[0][..], &uuid].concat());
    assert_eq!(packet.machine_uuid(), Some(uuid));
    packet.options.set(code::MACHINE_ID, [0, 1, 2]);
    assert_eq!(packet.machine_uuid(), None);
}

#[test]
fn relay_link_selection_goes_before_giaddr() {
    let mut packet = discover();
    packet.options.set(code::RELAY_AGENT, [1, 1, 9, 5, 4, 10, 2, 0, 0, 11, 4, 10, 2, 0, 1]);
    assert_eq!(packet.relayed_link(), None, "not relayed at all");
    assert_eq!(packet.server_id_override(), None);
    packet.giaddr = Ipv4Addr::new(10, 1, 0, 1);
    assert_eq!(packet.relayed_link(), Some(Ipv4Addr::new(10, 2, 0, 0)));
    assert_eq!(packet.server_id_override(), Some(Ipv4Addr::new(10, 2, 0, 1)));
    packet.options.set(code::RELAY_AGENT, [1, 200, 9]);
    assert_eq!(packet.relayed_link(), Some(packet.giaddr), "damaged information is passed over");
}

#[test]
fn reply_is_padded_and_begins_with_the_type_and_ends_with_the_relay() {
    let mut packet = Packet::reply_to(&discover());
    let relay = [2, 1, 7, 1, 3, b'e', b't', b'h'];
    packet.options.set(code::RELAY_AGENT, relay);
    packet.options.set(code::SUBNET_MASK, [255, 255, 255, 0]);
    packet.options.set(code::MESSAGE_TYPE, [2]);
    let encoded = packet.encode(548);
    assert_eq!(encoded.bytes.len(), 300);
    assert!(encoded.omitted.is_empty());
    assert_eq!(encoded.bytes[240..249], [53, 1, 2, 1, 4, 255, 255, 255, 0]);
    assert_eq!(encoded.bytes[249..260], [&[82, 8][..], &relay, &[255]].concat());
    assert!(encoded.bytes[260..].iter().all(|byte| *byte == 0));
}

#[test]
fn what_does_not_fit_is_left_out_but_never_the_relay_information() {
    let mut packet = discover();
    packet.options.set(43, vec![7; 250]);
    packet.options.set(12, "a-rather-long-name");
    packet.options.set(code::RELAY_AGENT, vec![9; 40]);
    let encoded = packet.encode(0);
    assert!(encoded.bytes.len() <= 300, "{}", encoded.bytes.len());
    assert_eq!(encoded.omitted, [43, 12]);
    let packet = Packet::parse(&packet.encode(548).bytes).unwrap();
    assert_eq!(packet.options.bytes(82), Some(&[9; 40][..]));
}

#[test]
fn long_option_is_split_and_reads_back() {
    let mut packet = discover();
    packet.options.set(43, (0..600).map(|index| index as u8).collect::<Vec<_>>());
    packet.options.set(80, []);
    let bytes = packet.encode(1472).bytes;
    assert_eq!(Packet::parse(&bytes), Ok(packet));
}

#[test]
fn name_longer_than_its_field_is_not_cut() {
    let mut packet = discover();
    packet.file = vec![b'x'; 129];
    assert!(packet.encode(548).bytes[108..236].iter().all(|byte| *byte == 0));
}

#[test]
fn payload_follows_the_maximum_message_size_within_576_and_1500() {
    assert_eq!(payload_limit(None), 548);
    assert_eq!(payload_limit(Some(300)), 548);
    assert_eq!(payload_limit(Some(1472)), 1444);
    assert_eq!(payload_limit(Some(65280)), 1472);
}

#[test]
fn reply_reads_the_same_in_dhcproto() {
    let mut packet = Packet::reply_to(&discover());
    packet.yiaddr = Ipv4Addr::new(10, 77, 0, 100);
    packet.siaddr = Ipv4Addr::new(10, 77, 0, 1);
    packet.file = b"ipxe.efi".to_vec();
    packet.options.set(code::LEASE_TIME, 3600_u32.to_be_bytes());
    packet.options.set(code::MESSAGE_TYPE, [5]);
    packet.options.set_addresses(code::ROUTER, &[Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)]);
    packet.options.set(code::BOOT_FILE, "ipxe.efi");
    let bytes = packet.encode(548).bytes;
    let oracle = v4::Message::decode(&mut Decoder::new(&bytes)).unwrap();
    assert_eq!((oracle.xid(), oracle.chaddr()), (packet.xid, &MAC[..]));
    assert_eq!((oracle.yiaddr(), oracle.siaddr()), (packet.yiaddr, packet.siaddr));
    assert_eq!(oracle.fname(), Some(&b"ipxe.efi\0"[..]), "dhcproto keeps the closing zero");
    let options = oracle.opts();
    assert_eq!(options.msg_type(), Some(v4::MessageType::Ack));
    assert_eq!(options.get(OptionCode::AddressLeaseTime), Some(&DhcpOption::AddressLeaseTime(3600)));
    let routers = vec![Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)];
    assert_eq!(options.get(OptionCode::Router), Some(&DhcpOption::Router(routers)));
    assert_eq!(options.get(OptionCode::BootfileName), Some(&DhcpOption::BootfileName(b"ipxe.efi".to_vec())));
}

fn address() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from_bits)
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Packet::parse(&bytes);
    }

    #[test]
    fn random_options_never_panic_in_any_accessor(options in proptest::collection::vec(any::<u8>(), 0..400)) {
        let Ok(packet) = Packet::parse(&datagram(&options)) else { return Ok(()) };
        let _ = (packet.message_type(), packet.architectures(), packet.is_ipxe(), packet.machine_uuid());
        let _ = (packet.relayed_link(), packet.server_id_override(), packet.max_message_size());
        let _ = crate::boot::BootClient::from_request(&packet);
    }

    #[test]
    fn truncated_packets_never_panic(cut in 0_usize..300) {
        let bytes = discover().encode(548).bytes;
        prop_assert_eq!(Packet::parse(&bytes[..cut]).is_ok(), cut >= 243 || cut == 240);
    }

    #[test]
    fn what_is_written_reads_back_within_its_limit(
        entries in proptest::collection::btree_map(1_u8..255, proptest::collection::vec(any::<u8>(), 0..300), 0..12),
        limit in 300_usize..3000,
    ) {
        let mut packet = discover();
        for (code, value) in entries.into_iter().filter(|(code, _)| ![52, 53].contains(code)) {
            packet.options.set(code, value);
        }
        let encoded = packet.encode(limit);
        prop_assert!(encoded.bytes.len() <= limit);
        let parsed = Packet::parse(&encoded.bytes).unwrap();
        for (code, value) in packet.options.iter() {
            let expected = (!encoded.omitted.contains(&code)).then_some(value);
            prop_assert_eq!(parsed.options.bytes(code), expected);
        }
    }

    #[test]
    fn packets_of_dhcproto_read_the_same(
        xid in any::<u32>(), broadcast in any::<bool>(), ciaddr in address(), giaddr in address(),
        mac in any::<[u8; 6]>(), requested in address(), class in proptest::collection::vec(any::<u8>(), 1..600),
        lease in any::<u32>(), size in any::<u16>(),
    ) {
        let zero = Ipv4Addr::UNSPECIFIED;
        let mut oracle = v4::Message::new_with_id(xid, ciaddr, zero, zero, giaddr, &mac);
        if broadcast {
            oracle.set_flags(v4::Flags::default().set_broadcast());
        }
        let options = oracle.opts_mut();
        options.insert(DhcpOption::MessageType(v4::MessageType::Request));
        options.insert(DhcpOption::RequestedIpAddress(requested));
        options.insert(DhcpOption::AddressLeaseTime(lease));
        options.insert(DhcpOption::MaxMessageSize(size));
        options.insert(DhcpOption::ClassIdentifier(class.clone()));
        options.insert(DhcpOption::ClientSystemArchitecture(v4::Architecture::BC));
        let packet = Packet::parse(&oracle.to_vec().unwrap()).unwrap();
        prop_assert_eq!((packet.xid, packet.ciaddr, packet.giaddr), (xid, ciaddr, giaddr));
        prop_assert_eq!(packet.chaddr, HardwareAddress::ethernet(mac));
        prop_assert_eq!(packet.wants_broadcast(), broadcast);
        prop_assert_eq!(packet.message_type(), Some(MessageType::Request));
        prop_assert_eq!(packet.options.address(code::REQUESTED_ADDRESS), Some(requested));
        prop_assert_eq!(packet.options.number(code::LEASE_TIME), Some(lease));
        prop_assert_eq!(packet.max_message_size(), Some(size));
        prop_assert_eq!(packet.vendor_class(), class.as_slice());
        prop_assert_eq!(packet.architectures(), vec![9]);
    }
}
