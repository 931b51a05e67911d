//! Which address a client gets, keeps and gives back.

use super::*;

#[test]
fn offered_address_is_kept_for_sixty_seconds() {
    let mut site = Site::new();
    for (client, expected) in [(1, 100), (2, 101), (3, 102), (4, 103)] {
        let verdict = site.ask(&message(client, MessageType::Discover));
        assert_eq!(verdict.reply.unwrap().packet.yiaddr, ip(expected));
        assert!(!verdict.lease.unwrap().must_be_durable());
    }
    let verdict = site.ask(&message(5, MessageType::Discover));
    assert_eq!((verdict.reply, verdict.reason), (None, Reason::NoAddressLeft));
    site.now += 60_000;
    let verdict = site.ask(&message(5, MessageType::Discover));
    assert_eq!(
        verdict.reason,
        Reason::Picked(Picker::NextFree),
        "an offer that lapsed leaves nothing behind"
    );
    assert_eq!(verdict.reply.unwrap().packet.yiaddr, ip(100));
}

#[test]
fn row_189_pickers_are_tried_in_their_order() {
    let hinted = |client, host| {
        let mut packet = message(client, MessageType::Discover);
        packet.options.set(code::REQUESTED_ADDRESS, ip(host).octets());
        packet
    };
    let picked = |site: &mut Site, request: &Packet| {
        let verdict = site.ask(request);
        (verdict.reason, verdict.reply.map(|reply| reply.packet.yiaddr))
    };
    let mut site = Site::new();
    assert_eq!(site.subnet().pickers, [Picker::Hint, Picker::NextFree, Picker::MostExpired]);
    assert_eq!(picked(&mut site, &hinted(1, 102)), (Reason::Picked(Picker::Hint), Some(ip(102))));
    assert_eq!(picked(&mut site, &hinted(2, 102)), (Reason::HintTaken, None), "no other picker is tried");
    for (client, host) in [(3, 103), (4, 100), (5, 101)] {
        assert_eq!(site.lease(client), ip(host), "without a hint, round robin over what nobody ever had");
        site.now += 1000;
    }
    assert_eq!(picked(&mut site, &message(6, MessageType::Discover)).0, Reason::NoAddressLeft);
    // The offer of 102 was never taken, so nobody ever had it; of the others 103 was given first.
    site.now += 700_000;
    let (next_free, most_expired) = (Reason::Picked(Picker::NextFree), Reason::Picked(Picker::MostExpired));
    assert_eq!(picked(&mut site, &message(6, MessageType::Discover)), (next_free, Some(ip(102))));
    assert_eq!(picked(&mut site, &message(7, MessageType::Discover)), (most_expired, Some(ip(103))));
    assert_eq!(picked(&mut site, &hinted(8, 101)), (Reason::Picked(Picker::Hint), Some(ip(101))), "expired");
    site.subnet().pickers = vec![Picker::None, Picker::NextFree];
    assert_eq!(picked(&mut site, &message(9, MessageType::Discover)), (Reason::NewClientsRefused, None));
}

#[test]
fn ack_binds_the_lease_durably_for_its_time() {
    let mut site = Site::new();
    let address = site.lease(1);
    let lease = site.book.record_at(address).unwrap();
    assert_eq!((lease.state, lease.expires_ms, lease.duration_secs), (LeaseState::Bound, NOW + 600_000, 600));
    let verdict = site.ask(&renewing(1, address));
    assert!(verdict.lease.unwrap().must_be_durable());
}

#[test]
fn discover_of_a_running_machine_does_not_shorten_its_lease() {
    let mut site = Site::new();
    let address = site.lease(1);
    let verdict = site.ask(&message(1, MessageType::Discover));
    assert_eq!((verdict.lease, verdict.reason), (None, Reason::OwnLease));
    assert_eq!(verdict.reply.unwrap().packet.yiaddr, address);
    site.now += 590_000;
    assert!(site.ask(&message(1, MessageType::Discover)).lease.is_some());
    let lease = site.book.lease_at(address).unwrap();
    assert_eq!((lease.state, lease.expires_ms), (LeaseState::Offered, site.now + 60_000));
    assert_eq!(site.book.record_at(address).unwrap().expires_ms, NOW + 600_000);
    assert_eq!(site.ask(&selecting(1, address)).reason, Reason::OwnLease);
}

