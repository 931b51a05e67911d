//! Clients of boot-lab.md section 2 against the decision, with a table in memory.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use proptest::prelude::*;

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

#[test]
fn ovmf_gets_the_safe_recipe_by_broadcast() {
    let mut site = Site::new();
    let request = firmware(1, "PXEClient:Arch:00007:UNDI:003000", 7, true);
    let reply = site.ask(&request).reply.unwrap();
    assert_eq!(reply.destination, Destination::Broadcast);
    assert_eq!(reply.destination.socket_address(), SocketAddrV4::new(Ipv4Addr::BROADCAST, 68));
    let offer = reply.packet;
    assert_eq!((offer.yiaddr, offer.siaddr), (ip(100), SERVER));
    assert_eq!((offer.file.as_slice(), offer.options.bytes(67)), (&b"ipxe.efi"[..], Some(&b"ipxe.efi"[..])));
    assert_eq!(offer.options.address(1), Some(Ipv4Addr::new(255, 255, 255, 0)));
    assert_eq!(offer.options.address(3), Some(SERVER));
    assert_eq!(offer.options.address(54), Some(SERVER));
    assert_eq!((offer.options.number(51), offer.options.number(58)), (Some(600), Some(300)));
    assert_eq!(offer.options.number(59), Some(450));
    assert!(!offer.options.contains(60), "it would ask port 4011");
    assert!(!offer.options.contains(175));
}

#[test]
fn offer_and_ack_differ_in_nothing_but_their_type() {
    let mut site = Site::new();
    let discover = firmware(1, "PXEClient:Arch:00007:UNDI:003000", 7, true);
    let mut offer = site.ask(&discover).reply.unwrap().packet;
    let mut request = discover.clone();
    request.options.set(code::MESSAGE_TYPE, [3]);
    request.options.set(code::SERVER_ID, SERVER.octets());
    request.options.set(code::REQUESTED_ADDRESS, offer.yiaddr.octets());
    let ack = site.ask(&request).reply.unwrap().packet;
    offer.options.set(code::MESSAGE_TYPE, [5]);
    assert_eq!(ack, offer);
}

#[test]
fn ipxe_gets_a_url_and_the_word_that_no_proxy_comes() {
    let mut site = Site::new();
    let mut request = firmware(1, "PXEClient:Arch:00000:UNDI:002001", 0, false);
    request.options.set(code::USER_CLASS, "iPXE");
    let reply = site.ask(&request).reply.unwrap();
    assert_eq!(reply.destination, Destination::Offered { address: ip(100), hardware: mac(1) });
    assert_eq!(reply.packet.file, b"http://10.77.0.1:8091/default.ipxe");
    assert_eq!(reply.packet.options.bytes(175), Some(&[0xb0, 1, 1][..]));
    assert!(!reply.packet.options.contains(60));
}

#[test]
fn http_firmware_gets_a_url_and_its_class_back() {
    let mut site = Site::new();
    let reply = site.ask(&firmware(1, "HTTPClient:Arch:00016:UNDI:003000", 16, true)).reply.unwrap();
    assert_eq!(reply.packet.options.bytes(60), Some(&b"HTTPClient"[..]));
    assert_eq!(reply.packet.options.bytes(67), Some(&b"http://10.77.0.1:8091/ipxe.efi"[..]));
}

#[test]
fn operating_system_gets_no_boot_options() {
    let mut site = Site::new();
    let packet = site.ask(&message(1, MessageType::Discover)).reply.unwrap().packet;
    assert!(packet.file.is_empty() && packet.siaddr.is_unspecified());
    assert!(!packet.options.contains(67) && !packet.options.contains(60));
}

#[test]
fn firmware_and_system_of_one_machine_share_one_lease() {
    let mut site = Site::new();
    let without = firmware(1, "PXEClient:Arch:00007:UNDI:003000", 7, true);
    let mut with = message(1, MessageType::Discover);
    with.options.set(code::CLIENT_ID, [&[1][..], mac(1).as_bytes()].concat());
    let first = site.ask(&without).reply.unwrap().packet;
    let second = site.ask(&with).reply.unwrap().packet;
    assert_eq!(first.yiaddr, second.yiaddr);
    assert_eq!(second.client_id(), with.client_id(), "echoed after RFC 6842");
    assert_eq!(site.table.leases.len(), 1);
}

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
    assert_eq!(verdict.reason, Reason::Picked(Picker::MostExpired));
    assert_eq!(verdict.reply.unwrap().packet.yiaddr, ip(100));
}

#[test]
fn ack_binds_the_lease_durably_for_its_time() {
    let mut site = Site::new();
    let address = site.lease(1);
    let lease = site.table.leases[&address].clone();
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
    let lease = &site.table.leases[&address];
    assert_eq!((lease.state, lease.expires_ms), (LeaseState::Bound, site.now + 60_000));
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
    site.table.last = Some(ip(103));
    assert_eq!(site.lease(1), ip(100));
    site.table.last = Some(ip(102));
    assert_eq!(site.lease(2), ip(103));
    site.table.leases.remove(&ip(103));
    site.table.last = Some(ip(103));
    assert_eq!((site.lease(3), site.lease(4), site.lease(5)), (ip(101), ip(102), ip(103)));
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
    assert_eq!(site.table.leases[&ip(100)].duration_secs, 7200);
}

