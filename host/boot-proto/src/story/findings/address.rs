//! Why a client got no address, or no word of what to boot.

use std::net::{IpAddr, Ipv4Addr};

use super::scene::{Scene, Seen};
use super::{Finding, FindingId};
use crate::boot::Firmware;
use crate::dhcp::code;
use crate::story::dhcp_seen::Message;
use crate::story::sighting::{Sighting, What};

/// How long an answer may take before its absence counts. Clients repeat a question after 1 to 4 seconds.
const ANSWER_MS: u64 = 2000;

/// How long a client may think over its offers: OVMF collects them for 3.8 seconds.
const CHOICE_MS: u64 = 6000;

/// Returns what stopped an attempt before it had an address with something to boot.
pub(super) fn stop(scene: &Scene<'_>) -> Option<Finding> {
    if !scene.has(Message::Discover) && scene.attempt.ipv6 {
        return no_answer6(scene).or_else(|| refused6(scene));
    }
    let declined = declined(scene);
    if declined.is_some() || scene.has(Message::Ack) {
        return declined;
    }
    refused(scene)
        .or_else(|| request_unanswered(scene))
        .or_else(|| no_answer(scene))
        .or_else(|| no_request(scene))
}

fn no_answer6(scene: &Scene<'_>) -> Option<Finding> {
    let questions =
        scene.own().filter(|(_, seen)| matches!(&seen.what, What::Dhcp6(seen) if seen.message == 1));
    let questions = questions.map(|(place, _)| place).collect::<Vec<_>>();
    let first = *questions.first()?;
    if !scene.attempt.servers.is_empty() || !scene.is_over(first, ANSWER_MS) {
        return None;
    }
    let text = format!("nobody answered {} for an IPv6 address", times(questions.len(), "question"));
    let remedy =
        "give the network an IPv6 prefix at the endpoint, or turn IPv6 off in the boot order of the machine";
    scene.stop(FindingId::NoAnswer, questions, text, remedy)
}

fn refused6(scene: &Scene<'_>) -> Option<Finding> {
    let refusal = |(place, sighting): (usize, &Sighting)| match &sighting.what {
        What::Dhcp6(seen) if !seen.is_by_client() && seen.addresses.is_empty() => {
            let (code, words) = seen.status.clone()?;
            Some((place, named(sighting.from.address), code, words))
        }
        _ => None,
    };
    let (place, server, code, words) = scene.own().filter_map(refusal).last()?;
    if scene.attempt.address.is_some() {
        return None;
    }
    let text = format!("{server} gave no IPv6 address: status {code} \"{words}\"");
    let remedy = "see whether the server has a prefix for this network with addresses left";
    scene.stop(FindingId::Refused, vec![place], text, remedy)
}

fn no_answer(scene: &Scene<'_>) -> Option<Finding> {
    let (own, relayed): (Vec<_>, Vec<_>) =
        scene.messages(Message::Discover).partition(|(_, question)| question.giaddr.is_none());
    let questions = if own.is_empty() { &relayed } else { &own };
    let questions = questions.iter().map(|(place, _)| *place).collect::<Vec<_>>();
    let first = *questions.first()?;
    if scene.has(Message::Offer) || !scene.is_over(first, ANSWER_MS) {
        return None;
    }
    let forwarded = relayed.first().map(|(place, question)| {
        let relay = named(question.giaddr.map(IpAddr::V4));
        let server = named(scene.at(*place).and_then(|sighting| sighting.to.address));
        format!("; the relay {relay} handed it on to {server}")
    });
    let forwarded = forwarded.unwrap_or_default();
    let text = format!("nobody answered {} for an address{forwarded}", times(questions.len(), "question"));
    let remedy = "see that an enabled subnet covers this network, that the endpoint listens on the interface where \
                  the machine is, and that a relay agent forwards to it where a router lies between";
    scene.stop(FindingId::NoAnswer, questions, text, remedy)
}

