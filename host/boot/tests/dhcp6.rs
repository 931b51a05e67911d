//! DHCPv6 by unicast on loopback, as relay agents and tools send it.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use formwork_boot::{
    BindError, Dhcp6Answer, Dhcp6Config, Dhcp6Handler, Dhcp6Received, Dhcp6Service, DhcpCounters,
    InterfaceTable, ServedLinks,
};
use formwork_boot_proto::boot::{BootClient, BootOffer};
use formwork_boot_proto::dhcp::HardwareAddress;
use formwork_boot_proto::dhcp6::server::{BootUrl, Context, Declined, Network, Prefix, Reservations, decide};
use formwork_boot_proto::dhcp6::{Duid, Message, MessageType, Options, Packet, Relay, code};
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use super::{soon, until};

/// A handler with one network; a packet from transaction `SLOW` waits for `release` first.
pub(super) struct Lab6 {
    network: Network,
    server_id: Duid,
    declined: Mutex<Declined>,
    entered: Notify,
    release: Notify,
}

/// The interfaces of the namespace that the calling thread is in.
pub(super) fn table() -> Arc<InterfaceTable> {
    Arc::new(InterfaceTable::read().unwrap())
}

const SLOW: [u8; 3] = [9, 9, 9];

struct Nobody;

impl Reservations for Nobody {
    fn address_of(&self, _: HardwareAddress, _: Prefix) -> Option<Ipv6Addr> {
        None
    }

    fn owner_of(&self, _: Ipv6Addr) -> Option<HardwareAddress> {
        None
    }
}

impl Lab6 {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            network: Network {
                prefix: Some("fd77::/64".parse().unwrap()),
                dns: vec![Ipv6Addr::LOCALHOST],
                ..Network::default()
            },
            server_id: Duid::uuid([7; 16]),
            declined: Mutex::default(),
            entered: Notify::new(),
            release: Notify::new(),
        })
    }
}

impl Dhcp6Handler for Lab6 {
    async fn handle(&self, packet: Packet, received: Dhcp6Received) -> Option<Dhcp6Answer> {
        if packet.message.transaction == SLOW {
            self.entered.notify_one();
            self.release.notified().await;
        }
        let server = received.interface.routable_ipv6().unwrap_or(Ipv6Addr::LOCALHOST);
        let boot = |_: &BootClient| BootUrl::from_offer(BootOffer::File("ipxe.efi".to_owned()), server);
        let mut declined = self.declined.lock().unwrap();
        let context = Context {
            network: Some(&self.network),
            server_id: &self.server_id,
            reservations: &Nobody,
            declined: &declined,
            boot: &boot,
        };
        let verdict = decide(&context, &packet, &received.arrival, 1000);
        verdict.declined.iter().for_each(|address| declined.insert(*address, 1000));
        verdict.reply.as_ref().map(Dhcp6Answer::from)
    }
}

fn start(in_flight_max: usize) -> (SocketAddr, Arc<DhcpCounters>, Arc<Lab6>) {
    let config = Dhcp6Config { interfaces: ServedLinks::from("lo"), port: 0, in_flight_max };
    let service = Dhcp6Service::bind(config, table()).unwrap();
    let (address, counters) = ((Ipv6Addr::LOCALHOST, service.port()).into(), service.counters());
    let lab = Lab6::new();
    tokio::spawn(service.run(Arc::clone(&lab), std::future::pending()));
    (address, counters, lab)
}

pub(super) fn solicit(transaction: [u8; 3]) -> Message {
    let mut message = Message::new(MessageType::Solicit, transaction);
    message.options.push(code::CLIENT_ID, Duid::uuid([1; 16]).as_bytes());
    message.options.push(code::IA_NA, [0; 12]);
    message.options.push(code::OPTION_REQUEST, [0, 23, 0, 59]);
    message.options.push(code::ARCHITECTURE, [0, 7]);
    message
}

async fn client() -> UdpSocket {
    UdpSocket::bind("[::1]:0").await.unwrap()
}

pub(super) async fn receive(socket: &UdpSocket) -> (Packet, SocketAddr) {
    let mut buffer = [0; 1500];
    let (len, from) = soon(socket.recv_from(&mut buffer)).await.unwrap();
    (Packet::parse(&buffer[..len]).unwrap(), from)
}

