//! Frames over a wire of two virtual interfaces.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use formwork_boot::{ForeignReply, FrameSender, InterfaceTable, ReplyWatch};
use formwork_boot_proto::dhcp::{HardwareAddress, MessageType, Packet, code};
use nix::libc;
use nix::sys::socket::{LinkAddr, recvfrom};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::dhcp::mac;
use super::link::{ip, on_a_wire};
use super::soon;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Between two frames: a wire that just came up loses what goes over it, so senders repeat until the test ends.
const AGAIN: Duration = Duration::from_millis(20);

fn table() -> Arc<InterfaceTable> {
    Arc::new(InterfaceTable::read().unwrap())
}

fn index(name: &str) -> u32 {
    nix::net::if_::if_nametoindex(name).unwrap()
}

/// An ordinary socket of one interface, where a broadcast leaves without a route.
fn udp(interface: &str, port: u16) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.bind_device(Some(interface.as_bytes())).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into()).unwrap();
    UdpSocket::from_std(socket.into()).unwrap()
}

async fn send_offers() {
    let sender = FrameSender::open(table()).unwrap();
    let from = SocketAddrV4::new(SERVER, 67);
    let to = SocketAddrV4::new(CLIENT, 68);
    loop {
        let client = (to, HardwareAddress::ethernet(CLIENT_MAC));
        sender.send(index("srv0"), from, client, b"an offer").await.unwrap();
        tokio::time::sleep(AGAIN).await;
    }
}

