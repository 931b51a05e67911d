use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::*;
use crate::dhcp::{HardwareAddress, MessageType, Packet, code};
use crate::pcap;

/// Real boots, recorded with the clients and servers that their README names.
const CAPTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/boot/captures");

fn captures() -> Vec<PathBuf> {
    let files = fs::read_dir(CAPTURES).unwrap().map(|entry| entry.unwrap().path());
    let mut files =
        files.filter(|path| path.extension().is_some_and(|end| end == "pcap")).collect::<Vec<_>>();
    files.sort();
    files
}

fn stories(name: &str) -> Vec<Story> {
    let recording = pcap::record(&fs::read(PathBuf::from(CAPTURES).join(name)).unwrap()).unwrap();
    assert_eq!(recording.fault, None, "{name}");
    let machines = machines(&recording.sightings).into_iter();
    machines.map(|mac| Story::tell(mac, &recording.sightings, recording.until_us)).collect()
}

/// `FORMWORK_GOLDEN=write` writes the texts anew.
#[test]
fn each_capture_tells_the_story_that_lies_beside_it() {
    for path in captures() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let found = stories(name).iter().map(Story::to_text).collect::<Vec<_>>().join("\n");
        let expected = path.with_extension("txt");
        if std::env::var_os("FORMWORK_GOLDEN").is_some_and(|value| value == "write") {
            fs::write(&expected, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap();
        for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
            assert_eq!(found, expected, "{name}: line {}", number + 1);
        }
        assert_eq!(found.lines().count(), expected.lines().count(), "{name}");
    }
}

#[test]
fn what_stopped_or_slowed_each_recorded_boot_is_found() {
    use FindingId::*;
    let cases: &[(&str, &[FindingId])] = &[
        ("bios-ipxe.pcap", &[]),
        ("bios-no-ra.pcap", &[SlowProxyWait, SlowRouterWait]),
        ("bios-rogue-server.pcap", &[SeveralServers]),
        ("udhcpc.pcap", &[]),
        ("uefi-chain-loop.pcap", &[ChainLoadLoop]),
        ("uefi-file-only-in-ack.pcap", &[OfferWithoutBootFile]),
        ("uefi-http.pcap", &[]),
        ("uefi-http-without-60.pcap", &[HttpOfferWithoutClass]),
        ("uefi-missing-file.pcap", &[FileMissing]),
        ("uefi-no-mask.pcap", &[OfferWithoutMask, OfferWithoutMask]),
        ("uefi-no-server-id.pcap", &[OfferWithoutServerId]),
        ("uefi-nobody-answers.pcap", &[NoAnswer]),
        ("uefi-pxe.pcap", &[]),
        ("uefi-pxeclient-without-43.pcap", &[PxeClassWithout43, HttpOfferWithoutClass]),
        ("uefi-rogue-server.pcap", &[FileRequestUnanswered, SeveralServers]),
        ("uefi-secure-boot-unsigned.pcap", &[NextStageNeverCame, NextStageNeverCame, NoAnswer]),
        ("uefi-unicast-reply.pcap", &[OfferNotBroadcast]),
        ("uefi-wrong-loader.pcap", &[NextStageNeverCame]),
        ("uefi6-pxe.pcap", &[]),
    ];
    for (name, expected) in cases {
        let found = stories(name)
            .iter()
            .flat_map(|story| &story.findings)
            .map(|finding| finding.id)
            .collect::<Vec<_>>();
        assert_eq!(found, *expected, "{name}");
    }
    assert_eq!(captures().len(), cases.len(), "each capture has its case");
}

#[test]
fn rogue_server_is_named_by_both_its_addresses() {
    let story = &stories("uefi-rogue-server.pcap")[0];
    let finding = story.findings.iter().find(|finding| finding.id == FindingId::SeveralServers).unwrap();
    assert!(
        finding.text.contains("10.77.0.2 (52:54:00:77:00:07) offered 10.77.0.217, boot file `rogue.efi`")
    );
    assert_eq!(story.attempts[0].chosen, Some(Ipv4Addr::new(10, 77, 0, 2)));
}

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 50);

