//! Multicasts of IPv6 over a wire, see `link`.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::mpsc;
use std::time::Duration;

use formwork_boot::{Dhcp6Config, Dhcp6Service, Interface, RaResponder, ServedLinks};
use formwork_boot_proto::dhcp6::{MessageType, Packet, code};
use formwork_boot_proto::ra::{self, Advertisement};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::dhcp6::{Lab6, receive, solicit, table};
use super::link::{ip, on_a_wire};
use super::{soon, until};

const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

fn index(interface: &str) -> u32 {
    nix::net::if_::if_nametoindex(interface).unwrap()
}

async fn serve(interfaces: ServedLinks) {
    let config = Dhcp6Config { interfaces, ..Dhcp6Config::default() };
    Dhcp6Service::bind(config, table()).unwrap().run(Lab6::new(), std::future::pending()).await;
}

/// Asks all servers from port 546 of an interface until one answers: a wire that just came up may lose what goes over
/// it, and has no link-local address at first.
async fn solicit_from(interface: &str) {
    let index = index(interface);
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
    socket.bind_device(Some(interface.as_bytes())).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 546)).into()).unwrap();
    let socket = UdpSocket::from_std(socket.into()).unwrap();
    let bytes = Packet::direct(solicit([1, 2, 3])).encode();
    let servers = SocketAddrV6::new(ALL_SERVERS, 547, 0, index);
    let (advertise, from) = soon(async {
        loop {
            socket.send_to(&bytes, servers).await.ok();
            let answer = tokio::time::timeout(Duration::from_millis(100), receive(&socket)).await;
            if let Ok(answer) = answer {
                return answer;
            }
        }
    })
    .await;
    assert_eq!(advertise.message.kind, MessageType::Advertise);
    assert!(!advertise.message.associations()[0].addresses.is_empty());
    assert!(advertise.message.options.contains(code::BOOT_URL));
    let SocketAddr::V6(from) = from else { panic!("{from}") };
    assert!(from.ip().is_unicast_link_local() && from.port() == 547, "{from}");
}

#[test]
fn client_is_served_by_multicast_on_a_named_interface() {
    on_a_wire(|| serve("srv0".into()), || solicit_from("cli0"));
}

#[test]
fn client_is_served_by_multicast_on_all_interfaces() {
    on_a_wire(|| serve(ServedLinks::All), || solicit_from("cli0"));
}

/// The service is bound while the wire is down.
#[test]
fn interface_that_comes_up_later_is_served() {
    let server = || async {
        assert!(ip(&["link", "set", "srv0", "down"]));
        let service = Dhcp6Service::bind(Dhcp6Config::default(), table()).unwrap();
        assert!(ip(&["link", "set", "srv0", "up"]));
        service.run(Lab6::new(), std::future::pending()).await;
    };
    on_a_wire(server, || solicit_from("cli0"));
}

/// A second wire is laid while the service runs. This takes up to five seconds.
#[test]
fn interface_that_is_made_later_is_served() {
    let (tell_thread, thread_told) = mpsc::channel();
    let server = move || {
        tell_thread.send(nix::unistd::gettid()).unwrap();
        async {
            let second_wire = async {
                until(|| nix::net::if_::if_nametoindex("srv1").is_ok()).await;
                assert!(ip(&["link", "set", "srv1", "up"]));
            };
            tokio::join!(serve(ServedLinks::All), second_wire);
        }
    };
    on_a_wire(server, move || async move {
        let other = thread_told.recv().unwrap().to_string();
        assert!(ip(&["link", "add", "cli1", "type", "veth", "peer", "name", "srv1", "netns", &other]));
        assert!(ip(&["link", "set", "cli1", "up"]));
        solicit_from("cli1").await;
    });
}

#[test]
fn router_solicitation_is_answered_with_no_router() {
    let server = || RaResponder::bind("srv0", table()).unwrap().run(std::future::pending());
    on_a_wire(server, || async {
        let (advertisement, from) = ask_for_routers().await;
        assert_eq!(advertisement.len(), 16);
        assert_ne!(advertisement[2..4], [0, 0], "the kernel wrote the checksum");
        assert_eq!(advertisement[5..8], [0, 0, 0], "no flag, no router");
        assert!(from.ip().is_unicast_link_local());
    });
}

#[test]
fn hosts_are_sent_to_dhcpv6_and_told_the_network_on_all_interfaces() {
    let advertise = |link: &Interface| {
        assert_eq!(link.name, "srv0", "loopback is left out");
        let prefix = Some("fd77::/64".parse().unwrap());
        Advertisement { managed: true, other: true, prefix, ..Advertisement::default() }
    };
    let server = move || {
        let responder = RaResponder::bind(ServedLinks::All, table()).unwrap();
        responder.advertising(advertise).run(std::future::pending())
    };
    on_a_wire(server, || async {
        let (advertisement, _) = ask_for_routers().await;
        assert_eq!(advertisement[5], 0xC0, "flags M and O");
        assert_eq!(advertisement[16..20], [3, 4, 64, 0x80]);
    });
}

/// That it is no router would make hosts forget the route that its routing daemon gave them.
#[test]
fn host_that_forwards_does_not_say_that_it_is_no_router() {
    let (heard, told) = mpsc::channel();
    let server = move || {
        fs::write("/proc/sys/net/ipv6/conf/srv0/forwarding", "1").unwrap();
        let advertise = move |_: &Interface| {
            heard.send(()).ok();
            Advertisement { managed: true, ..Advertisement::default() }
        };
        RaResponder::bind("srv0", table()).unwrap().advertising(advertise).run(std::future::pending())
    };
    on_a_wire(server, move || async move {
        let socket = icmpv6();
        let routers = SocketAddrV6::new(ra::ALL_ROUTERS, 0, 0, index("cli0"));
        // The first call is the announcement, and each one shows that the one before has led to nothing.
        for _ in 0..4 {
            until(|| {
                let _ = socket.try_send_to(&[133, 0, 0, 0, 0, 0, 0, 0], routers.into());
                told.try_recv().is_ok()
            })
            .await;
        }
        let nothing = tokio::time::timeout(Duration::from_millis(1), advertisement(&socket)).await;
        assert!(nothing.is_err(), "{nothing:?}");
    });
}

fn icmpv6() -> UdpSocket {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
    socket.bind_device(Some(b"cli0")).unwrap();
    socket.set_multicast_if_v6(index("cli0")).unwrap();
    socket.set_multicast_hops_v6(255).unwrap();
    socket.set_nonblocking(true).unwrap();
    UdpSocket::from_std(socket.into()).unwrap()
}

async fn ask_for_routers() -> (Vec<u8>, SocketAddrV6) {
    let socket = icmpv6();
    let index = index("cli0");
    let routers = SocketAddrV6::new(ra::ALL_ROUTERS, 0, 0, index);
    // Both ends get their link-local address some time after the wire is up, so the client asks until it is answered,
    // as every IPv6 host does.
    soon(async {
        loop {
            socket.send_to(&[133, 0, 0, 0, 0, 0, 0, 0], routers).await.ok();
            let answer = tokio::time::timeout(Duration::from_millis(100), advertisement(&socket)).await;
            if let Ok((bytes, SocketAddr::V6(from))) = answer {
                return (bytes, from);
            }
        }
    })
    .await
}

async fn advertisement(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 500];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
        if buffer[0] == 134 {
            return (buffer[..len].to_vec(), from);
        }
    }
}

#[test]
fn missing_interface_is_named() {
    let error = RaResponder::bind("no-such-if", table()).unwrap_err();
    assert!(error.to_string().contains("no-such-if"), "{error}");
}
