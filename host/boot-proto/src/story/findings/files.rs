//! Why a client with an address did not boot from it.

use super::address::{named, times};
use super::scene::Scene;
use super::{Finding, FindingId, Severity};
use crate::boot::Firmware;
use crate::story::attempt::{FileOutcome, FileSeen, Protocol};
use crate::story::dhcp_seen::Message;

/// The port of PXE boot servers (PXE specification 2.1, section 2.2.3).
const BOOT_SERVER_PORT: u16 = 4011;

/// The code of TFTP for a file that is not there, and the status of HTTP.
const TFTP_NOT_FOUND: u16 = 1;
const HTTP_NOT_FOUND: u16 = 404;

/// How long a client may take from its address to its first file.
const ASK_MS: u64 = 5000;

/// How long a loader may take until it is seen again: iPXE shows a banner for 2 s and may wait 16 s for a router.
const START_MS: u64 = 20_000;

/// Returns what stopped an attempt behind its address.
pub(super) fn stop(scene: &Scene<'_>) -> Option<Finding> {
    let firmware = scene.firmware()?;
    match scene.attempt.files.last() {
        None => nothing_asked(scene, firmware),
        Some(file) => match &file.outcome {
            FileOutcome::Done { .. } => next_stage(scene, file),
            // A packet that the capture missed is no failure where the file did its work.
            _ if scene.went_on() => None,
            outcome => failed(scene, file, outcome),
        },
    }
}

