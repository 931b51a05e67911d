//! Relays, subnets of all kinds, and their options.

use super::*;

#[test]
fn relayed_client_is_answered_through_its_relay_with_its_information() {
    let mut site = Site::new();
    let mut request = message(1, MessageType::Discover);
    request.giaddr = ip(254);
    let information = [2, 2, 9, 9, 1, 1, 7];
    request.options.set(code::RELAY_AGENT, information);
    site.arrival = Arrival { peer: SocketAddrV4::new(ip(254), 1067), unicast: true, ..site.arrival };
    assert_eq!(site.arrival.selector(&request), Some(ip(254)));
    let reply = site.ask(&request).reply.unwrap();
    assert_eq!(reply.destination.socket_address(), SocketAddrV4::new(ip(254), 67));
    assert_eq!(reply.packet.relay_agent(), Some(&information[..]));
    assert_eq!(reply.packet.giaddr, ip(254));
    let mut refused = init_reboot(2, ip(100));
    refused.giaddr = ip(254);
    let reply = site.ask(&refused).reply.unwrap();
    assert!(reply.packet.wants_broadcast(), "the relay broadcasts a NAK");
}

#[test]
fn relay_may_replace_the_server_identifier() {
    let mut site = Site::new();
    let mut request = message(1, MessageType::Discover);
    request.giaddr = ip(254);
    request.options.set(code::RELAY_AGENT, [11, 4, 10, 77, 0, 254]);
    let offer = site.ask(&request).reply.unwrap().packet;
    assert_eq!(offer.server_id(), Some(ip(254)));
    let mut request = selecting(1, offer.yiaddr);
    request.options.set(code::SERVER_ID, ip(254).octets());
    assert_eq!(site.ask(&request).reason, Reason::OtherServer, "without the option it is not ours");
}

#[test]
fn renewal_through_a_router_selects_the_subnet_by_the_clients_address() {
    let arrival =
        Arrival { peer: SocketAddrV4::new(ip(100), 68), server_port: 67, unicast: true, binl: false };
    assert_eq!(arrival.selector(&renewing(1, ip(100))), Some(ip(100)));
    assert_eq!(arrival.selector(&message(1, MessageType::Discover)), None);
}

#[test]
fn offer_that_is_declined_or_released_leaves_nothing_behind() {
    for kind in [MessageType::Decline, MessageType::Release] {
        let mut site = Site::new();
        let _ = site.ask(&message(1, MessageType::Discover));
        let mut over = message(1, kind);
        over.options.set(code::REQUESTED_ADDRESS, ip(100).octets());
        over.ciaddr = ip(100);
        let verdict = site.ask(&over);
        assert!(!verdict.lease.unwrap().must_be_durable());
        assert_eq!((site.book.open_offers(), site.book.lease_at(ip(100))), (0, None), "{kind:?}");
    }
}

#[test]
fn disabled_proxy_is_silent() {
    let mut site = Site::new();
    (site.subnet().mode, site.subnet().enabled) = (Mode::Proxy, false);
    let verdict = site.ask(&firmware(1, "PXEClient:Arch:00007:UNDI:003000", 7, true));
    assert_eq!((verdict.reply, verdict.reason), (None, Reason::SubnetDisabled));
}

#[test]
fn declined_address_is_benched_for_ten_minutes() {
    let mut site = Site::new();
    let address = site.lease(1);
    let mut decline = message(2, MessageType::Decline);
    decline.options.set(code::REQUESTED_ADDRESS, address.octets());
    assert_eq!(site.ask(&decline).reason, Reason::NotYours, "nobody benches another's address");
    decline.chaddr = mac(1);
    assert_eq!(site.ask(&decline).reason, Reason::Declined);
    let lease = site.book.record_at(address).unwrap();
    assert_eq!((lease.state, lease.token, lease.expires_ms), (LeaseState::Invalid, None, NOW + 600_000));
    for client in 1..4 {
        assert_ne!(site.lease(client), address);
    }
    assert_eq!(site.ask(&message(7, MessageType::Discover)).reason, Reason::NoAddressLeft);
}