#[test]
fn reservation_over_another_clients_lease_refuses_renewal_and_waits() {
    let mut site = Site::new();
    let address = site.lease(1);
    site.table.reservations.push(Reservation {
        address,
        token: mac(9),
        lease_secs: Some(90),
        next_server: None,
        options: vec![],
    });
    assert_eq!(site.ask(&message(9, MessageType::Discover)).reason, Reason::ReservationInUse);
    let verdict = site.ask(&renewing(1, address));
    assert!(nak(&verdict));
    assert_eq!(verdict.reason, Reason::ReservedForAnother);
    site.now += 700_000;
    assert_eq!(site.lease(9), address);
    assert_eq!(site.table.leases[&address].duration_secs, 90);
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
    assert_eq!(site.table.leases.keys().collect::<Vec<_>>(), [&ip(50)]);
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
    assert_eq!(site.table.leases.keys().collect::<Vec<_>>(), [&ip(101)]);
}

#[test]
fn request_for_another_server_is_ignored_and_frees_the_offer() {
    let mut site = Site::new();
    assert!(site.ask(&message(1, MessageType::Discover)).lease.is_some());
    let mut request = selecting(1, ip(100));
    request.options.set(code::SERVER_ID, ip(2).octets());
    let verdict = site.ask(&request);
    assert_eq!((verdict.reply, verdict.reason), (None, Reason::OtherServer));
    assert!(site.table.leases.is_empty());
    let bound = site.lease(1);
    request.options.set(code::MESSAGE_TYPE, [MessageType::Release.code()]);
    request.ciaddr = bound;
    assert_eq!(site.ask(&request).reason, Reason::OtherServer);
    assert_eq!(site.table.leases[&bound].state, LeaseState::Bound);
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
    assert_eq!(site.table.leases[&address].expires_ms, site.now + 600_000);
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

#[test]
fn relayed_client_is_answered_through_its_relay_with_its_information() {
    let mut site = Site::new();
    let mut request = message(1, MessageType::Discover);
    request.giaddr = ip(254);
    let information = [2, 2, 9, 9, 1, 1, 7];
    request.options.set(code::RELAY_AGENT, information);
    site.arrival = Arrival { peer: SocketAddrV4::new(ip(254), 1067), unicast: true, ..site.arrival };
    assert_eq!(site.arrival.selector(&request, SERVER), ip(254));
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
    assert_eq!(arrival.selector(&renewing(1, ip(100)), Ipv4Addr::new(10, 1, 0, 1)), ip(100));
    assert_eq!(arrival.selector(&message(1, MessageType::Discover), SERVER), SERVER);
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
    let lease = &site.table.leases[&address];
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
    assert_eq!(site.table.leases[&address].state, LeaseState::Expired);
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
fn disabled_subnet_serves_reservations_only() {
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
    site.table.reservations[0].options = vec![(1, vec![255, 255, 0, 0]), (53, vec![9]), (51, vec![0; 4])];
    let offer = site.ask(&message(9, MessageType::Discover)).reply.unwrap().packet;
    assert_eq!(offer.options.address(1), Some(Ipv4Addr::new(255, 255, 0, 0)));
    assert_eq!(offer.message_type(), Some(MessageType::Offer), "53 is not the operator's to set");
    assert_eq!(offer.options.number(51), Some(7200));
}

#[test]
fn options_are_laid_over_by_code_and_empty_ones_go() {
    let mut site = Site::new();
    site.reserve(9, 50);
    site.subnet().extra_options = vec![(3, vec![]), (15, b"sub".to_vec()), (42, vec![1, 2, 3, 4])];
    site.table.reservations[0].options = vec![(15, b"own".to_vec())];
    let offer = site.ask(&message(9, MessageType::Discover)).reply.unwrap().packet;
    assert!(!offer.options.contains(3));
    assert_eq!(offer.options.bytes(15), Some(&b"own"[..]));
    assert_eq!(offer.options.bytes(42), Some(&[1, 2, 3, 4][..]));
}

#[test]
fn configured_boot_file_replaces_the_choice() {
    let mut site = Site::new();
    site.subnet().extra_options = vec![(67, b"custom.0".to_vec())];
    site.subnet().next_server = Some(ip(5));
    let offer = site.ask(&firmware(1, "PXEClient", 7, true)).reply.unwrap().packet;
    assert_eq!((offer.file.as_slice(), offer.siaddr), (&b"custom.0"[..], ip(5)));
    site.subnet().extra_options = vec![(67, vec![])];
    let offer = site.ask(&firmware(1, "PXEClient", 7, true)).reply.unwrap().packet;
    assert!(offer.file.is_empty() && !offer.options.contains(67) && offer.siaddr.is_unspecified());
}

#[test]
fn long_url_stands_in_option_67_alone() {
    let mut site = Site::new();
    let url = format!("http://10.77.0.1/{}", "x".repeat(200));
    site.subnet().extra_options = vec![(67, url.clone().into_bytes())];
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
    site.subnet().extra_options = (200..210).map(|code| (code, vec![1; 200])).collect();
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