fn declined(scene: &Scene<'_>) -> Option<Finding> {
    let (place, seen) = scene.messages(Message::Decline).last()?;
    let without_mask = scene.messages(Message::Ack).find(|(_, ack)| !ack.has(code::SUBNET_MASK));
    if let (true, Some((ack, _))) = (scene.is_uefi(), without_mask) {
        let text = "the client gave the address back: option 1 (subnet mask) is missing, which UEFI firmware insists on";
        return scene.stop(FindingId::OfferWithoutMask, vec![ack, place], text.to_owned(), SEND_THE_MASK);
    }
    let address = seen.requested.map_or_else(|| "the address".to_owned(), |address| address.to_string());
    let mut evidence = vec![place];
    let text = match seen.requested.and_then(|address| holder(scene, address)) {
        Some((witness, holder)) => {
            evidence.push(witness);
            format!("the client gave {address} back, because {holder} uses it")
        }
        None => {
            let words =
                seen.text.as_ref().map(|words| format!(" with the words \"{words}\"")).unwrap_or_default();
            format!(
                "the client gave {address} back{words}: it found another host there, or did not like the ACK"
            )
        }
    };
    let remedy = "take the address out of the subnet's range, or give its holder a reservation";
    scene.stop(FindingId::AddressInUse, evidence, text, remedy)
}

/// Finds another station that says it has an address.
pub(super) fn holder(scene: &Scene<'_>, address: Ipv4Addr) -> Option<(usize, String)> {
    use crate::story::sighting::ArpSeen;
    let mac =
        scene.sightings.iter().find_map(|seen| seen.mac.filter(|_| matches!(seen.what, What::Dhcp(_))))?;
    scene.own().find_map(|(place, seen)| match (&seen.what, seen.mac) {
        (What::Arp(ArpSeen::Has { address: has }), Some(other)) if *has == address && other != mac => {
            Some((place, other.to_string()))
        }
        _ => None,
    })
}

fn refused(scene: &Scene<'_>) -> Option<Finding> {
    let (place, nak) = scene.messages(Message::Nak).last()?;
    let server = named(nak.server_id.map(IpAddr::V4));
    let words = nak.text.as_ref().map(|words| format!(" with the words \"{words}\"")).unwrap_or_default();
    let mut evidence =
        scene.messages(Message::Request).map(|(place, _)| place).last().into_iter().collect::<Vec<_>>();
    evidence.push(place);
    let text = format!("{server} refused the address that the client asked for{words}");
    let remedy = "nothing to do where the client asks anew at once; else see whether its lease was deleted, a \
                  reservation changed, or a second server gives addresses of another network";
    scene.stop(FindingId::Refused, evidence, text, remedy)
}

fn request_unanswered(scene: &Scene<'_>) -> Option<Finding> {
    let requests = scene.messages(Message::Request).collect::<Vec<_>>();
    let (first, request) = *requests.first()?;
    if !scene.is_over(first, ANSWER_MS) {
        return None;
    }
    let server = named(request.server_id.map(IpAddr::V4));
    let places = requests.iter().map(|(place, _)| *place).collect();
    let text = format!(
        "{server} did not answer {} for the address it had offered",
        times(requests.len(), "request")
    );
    let remedy =
        "look into the log of that server; where two servers share a network, let one of them alone answer";
    scene.stop(FindingId::RequestUnanswered, places, text, remedy)
}