/// A boot that is made up message by message, as the services of an endpoint would note it.
struct Boot {
    sightings: Vec<Sighting>,
    now_us: u64,
    class: &'static str,
    architecture: u16,
}

impl Boot {
    fn uefi() -> Self {
        Self { sightings: Vec::new(), now_us: 1_000_000, class: "PXEClient", architecture: 7 }
    }

    fn see(&mut self, mac: Option<[u8; 6]>, from: Peer, to: Peer, what: What) {
        let mac = mac.map(HardwareAddress::ethernet);
        self.sightings.push(Sighting { at_us: self.now_us, mac, from, to, what });
        self.now_us += 1000;
    }

    fn ask(&mut self, kind: MessageType, fill: impl FnOnce(&mut Packet)) -> &mut Self {
        let mut packet = Packet::request(HardwareAddress::ethernet(MAC), 7);
        packet.options.set(code::MESSAGE_TYPE, [kind.code()]);
        packet.options.set(code::VENDOR_CLASS, self.class);
        packet.options.set(code::ARCHITECTURE, self.architecture.to_be_bytes());
        fill(&mut packet);
        self.see(
            Some(MAC),
            Peer::default(),
            peer(Ipv4Addr::BROADCAST, 67),
            What::Dhcp(Box::new((&packet).into())),
        );
        self
    }

    fn answer(&mut self, kind: MessageType, fill: impl FnOnce(&mut Packet)) -> &mut Self {
        let mut packet = Packet::reply_to(&Packet::request(HardwareAddress::ethernet(MAC), 7));
        packet.yiaddr = ADDRESS;
        packet.siaddr = SERVER;
        packet.file = b"x.efi".to_vec();
        packet.options.set(code::MESSAGE_TYPE, [kind.code()]);
        packet.options.set(code::SERVER_ID, SERVER.octets());
        packet.options.set(code::SUBNET_MASK, [255, 255, 255, 0]);
        fill(&mut packet);
        let to = peer(Ipv4Addr::BROADCAST, 68);
        self.see(Some(MAC), peer(SERVER, 67), to, What::Dhcp(Box::new((&packet).into())));
        self
    }

    /// The four messages that give an address.
    fn address(&mut self) -> &mut Self {
        self.ask(MessageType::Discover, |_| {}).answer(MessageType::Offer, |_| {});
        self.ask(MessageType::Request, |request| request.options.set(code::SERVER_ID, SERVER.octets()));
        self.answer(MessageType::Ack, |_| {})
    }

    fn tftp(&mut self, seen: TftpSeen) -> &mut Self {
        let by_client = matches!(seen, TftpSeen::Request { .. } | TftpSeen::Error { by_client: true, .. });
        let (client, server) = (peer(ADDRESS, 2000), peer(SERVER, 69));
        let (from, to) = if by_client { (client, server) } else { (server, client) };
        self.see(None, from, to, What::Tftp(seen));
        self
    }

    fn request(&mut self, file: &str) -> &mut Self {
        let file = file.to_owned();
        self.tftp(TftpSeen::Request { file, write: false, block_size: None, window: None, size: false })
    }

    /// Tells the story after a time of silence.
    fn after(&self, seconds: u64) -> Story {
        Story::tell(HardwareAddress::ethernet(MAC), &self.sightings, self.now_us + seconds * 1_000_000)
    }

    /// Returns what stopped the boot.
    fn stop(&self) -> Finding {
        let story = self.after(60);
        let Outcome::Stopped(place) = story.outcome else {
            panic!("{:?}: {}", story.outcome, story.to_text())
        };
        story.findings[place].clone()
    }
}

fn peer(address: Ipv4Addr, port: u16) -> Peer {
    Peer { mac: None, address: Some(address.into()), port: Some(port) }
}

