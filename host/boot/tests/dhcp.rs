//! DHCP by unicast on loopback, as simulated firmware and the health test of the command line client do it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use formwork_boot::{Answer, BindError, DhcpConfig, DhcpCounters, DhcpHandler, DhcpService, Received};
use formwork_boot_proto::boot::BootOffer;
use formwork_boot_proto::dhcp::server::{Book, Context, Link, Subnet, decide};
use formwork_boot_proto::dhcp::{HardwareAddress, MessageType, Packet, code};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::{soon, until};

/// A handler that decides on a table in memory; the client `slow` waits for `release` first.
pub(super) struct Lab {
    subnet: Arc<Subnet>,
    book: Mutex<Book>,
    slow: HardwareAddress,
    entered: Notify,
    release: Notify,
}

impl Lab {
    pub(super) fn new(subnet: Subnet) -> Arc<Self> {
        let subnet = Arc::new(subnet);
        let mut book = Book::new();
        book.set_subnets([Arc::clone(&subnet)]);
        Arc::new(Self {
            subnet,
            book: Mutex::new(book),
            slow: mac(99),
            entered: Notify::new(),
            release: Notify::new(),
        })
    }
}

impl DhcpHandler for Lab {
    async fn handle(&self, packet: Packet, received: Received) -> Option<Answer> {
        if packet.chaddr == self.slow {
            self.entered.notify_one();
            self.release.notified().await;
        }
        let selector = received.arrival.selector(&packet).unwrap_or(received.local);
        let boot = BootOffer::File("ipxe.efi".to_owned());
        let mut book = self.book.lock().unwrap();
        let link = Link::Interface(received.interface);
        let context = Context {
            subnet: Some(&*self.subnet).filter(|subnet| subnet.contains(selector)),
            reservation: None,
            options: &[],
            server_id: received.local,
            own: &[],
            link,
            is_known: false,
            book: &book,
            boot: &boot,
        };
        let verdict = decide(&context, &packet, &received.arrival, 1000);
        if let Some(change) = &verdict.lease {
            book.apply(change, link);
        }
        verdict.reply.as_ref().map(Answer::from)
    }
}

