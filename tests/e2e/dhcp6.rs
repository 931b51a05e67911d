//! IPv6 of a running endpoint: a subnet turns it on, and firmware gets its address and loader.

use std::{
    net::{Ipv6Addr, UdpSocket},
    time::Duration,
};

use formwork_boot_proto::dhcp6::{Duid, Message, MessageType, Options, Packet, Relay, code};
use formwork_client::PatchOp;
use serde_json::json;

use crate::endpoint::Endpoint;

const PORT: u16 = 44547;

/// What OVMF sends, by way of a relay agent in a network. A port of its own lets tools ask by unicast.
fn ask(kind: MessageType, server: Option<&[u8]>) -> Option<Message> {
    let mut message = Message::new(kind, [1, 2, 3]);
    message.options.push(code::CLIENT_ID, Duid::uuid([1; 16]).as_bytes());
    if let Some(server) = server {
        message.options.push(code::SERVER_ID, server);
    }
    message.options.push(code::IA_NA, [0; 12]);
    message.options.push(code::OPTION_REQUEST, [0, 23, 0, 59]);
    message.options.push(code::ARCHITECTURE, [0, 7]);
    let (link, peer) = ("fd77::1".parse().unwrap(), "fe80::5054:ff:fe77:1".parse().unwrap());
    let relay = Relay { hop_count: 0, link, peer, options: Options::new() };
    let packet = Packet { relays: vec![relay], ..Packet::direct(message) };
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket.send_to(&packet.encode(), ("::1", PORT)).unwrap();
    let mut buffer = [0; 1500];
    let length = socket.recv(&mut buffer).ok()?;
    Some(Packet::parse(&buffer[..length]).unwrap().message)
}

#[tokio::test]
async fn subnet_with_a_prefix_boots_over_ipv6() {
    if UdpSocket::bind("[::1]:0").is_err() {
        println!("skipped: no IPv6");
        return;
    }
    let endpoint = Endpoint::start_with(&["--dhcp6-port", "44547", "--dhcp-ifs", "lo"]);
    std::fs::write(endpoint.folder().join("tftpboot/ipxe.efi"), "loader").unwrap();
    let client = endpoint.client();
    let unknown = (String::from("unknownBootEnv"), String::from("discovery"));
    client.prefs_set(&[unknown].into()).await.unwrap();
    let subnet = json!({
        "Name": "far", "Subnet": "10.50.0.0/16", "Enabled": true, "ActiveStart": "10.50.1.0", "ActiveEnd": "10.50.1.9",
        "Params": {"dhcp6/prefix": "fd99::/64"},
    });
    client.collection("subnets").create(&subnet).await.unwrap();
    assert_eq!(ask(MessageType::Solicit, None), None, "a relay of another network");
    let prefix = [PatchOp::replace("/Params/dhcp6~1prefix", "fd77::/64")];
    client.collection("subnets").patch("far", &prefix).await.unwrap();
    let advertise = ask(MessageType::Solicit, None).unwrap();
    assert_eq!(advertise.kind, MessageType::Advertise);
    let url = String::from_utf8(advertise.options.bytes(code::BOOT_URL).unwrap().to_vec()).unwrap();
    assert!(url.starts_with("tftp://[::1]/"), "{url}");
    let reply = ask(MessageType::Request, advertise.options.bytes(code::SERVER_ID)).unwrap();
    let [given] = reply.associations()[0].addresses[..] else { panic!("{reply:?}") };
    assert_eq!(given.segments()[..4], Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0).segments()[..4]);
    let stats = client.info().await.unwrap().stats;
    let received = stats.iter().find(|stat| stat.name == "dhcp6.received").unwrap().count;
    assert_eq!(received, 3);
}