async fn take_offers() {
    assert!(ip(&["link", "set", "cli0", "address", "02:00:00:00:00:02"]));
    let protocol = Protocol::from(i32::from((libc::ETH_P_IP as u16).to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = UdpSocket::from_std(socket.into()).unwrap();
    let mut buffer = [0; 1500];
    let read = || Ok(recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer)?);
    let (len, link) = soon(socket.async_io(Interest::READABLE, read)).await.unwrap();
    assert_eq!(link.unwrap().pkttype(), libc::PACKET_HOST, "by unicast");
    assert_eq!(buffer[..6], CLIENT_MAC);
    assert_eq!(&buffer[len - 8..len], b"an offer");

    assert!(ip(&["address", "add", "10.99.0.2/24", "dev", "cli0"]));
    let socket = udp("cli0", 68);
    let (len, from) = soon(socket.recv_from(&mut buffer)).await.unwrap();
    assert_eq!(
        (&buffer[..len], from),
        (b"an offer".as_slice(), (SERVER, 67).into()),
        "an ordinary socket takes it"
    );
}

#[test]
fn datagram_reaches_a_client_that_has_no_address() {
    on_a_wire(send_offers, take_offers);
}

#[test]
fn frame_for_no_single_ethernet_card_is_refused() {
    on_a_wire(std::future::pending::<()>, || async {
        let sender = FrameSender::open(table()).unwrap();
        let address = SocketAddrV4::new(CLIENT, 68);
        let send = async |interface, hardware: &[u8]| {
            let client = (address, HardwareAddress::new(hardware).unwrap());
            sender.send(interface, address, client, b"an offer").await.unwrap_err().to_string()
        };
        for hardware in [&[0xff; 6][..], &[0; 6], &[2; 5], &[2; 16], &[]] {
            let error = send(index("cli0"), hardware).await;
            assert!(error.contains("one ethernet card"), "{error}");
        }
        for interface in [index("lo"), 9999] {
            let error = send(interface, &CLIENT_MAC).await;
            assert!(error.contains("gone or not ethernet"), "{error}");
        }
    });
}

fn offer(client: u8, server: Ipv4Addr) -> Vec<u8> {
    let mut offer = Packet::reply_to(&Packet::request(mac(client), 7));
    offer.yiaddr = Ipv4Addr::new(10, 99, 0, 50);
    offer.options.set(code::MESSAGE_TYPE, [MessageType::Offer.code()]);
    offer.options.set(code::SERVER_ID, server.octets());
    offer.options.set(code::BOOT_FILE, *b"rogue.efi");
    offer.encode(1472).bytes
}

/// Offers by broadcast, again and again.
async fn rogue() {
    assert!(ip(&["link", "set", "srv0", "address", "02:00:00:00:00:66"]));
    let socket = udp("srv0", 67);
    loop {
        socket.send_to(&offer(1, SERVER), (Ipv4Addr::BROADCAST, 68)).await.ok();
        tokio::time::sleep(AGAIN).await;
    }
}

fn watch() -> (impl Future<Output = ()>, mpsc::UnboundedReceiver<ForeignReply>, impl Fn() -> (u64, u64)) {
    let watch = ReplyWatch::open(table()).unwrap();
    let counters = watch.counters();
    let (found, replies) = mpsc::unbounded_channel();
    let counts = move || (counters.snapshot().frames, counters.snapshot().replies);
    (watch.run(move |reply| drop(found.send(reply)), std::future::pending()), replies, counts)
}

#[test]
fn offer_of_another_server_is_seen_and_our_own_is_not() {
    on_a_wire(rogue, || async {
        assert!(ip(&["address", "add", "10.99.0.2/24", "dev", "cli0"]));
        let (watching, mut replies, counts) = watch();
        let test = async {
            let reply = soon(replies.recv()).await.unwrap();
            assert_eq!(
                (reply.interface, reply.source, reply.kind),
                (index("cli0"), SERVER, MessageType::Offer)
            );
            assert_eq!(reply.mac.to_string(), "02:00:00:00:00:66");
            assert_eq!((reply.packet.chaddr, reply.packet.yiaddr), (mac(1), Ipv4Addr::new(10, 99, 0, 50)));
            assert_eq!(
                (reply.packet.server_id(), reply.boot_file()),
                (Some(SERVER), b"rogue.efi".as_slice())
            );
            let own = udp("cli0", 67);
            for _ in 0..3 {
                own.send_to(&offer(2, CLIENT), (Ipv4Addr::BROADCAST, 68)).await.unwrap();
                assert_eq!(soon(replies.recv()).await.unwrap().packet.chaddr, mac(1));
            }
            let (frames, replies) = counts();
            assert_eq!(frames, replies, "our own frames are not even delivered");
        };
        tokio::select! {
            () = watching => {}
            () = test => {}
        }
    });
}

const BULK: u32 = 20_000;

/// Sends much of what a boot server sees, then offers.
async fn bulk() {
    let block = vec![2; 1400];
    let request = Packet::request(mac(3), 1).encode(548).bytes;
    let [data, client, server] = [2069, 68, 67].map(|port| udp("srv0", port));
    for _ in 0..BULK {
        data.send_to(&block, (CLIENT, 2070)).await.ok();
    }
    for _ in 0..1000 {
        client.send_to(&request, (Ipv4Addr::BROADCAST, 67)).await.ok();
        server.send_to(&request, (CLIENT, 67)).await.ok();
    }
    loop {
        server.send_to(&offer(1, SERVER), (Ipv4Addr::BROADCAST, 68)).await.ok();
        tokio::time::sleep(AGAIN).await;
    }
}

#[test]
fn bulk_traffic_and_requests_are_not_delivered_to_the_watch() {
    on_a_wire(bulk, || async {
        assert!(ip(&["address", "add", "10.99.0.2/24", "dev", "cli0"]));
        let (watching, mut replies, counts) = watch();
        let test = async {
            soon(replies.recv()).await.unwrap();
            let (frames, replies) = counts();
            assert_eq!(frames, replies);
            assert!(received("cli0") > 1000, "the traffic came over the wire");
        };
        tokio::select! {
            () = watching => {}
            () = test => {}
        }
    });
}

/// How many packets the kernel counts at an interface.
fn received(interface: &str) -> u64 {
    let counts = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = counts.lines().find(|line| line.trim_start().starts_with(interface)).unwrap();
    line.split_whitespace().nth(2).unwrap().parse().unwrap()
}