struct Running {
    port: u16,
    counters: Arc<DhcpCounters>,
    lab: Arc<Lab>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn start(in_flight_max: usize) -> Running {
    let config = DhcpConfig { port: 0, in_flight_max, ..DhcpConfig::default() };
    let service = DhcpService::bind(config).unwrap();
    let (port, counters) = (service.port(), service.counters());
    let range = (Ipv4Addr::new(127, 0, 1, 10), Ipv4Addr::new(127, 0, 1, 20));
    let lab = Lab::new(Subnet::new("loopback", Ipv4Addr::new(127, 0, 0, 0), 8, range));
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(service.run(Arc::clone(&lab), None, async move {
        stopped.await.ok();
    }));
    Running { port, counters, lab, stop, task }
}

pub(super) fn mac(client: u8) -> HardwareAddress {
    HardwareAddress::ethernet([0x52, 0x54, 0, 0x77, 0, client])
}

pub(super) fn message(client: u8, kind: MessageType) -> Packet {
    let mut packet = Packet::request(mac(client), 0xbeef_0000 + u32::from(client));
    packet.options.set(code::MESSAGE_TYPE, [kind.code()]);
    packet
}

async fn client() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

async fn receive(socket: &UdpSocket) -> Packet {
    let mut buffer = [0; 1500];
    let (len, _) = soon(socket.recv_from(&mut buffer)).await.unwrap();
    Packet::parse(&buffer[..len]).unwrap()
}

async fn ask(port: u16, request: &Packet) -> Packet {
    let socket = client().await;
    socket.send_to(&request.encode(548).bytes, ("127.0.0.1", port)).await.unwrap();
    receive(&socket).await
}

#[tokio::test]
async fn simulated_firmware_gets_offer_and_ack_at_its_port() {
    let service = start(16);
    let mut request = message(1, MessageType::Discover);
    request.options.set(code::VENDOR_CLASS, "PXEClient:Arch:00007:UNDI:003000");
    request.options.set(code::ARCHITECTURE, [0, 7]);
    let offer = ask(service.port, &request).await;
    assert_eq!((offer.message_type(), offer.xid), (Some(MessageType::Offer), request.xid));
    assert_eq!((offer.yiaddr, offer.file.as_slice()), (Ipv4Addr::new(127, 0, 1, 10), &b"ipxe.efi"[..]));
    assert_eq!(offer.server_id(), Some(Ipv4Addr::LOCALHOST), "the address that the client asked");
    request.options.set(code::MESSAGE_TYPE, [MessageType::Request.code()]);
    request.options.set(code::REQUESTED_ADDRESS, offer.yiaddr.octets());
    request.options.set(code::SERVER_ID, Ipv4Addr::LOCALHOST.octets());
    let ack = ask(service.port, &request).await;
    assert_eq!((ack.message_type(), ack.yiaddr), (Some(MessageType::Ack), offer.yiaddr));
    until(|| service.counters.snapshot().answered == 2).await;
}

#[tokio::test]
async fn health_test_of_the_cli_gets_its_nak() {
    let service = start(16);
    let mut request = message(1, MessageType::Request);
    request.chaddr = "de:ad:be:ef:f0:01".parse().unwrap();
    let reply = ask(service.port, &request).await;
    assert_eq!((reply.message_type(), reply.xid), (Some(MessageType::Nak), request.xid));
}

#[tokio::test]
async fn answer_comes_from_the_address_that_was_asked() {
    let service = start(16);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(("127.0.0.2", service.port)).await.unwrap();
    socket.send(&message(1, MessageType::Discover).encode(548).bytes).await.unwrap();
    let offer = receive(&socket).await;
    assert_eq!(offer.server_id(), Some(Ipv4Addr::new(127, 0, 0, 2)));
}

#[tokio::test]
async fn broken_packets_are_counted_and_the_next_one_is_answered() {
    let service = start(16);
    let socket = client().await;
    let good = message(1, MessageType::Discover).encode(548).bytes;
    let mut long_address = good.clone();
    long_address[2] = 200;
    for packet in [&b""[..], &good[..100], &long_address, &vec![1; 9217]] {
        socket.send_to(packet, ("127.0.0.1", service.port)).await.unwrap();
    }
    assert_eq!(ask(service.port, &message(2, MessageType::Discover)).await.chaddr, mac(2));
    let counts = service.counters.snapshot();
    assert_eq!((counts.received, counts.malformed), (5, 4));
}

#[tokio::test]
async fn slow_client_delays_nobody() {
    let service = start(16);
    let slow = client().await;
    slow.send_to(&message(99, MessageType::Discover).encode(548).bytes, ("127.0.0.1", service.port))
        .await
        .unwrap();
    soon(service.lab.entered.notified()).await;
    for fast in 1..5 {
        assert_eq!(ask(service.port, &message(fast, MessageType::Discover)).await.chaddr, mac(fast));
    }
    service.lab.release.notify_one();
    assert_eq!(receive(&slow).await.chaddr, mac(99));
}

#[tokio::test]
async fn requests_over_the_limit_wait_and_are_not_lost() {
    let service = start(1);
    let slow = client().await;
    let address = ("127.0.0.1", service.port);
    slow.send_to(&message(99, MessageType::Discover).encode(548).bytes, address).await.unwrap();
    soon(service.lab.entered.notified()).await;
    slow.send_to(&message(1, MessageType::Discover).encode(548).bytes, address).await.unwrap();
    assert_eq!(service.counters.snapshot().received, 1, "the second is not taken from the system");
    service.lab.release.notify_one();
    assert_eq!(receive(&slow).await.chaddr, mac(99));
    assert_eq!(receive(&slow).await.chaddr, mac(1));
}

#[tokio::test]
async fn shutdown_lets_a_request_in_flight_finish() {
    let service = start(16);
    let slow = client().await;
    slow.send_to(&message(99, MessageType::Discover).encode(548).bytes, ("127.0.0.1", service.port))
        .await
        .unwrap();
    soon(service.lab.entered.notified()).await;
    service.stop.send(()).unwrap();
    service.lab.release.notify_one();
    soon(service.task).await.unwrap();
    assert_eq!(receive(&slow).await.chaddr, mac(99));
}

#[tokio::test]
async fn taken_port_and_missing_interface_are_named() {
    let service = start(1);
    let taken = DhcpService::bind(DhcpConfig { port: service.port, ..DhcpConfig::default() });
    let error = taken.unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&service.port.to_string()));
    let config = DhcpConfig { interfaces: vec!["no-such-if".to_owned()], port: 0, ..DhcpConfig::default() };
    let error = DhcpService::bind(config).unwrap_err();
    assert!(matches!(error, BindError::Interface { .. }), "{error}");
}
