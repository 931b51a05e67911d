//! DHCP of a running endpoint: networks of the API, floods, and crashes in the middle of handshakes.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use formwork_boot_proto::dhcp::{HardwareAddress, MessageType, Packet, code};
use formwork_client::{PatchOp, Query};
use formwork_model::Lease;
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, PATIENCE};

/// A network that clients are in through a relay, so that it needs no card of its own.
const RELAY: Ipv4Addr = Ipv4Addr::new(10, 50, 0, 1);

/// Clients of DHCP behind a relay, all with one socket.
struct Clients {
    socket: UdpSocket,
    port: u16,
}

impl Clients {
    fn new(port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { socket, port }
    }

    fn send(&self, request: &Packet) {
        self.socket.send_to(&request.encode(548).bytes, ("127.0.0.1", self.port)).unwrap();
    }

    /// Returns the next answer; none when there is none for a while.
    fn receive(&self) -> Option<Packet> {
        let mut buffer = [0; 1500];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(Packet::parse(&buffer[..length]).unwrap())
    }

    fn ask(&self, request: &Packet) -> Packet {
        self.send(request);
        loop {
            let answer = self.receive().expect("no answer");
            if answer.xid == request.xid {
                return answer;
            }
        }
    }

    /// Tells whether a request is met with silence: one that is surely answered overtakes none.
    fn is_ignored(&self, request: &Packet) -> bool {
        self.send(request);
        let health = Packet { xid: 0x0bad_cafe, ..health_request() };
        self.send(&health);
        self.receive().expect("no answer").xid == health.xid
    }
}

fn discover(number: u32) -> Packet {
    let [a, b, c, d] = number.to_be_bytes();
    let mut packet = Packet::request(HardwareAddress::ethernet([0x52, 0x54, a, b, c, d]), number);
    packet.options.set(code::MESSAGE_TYPE, [MessageType::Discover.code()]);
    packet.giaddr = RELAY;
    packet
}

fn selecting(number: u32, offer: &Packet) -> Packet {
    let mut packet = discover(number);
    packet.options.set(code::MESSAGE_TYPE, [MessageType::Request.code()]);
    packet.options.set(code::SERVER_ID, offer.server_id().unwrap().octets());
    packet.options.set(code::REQUESTED_ADDRESS, offer.yiaddr.octets());
    packet
}

/// What `drpcli info status` sends (drp-api.md 15.2).
fn health_request() -> Packet {
    let mut packet = Packet::request("de:ad:be:ef:f0:01".parse().unwrap(), 77);
    packet.options.set(code::MESSAGE_TYPE, [MessageType::Request.code()]);
    packet
}

async fn make(endpoint: &Endpoint, kind: &str, object: &Value) {
    endpoint.client().collection(kind).create(object).await.unwrap();
}

fn network(name: &str, start: &str, end: &str) -> Value {
    json!({
        "Name": name, "Subnet": "10.50.0.0/16", "Enabled": true, "ActiveStart": start, "ActiveEnd": end,
        "ActiveLeaseTime": 600, "SkipDAD": true, "Options": [{"Code": 3, "Value": "10.50.0.1"},
        {"Code": 67, "Value": "{{ if eq (index . 77) \"gPXE\" }}one.0{{ end }}"}],
    })
}

#[tokio::test]
async fn networks_of_the_api_are_served_as_soon_as_they_are_made() {
    let endpoint = Endpoint::start();
    let clients = Clients::new(endpoint.ports.dhcp);
    assert!(clients.is_ignored(&discover(1)), "no subnet covers the relay yet");
    make(&endpoint, "subnets", &network("far", "10.50.1.0", "10.50.1.9")).await;
    let mut request = discover(1);
    request.options.set(code::VENDOR_CLASS, "PXEClient");
    request.options.set(code::USER_CLASS, "gPXE");
    let offer = clients.ask(&request);
    assert_eq!((offer.yiaddr, offer.message_type()), ([10, 50, 1, 0].into(), Some(MessageType::Offer)));
    assert_eq!(offer.options.address(code::ROUTER), Some(RELAY));
    assert_eq!(offer.options.bytes(code::BOOT_FILE), Some(&b"one.0"[..]), "a template over what it sent");
    assert_eq!(offer.options.bytes(code::RELAY_AGENT), None);
    let ack = clients.ask(&selecting(1, &offer));
    assert_eq!(ack.message_type(), Some(MessageType::Ack));
    let lease: Lease = serde_json::from_value(
        endpoint.client().collection("leases").show("10.50.1.0", &Query::new()).await.unwrap(),
    )
    .unwrap();
    assert_eq!((lease.state.as_str(), lease.via.as_str()), ("ACK", "10.50.0.1"));

    // A reservation moves the client, and a disabled subnet serves nobody else.
    let token = discover(1).chaddr.to_string();
    make(&endpoint, "reservations", &json!({"Addr": "10.50.9.9", "Token": token, "SkipDAD": true})).await;
    assert_eq!(clients.ask(&discover(1)).yiaddr, Ipv4Addr::new(10, 50, 9, 9));
    let disabled = [PatchOp::replace("/Enabled", false)];
    endpoint.client().collection("subnets").patch("far", &disabled).await.unwrap();
    assert!(clients.is_ignored(&discover(2)));
    assert_eq!(clients.ask(&discover(1)).yiaddr, Ipv4Addr::new(10, 50, 9, 9));
}

