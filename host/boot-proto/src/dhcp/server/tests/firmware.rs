//! What each kind of firmware and system is answered.

use super::*;

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
    assert_eq!(site.book.open_offers(), 1);
}