#[test]
fn expired_lease_goes_back_to_its_owner_and_not_to_others_while_free_ones_exist() {
    let mut site = Site::new();
    let address = site.lease(1);
    site.now += 700_000;
    assert_ne!(site.lease(2), address);
    assert_eq!(site.lease(1), address);
}

#[test]
fn next_free_goes_round_robin_and_wraps() {
    let mut site = Site::new();
    assert_eq!((site.lease(1), site.lease(2), site.lease(3)), (ip(100), ip(101), ip(102)));
    site.book.remove(ip(100));
    assert_eq!((site.lease(4), site.lease(5)), (ip(103), ip(100)));
}

#[test]
fn hint_is_followed_or_stops_the_search() {
    let mut site = Site::new();
    site.lease(1);
    let hinted = |client, host| {
        let mut packet = message(client, MessageType::Discover);
        packet.options.set(code::REQUESTED_ADDRESS, ip(host).octets());
        packet
    };
    assert_eq!(site.ask(&hinted(2, 103)).reply.unwrap().packet.yiaddr, ip(103));
    assert_eq!(site.ask(&hinted(3, 100)).reason, Reason::HintTaken);
    let verdict = site.ask(&hinted(4, 200));
    assert_eq!(verdict.reason, Reason::Picked(Picker::NextFree), "out of the range is no hint");
}

#[test]
fn reserved_and_own_addresses_are_given_to_nobody_else() {
    let mut site = Site::new();
    site.reserve(9, 100);
    site.subnet().active_start = ip(0);
    site.subnet().active_end = ip(2);
    assert_eq!(site.lease(1), ip(2), "not the network, not the server");
    site.subnet().active_start = ip(100);
    site.subnet().active_end = ip(100);
    assert_eq!(site.ask(&message(2, MessageType::Discover)).reason, Reason::NoAddressLeft);
    assert_eq!(site.lease(9), ip(100));
    assert_eq!(site.book.record_at(ip(100)).unwrap().duration_secs, 7200);
}

#[test]
fn reservation_over_another_clients_lease_refuses_renewal_and_waits() {
    let mut site = Site::new();
    let address = site.lease(1);
    site.book.reserve(Reservation { address, lease_secs: Some(90), ..reserved(9, 0) });
    assert_eq!(site.ask(&message(9, MessageType::Discover)).reason, Reason::ReservationInUse);
    let verdict = site.ask(&renewing(1, address));
    assert!(nak(&verdict));
    assert_eq!(verdict.reason, Reason::ReservedForAnother);
    site.now += 700_000;
    assert_eq!(site.lease(9), address);
    assert_eq!(site.book.record_at(address).unwrap().duration_secs, 90);
}

#[test]
fn client_with_a_new_reservation_is_moved_and_its_old_lease_goes() {
    let mut site = Site::new();
    let old = site.lease(1);
    site.reserve(1, 50);
    let verdict = site.ask(&renewing(1, old));
    assert!(nak(&verdict));
    assert_eq!(verdict.reason, Reason::ReservedElsewhere);
    assert_eq!(site.lease(1), ip(50));
    assert_eq!(site.recorded(), [ip(50)]);
}

#[test]
fn client_outside_of_a_shrunk_range_is_moved_and_its_old_lease_goes() {
    let mut site = Site::new();
    let old = site.lease(1);
    site.subnet().active_start = ip(101);
    let verdict = site.ask(&renewing(1, old));
    assert!(nak(&verdict));
    assert_eq!(verdict.reason, Reason::OutOfRange);
    assert_eq!(site.lease(1), ip(101));
    assert_eq!(site.recorded(), [ip(101)]);
}

