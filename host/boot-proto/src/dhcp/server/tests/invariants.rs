//! What holds for any requests in any order.

use proptest::prelude::*;

use super::*;

/// What a client may send next in the invariant test.
fn any_request() -> impl Strategy<Value = Packet> {
    (0_u8..8, 1_u8..9, 95_u8..108, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(client, kind, host, requested, ciaddr, ours)| {
            let mut packet = Packet::request(mac(client), 1);
            packet.options.set(code::MESSAGE_TYPE, [kind]);
            if requested {
                packet.options.set(code::REQUESTED_ADDRESS, ip(host).octets());
            }
            if ciaddr {
                packet.ciaddr = ip(host);
            }
            if ours {
                packet.options.set(code::SERVER_ID, SERVER.octets());
            }
            packet
        },
    )
}

proptest! {
    #[test]
    fn no_two_clients_ever_hold_one_address(
        requests in proptest::collection::vec((any_request(), 0_u64..90_000), 1..120),
    ) {
        let mut site = Site::new();
        site.reserve(1, 102);
        let mut held = BTreeMap::<Ipv4Addr, (HardwareAddress, u64)>::new();
        for (request, pause) in requests {
            site.now += pause;
            let verdict = site.ask(&request);
            let given_up = [Reason::Released, Reason::Declined].contains(&verdict.reason);
            if given_up {
                held.retain(|_, (owner, _)| *owner != request.chaddr);
            }
            let Some(reply) = verdict.reply else { continue };
            let address = reply.packet.yiaddr;
            if address.is_unspecified() {
                continue;
            }
            prop_assert!(address != ip(102) || request.chaddr == mac(1));
            let (now, owner) = (site.now, held.get(&address).copied());
            let taken = owner.is_some_and(|(owner, until)| owner != request.chaddr && until > now);
            prop_assert!(!taken, "{address} given to {} too", request.chaddr);
            if reply.packet.message_type() == Some(MessageType::Ack) {
                let secs = reply.packet.options.number(code::LEASE_TIME).unwrap();
                held.insert(address, (request.chaddr, now + u64::from(secs) * 1000));
            }
        }
    }

    #[test]
    fn random_datagrams_are_answered_without_panic(
        options in proptest::collection::vec(any::<u8>(), 0..300), head in any::<[u8; 44]>(),
    ) {
        let mut bytes = message(1, MessageType::Discover).encode(548).bytes;
        bytes.truncate(240);
        bytes[..44].copy_from_slice(&head);
        (bytes[0], bytes[2]) = (1, 6);
        bytes.extend(options);
        if let Ok(packet) = Packet::parse(&bytes) {
            let reply = Site::new().ask(&packet).reply;
            if let Some(reply) = reply {
                prop_assert!(Packet::parse(&reply.encode().bytes).is_ok());
            }
        }
    }
}
