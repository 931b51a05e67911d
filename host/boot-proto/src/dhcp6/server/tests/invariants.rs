//! What holds for every packet, also hostile ones.

use proptest::prelude::*;

use super::*;
use crate::dhcp6::Relay;

fn address() -> impl Strategy<Value = Ipv6Addr> {
    let near = any::<u64>().prop_map(|identifier| prefix().address(identifier));
    prop_oneof![near, any::<u128>().prop_map(Ipv6Addr::from_bits)]
}

/// Options that the decision reads, with values that are nearly right, and others.
fn option() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..150);
    let addresses = proptest::collection::vec(address(), 0..12);
    prop_oneof![
        Just((code::SERVER_ID, Duid::link_layer(mac(0xff)).as_bytes().to_vec())),
        bytes().prop_map(|value| (code::CLIENT_ID, value)),
        (any::<u32>(), addresses).prop_map(|(id, addresses)| (code::IA_NA, association(id, &addresses))),
        prop_oneof![Just(code::IA_TA), Just(code::IA_PD)].prop_flat_map(move |code| (Just(code), bytes())),
        Just((code::OPTION_REQUEST, vec![0, 23, 0, 24, 0, 31, 0, 32, 0, 56, 0, 59, 0, 60])),
        Just((code::ARCHITECTURE, vec![0, 7])),
        Just((code::VENDOR_CLASS, b"\0\0\x01\x57\0\x0aHTTPClient".to_vec())),
        Just((code::RAPID_COMMIT, Vec::new())),
        (0_u16..150).prop_flat_map(move |code| (Just(code), bytes())),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    proptest::collection::vec(option(), 0..20).prop_map(|entries| {
        let mut options = Options::new();
        entries.into_iter().filter(|(code, _)| *code != code::RELAY_MESSAGE).for_each(|(code, value)| {
            options.push(code, value);
        });
        options
    })
}

prop_compose! {
    fn packets()(
        kind in 1_u8..=11, client in any::<u8>(), named in any::<bool>(), rest in options(),
        relays in proptest::collection::vec((address(), address(), options()), 0..4),
    ) -> Packet {
        let kind = MessageType::from_code(kind).unwrap();
        let mut message = Message::new(kind, [1, 2, 3]);
        if named {
            message.options.push(code::CLIENT_ID, duid(client).as_bytes());
        }
        rest.iter().for_each(|(code, value)| message.options.push(code, value));
        let relay = |(link, peer, options)| Relay { hop_count: 0, link, peer, options };
        Packet { relays: relays.into_iter().map(relay).collect(), message }
    }
}

proptest! {
    #[test]
    fn every_reply_is_whole_small_and_meant_for_its_request(
        packet in packets(), peer in address(), unicast in any::<bool>(), everything in any::<bool>(),
    ) {
        let mut lab = Lab::new();
        if everything {
            lab.network.dns = vec![SERVER; 20];
            lab.network.ntp = vec![SERVER; 20];
            lab.network.domains = vec!["a-rather-long-name.of-a-network.example".parse().unwrap(); 20];
        }
        let verdict = lab.decide(&packet, &Arrival { unicast, ..from(peer) });
        let Some(reply) = verdict.reply else {
            prop_assert!(verdict.given.is_empty() && verdict.released.is_empty() && verdict.declined.is_empty());
            return Ok(());
        };
        let message = &reply.packet.message;
        prop_assert!(Packet::direct(message.clone()).encode().len() <= 1232);
        prop_assert_eq!(Packet::parse(&reply.packet.encode()), Ok(reply.packet.clone()));
        prop_assert_eq!(reply.packet.relays.len(), packet.relays.len());
        prop_assert!(message.kind.is_from_server());
        prop_assert_eq!(message.transaction, packet.message.transaction);
        prop_assert_eq!(message.client_id(), packet.message.client_id());
        prop_assert_eq!(message.server_id(), Some(lab.server_id.clone()));
        for address in verdict.given.iter().chain(&verdict.declined).chain(&verdict.released) {
            prop_assert!(prefix().contains(*address));
        }
    }
}