#[test]
fn released_address_is_kept_for_its_owner_and_may_be_recycled() {
    let mut site = Site::new();
    let address = site.lease(1);
    let mut release = message(2, MessageType::Release);
    release.ciaddr = address;
    assert_eq!(site.ask(&release).reason, Reason::NotYours);
    release.chaddr = mac(1);
    assert_eq!(site.ask(&release).reason, Reason::Released);
    assert_eq!(site.book.record_at(address).unwrap().state, LeaseState::Expired);
    assert_eq!(site.lease(1), address);
}

#[test]
fn inform_gets_options_and_no_address() {
    let mut site = Site::new();
    let mut inform = message(1, MessageType::Inform);
    inform.ciaddr = ip(20);
    let reply = site.ask(&inform).reply.unwrap();
    assert_eq!(reply.destination, Destination::Client(ip(20)));
    assert!(reply.packet.yiaddr.is_unspecified() && !reply.packet.options.contains(51));
    assert_eq!(reply.packet.options.address(3), Some(SERVER));
    inform.ciaddr = Ipv4Addr::new(8, 8, 8, 8);
    assert_eq!(site.ask(&inform).reply, None, "no packets to strangers");
}

#[test]
fn row_190_disabled_subnet_serves_reservations_only() {
    let mut site = Site::new();
    let address = site.lease(1);
    site.reserve(9, 50);
    site.subnet().enabled = false;
    assert_eq!(site.ask(&message(2, MessageType::Discover)).reason, Reason::SubnetDisabled);
    let verdict = site.ask(&renewing(1, address));
    assert_eq!((verdict.reply, verdict.reason), (None, Reason::SubnetDisabled));
    assert_eq!(site.lease(9), ip(50));
}

#[test]
fn subnet_of_reservations_refuses_new_clients() {
    let mut site = Site::new();
    site.subnet().pickers = vec![Picker::None];
    assert_eq!(site.ask(&message(1, MessageType::Discover)).reason, Reason::NewClientsRefused);
}

#[test]
fn reservation_without_subnet_is_served_with_its_own_options() {
    let mut site = Site::new();
    site.subnet = None;
    site.reserve(9, 50);
    site.options = vec![(1, vec![255, 255, 0, 0]), (53, vec![9]), (51, vec![0; 4])];
    let offer = site.ask(&message(9, MessageType::Discover)).reply.unwrap().packet;
    assert_eq!(offer.options.address(1), Some(Ipv4Addr::new(255, 255, 0, 0)));
    assert_eq!(offer.message_type(), Some(MessageType::Offer), "53 is not the operator's to set");
    assert_eq!(offer.options.number(51), Some(7200));
}

#[test]
fn options_are_laid_over_by_code_and_empty_ones_go() {
    let mut site = Site::new();
    site.reserve(9, 50);
    let (subnet, own) = ((15, b"sub".to_vec()), (15, b"own".to_vec()));
    site.options = vec![(3, vec![]), subnet, (42, vec![1, 2, 3, 4]), own];
    let offer = site.ask(&message(9, MessageType::Discover)).reply.unwrap().packet;
    assert!(!offer.options.contains(3));
    assert_eq!(offer.options.bytes(15), Some(&b"own"[..]));
    assert_eq!(offer.options.bytes(42), Some(&[1, 2, 3, 4][..]));
}

#[test]
fn configured_boot_file_replaces_the_choice() {
    let mut site = Site::new();
    site.options = vec![(67, b"custom.0".to_vec())];
    site.subnet().next_server = Some(ip(5));
    let offer = site.ask(&firmware(1, "PXEClient", 7, true)).reply.unwrap().packet;
    assert_eq!((offer.file.as_slice(), offer.siaddr), (&b"custom.0"[..], ip(5)));
    site.options = vec![(67, vec![])];
    let offer = site.ask(&firmware(1, "PXEClient", 7, true)).reply.unwrap().packet;
    assert!(offer.file.is_empty() && !offer.options.contains(67) && offer.siaddr.is_unspecified());
}

#[test]
fn next_server_boots_its_clients_with_its_own_loader() {
    let mut site = Site::new();
    site.subnet().next_server = Some(ip(5));
    let offer = site.ask(&firmware(1, "PXEClient", 7, true)).reply.unwrap().packet;
    assert_eq!(offer.siaddr, ip(5));
    assert!(offer.file.is_empty() && !offer.options.contains(67));
}