#[tokio::test]
async fn tool_and_relay_agent_are_answered_from_the_address_that_they_asked() {
    let (server, counters, _) = start(16);
    let socket = client().await;
    let mut packet = Packet::direct(solicit([1, 2, 3]));
    socket.send_to(&packet.encode(), server).await.unwrap();
    let (advertise, from) = receive(&socket).await;
    assert_eq!((advertise.message.kind, advertise.message.transaction), (MessageType::Advertise, [1, 2, 3]));
    assert_eq!(from, server);
    let url = advertise.message.options.bytes(code::BOOT_URL).unwrap();
    assert_eq!(url, b"tftp://[::1]/ipxe.efi", "at the address of the interface");
    let mut options = Options::new();
    options.push(code::INTERFACE_ID, *b"port 7");
    let (link, peer) = ("fd77::1".parse().unwrap(), "fe80::5054:ff:fe77:1".parse().unwrap());
    packet.relays.push(Relay { hop_count: 0, link, peer, options });
    socket.send_to(&packet.encode(), server).await.unwrap();
    let (advertise, _) = receive(&socket).await;
    assert_eq!(advertise.relays[0].options.bytes(code::INTERFACE_ID), Some(&b"port 7"[..]));
    until(|| counters.snapshot().answered == 2).await;
}

#[tokio::test]
async fn broken_packets_are_counted_and_the_next_one_is_answered() {
    let (server, counters, _) = start(16);
    let socket = client().await;
    let good = Packet::direct(solicit([1, 2, 3])).encode();
    for packet in [&b""[..], &good[..7], &[200, 1, 2, 3], &vec![1; 9217]] {
        socket.send_to(packet, server).await.unwrap();
    }
    socket.send_to(&good, server).await.unwrap();
    receive(&socket).await;
    let counts = counters.snapshot();
    assert_eq!((counts.received, counts.malformed), (5, 4));
}

#[tokio::test]
async fn requests_over_the_limit_wait_instead_of_being_lost() {
    let (server, counters, lab) = start(1);
    let socket = client().await;
    socket.send_to(&Packet::direct(solicit(SLOW)).encode(), server).await.unwrap();
    soon(lab.entered.notified()).await;
    socket.send_to(&Packet::direct(solicit([1, 2, 3])).encode(), server).await.unwrap();
    lab.release.notify_one();
    for expected in [SLOW, [1, 2, 3]] {
        assert_eq!(receive(&socket).await.0.message.transaction, expected);
    }
    assert_eq!(counters.snapshot().received, 2);
}

#[tokio::test]
async fn slow_client_delays_nobody() {
    let (server, _, lab) = start(16);
    let socket = client().await;
    socket.send_to(&Packet::direct(solicit(SLOW)).encode(), server).await.unwrap();
    soon(lab.entered.notified()).await;
    for fast in 1..5 {
        socket.send_to(&Packet::direct(solicit([0, 0, fast])).encode(), server).await.unwrap();
        assert_eq!(receive(&socket).await.0.message.transaction, [0, 0, fast]);
    }
    lab.release.notify_one();
    assert_eq!(receive(&socket).await.0.message.transaction, SLOW);
}

#[tokio::test]
async fn sender_of_ipv4_gets_no_answer() {
    let (server, counters, _) = start(16);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let packet = Packet::direct(solicit([1, 2, 3])).encode();
    socket.send_to(&packet, ("127.0.0.1", server.port())).await.unwrap();
    until(|| counters.snapshot().silent == 1).await;
}

#[tokio::test]
async fn taken_port_and_missing_interface_are_named() {
    let (server, ..) = start(1);
    let config = Dhcp6Config { port: server.port(), ..Dhcp6Config::default() };
    let error = Dhcp6Service::bind(config, table()).unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    let config = Dhcp6Config { interfaces: "no-such-if".into(), port: 0, ..Dhcp6Config::default() };
    let error = Dhcp6Service::bind(config, table()).unwrap_err();
    assert!(matches!(error, BindError::Interface { .. }), "{error}");
}
