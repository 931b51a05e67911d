//! Broadcasts and multicasts over a wire of two virtual interfaces, each in a network namespace of its own.
//!
//! This needs the right to make namespaces and the program `ip`. Without them the tests say so and end: everything
//! else is covered on loopback.

use std::fs;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use formwork_boot::{DhcpConfig, DhcpService};
use formwork_boot_proto::dhcp::server::Subnet;
use formwork_boot_proto::dhcp::{MessageType, Packet, code};
use nix::sched::{CloneFlags, unshare};
use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use super::dhcp::{Lab, mac, message};
use super::soon;
use super::tftp::harness;

/// Runs `server` in a namespace with `srv0` (10.99.0.1/24) until `client` ends, which runs in another one with `cli0`
/// (no address) at the other end of the wire. A namespace belongs to a thread here.
pub(super) fn on_a_wire<S, C>(
    server: impl FnOnce() -> S + Send + 'static,
    client: impl FnOnce() -> C + Send + 'static,
) where
    S: Future<Output = ()>,
    C: Future<Output = ()>,
{
    let (tell_thread, thread_told) = mpsc::channel();
    let (tell_ready, ready) = mpsc::channel();
    let (tell_done, done) = oneshot::channel::<()>();
    let client = thread::spawn(move || {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() {
            return;
        }
        tell_thread.send(nix::unistd::gettid()).unwrap();
        if ready.recv().is_ok() {
            quiet("cli0");
            assert!(ip(&["link", "set", "cli0", "up"]));
            run(client());
        }
        tell_done.send(()).ok();
    });
    let server = thread::spawn(move || {
        let permitted = unshare(CloneFlags::CLONE_NEWNET).is_ok();
        let (true, Ok(other)) = (permitted, thread_told.recv()) else {
            println!("skipped: no network namespaces");
            return;
        };
        if !ip(&["link", "add", "srv0", "type", "veth", "peer", "name", "cli0", "netns", &other.to_string()])
        {
            println!("skipped: no program `ip`, or no virtual interfaces");
            return;
        }
        quiet("srv0");
        assert!(ip(&["address", "add", "10.99.0.1/24", "dev", "srv0"]));
        assert!(ip(&["link", "set", "srv0", "up"]));
        run(async {
            let serving = server();
            tell_ready.send(()).unwrap();
            tokio::select! {
                () = serving => {}
                _ = done => {}
            }
        });
    });
    for thread in [client, server] {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

pub(super) fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).status().is_ok_and(|status| status.success())
}

/// Lets an interface use its link-local address at once and ask for no routers by itself.
fn quiet(interface: &str) {
    for setting in ["accept_dad", "router_solicitations"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{interface}/{setting}"), "0").unwrap();
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// Sends by broadcast from 0.0.0.0:68, as firmware without an address does, and repeats until the answer that it needs
/// is there: a wire that just came up may lose what goes over it, in both directions.
async fn exchange(socket: &UdpSocket, request: &Packet, needed: MessageType) -> (Packet, SocketAddr) {
    let bytes = request.encode(548).bytes;
    soon(async {
        loop {
            socket.send_to(&bytes, (Ipv4Addr::BROADCAST, 67)).await.unwrap();
            let answer = tokio::time::timeout(Duration::from_millis(500), answer(socket, needed)).await;
            if let Ok(answer) = answer {
                return answer;
            }
        }
    })
    .await
}

/// Waits for an answer of a type; another one is a late answer to a request before.
async fn answer(socket: &UdpSocket, needed: MessageType) -> (Packet, SocketAddr) {
    let mut buffer = [0; 1500];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
        let packet = Packet::parse(&buffer[..len]).unwrap();
        if packet.message_type() == Some(needed) {
            return (packet, from);
        }
    }
}

fn serve_dhcp(interface: Option<&str>) -> impl Future<Output = ()> {
    let config = DhcpConfig {
        interfaces: interface.map(str::to_owned).into_iter().collect(),
        ..DhcpConfig::default()
    };
    let service = DhcpService::bind(config).unwrap();
    let range = (Ipv4Addr::new(10, 99, 0, 100), Ipv4Addr::new(10, 99, 0, 110));
    let lab = Lab::new(Subnet::new("link", Ipv4Addr::new(10, 99, 0, 0), 24, range));
    service.run(lab, None, std::future::pending())
}

async fn boot_by_broadcast() {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.bind_device(Some(b"cli0")).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 68)).into()).unwrap();
    let socket = UdpSocket::from_std(socket.into()).unwrap();
    for broadcast in [true, false] {
        let mut request = message(1, MessageType::Discover);
        if broadcast {
            request.set_broadcast();
        }
        let (offer, from) = exchange(&socket, &request, MessageType::Offer).await;
        assert_eq!((offer.chaddr, offer.yiaddr), (mac(1), Ipv4Addr::new(10, 99, 0, 100)));
        assert_eq!(from, SocketAddr::from((Ipv4Addr::new(10, 99, 0, 1), 67)));
        request.options.set(code::MESSAGE_TYPE, [MessageType::Request.code()]);
        request.options.set(code::REQUESTED_ADDRESS, offer.yiaddr.octets());
        request.options.set(code::SERVER_ID, offer.server_id().unwrap().octets());
        let (ack, _) = exchange(&socket, &request, MessageType::Ack).await;
        assert_eq!(ack.yiaddr, offer.yiaddr);
    }
}

#[test]
fn client_without_an_address_is_served_by_broadcast_on_a_named_interface() {
    on_a_wire(|| serve_dhcp(Some("srv0")), boot_by_broadcast);
}

#[test]
fn client_without_an_address_is_served_by_broadcast_on_all_interfaces() {
    on_a_wire(|| serve_dhcp(None), boot_by_broadcast);
}

#[test]
fn window_arrives_where_frames_are_too_short_to_be_cut_by_the_kernel() {
    let (tell_port, port) = mpsc::channel();
    let server = move || async move {
        assert!(ip(&["link", "set", "srv0", "mtu", "1400"]));
        tell_port.send(harness::start().port).unwrap();
        std::future::pending().await
    };
    on_a_wire(server, move || async move {
        assert!(ip(&["address", "add", "10.99.0.2/24", "dev", "cli0"]));
        assert!(ip(&["link", "set", "cli0", "mtu", "1400"]));
        let server = SocketAddr::from(([10, 99, 0, 1], port.recv().unwrap()));
        let client = harness::Client::bound("0.0.0.0:0", server).await;
        let options = [("blksize", "1468"), ("windowsize", "16")];
        let first = client.ask(&harness::request(1, "ipxe.efi", "octet", &options)).await;
        assert!(client.read(first, 1468, 16, |_| false).await[..] == harness::bytes(300_000)[..]);
    });
}