#[test]
fn request_for_another_server_is_ignored_and_frees_the_offer() {
    let mut site = Site::new();
    assert!(site.ask(&message(1, MessageType::Discover)).lease.is_some());
    let mut request = selecting(1, ip(100));
    request.options.set(code::SERVER_ID, ip(2).octets());
    let verdict = site.ask(&request);
    assert_eq!((verdict.reply, verdict.reason), (None, Reason::OtherServer));
    assert_eq!((site.recorded(), site.book.open_offers()), (vec![], 0));
    let bound = site.lease(1);
    request.options.set(code::MESSAGE_TYPE, [MessageType::Release.code()]);
    request.ciaddr = bound;
    assert_eq!(site.ask(&request).reason, Reason::OtherServer);
    assert_eq!(site.book.record_at(bound).unwrap().state, LeaseState::Bound);
}

#[test]
fn selecting_an_address_that_was_not_offered_is_refused() {
    let mut site = Site::new();
    site.lease(1);
    let verdict = site.ask(&selecting(2, ip(100)));
    assert!(nak(&verdict));
    let reply = verdict.reply.unwrap();
    assert_eq!(reply.destination, Destination::Broadcast);
    assert!(reply.packet.yiaddr.is_unspecified());
    assert_eq!(reply.packet.options.bytes(56), Some(Reason::NoLease.to_string().as_bytes()));
    assert_eq!(verdict.lease, None);
}

#[test]
fn init_reboot_is_confirmed_or_refused() {
    let mut site = Site::new();
    let address = site.lease(1);
    let verdict = site.ask(&init_reboot(1, address));
    assert_eq!(verdict.reply.unwrap().packet.message_type(), Some(MessageType::Ack));
    assert!(nak(&site.ask(&init_reboot(2, address))), "someone else's");
    let verdict = site.ask(&init_reboot(1, Ipv4Addr::new(192, 168, 1, 5)));
    assert!(nak(&verdict));
    assert_eq!(verdict.reason, Reason::WrongNetwork);
}

#[test]
fn broadcast_request_in_a_network_without_subnet_is_left_to_others() {
    let mut site = Site::new();
    site.subnet = None;
    assert_eq!(site.ask(&init_reboot(1, ip(7))).reply, None);
    assert_eq!(site.ask(&message(1, MessageType::Discover)).reason, Reason::NoSubnet);
}

#[test]
fn renewal_goes_to_the_clients_own_address() {
    let mut site = Site::new();
    let address = site.lease(1);
    site.now += 300_000;
    site.arrival = Arrival { peer: SocketAddrV4::new(address, 68), unicast: true, ..site.arrival };
    let reply = site.ask(&renewing(1, address)).reply.unwrap();
    assert_eq!(reply.destination, Destination::Client(address));
    assert_eq!(reply.packet.ciaddr, address);
    assert_eq!(site.book.record_at(address).unwrap().expires_ms, site.now + 600_000);
}

#[test]
fn health_test_of_the_cli_gets_a_nak_at_its_port_with_and_without_a_subnet() {
    let mut site = Site::new();
    let peer = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 54321);
    let mut probe = message(1, MessageType::Request);
    probe.chaddr = "de:ad:be:ef:f0:01".parse().unwrap();
    for (server_port, binl, subnet) in [
        (67, false, true),
        (67, false, false),
        (20_003, false, false),
        (4011, true, false),
        (4011, true, true),
    ] {
        site.arrival = Arrival { peer, server_port, unicast: true, binl };
        site.subnet = Site::new().subnet.filter(|_| subnet);
        let verdict = site.ask(&probe);
        assert!(nak(&verdict), "{server_port} {subnet}");
        let reply = verdict.reply.unwrap();
        assert_eq!((reply.destination, reply.packet.xid), (Destination::Source(peer), 0xfeed));
    }
    site.subnet().mode = Mode::Proxy;
    assert!(nak(&site.ask(&probe)));
}

#[test]
fn server_on_another_port_answers_the_sender() {
    let mut site = Site::new();
    let peer = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 40_000);
    site.arrival = Arrival { peer, server_port: 20_003, unicast: true, binl: false };
    let reply = site.ask(&message(1, MessageType::Discover)).reply.unwrap();
    assert_eq!(reply.destination.socket_address(), peer);
}
