//! Boots that are made up message by message, for what no recorded boot shows.

use std::net::Ipv4Addr;

use super::super::*;
use crate::dhcp::{HardwareAddress, MessageType, Packet, code};

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
fn each_end_of_an_http_answer_has_its_reason() {
    let target = || "/boot.ipxe".to_owned();
    let done = |status| HttpSeen::Done { target: target(), status, bytes: 9, millis: 1 };
    let broken = |status| {
        let end = HttpEnd::Reset;
        HttpSeen::Broken { target: target(), status, bytes: 5, length: Some(9), end, millis: 1 }
    };
    let cases = [
        (done(404), FindingId::FileMissing, "10.0.0.1 has no file `/boot.ipxe`"),
        (done(403), FindingId::FileRefused, "code 403 of HTTP"),
        (broken(Some(500)), FindingId::FileRefused, "code 500 of HTTP"),
        (broken(Some(200)), FindingId::TransferStalled, "stopped at 5 of 9 bytes"),
        (broken(None), FindingId::FileRequestUnanswered, "did not answer the request"),
    ];
    for (seen, expected, words) in cases {
        let mut boot = Boot::uefi();
        boot.address();
        let get = HttpSeen::Request { method: "GET".into(), target: target(), host: None, agent: None };
        boot.see(None, peer(ADDRESS, 4000), peer(SERVER, 80), What::Http(get));
        boot.see(None, peer(SERVER, 80), peer(ADDRESS, 4000), What::Http(seen));
        let finding = boot.stop();
        assert_eq!(finding.id, expected);
        assert!(finding.text.contains(words), "{}", finding.text);
    }
}

#[test]
fn transfer_that_runs_when_watching_ends_is_no_failure() {
    let unfinished = TftpSeen::Unfinished {
        file: "x.efi".into(),
        bytes: 1024,
        acknowledged: Some(2),
        answered: true,
        millis: 5,
    };
    let mut boot = Boot::uefi();
    boot.address().request("x.efi").tftp(unfinished);
    assert_eq!(boot.after(2).outcome, Outcome::UnderWay);
    assert_eq!(boot.stop().id, FindingId::TransferStalled);
    let reset = HttpSeen::Broken {
        target: "/x.efi".into(),
        status: Some(200),
        bytes: 5,
        length: Some(9),
        end: HttpEnd::Reset,
        millis: 1,
    };
    let mut boot = Boot::uefi();
    let get = HttpSeen::Request { method: "GET".into(), target: "/x.efi".into(), host: None, agent: None };
    boot.address().see(None, peer(ADDRESS, 4000), peer(SERVER, 80), What::Http(get));
    boot.see(None, peer(SERVER, 80), peer(ADDRESS, 4000), What::Http(reset));
    assert!(matches!(boot.after(0).outcome, Outcome::Stopped(_)), "a reset is the end");
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
    let mut boot = Boot::uefi();
    boot.address().request("x.efi");
    let other = peer(Ipv4Addr::new(10, 0, 0, 9), 3000);
    boot.see(None, other, peer(ADDRESS, 2000), What::Tftp(unfinished(None)));
    assert_eq!(boot.stop().id, FindingId::AnswerFromAnotherAddress);
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

    let mut boot = Boot::uefi();
    let secure = |packet: &mut Packet| packet.file = b"https://10.0.0.1/x.efi".to_vec();
    boot.ask(MessageType::Discover, |_| {}).answer(MessageType::Offer, secure);
    boot.ask(MessageType::Request, |_| {}).answer(MessageType::Ack, secure);
    assert_eq!(boot.after(60).outcome, Outcome::UnderWay, "a request inside of TLS is not seen");
}

#[test]
fn rule_of_the_endpoint_that_boots_nothing_is_named() {
    let nothing = |packet: &mut Packet| packet.file.clear();
    let mut boot = Boot::uefi();
    boot.ask(MessageType::Discover, |_| {});
    let decision = DecisionSeen { rule: "unknown-machine".to_owned(), boot: None };
    boot.see(Some(MAC), Peer::default(), Peer::default(), What::Decision(decision.clone()));
    boot.answer(MessageType::Offer, nothing);
    let finding = boot.stop();
    assert_eq!(finding.id, FindingId::OfferWithoutBootFile);
    assert!(finding.text.contains("by the rule `unknown-machine`"), "{}", finding.text);
    boot.ask(MessageType::Request, |_| {}).answer(MessageType::Ack, nothing);
    assert!(boot.stop().text.contains("by the rule `unknown-machine`"));
    assert_eq!(boot.after(0).attempts[0].decision, Some(decision));
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
fn sub_options_that_save_a_wait_are_seen() {
    let mut boot = Boot::uefi();
    boot.answer(MessageType::Offer, |offer| offer.options.set(code::VENDOR_SPECIFIC, [6, 1, 8, 255]));
    boot.answer(MessageType::Offer, |offer| offer.options.set(code::VENDOR_SPECIFIC, [6, 1, 3, 255]));
    boot.answer(MessageType::Offer, |offer| offer.options.set(code::IPXE, [0, 0xb0, 1, 1]));
    boot.answer(MessageType::Offer, |offer| offer.options.set(code::IPXE, [0xb0, 1, 0]));
    let flags = boot.sightings.iter().map(|sighting| match &sighting.what {
        What::Dhcp(seen) => (seen.pxe_takes_file, seen.ipxe_no_proxy),
        other => panic!("{other:?}"),
    });
    assert_eq!(flags.collect::<Vec<_>>(), [(true, false), (false, false), (false, true), (false, false)]);
}

#[test]
fn relay_that_hands_a_question_on_is_named_when_nobody_answers() {
    let mut boot = Boot::uefi();
    boot.ask(MessageType::Discover, |_| {});
    boot.ask(MessageType::Discover, |question| question.giaddr = Ipv4Addr::new(10, 0, 9, 1));
    boot.sightings.last_mut().unwrap().to = peer(SERVER, 67);
    let finding = boot.stop();
    assert_eq!(finding.evidence, [0]);
    assert_eq!(
        finding.text,
        "nobody answered the question for an address; the relay 10.0.9.1 handed it on to 10.0.0.1"
    );
}

#[test]
fn answer_through_a_relay_may_go_to_one_address() {
    let mut boot = Boot::uefi();
    boot.ask(MessageType::Discover, Packet::set_broadcast);
    boot.answer(MessageType::Offer, |offer| offer.giaddr = Ipv4Addr::new(10, 0, 0, 254));
    boot.sightings.last_mut().unwrap().to = peer(Ipv4Addr::new(10, 0, 0, 254), 67);
    assert_eq!(boot.stop().id, FindingId::NoRequest);
    let What::Dhcp(seen) = &mut boot.sightings.last_mut().unwrap().what else { panic!("an offer") };
    seen.giaddr = None;
    assert_eq!(boot.stop().id, FindingId::OfferNotBroadcast);
}

#[test]
fn ipv6_address_that_is_refused_names_the_words_of_the_server() {
    let mut boot = Boot::uefi();
    let mut message = |message, status| {
        let seen = Dhcp6Seen { message, architecture: Some(7), status, ..Dhcp6Seen::default() };
        boot.see(Some(MAC), Peer::default(), Peer::default(), What::Dhcp6(Box::new(seen)));
    };
    message(1, None);
    message(2, Some((2, "none left".to_owned())));
    let finding = boot.stop();
    assert_eq!((finding.id, finding.evidence.as_slice()), (FindingId::Refused, &[1][..]));
    assert!(finding.text.contains("none left"), "{}", finding.text);
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
