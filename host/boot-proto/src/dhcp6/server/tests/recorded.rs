//! What real clients sent in the laboratory to a server with this network, and what they get: OVMF 2022.11 by PXE and by
//! HTTP, iPXE 1.0.0+git-20190125, dhclient 4.4.3-P1 and dhcpcd 9.4.1, and dnsmasq 2.90 as a relay agent. All of them went
//! on to use it.

use super::*;
use crate::boot::Firmware;

const RECORDED: &str = include_str!("recorded.hex");

/// The server that the recorded messages name.
const SERVER_UUID: [u8; 16] = *b"dhcp6_serve  lab";

fn recorded() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    RECORDED.lines().map(|line| {
        let (name, digits) = line.split_once(' ').unwrap();
        let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        (name, pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect())
    })
}

fn packet(name: &str) -> Packet {
    let (_, bytes) = recorded().find(|(known, _)| *known == name).unwrap();
    Packet::parse(&bytes).unwrap()
}

fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.server_id = Duid::uuid(SERVER_UUID);
    lab.network.dns = vec![SERVER];
    lab.network.domains = vec!["boot.example".parse().unwrap()];
    lab
}

/// Firmware and loader are on the card of client 1, the operating systems on that of client 0x42.
fn answer(lab: &Lab, name: &str) -> Verdict {
    let client = if name.starts_with("dhc") { 0x42 } else { 1 };
    lab.decide(&packet(name), &from(link_local(client)))
}

fn codes(verdict: &Verdict) -> Vec<u16> {
    reply(verdict).options.iter().map(|(code, _)| code).collect()
}

fn url(verdict: &Verdict) -> Option<&str> {
    reply(verdict).options.bytes(code::BOOT_URL).map(|url| std::str::from_utf8(url).unwrap())
}

#[test]
fn real_packets_are_written_as_they_were_read() {
    for (name, bytes) in recorded() {
        assert_eq!(Packet::parse(&bytes).unwrap().encode(), bytes, "{name}");
    }
}

#[test]
fn addresses_that_real_clients_have_are_theirs_for_ever() {
    let lab = lab();
    let firmware = "fd77::4718:8360:b16e:6733".parse::<Ipv6Addr>().unwrap();
    let system = "fd77::65d:807c:b3ab:51a2".parse::<Ipv6Addr>().unwrap();
    for (name, address) in [
        ("ovmf-pxe-request-plain", firmware),
        ("ovmf-pxe-request-boot", firmware),
        ("ovmf-http-request", firmware),
        ("ipxe-request", firmware),
        ("dhclient-request", system),
        ("dhcpcd-request", system),
    ] {
        let verdict = answer(&lab, name);
        assert_eq!((verdict.reason, &verdict.given[..]), (Reason::Assigned, &[address][..]), "{name}");
    }
    assert_eq!(answer(&lab, "ovmf-pxe-release").released, [firmware]);
    assert_eq!(answer(&lab, "dhclient-release").released, [system]);
    assert_eq!(answer(&lab, "dhclient-confirm").reason, Reason::OnLink);
}

#[test]
fn firmware_asks_twice_and_gets_its_loader_only_when_it_boots() {
    let lab = lab();
    let plain = answer(&lab, "ovmf-pxe-solicit-plain");
    assert_eq!(codes(&plain), [1, 2, 3, 7, 23]);
    assert!(lab.asked.borrow().is_empty(), "it does not say that it wants to boot");
    let boot = answer(&lab, "ovmf-pxe-solicit-boot");
    assert_eq!(codes(&boot), [1, 2, 3, 7, 59, 23]);
    assert_eq!(url(&boot), Some("tftp://[fd77::1]/ipxe.efi"));
    assert_eq!(url(&answer(&lab, "ovmf-pxe-request-boot")), Some("tftp://[fd77::1]/ipxe.efi"));
    let client = lab.asked.borrow()[0];
    assert_eq!((client.firmware, client.architecture, client.mac), (Firmware::PxeUefi, 7, mac(1)));
}

