use std::net::SocketAddrV6;

use formwork_boot_proto::dhcp6::{Message, MessageType, server::Arrival};
use formwork_model::{BootEnv, Machine, Object, Subnet};
use serde_json::json;

use super::*;
use crate::testing::{Site as Place, Wishes};

const CARD: &str = "52:54:00:77:00:01";

/// The link-local address of the card.
const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe77, 1);

async fn put(place: &Place, object: impl Object + 'static) {
    let object: Arc<dyn Object> = Arc::new(object);
    let written = place.endpoint.store.write("user:anna", move |tx| {
        tx.put(object);
        Ok::<(), std::convert::Infallible>(())
    });
    written.await.unwrap();
}

/// Returns a place in whose loopback network, of 127.0.0.1 and ::1, a machine boots.
async fn place() -> (Place, Handler) {
    let place = Place::new(Wishes::default());
    std::fs::write(place.folder.path().join("ipxe.efi"), "loader").unwrap();
    let members = json!({
        "Name": "lab", "Subnet": "127.0.0.0/8", "Enabled": true, "Strategy": "MAC",
        "Params": {"dhcp6/prefix": "fd77::/64", "dhcp6/router-lifetime": 1800},
    });
    put(&place, serde_json::from_value::<Subnet>(members).unwrap()).await;
    put(&place, BootEnv { name: "install".into(), kernel: "vmlinuz".into(), ..BootEnv::default() }).await;
    let machine = Machine {
        uuid: "u-1".into(),
        name: "m1".into(),
        hardware_addrs: vec![CARD.into()],
        boot_env: "install".into(),
        ..Machine::default()
    };
    put(&place, machine).await;
    let networks = Arc::new(Mutex::new(Networks::new(&place.endpoint.store)));
    let handler = Handler::new(&place.endpoint, networks);
    (place, handler)
}

fn loopback() -> Arc<Interface> {
    let interfaces = InterfaceTable::read().unwrap().current();
    let mut loopback = interfaces.by_name("lo").unwrap().clone();
    // Some hosts have no IPv6 there.
    loopback.ipv6_addresses = vec![Ipv6Addr::LOCALHOST];
    Arc::new(loopback)
}

async fn answer(handler: &Handler, message: Message) -> Option<Message> {
    let peer = SocketAddrV6::new(CLIENT, 546, 0, 1);
    let arrival = Arrival { peer, server_port: 547, unicast: false };
    let received = Dhcp6Received { arrival, interface: loopback() };
    let answer = handler.handle(Packet::direct(message), received).await?;
    Some(Packet::parse(&answer.bytes).unwrap().message)
}

/// What OVMF sends; with the name of the server, the request that follows.
fn message(kind: MessageType, server: Option<&Duid>) -> Message {
    let mut message = Message::new(kind, [1, 2, 3]);
    message.options.push(code::CLIENT_ID, Duid::uuid([1; 16]).as_bytes());
    if let Some(server) = server {
        message.options.push(code::SERVER_ID, server.as_bytes());
    }
    message.options.push(code::IA_NA, [0; 12]);
    message.options.push(code::OPTION_REQUEST, [0, 23, 0, 59]);
    message.options.push(code::ARCHITECTURE, [0, 7]);
    message
}

fn url(message: &Message) -> Option<String> {
    message.options.bytes(code::BOOT_URL).map(|url| String::from_utf8(url.to_vec()).unwrap())
}

#[tokio::test]
async fn firmware_of_a_machine_gets_its_address_and_its_loader_at_the_address_of_the_link() {
    let (place, handler) = place().await;
    let advertise = answer(&handler, message(MessageType::Solicit, None)).await.unwrap();
    assert_eq!(url(&advertise).as_deref(), Some("tftp://[::1]/ipxe.efi"));
    let reply = answer(&handler, message(MessageType::Request, Some(&handler.server_id))).await.unwrap();
    let given = reply.associations()[0].addresses[0];
    assert!(is_of_card(&place.endpoint.snapshot(), given, CARD.parse().unwrap()));
    assert_eq!(url(&reply), url(&advertise));
    let mut ipxe = message(MessageType::Solicit, None);
    ipxe.options.push(code::USER_CLASS, *b"\0\x04iPXE");
    let script = url(&answer(&handler, ipxe).await.unwrap()).unwrap();
    let files = format!("http://[::1]:{}/", place.endpoint.options.static_port);
    assert!(script.starts_with(&files) && script.ends_with(".ipxe"), "{script}");
    let machine = formwork_model::ObjectsExt::get::<Machine>(&place.endpoint.snapshot(), "u-1").unwrap();
    assert_eq!(machine.address, "", "it is the one of IPv4");
}

#[tokio::test]
async fn declined_address_is_not_given_again() {
    let (_place, handler) = place().await;
    let request = || message(MessageType::Request, Some(&handler.server_id));
    let first = answer(&handler, request()).await.unwrap().associations()[0].addresses[0];
    let mut decline = message(MessageType::Decline, Some(&handler.server_id));
    let address = [&[0, 5, 0, 24][..], &first.octets(), &[0; 8]].concat();
    decline.options = Default::default();
    decline.options.push(code::CLIENT_ID, Duid::uuid([1; 16]).as_bytes());
    decline.options.push(code::SERVER_ID, handler.server_id.as_bytes());
    decline.options.push(code::IA_NA, [&[0; 12][..], &address].concat());
    assert!(answer(&handler, decline).await.is_some());
    let second = answer(&handler, request()).await.unwrap().associations()[0].addresses[0];
    assert_ne!(second, first);
}

#[tokio::test]
async fn where_no_subnet_has_ipv6_there_is_silence_and_no_router() {
    let (place, handler) = place().await;
    let networks = || locked(&handler.networks);
    let told = |served: Option<Arc<Served>>| advertisement(served.as_deref(), &loopback());
    let with = told(of_interface(&networks(), None, &loopback()));
    assert!(with.managed && with.other && with.router_secs == 1800);
    assert_eq!(with.prefix, "fd77::/64".parse().ok());
    let members = json!({"Name": "lab", "Subnet": "127.0.0.0/8", "Enabled": true, "Strategy": "MAC"});
    put(&place, serde_json::from_value::<Subnet>(members).unwrap()).await;
    assert!(answer(&handler, message(MessageType::Solicit, None)).await.is_none());
    assert!(!told(of_interface(&networks(), None, &loopback())).is_repeated());
}

#[test]
fn server_is_the_same_after_every_start_and_another_for_each_endpoint() {
    assert_eq!(server_id("a"), server_id("a"));
    assert_ne!(server_id("a"), server_id("b"));
}
