//! Clients behind relay agents.

use super::*;
use crate::dhcp6::Relay;

const RELAY: Ipv6Addr = Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 1);

fn relayed(message: Message) -> Packet {
    let envelope = |hop_count, link, peer| Relay { hop_count, link, peer, options: Options::new() };
    let mut inner = envelope(0, SERVER, link_local(1));
    inner.options.push(code::INTERFACE_ID, *b"eth1/7");
    inner.options.push(37, *b"remote id");
    let mut outer = envelope(1, RELAY, "fd88::2".parse().unwrap());
    outer.options.push(code::INTERFACE_ID, *b"uplink");
    Packet { relays: vec![outer, inner], message }
}

fn by_relay() -> Arrival {
    Arrival { peer: SocketAddrV6::new(RELAY, 547, 0, 0), server_port: 547, unicast: true }
}

#[test]
fn reply_goes_back_in_the_envelopes_of_the_request_with_their_interfaces() {
    let lab = Lab::new();
    let verdict = lab.decide(&relayed(solicit(1)), &by_relay());
    assert_eq!(verdict.client.unwrap().hardware, Some(mac(1)), "the peer of the inner envelope");
    let reply = verdict.reply.unwrap();
    assert_eq!(reply.to, SocketAddrV6::new(RELAY, 547, 0, 0));
    let bytes = reply.packet.encode();
    assert_eq!(bytes[..2], [13, 1]);
    let parsed = Packet::parse(&bytes).unwrap();
    assert_eq!(parsed.message.kind, MessageType::Advertise);
    let [outer, inner] = &parsed.relays[..] else { panic!("{parsed:?}") };
    assert_eq!((outer.hop_count, outer.link, inner.hop_count, inner.peer), (1, RELAY, 0, link_local(1)));
    assert_eq!(outer.options.iter().collect::<Vec<_>>(), [(18, &b"uplink"[..])]);
    assert_eq!(inner.options.iter().collect::<Vec<_>>(), [(18, &b"eth1/7"[..])], "and nothing else");
}

#[test]
fn relay_agent_gets_back_what_it_asks_to_have_echoed() {
    let lab = Lab::new();
    let mut packet = relayed(solicit(1));
    packet.relays[1].options.push(code::ECHO_REQUEST, [0, 37, 0, 99]);
    let reply = lab.decide(&packet, &by_relay()).reply.unwrap();
    assert_eq!(reply.packet.relays[1].options.bytes(37), Some(&b"remote id"[..]));
}

#[test]
fn relay_agent_on_a_port_of_its_own_is_answered_there_only_when_it_says_so() {
    let lab = Lab::new();
    let arrival = Arrival { peer: SocketAddrV6::new(RELAY, 40_000, 0, 0), ..by_relay() };
    let mut packet = relayed(solicit(1));
    assert_eq!(lab.decide(&packet, &arrival).reply.unwrap().to.port(), 547);
    packet.relays[0].options.push(code::RELAY_SOURCE_PORT, [0, 0]);
    let reply = lab.decide(&packet, &arrival).reply.unwrap();
    assert_eq!(reply.to.port(), 40_000);
    assert_eq!(reply.packet.relays[0].options.bytes(code::RELAY_SOURCE_PORT), Some(&[0, 0][..]));
}

#[test]
fn client_has_the_same_address_with_a_relay_agent_and_without() {
    let lab = Lab::new();
    let verdict = lab.decide(&relayed(lab.request(1, &[(1, &[])])), &by_relay());
    assert_eq!(verdict.given, [lab.address_of(1)]);
}

#[test]
fn client_on_the_link_is_answered_at_its_port_through_its_link() {
    let lab = Lab::new();
    let mut arrival = from(link_local(1));
    assert_eq!(lab.decide(&Packet::direct(solicit(1)), &arrival).reply.unwrap().to, arrival.peer);
    arrival.peer.set_port(547);
    assert_eq!(lab.decide(&Packet::direct(solicit(1)), &arrival).reply.unwrap().to.port(), 546);
}