#[test]
fn silence_counts_only_after_the_time_that_clients_take() {
    let mut boot = Boot::uefi();
    boot.ask(MessageType::Discover, |_| {});
    assert_eq!(boot.after(1).outcome, Outcome::UnderWay);
    assert_eq!(boot.stop().id, FindingId::NoAnswer);
    boot.answer(MessageType::Offer, |_| {});
    assert_eq!(boot.after(4).outcome, Outcome::UnderWay, "OVMF collects offers for 3.8 s");
    assert_eq!(boot.stop().id, FindingId::NoRequest);
    boot.ask(MessageType::Request, |request| request.options.set(code::SERVER_ID, SERVER.octets()));
    assert_eq!(boot.after(1).outcome, Outcome::UnderWay);
    assert_eq!(boot.stop().id, FindingId::RequestUnanswered);
    boot.answer(MessageType::Ack, |_| {});
    assert_eq!(boot.after(3).outcome, Outcome::UnderWay);
    assert_eq!(boot.stop().id, FindingId::FileNeverAsked);
    boot.request("x.efi");
    assert_eq!(boot.stop().id, FindingId::FileRequestUnanswered);
    boot.tftp(TftpSeen::Done { file: "x.efi".into(), bytes: 9, millis: 1 });
    assert_eq!(boot.after(10).outcome, Outcome::UnderWay, "a loader shows its banner first");
    assert_eq!(boot.stop().id, FindingId::NextStageNeverCame);
}

#[test]
fn flaws_of_an_offer_are_the_reason_only_when_all_offers_have_them() {
    let mut boot = Boot::uefi();
    boot.ask(MessageType::Discover, Packet::set_broadcast);
    boot.answer(MessageType::Offer, |offer| drop(offer.options.remove(code::SERVER_ID)));
    assert_eq!(boot.stop().id, FindingId::OfferWithoutServerId);
    boot.answer(MessageType::Offer, |_| {});
    assert_eq!(boot.stop().id, FindingId::NoRequest);
}

#[test]
fn refusal_and_conflict_name_their_witness() {
    let mut boot = Boot::uefi();
    boot.ask(MessageType::Request, |request| request.options.set(code::REQUESTED_ADDRESS, ADDRESS.octets()));
    boot.answer(MessageType::Nak, |nak| {
        nak.yiaddr = Ipv4Addr::UNSPECIFIED;
        nak.options.set(code::MESSAGE, "wrong network");
    });
    let finding = boot.stop();
    assert_eq!((finding.id, finding.evidence.as_slice()), (FindingId::Refused, &[0, 1][..]));
    assert!(finding.text.contains("wrong network"), "{}", finding.text);

    let mut boot = Boot::uefi();
    boot.address();
    let has = What::Arp(ArpSeen::Has { address: ADDRESS });
    boot.see(Some([2, 0, 0, 0, 0, 99]), Peer::default(), Peer::default(), has);
    let warned = boot.after(0).findings;
    assert_eq!((warned[0].id, warned[0].severity), (FindingId::AddressInUse, Severity::Warning));
    boot.ask(MessageType::Decline, |decline| decline.options.set(code::REQUESTED_ADDRESS, ADDRESS.octets()));
    let finding = boot.stop();
    assert_eq!((finding.id, finding.evidence.as_slice()), (FindingId::AddressInUse, &[5, 4][..]));
    assert!(finding.text.contains("02:00:00:00:00:63"), "{}", finding.text);
}

#[test]
fn each_end_of_a_transfer_has_its_reason() {
    let file = || "x.efi".to_owned();
    let refused =
        |code| TftpSeen::Error { file: file(), code, text: "no".into(), by_client: false, bytes: 0 };
    let unfinished = |acknowledged| TftpSeen::Unfinished {
        file: file(),
        bytes: 1024,
        acknowledged,
        answered: true,
        millis: 5,
    };
    let cases = [
        (refused(1), FindingId::FileMissing),
        (refused(2), FindingId::FileRefused),
        (unfinished(None), FindingId::TransferNotBegun),
        (unfinished(Some(2)), FindingId::TransferStalled),
        (
            TftpSeen::Error { file: file(), code: 8, text: "no".into(), by_client: true, bytes: 0 },
            FindingId::TransferGivenUp,
        ),
    ];
    for (seen, expected) in cases {
        let mut boot = Boot::uefi();
        boot.address().request("x.efi").tftp(seen);
        let finding = boot.stop();
        assert_eq!(finding.id, expected);
        assert!(finding.text.contains("x.efi") && !finding.remedy.is_empty());
    }
}