#[test]
fn options_that_the_client_asks_for_come_before_the_others() {
    let mut site = Site::new();
    site.options =
        vec![(42, vec![1; 4]), (15, vec![2; 100]), (3, vec![3; 4]), (119, vec![4; 255]), (12, vec![5; 9])];
    let mut request = message(1, MessageType::Discover);
    request.options.set(code::PARAMETER_LIST, [12, 42]);
    let reply = site.ask(&request).reply.unwrap();
    let codes: Vec<u8> = reply.packet.options.iter().map(|(code, _)| code).collect();
    assert_eq!(codes, [53, 54, 51, 1, 3, 12, 42, 58, 59, 28, 15, 119]);
    assert_eq!(reply.encode().omitted, [119], "what nobody asked for is left out first");
}

#[test]
fn known_machine_gets_an_address_where_strangers_have_too_many_offers() {
    let mut site = Site::new();
    (site.subnet().active_start, site.subnet().active_end) = (ip(100), ip(199));
    for client in 1..=75 {
        assert!(site.ask(&message(client, MessageType::Discover)).reply.is_some());
    }
    assert_eq!(site.ask(&message(80, MessageType::Discover)).reason, Reason::TooManyOffers);
    site.is_known = true;
    assert!(site.ask(&message(80, MessageType::Discover)).reply.is_some());
    site.is_known = false;
    assert_eq!(site.ask(&selecting(1, ip(100))).reason, Reason::OwnLease, "who has an offer may take it");
    site.now += 60_000;
    assert!(site.ask(&message(81, MessageType::Discover)).reply.is_some(), "offers that nobody takes lapse");
}

#[test]
fn address_that_its_client_does_not_use_yet_is_probed_unless_that_is_turned_off() {
    let mut site = Site::new();
    let probe = |site: &mut Site, client| site.ask(&message(client, MessageType::Discover)).probe;
    assert_eq!(probe(&mut site, 1), Some(ip(100)));
    assert_eq!(probe(&mut site, 1), Some(ip(100)), "until the answer is known");
    site.book.prove(ip(100), mac(2));
    assert_eq!(probe(&mut site, 1), Some(ip(100)), "it is not offered to this one");
    site.book.prove(ip(100), mac(1));
    assert_eq!(probe(&mut site, 1), None, "the repeat is offered what was probed");
    assert_eq!(site.ask(&selecting(1, ip(100))).probe, None);
    site.now += 700_000;
    assert_eq!(probe(&mut site, 1), None, "the client itself may use it still");
    assert_eq!(probe(&mut site, 3), Some(ip(101)));
    site.subnet().skip_probe = true;
    assert_eq!(site.ask(&message(2, MessageType::Discover)).probe, None);
    site.book.reserve(reserved(9, 50));
    assert_eq!(site.ask(&message(9, MessageType::Discover)).probe, Some(ip(50)));
    site.book.reserve(Reservation { skip_probe: true, ..reserved(9, 50) });
    assert_eq!(site.ask(&message(9, MessageType::Discover)).probe, None);
}

#[test]
fn long_url_stands_in_option_67_alone() {
    let mut site = Site::new();
    let url = format!("http://10.77.0.1/{}", "x".repeat(200));
    site.options = vec![(67, url.clone().into_bytes())];
    let offer = site.ask(&firmware(1, "HTTPClient", 16, true)).reply.unwrap().packet;
    assert!(offer.file.is_empty());
    assert_eq!(offer.options.bytes(67), Some(url.as_bytes()));
}

#[test]
fn unmanaged_subnet_gives_addresses_without_boot_options() {
    let mut site = Site::new();
    site.subnet().mode = Mode::Unmanaged;
    let offer = site.ask(&firmware(1, "PXEClient", 7, true)).reply.unwrap().packet;
    assert_eq!(offer.yiaddr, ip(100));
    assert!(offer.file.is_empty() && !offer.options.contains(67));
}

