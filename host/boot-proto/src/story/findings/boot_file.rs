//! Why a client with an address never asked for a file.

use super::address::times;
use super::scene::Scene;
use super::{Finding, FindingId};
use crate::boot::Firmware;
use crate::story::dhcp_seen::Message;
use crate::story::sighting::What;

/// The port of PXE boot servers (PXE specification 2.1, section 2.2.3).
const BOOT_SERVER_PORT: u16 = 4011;

/// How long a client may take from its address to its first file.
const ASK_MS: u64 = 5000;

/// The same for iPXE, which waits 16 s for a router before.
const IPXE_ASK_MS: u64 = 20_000;

/// Returns why an attempt that got an address asked for no file.
pub(super) fn never_asked(scene: &Scene<'_>, firmware: Firmware) -> Option<Finding> {
    if scene.has(Message::Ack) { never_asked4(scene, firmware) } else { never_asked6(scene) }
}

fn never_asked6(scene: &Scene<'_>) -> Option<Finding> {
    let replies =
        scene.own().filter(|(_, seen)| matches!(&seen.what, What::Dhcp6(seen) if seen.message == 7));
    let (last, _) = replies.last()?;
    if !scene.is_over(last, ASK_MS) {
        return None;
    }
    if let Some(file) = scene.boot_file() {
        if is_hidden(file) {
            return None;
        }
        let text = format!("the client was told to load `{file}` and never asked for it");
        let remedy = "see whether the server of that URL can be reached from the client's network over IPv6";
        return scene.stop(FindingId::FileNeverAsked, vec![last], text, remedy);
    }
    let text = "nobody told the client what to boot over IPv6 (option 59)".to_owned();
    let remedy =
        "give the machine a boot environment that boots from the network, or let the server send option 59";
    scene.stop(FindingId::OfferWithoutBootFile, vec![last], text, remedy)
}

/// Tells whether a capture cannot show that a file was asked for.
fn is_hidden(file: &str) -> bool {
    file.starts_with("https://")
}

fn never_asked4(scene: &Scene<'_>, firmware: Firmware) -> Option<Finding> {
    let (confirmed, ack) = scene.messages(Message::Ack).last()?;
    if !scene.is_over(confirmed, if firmware == Firmware::Ipxe { IPXE_ASK_MS } else { ASK_MS }) {
        return None;
    }
    let offers = scene.places(Message::Offer);
    if let Some(finding) = asks_a_boot_server(scene, confirmed) {
        return Some(finding);
    }
    let Some(file) = scene.boot_file() else {
        let text =
            "the client got an address, and nobody told it what to boot".to_owned() + &scene.decision();
        let remedy = "give the machine a boot environment that boots from the network, or let the server name a boot file";
        return scene.stop(FindingId::OfferWithoutBootFile, [offers, vec![confirmed]].concat(), text, remedy);
    };
    if is_hidden(file) {
        return None;
    }
    let in_offer = scene.messages(Message::Offer).any(|(_, offer)| offer.boot_file.is_some());
    if !in_offer && ack.boot_file.is_some() && scene.is_uefi() {
        let text =
            format!("the boot file `{file}` is in the ACK alone, and UEFI firmware reads that of the offer");
        let remedy = "let the offer name the boot file and the next server too";
        return scene.stop(FindingId::FileOnlyInAck, [offers, vec![confirmed]].concat(), text, remedy);
    }
    let without_server = ack.siaddr.is_none() && !file.contains("://");
    if without_server && firmware == Firmware::Ipxe {
        let text = format!("the boot file `{file}` has no server: iPXE does not read option 66");
        let remedy = "let the server fill in the next server field (siaddr), or name a whole URL";
        return scene.stop(FindingId::FileWithoutServer, vec![confirmed], text, remedy);
    }
    let text = format!("the client was told to load `{file}` and never asked for it");
    let remedy = "see whether the next server can be reached from the client's network, and that the capture was \
                  taken where its packets pass";
    scene.stop(FindingId::FileNeverAsked, vec![confirmed], text, remedy)
}

/// Option 60 `PXEClient` without a boot menu sends a client to port 4011, where nobody answers.
fn asks_a_boot_server(scene: &Scene<'_>, confirmed: usize) -> Option<Finding> {
    let to_boot_server = scene.own().filter(|(_, seen)| seen.to.port == Some(BOOT_SERVER_PORT));
    let asked = to_boot_server.map(|(place, _)| place).collect::<Vec<_>>();
    let pxe_class =
        scene.messages(Message::Offer).any(|(_, offer)| offer.is_class("PXEClient") && !offer.pxe_takes_file);
    let unanswered = asked.first().is_some_and(|first| *first > confirmed);
    if !pxe_class || !unanswered {
        return None;
    }
    let text = format!(
        "option 60 `PXEClient` without a boot menu made the client ask a boot server on port {BOOT_SERVER_PORT} \
         instead of loading the boot file, and it got no answer to {}",
        times(asked.len(), "question"),
    );
    let remedy = "leave option 60 out, or add option 43 with the bytes 06 01 08 ff (discovery control: take the \
                  boot file of the offer), or answer on port 4011";
    scene.stop(FindingId::PxeClassWithout43, [scene.places(Message::Offer), asked].concat(), text, remedy)
}