fn nothing_asked(scene: &Scene<'_>, firmware: Firmware) -> Option<Finding> {
    let (confirmed, ack) = scene.messages(Message::Ack).last()?;
    if !scene.is_over(confirmed, ASK_MS) {
        return None;
    }
    let offers = scene.places(Message::Offer);
    let to_boot_server = scene.own().filter(|(_, seen)| seen.to.port == Some(BOOT_SERVER_PORT));
    let asked = to_boot_server.map(|(place, _)| place).collect::<Vec<_>>();
    let pxe_class =
        scene.messages(Message::Offer).any(|(_, offer)| offer.is_class("PXEClient") && !offer.pxe_takes_file);
    if pxe_class && !asked.is_empty() {
        let text = format!(
            "option 60 `PXEClient` without a boot menu made the client ask a boot server on port {BOOT_SERVER_PORT} \
             ({}) instead of loading the boot file",
            times(asked.len(), "question"),
        );
        let remedy = "leave option 60 out, or add option 43 with the bytes 06 01 08 ff (discovery control: take the \
                      boot file of the offer), or answer on port 4011";
        return scene.stop(FindingId::PxeClassWithout43, [offers, asked].concat(), text, remedy);
    }
    let Some(file) = scene.boot_file() else {
        let text = "the client got an address, and nobody told it what to boot".to_owned();
        let remedy = "give the machine a boot environment that boots from the network, or let the server name a boot file";
        return scene.stop(FindingId::OfferWithoutBootFile, [offers, vec![confirmed]].concat(), text, remedy);
    };
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

fn failed(scene: &Scene<'_>, file: &FileSeen, outcome: &FileOutcome) -> Option<Finding> {
    let name = &file.name;
    let server = named(file.server);
    let evidence = if file.last == file.asked { vec![file.asked] } else { vec![file.asked, file.last] };
    let protocol = match file.protocol {
        Protocol::Tftp => "TFTP",
        Protocol::Http => "HTTP",
    };
    match outcome {
        FileOutcome::Refused { code, text } => {
            let missing = match file.protocol {
                Protocol::Tftp => *code == TFTP_NOT_FOUND,
                Protocol::Http => *code == HTTP_NOT_FOUND,
            };
            if missing {
                let text = format!("{server} has no file `{name}`");
                let remedy =
                    format!("put `{name}` into the files of that server, or name a loader that is there");
                return scene.stop(FindingId::FileMissing, evidence, text, remedy);
            }
            let words = if text.is_empty() { String::new() } else { format!(" (\"{text}\")") };
            let text = format!("{server} refused the file `{name}` with code {code} of {protocol}{words}");
            let remedy =
                "look into the log of that server: the file is there or secret, but may not be read so";
            scene.stop(FindingId::FileRefused, evidence, text, remedy)
        }
        FileOutcome::Unanswered => {
            if !scene.is_over(file.asked, ASK_MS) {
                return None;
            }
            let text = format!(
                "{server} did not answer {} for `{name}` by {protocol}",
                times(file.requests as usize, "request")
            );
            let remedy = "see that a file server runs at that address, and that no firewall lies between";
            scene.stop(FindingId::FileRequestUnanswered, evidence, text, remedy)
        }
        FileOutcome::GivenUp { code, text } => {
            if !scene.is_over(file.last, ASK_MS) {
                return None;
            }
            let text =
                format!("the client gave up `{name}` with code {code} (\"{text}\") and did not ask again");
            let remedy = "a client that is out of memory or does not like the confirmed options does so: take a smaller \
                          loader, or another one";
            scene.stop(FindingId::TransferGivenUp, evidence, text, remedy)
        }
        FileOutcome::Stopped { acknowledged: None, end: None, .. } => {
            let text = format!("{server} answered the request for `{name}`, and the client did not hear it");
            let remedy = "TFTP answers from another port than 69: let the firewall pass UDP from all ports of the server, \
                          and see that it answers from the address that was asked";
            scene.stop(FindingId::TransferNotBegun, evidence, text, remedy)
        }
        FileOutcome::Stopped { bytes, length, acknowledged, .. } => {
            let of = length.map(|length| format!(" of {length}")).unwrap_or_default();
            let block = acknowledged
                .map(|block| format!(", block {block} was the last one acknowledged"))
                .unwrap_or_default();
            let text = format!("`{name}` from {server} stopped at {bytes}{of} bytes{block}");
            let remedy = "see whether large packets get lost on the way (compare the MTU of both ends with the block \
                          size), and whether the client was turned off";
            scene.stop(FindingId::TransferStalled, evidence, text, remedy)
        }
        FileOutcome::UnderWay | FileOutcome::Done { .. } => None,
    }
}

/// A whole file must lead to something: the loader's own questions, or an operating system.
fn next_stage(scene: &Scene<'_>, file: &FileSeen) -> Option<Finding> {
    if scene.went_on() || !scene.is_over(file.last, START_MS) {
        return None;
    }
    let name = &file.name;
    let evidence = vec![file.asked, file.last];
    if scene.firmware() == Some(Firmware::Ipxe) {
        let text =
            format!("iPXE loaded `{name}` as the last file, and nothing was seen of the machine after it");
        let remedy = "watch its screen or serial line: the kernel may have no driver for the network card, or not ask \
                      for an address";
        return Some(scene.finding(FindingId::NextStageNeverCame, Severity::Warning, evidence, text, remedy));
    }
    let lower = name.to_ascii_lowercase();
    let for_bios = [".0", ".kpxe", ".kkpxe", ".pxe", ".lkrn"].iter().any(|end| lower.ends_with(end));
    let (why, remedy) = match (scene.is_uefi(), for_bios || !lower.ends_with(".efi")) {
        (true, true) if for_bios => (
            "it is a loader for BIOS machines, which UEFI firmware does not start",
            "name an EFI loader of the machine's architecture to clients whose option 93 is not 0",
        ),
        (false, _) if lower.ends_with(".efi") => (
            "it is a loader for UEFI machines, which a BIOS does not start",
            "name a BIOS loader, such as `undionly.kpxe`, to clients whose option 93 is 0",
        ),
        (true, _) => (
            "the firmware did not start it",
            "where secure boot is on, name a loader that is signed (shim), or turn secure boot off; else see that the \
             loader is of the machine's architecture and whole",
        ),
        _ => (
            "the firmware did not start it",
            "see that the loader is of the machine's architecture and whole",
        ),
    };
    let text = format!("`{name}` arrived, and nothing came of it: {why}");
    scene.stop(FindingId::NextStageNeverCame, evidence, text, remedy)
}