#[test]
fn address_without_a_boot_file_or_its_server_is_told() {
    let mut boot = Boot::uefi();
    boot.ask(MessageType::Discover, |_| {}).answer(MessageType::Offer, |offer| offer.file.clear());
    boot.ask(MessageType::Request, |_| {}).answer(MessageType::Ack, |_| {});
    assert_eq!(boot.stop().id, FindingId::FileOnlyInAck);

    let mut boot = Boot::uefi();
    boot.ask(MessageType::Discover, |packet| packet.options.set(code::USER_CLASS, "iPXE"));
    boot.answer(MessageType::Offer, |_| {});
    boot.ask(MessageType::Request, |packet| packet.options.set(code::USER_CLASS, "iPXE"));
    boot.answer(MessageType::Ack, |ack| ack.siaddr = Ipv4Addr::UNSPECIFIED);
    assert_eq!(boot.stop().id, FindingId::FileWithoutServer);

    let mut boot = Boot::uefi();
    let nothing = |packet: &mut Packet| packet.file.clear();
    boot.ask(MessageType::Discover, |_| {}).answer(MessageType::Offer, nothing);
    boot.ask(MessageType::Request, |_| {}).answer(MessageType::Ack, nothing);
    assert_eq!(boot.stop().id, FindingId::OfferWithoutBootFile);
}

#[test]
fn server_without_a_boot_file_that_wins_is_named() {
    let other = Ipv4Addr::new(10, 0, 0, 2);
    let mut boot = Boot::uefi();
    boot.ask(MessageType::Discover, |_| {}).answer(MessageType::Offer, |_| {});
    boot.answer(MessageType::Offer, |offer| {
        offer.file.clear();
        offer.options.set(code::SERVER_ID, other.octets());
    });
    boot.ask(MessageType::Request, |request| request.options.set(code::SERVER_ID, other.octets()));
    let findings = boot.after(0).findings;
    assert_eq!(findings[0].id, FindingId::OtherServerWon);
    assert!(findings[0].text.starts_with("the client took the offer of 10.0.0.2"), "{}", findings[0].text);
}

#[test]
fn proxy_is_no_second_server() {
    let mut boot = Boot::uefi();
    boot.ask(MessageType::Discover, |_| {}).answer(MessageType::Offer, |_| {});
    boot.answer(MessageType::Offer, |offer| {
        offer.yiaddr = Ipv4Addr::UNSPECIFIED;
        offer.options.set(code::SERVER_ID, [10, 0, 0, 2]);
    });
    assert_eq!(boot.after(0).findings, []);
}

#[test]
fn story_holds_the_machine_alone_and_follows_its_address() {
    let mut boot = Boot::uefi();
    boot.address();
    let other = Peer { address: Some(Ipv4Addr::new(10, 0, 0, 51).into()), ..Peer::default() };
    let get = HttpSeen::Request { method: "GET".into(), target: "/y".into(), host: None, agent: None };
    boot.see(None, other, peer(SERVER, 80), What::Http(get.clone()));
    // A router stands before the machine, so the frame has that one's hardware address.
    boot.see(Some([2, 0, 0, 0, 0, 77]), peer(ADDRESS, 4000), peer(SERVER, 80), What::Http(get));
    let story = boot.after(0);
    assert_eq!(story.sightings.len(), 5);
    assert_eq!(story.attempts[0].files.len(), 1);
    assert_eq!(story.addresses, [std::net::IpAddr::from(ADDRESS)]);
    assert_eq!(Story::tell(HardwareAddress::ethernet([2; 6]), &boot.sightings, 0).outcome, Outcome::Unseen);
}

#[test]
fn story_is_data_that_reads_back() {
    let story = &stories("uefi6-pxe.pcap")[0];
    let json = serde_json::to_string(story).unwrap();
    assert_eq!(&serde_json::from_str::<Story>(&json).unwrap(), story);
}

#[test]
fn name_of_a_finding_is_the_one_in_its_json() {
    for finding in [FindingId::NoAnswer, FindingId::PxeClassWithout43, FindingId::SlowRouterWait] {
        assert_eq!(serde_json::to_value(finding).unwrap(), finding.name());
    }
}