#[tokio::test]
async fn health_test_of_the_cli_gets_a_nak_from_the_dhcp_port_and_from_the_boot_servers() {
    // The port is asked for, so it would be an error were it taken.
    let endpoint = Endpoint::start_with(&["--binl-port", "44011"]);
    for port in [endpoint.ports.dhcp, 44011] {
        let answer = Clients::new(port).ask(&health_request());
        assert_eq!(answer.message_type(), Some(MessageType::Nak), "{port}");
    }
}

#[tokio::test]
async fn flood_of_discovers_exhausts_neither_the_range_nor_memory_nor_the_log() {
    const FLOOD: u32 = 100_000;
    let mut endpoint = Endpoint::start();
    // Offers lapse while the flood goes on: a slow machine must still fill the share of strangers.
    make(&endpoint, "subnets", &network("far", "10.50.16.0", "10.50.19.255")).await;
    let clients = Clients::new(endpoint.ports.dhcp);
    let known = discover(0xffff_0001);
    make(&endpoint, "machines", &json!({"Name": "m1", "HardwareAddrs": [known.chaddr.to_string()]})).await;
    assert_eq!(clients.ask(&discover(0xffff_0002)).message_type(), Some(MessageType::Offer));
    let before = endpoint.resident_kib();
    for number in 0..FLOOD {
        let mut request = discover(number);
        request.options.set(code::VENDOR_CLASS, "PXEClient:Arch:00007:UNDI:003000");
        request.options.set(code::ARCHITECTURE, [0, 7]);
        clients.send(&request);
        // So that the flood is what the endpoint takes, not what the system drops, and its answers fit the socket here.
        if number % 100 == 99 {
            let health = Packet { xid: number, ..health_request() };
            while clients.ask(&health).xid != number {}
        }
    }
    let offer = clients.ask(&known);
    assert_eq!(offer.message_type(), Some(MessageType::Offer), "a machine of the inventory has a place");
    assert_eq!(clients.ask(&selecting(0xffff_0001, &offer)).message_type(), Some(MessageType::Ack));
    assert!(clients.is_ignored(&discover(0xffff_0003)), "strangers wait until offers lapse");
    let grown = endpoint.resident_kib().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB for {FLOOD} requests");
    let log = endpoint.stop();
    assert!(log.lines().count() < 100, "{} lines", log.lines().count());
}

#[tokio::test]
async fn no_address_is_given_twice_when_the_endpoint_is_killed_in_the_middle_of_handshakes() {
    const CLIENTS: u32 = 1000;
    let mut endpoint = Endpoint::start();
    // Fewer spare addresses than clients: an address that was forgotten would be given again.
    make(&endpoint, "subnets", &network("far", "10.50.16.0", "10.50.19.255")).await;
    let mut given: HashMap<Ipv4Addr, u32> = HashMap::new();
    let mut waiting: Vec<u32> = (0..CLIENTS).collect();
    let mut kills = 0;
    let started = tokio::time::Instant::now();
    while !waiting.is_empty() {
        assert!(started.elapsed() < PATIENCE, "{} clients have no address", waiting.len());
        let clients = Clients::new(endpoint.ports.dhcp);
        clients.socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let wave: Vec<u32> = waiting.iter().copied().take(250).collect();
        wave.iter().for_each(|number| clients.send(&discover(*number)));
        let mut acks = 0;
        let mut is_dead = false;
        while let Some(answer) = clients.receive() {
            let number = answer.xid;
            match answer.message_type() {
                Some(MessageType::Offer) => clients.send(&selecting(number, &answer)),
                Some(MessageType::Ack) => {
                    let before = given.insert(answer.yiaddr, number);
                    assert!(before.is_none_or(|before| before == number), "{} is given twice", answer.yiaddr);
                    waiting.retain(|other| *other != number);
                    acks += 1;
                }
                other => panic!("{other:?}"),
            }
            // Right in the wave, with offers open, commits under way and answers in the sockets.
            if kills < 5 && acks == 40 + kills * 35 {
                endpoint.kill();
                kills += 1;
                is_dead = true;
                break;
            }
        }
        if is_dead {
            // What had left before the end counts.
            while let Some(answer) = clients.receive() {
                if answer.message_type() == Some(MessageType::Ack) {
                    let before = given.insert(answer.yiaddr, answer.xid);
                    assert!(before.is_none_or(|before| before == answer.xid), "{}", answer.yiaddr);
                    waiting.retain(|other| *other != answer.xid);
                }
            }
            endpoint.start_again();
        }
    }
    // How many waves it takes depends on what was in the sockets at each end.
    assert!(kills >= 3, "{kills}");
    assert_eq!(given.len(), usize::try_from(CLIENTS).unwrap());
    let client = endpoint.client();
    let leases = client.collection("leases");
    for (address, number) in given {
        let lease: Lease =
            serde_json::from_value(leases.show(&address.to_string(), &Query::new()).await.unwrap()).unwrap();
        assert_eq!(lease.token, discover(number).chaddr.to_string(), "{address}");
    }
}