#[test]
fn http_boot_gets_a_url_and_its_own_class_back() {
    let lab = lab();
    for name in ["ovmf-http-solicit", "ovmf-http-request"] {
        let verdict = answer(&lab, name);
        assert_eq!(url(&verdict), Some("http://[fd77::1]:8091/ipxe.efi"), "{name}");
        let class = reply(&verdict).options.bytes(code::VENDOR_CLASS);
        assert_eq!(class, Some(&b"\0\0\x01\x57\0\x0aHTTPClient"[..]), "{name}");
    }
    let client = lab.asked.borrow()[0];
    assert_eq!((client.firmware, client.architecture), (Firmware::HttpUefi, 16));
}

#[test]
fn ipxe_gets_the_script_and_is_the_same_machine_as_its_firmware() {
    let lab = lab();
    for name in ["ipxe-solicit", "ipxe-request"] {
        assert_eq!(url(&answer(&lab, name)), Some("http://[fd77::1]:8091/default.ipxe"), "{name}");
    }
    let _ = answer(&lab, "ovmf-pxe-solicit-boot");
    let [ipxe, _, firmware] = lab.asked.borrow()[..] else { panic!() };
    assert_eq!((ipxe.firmware, firmware.firmware), (Firmware::Ipxe, Firmware::PxeUefi));
    let smbios = *b"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\x52\x54\x00\x77\x00\x01";
    assert_eq!((ipxe.uuid, firmware.uuid), (Some(smbios), Some(smbios)), "though they send it in two orders");
    assert_eq!((ipxe.mac, firmware.mac), (mac(1), mac(1)));
}

/// A machine with a BIOS on a network where another router lets hosts make their addresses, with the flag O.
#[test]
fn ipxe_boots_without_an_address_from_here() {
    let mut lab = lab();
    lab.network.prefix = None;
    let verdict = answer(&lab, "ipxe-bios-information-request");
    assert_eq!((verdict.reason, codes(&verdict)), (Reason::Informed, vec![1, 2, 59, 23, 24]));
    assert_eq!(url(&verdict), Some("http://[fd77::1]:8091/default.ipxe"));
    assert_eq!(lab.asked.borrow()[0].mac, mac(1));
}

#[test]
fn operating_system_gets_names_and_nothing_to_boot() {
    let lab = lab();
    for name in ["dhclient-solicit", "dhcpcd-solicit"] {
        let verdict = answer(&lab, name);
        assert_eq!(codes(&verdict), [1, 2, 3, 7, 23, 24], "{name}");
        assert_eq!(verdict.client.unwrap().macs().collect::<Vec<_>>(), [mac(0x42)], "{name}");
    }
    let verdict = answer(&lab, "dhclient-information-request");
    assert_eq!((verdict.reason, codes(&verdict)), (Reason::Informed, vec![1, 2, 23, 24]));
    let verdict = answer(&lab, "dhclient-solicit-all-kinds");
    assert_eq!(
        codes(&verdict),
        [1, 2, 3, 4, 25, 7, 23, 24],
        "told that there are no temporary ones and prefixes"
    );
    assert!(lab.asked.borrow().is_empty());
}

#[test]
fn relay_agent_tells_the_network_card_and_gets_its_envelope_back() {
    let lab = lab();
    let packet = packet("dnsmasq-relayed-solicit");
    assert_eq!(packet.link(), Some("fd88::1".parse().unwrap()));
    let relay = SocketAddrV6::new("fd77::99".parse().unwrap(), 547, 0, 0);
    let verdict = lab.decide(&packet, &Arrival { peer: relay, server_port: 547, unicast: true });
    assert_eq!(verdict.client.unwrap().hardware, Some(mac(0x43)));
    let reply = verdict.reply.unwrap();
    assert_eq!((reply.to, reply.packet.relays[0].peer), (relay, link_local(0x43)));
}
