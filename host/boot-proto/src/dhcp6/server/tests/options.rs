//! What a reply holds beside addresses.

use super::*;
use crate::boot::Firmware;

const PXE: &[u8] = b"\0\0\x01\x57\0\x20PXEClient:Arch:00007:UNDI:003000";
const HTTP: &[u8] = b"\0\0\x01\x57\0\x21HTTPClient:Arch:00016:UNDI:003000";

fn firmware(vendor_class: &[u8], architecture: u8, codes: &[u16]) -> Message {
    let mut message = asking_for(solicit(1), codes);
    message.options.push(code::VENDOR_CLASS, vendor_class);
    message.options.push(code::ARCHITECTURE, [0, architecture]);
    message
}

fn text(message: &Message, code: u16) -> Option<&str> {
    message.options.bytes(code).map(|value| std::str::from_utf8(value).unwrap())
}

#[test]
fn only_what_is_asked_for_is_sent() {
    let mut lab = Lab::new();
    lab.network.dns = vec![SERVER];
    lab.network.domains = vec!["boot.example".parse().unwrap()];
    lab.network.ntp = vec![SERVER];
    let verdict = lab.ask(1, asking_for(solicit(1), &[code::DOMAINS, 999]));
    let codes = reply(&verdict).options.iter().map(|(code, _)| code).collect::<Vec<_>>();
    assert_eq!(codes, [1, 2, 3, 7, 24]);
    let all = [code::DNS, code::DOMAINS, code::SNTP, code::NTP];
    let verdict = lab.ask(1, asking_for(solicit(1), &all));
    let options = &reply(&verdict).options;
    assert_eq!(options.bytes(code::DNS), Some(&SERVER.octets()[..]));
    assert_eq!(options.bytes(code::DOMAINS), Some(&b"\x04boot\x07example\x00"[..]));
    assert_eq!(options.bytes(code::SNTP), Some(&SERVER.octets()[..]));
    assert_eq!(options.bytes(code::NTP), Some(&[&[0, 1, 0, 16][..], &SERVER.octets()].concat()[..]));
    lab.network = Network { prefix: Some(prefix()), ..Network::default() };
    let verdict = lab.ask(1, asking_for(solicit(1), &all));
    assert_eq!(reply(&verdict).options.iter().count(), 4, "nothing empty is sent");
}

#[test]
fn request_for_options_gets_them_with_the_time_to_ask_again_and_no_address() {
    let mut lab = Lab::new();
    lab.network.dns = vec![SERVER];
    let request = message(MessageType::InformationRequest, 1, &[]);
    let verdict = lab.ask(1, asking_for(request, &[code::DNS, code::REFRESH_TIME]));
    let options = &reply(&verdict).options;
    assert_eq!(options.iter().map(|(code, _)| code).collect::<Vec<_>>(), [1, 2, 23, 32]);
    assert_eq!(options.bytes(code::REFRESH_TIME), Some(&3600_u32.to_be_bytes()[..]));
    assert!(verdict.given.is_empty());
}

#[test]
fn each_firmware_gets_its_loader_as_a_url_in_advertise_and_reply() {
    let lab = Lab::new();
    let wanted = [code::BOOT_URL, code::BOOT_PARAMETERS, code::DNS, code::VENDOR_CLASS];
    let verdict = lab.ask(1, firmware(PXE, 7, &wanted));
    assert_eq!(text(reply(&verdict), code::BOOT_URL), Some("tftp://[fd77::1]/ipxe.efi"));
    assert_eq!(reply(&verdict).options.bytes(code::VENDOR_CLASS), None);
    let verdict = lab.ask(1, firmware(HTTP, 16, &wanted));
    assert_eq!(text(reply(&verdict), code::BOOT_URL), Some("http://[fd77::1]:8091/ipxe.efi"));
    let class = b"\0\0\x01\x57\0\x0aHTTPClient";
    assert_eq!(reply(&verdict).options.bytes(code::VENDOR_CLASS), Some(&class[..]));
    let mut request = firmware(PXE, 7, &wanted);
    request.kind = MessageType::Request;
    request.options.push(code::SERVER_ID, lab.server_id.as_bytes());
    request.options.push(code::USER_CLASS, b"\0\x04iPXE".as_slice());
    let verdict = lab.ask(1, request);
    assert_eq!(text(reply(&verdict), code::BOOT_URL), Some("http://[fd77::1]:8091/default.ipxe"));
    let asked = lab.asked.borrow();
    assert!(asked.iter().all(|client| client.mac == mac(1)));
    assert_eq!(asked.last().unwrap().firmware, Firmware::Ipxe);
}

#[test]
fn boot_url_is_for_firmware_that_asks_for_it() {
    let lab = Lab::new();
    let verdict = lab.ask(1, asking_for(solicit(1), &[code::BOOT_URL]));
    assert_eq!(text(reply(&verdict), code::BOOT_URL), None, "an operating system");
    let verdict = lab.ask(1, firmware(PXE, 7, &[code::DNS]));
    assert_eq!(text(reply(&verdict), code::BOOT_URL), None, "not asked for");
    let verdict = lab.ask(1, firmware(PXE, 6, &[code::BOOT_URL]));
    assert_eq!(text(reply(&verdict), code::BOOT_URL), None, "no loader for ia32");
    let mut stateless = firmware(PXE, 7, &[code::BOOT_URL]);
    stateless.kind = MessageType::InformationRequest;
    stateless.options.remove(code::IA_NA);
    let verdict = lab.ask(1, stateless);
    assert_eq!(
        text(reply(&verdict), code::BOOT_URL),
        Some("tftp://[fd77::1]/ipxe.efi"),
        "also without an address"
    );
}

#[test]
fn boot_parameters_have_their_lengths_before_them() {
    let lab = Lab::new();
    let boot = |_: &BootClient| {
        Some(BootUrl { url: "tftp://[fd77::1]/x".to_owned(), parameters: vec!["one".into(), "two=2".into()] })
    };
    let context = Context {
        network: Some(&lab.network),
        server_id: &lab.server_id,
        reservations: &lab.reserved,
        declined: &lab.declined,
        boot: &boot,
    };
    let packet = Packet::direct(firmware(PXE, 7, &[code::BOOT_URL, code::BOOT_PARAMETERS]));
    let verdict = decide(&context, &packet, &from(link_local(1)), 0);
    let parameters = reply(&verdict).options.bytes(code::BOOT_PARAMETERS);
    assert_eq!(parameters, Some(&b"\0\x03one\0\x05two=2"[..]));
}

#[test]
fn what_has_no_room_in_a_packet_of_every_link_is_left_out_and_named() {
    let mut lab = Lab::new();
    let label = "x".repeat(60);
    let long = format!("{label}.{label}.{label}.{label}");
    lab.network.domains = vec![long.parse().unwrap(); 8];
    lab.network.dns = vec![SERVER; 100];
    let reply = lab.ask(1, asking_for(solicit(1), &[code::DNS, code::DOMAINS])).reply.unwrap();
    assert_eq!(reply.omitted, [code::DOMAINS]);
    assert_eq!(reply.packet.message.options.bytes(code::DNS).unwrap().len(), 8 * 16);
    assert!(reply.packet.encode().len() <= 1232);
}