#[test]
fn proxy_gives_boot_options_and_never_an_address() {
    let mut site = Site::new();
    site.subnet().mode = Mode::Proxy;
    let discover = firmware(1, "PXEClient:Arch:00007:UNDI:003000", 7, true);
    let verdict = site.ask(&discover);
    assert_eq!(verdict.lease, None);
    let offer = verdict.reply.unwrap().packet;
    assert!(offer.yiaddr.is_unspecified());
    assert_eq!((offer.file.as_slice(), offer.siaddr), (&b"ipxe.efi"[..], SERVER));
    assert_eq!(offer.options.bytes(60), Some(&b"PXEClient"[..]));
    assert_eq!(offer.options.bytes(43), Some(&[6, 1, 8, 255][..]));
    assert_eq!(site.ask(&message(1, MessageType::Discover)).reply, None, "nothing for a system");
    assert_eq!(site.ask(&init_reboot(1, ip(9))).reply, None, "no NAK beside another server");
}

#[test]
fn boot_server_port_answers_firmware_with_its_file() {
    let mut site = Site::new();
    let peer = SocketAddrV4::new(ip(100), 68);
    site.arrival = Arrival { peer, server_port: 4011, unicast: true, binl: true };
    let mut request = firmware(1, "PXEClient:Arch:00007:UNDI:003000", 7, false);
    request.options.set(code::MESSAGE_TYPE, [3]);
    request.ciaddr = ip(100);
    let verdict = site.ask(&request);
    assert_eq!(verdict.lease, None);
    let reply = verdict.reply.unwrap();
    assert_eq!(reply.destination, Destination::Source(peer));
    assert_eq!(reply.packet.message_type(), Some(MessageType::Ack));
    assert_eq!(reply.packet.file, b"ipxe.efi");
}

#[test]
fn bootp_is_for_reservations() {
    let mut site = Site::new();
    let bootp = Packet::request(mac(1), 1);
    assert_eq!(site.ask(&bootp).reason, Reason::NoReservation);
    site.reserve(1, 50);
    let reply = site.ask(&bootp).reply.unwrap();
    assert_eq!(reply.packet.yiaddr, ip(50));
    assert!(!reply.packet.options.contains(53) && !reply.packet.options.contains(51));
}

#[test]
fn nonsense_is_met_with_silence() {
    let mut site = Site::new();
    let mut reply = Packet::reply_to(&message(1, MessageType::Discover));
    reply.options.set(code::MESSAGE_TYPE, [1]);
    assert_eq!(site.ask(&reply).reason, Reason::NotARequest);
    assert_eq!(site.ask(&message(1, MessageType::Offer)).reason, Reason::NotARequest);
    let mut unknown = message(1, MessageType::Discover);
    unknown.options.set(code::MESSAGE_TYPE, [99]);
    assert_eq!(site.ask(&unknown).reason, Reason::NotARequest);
    unknown.chaddr = HardwareAddress::ethernet([0xff; 6]);
    assert_eq!(site.ask(&unknown).reason, Reason::NoHardwareAddress);
}

#[test]
fn written_reply_is_padded_and_within_the_clients_limit() {
    let mut site = Site::new();
    let encoded = site.ask(&message(1, MessageType::Discover)).reply.unwrap().encode();
    assert_eq!(encoded.bytes.len(), 300);
    site.options = (200..210).map(|code| (code, vec![1; 200])).collect();
    let encoded = site.ask(&message(1, MessageType::Discover)).reply.unwrap().encode();
    assert!(encoded.bytes.len() <= 548 && !encoded.omitted.is_empty());
}

#[test]
fn masks_of_all_prefixes_are_right() {
    let mut subnet = Subnet::new("x", ip(130), 25, (ip(129), ip(254)));
    assert_eq!((subnet.mask(), subnet.broadcast()), (Ipv4Addr::new(255, 255, 255, 128), ip(255)));
    assert!(!subnet.contains(ip(1)) && subnet.is_host(ip(254)) && !subnet.is_host(ip(128)));
    subnet.prefix = 0;
    assert!(subnet.contains(Ipv4Addr::new(1, 2, 3, 4)));
    subnet.prefix = 32;
    assert!(subnet.is_host(ip(130)) && !subnet.contains(ip(131)));
}