/// Offers came and none was taken: looks for what the clients of the laboratory refuse without a word.
fn no_request(scene: &Scene<'_>) -> Option<Finding> {
    let offers = scene.messages(Message::Offer).collect::<Vec<_>>();
    let (first, _) = *offers.first()?;
    if !scene.is_over(first, CHOICE_MS) {
        return None;
    }
    scene.firmware()?;
    let full = offers.iter().filter(|(_, offer)| !offer.is_proxy()).copied().collect::<Vec<_>>();
    let all = |flaw: fn(&Scene<'_>, Seen<'_>) -> bool| {
        !full.is_empty() && full.iter().all(|offer| flaw(scene, *offer))
    };
    let places = || full.iter().map(|(place, _)| *place).collect::<Vec<_>>();
    for (id, flaw, what, remedy) in FLAWS {
        if all(flaw) {
            let decision =
                if id == FindingId::OfferWithoutBootFile { scene.decision() } else { String::new() };
            let text = format!("the client took no offer: {what}{decision}");
            return scene.stop(id, places(), text, remedy);
        }
    }
    let text = format!("the client took none of {}, and they do not show why", times(offers.len(), "offer"));
    let remedy = "compare the offers with what the client asked for in option 55, and watch its screen";
    scene.stop(FindingId::NoRequest, offers.iter().map(|(place, _)| *place).collect(), text, remedy)
}

const SEND_THE_MASK: &str = "let the server send option 1";

/// A flaw that all offers must have to be the reason, with its sentence and what helps.
type Flaw = (FindingId, fn(&Scene<'_>, Seen<'_>) -> bool, &'static str, &'static str);

/// The flaws that stop a client without a word, the surest first.
const FLAWS: [Flaw; 6] = [
    (
        FindingId::OfferWithoutServerId,
        |_, (_, offer)| !offer.has(code::SERVER_ID),
        "option 54 (server identifier) is missing",
        "let the server send option 54 with its own address",
    ),
    (
        FindingId::OfferNotBroadcast,
        offer_not_broadcast,
        "it asked for broadcast answers, and they were sent to the new address alone",
        "let the server broadcast where the broadcast flag of the question is set",
    ),
    (
        FindingId::OfferWithoutMask,
        |scene, (_, offer)| scene.is_uefi() && !offer.has(code::SUBNET_MASK),
        "option 1 (subnet mask) is missing, which UEFI firmware insists on",
        SEND_THE_MASK,
    ),
    (
        FindingId::OfferWithoutBootFile,
        |scene, (_, offer)| {
            // A proxy, or an offer with a boot menu, sends the client on to a boot server.
            let is_sent_on = || {
                scene
                    .messages(Message::Offer)
                    .any(|(_, other)| other.is_proxy() || other.is_class("PXEClient"))
            };
            offer.boot_file.is_none() && !is_sent_on()
        },
        "it names no boot file, and firmware does not look for one in the ACK",
        "let the offer name the boot file; where an endpoint decided so, change the boot environment of the machine",
    ),
    (
        FindingId::HttpOfferWithoutClass,
        |scene, (_, offer)| scene.firmware() == Some(Firmware::HttpUefi) && !offer.is_class("HTTPClient"),
        "UEFI HTTP boot wants option 60 `HTTPClient` back",
        "let the server send option 60 `HTTPClient` to clients whose own option 60 begins so",
    ),
    (
        FindingId::HttpOfferWithoutUrl,
        |scene, (_, offer)| {
            let url = offer.boot_file.as_deref().is_some_and(|file| file.contains("://"));
            scene.firmware() == Some(Firmware::HttpUefi) && !url
        },
        "UEFI HTTP boot wants a URL, and the boot file is a plain name",
        "let the server name a whole URL, as `http://10.0.0.1/loader.efi`, to clients of architecture 15 to 20",
    ),
];

fn offer_not_broadcast(scene: &Scene<'_>, (place, offer): Seen<'_>) -> bool {
    let asked = scene.messages(Message::Discover).any(|(_, question)| question.broadcast);
    let to = scene.at(place).and_then(|sighting| sighting.to.address);
    asked && offer.giaddr.is_none() && to.is_some_and(|to| to != IpAddr::V4(Ipv4Addr::BROADCAST))
}

/// Names a server by its address.
pub(super) fn named(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "the server".to_owned(), |address| address.to_string())
}

/// Writes `the question` or `3 questions`.
pub(super) fn times(count: impl TryInto<u64>, thing: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("the {thing}"),
        count => format!("{count} {thing}s"),
    }
}
