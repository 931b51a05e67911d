//! What is dropped unread (RFC 8415 section 16).

use super::*;

#[test]
fn messages_of_servers_are_dropped() {
    let lab = Lab::new();
    for kind in [MessageType::Advertise, MessageType::Reply, MessageType::Reconfigure] {
        assert_eq!(lab.ask(1, lab.to_us(kind, 1, &[])).reason, Reason::NotARequest);
    }
}

#[test]
fn message_to_all_servers_must_name_none_and_its_client() {
    let lab = Lab::new();
    for kind in [MessageType::Solicit, MessageType::Confirm, MessageType::Rebind] {
        assert_eq!(lab.ask(1, lab.to_us(kind, 1, &[(1, &[])])).reason, Reason::NamesAServer);
        assert_eq!(lab.ask(1, Message::new(kind, [0; 3])).reason, Reason::NoClientId);
    }
}

#[test]
fn message_to_one_server_must_name_it_and_its_client() {
    let lab = Lab::new();
    for kind in [MessageType::Request, MessageType::Renew, MessageType::Release, MessageType::Decline] {
        assert_eq!(lab.ask(1, message(kind, 1, &[(1, &[])])).reason, Reason::NamesNoServer);
        let mut to_another = message(kind, 1, &[(1, &[])]);
        to_another.options.push(code::SERVER_ID, Duid::link_layer(mac(0xee)).as_bytes());
        assert_eq!(lab.ask(1, to_another).reason, Reason::OtherServer);
        let mut anonymous = Message::new(kind, [0; 3]);
        anonymous.options.push(code::SERVER_ID, lab.server_id.as_bytes());
        assert_eq!(lab.ask(1, anonymous).reason, Reason::NoClientId);
    }
}

#[test]
fn request_for_options_may_be_anonymous_but_names_no_address_and_no_other_server() {
    let lab = Lab::new();
    let kind = MessageType::InformationRequest;
    assert_eq!(lab.ask(1, Message::new(kind, [0; 3])).reason, Reason::Informed);
    assert_eq!(lab.ask(1, lab.to_us(kind, 1, &[])).reason, Reason::Informed);
    assert_eq!(lab.ask(1, message(kind, 1, &[(1, &[])])).reason, Reason::AsksForAddresses);
    let mut to_another = message(kind, 1, &[]);
    to_another.options.push(code::SERVER_ID, duid(9).as_bytes());
    assert_eq!(lab.ask(1, to_another).reason, Reason::OtherServer);
    let mut damaged = Message::new(kind, [0; 3]);
    damaged.options.push(code::CLIENT_ID, []);
    assert_eq!(lab.ask(1, damaged).reason, Reason::NoClientId);
}

#[test]
fn unicast_is_answered_with_use_multicast_or_not_at_all() {
    let lab = Lab::new();
    let unicast = Arrival { unicast: true, ..from(link_local(1)) };
    let ask = |message| lab.decide(&Packet::direct(message), &unicast);
    for kind in [MessageType::Request, MessageType::Renew, MessageType::Release, MessageType::Decline] {
        let verdict = ask(lab.to_us(kind, 1, &[(1, &[lab.address_of(1)])]));
        assert_eq!(status(&reply(&verdict).options), Some(5), "{kind:?}");
        assert!(verdict.given.is_empty() && verdict.released.is_empty() && verdict.declined.is_empty());
    }
    for kind in [MessageType::Solicit, MessageType::Confirm, MessageType::Rebind] {
        assert_eq!(ask(message(kind, 1, &[(1, &[])])).reply, None, "{kind:?}");
    }
    assert_eq!(ask(Message::new(MessageType::InformationRequest, [0; 3])).reply, None);
}

#[test]
fn unicast_on_another_port_is_a_tool_and_gets_its_answer_there() {
    let lab = Lab::new();
    let peer = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 40_000, 0, 0);
    let arrival = Arrival { peer, server_port: 5547, unicast: true };
    let verdict = lab.decide(&Packet::direct(solicit(1)), &arrival);
    assert_eq!(verdict.reply.unwrap().to, peer);
}

#[test]
fn link_without_a_network_is_left_alone() {
    let lab = Lab::new();
    let context = Context {
        network: None,
        server_id: &lab.server_id,
        reservations: &lab.reserved,
        declined: &lab.declined,
        boot: &|_: &BootClient| None,
    };
    let verdict = decide(&context, &Packet::direct(solicit(1)), &from(link_local(1)), 0);
    assert_eq!((verdict.reason, verdict.reply), (Reason::NoNetwork, None));
}

#[test]
fn network_without_addresses_answers_only_who_asks_for_options() {
    let mut lab = Lab::new();
    lab.network.prefix = None;
    for kind in [MessageType::Solicit, MessageType::Confirm, MessageType::Rebind] {
        assert_eq!(lab.ask(1, message(kind, 1, &[(1, &[SERVER])])).reason, Reason::Stateless);
    }
    assert_eq!(lab.ask(1, message(MessageType::InformationRequest, 1, &[])).reason, Reason::Informed);
}
