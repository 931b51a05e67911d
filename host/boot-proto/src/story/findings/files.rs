//! Why a client with an address did not boot from it: the files that it asked for.

use super::address::{named, times};
use super::boot_file;
use super::scene::Scene;
use super::{Finding, FindingId, Severity};
use crate::boot::Firmware;
use crate::story::attempt::{FileOutcome, FileSeen, Protocol};
use crate::story::sighting::{HttpEnd, Transport, What};

/// The port of TFTP.
const TFTP_PORT: u16 = 69;

/// The code of TFTP for a file that is not there, and the status of HTTP.
const TFTP_NOT_FOUND: u16 = 1;
const HTTP_NOT_FOUND: u16 = 404;

/// How long a client may be silent in a transfer, or after it gave one up. Clients repeat themselves after 1 to 4 s.
const ASK_MS: u64 = 5000;

/// How long a loader may take until it is seen again: iPXE shows a banner for 2 s and may wait 16 s for a router.
const START_MS: u64 = 20_000;

/// Returns what stopped an attempt behind its address.
pub(super) fn stop(scene: &Scene<'_>) -> Option<Finding> {
    let firmware = scene.firmware()?;
    match scene.attempt.files.last() {
        None => no_file_server(scene).or_else(|| boot_file::never_asked(scene, firmware)),
        Some(file) => match &file.outcome {
            FileOutcome::Done { .. } => next_stage(scene, file),
            // A packet that the capture missed is no failure where the file did its work.
            _ if scene.went_on() => None,
            outcome => failed(scene, file, outcome),
        },
    }
}

/// The client spoke to a port where nobody is, and got nothing.
fn no_file_server(scene: &Scene<'_>) -> Option<Finding> {
    let closed = scene.own().filter_map(|(place, seen)| match &seen.what {
        // No other port of UDP is one that a client loads files from.
        What::Closed(closed) if closed.transport == Transport::Tcp || closed.port == TFTP_PORT => {
            Some((place, seen.from.address, closed))
        }
        _ => None,
    });
    let (place, host, closed) = closed.last()?;
    if !scene.is_over(place, ASK_MS) {
        return None;
    }
    let (host, transport, port) = (named(host), closed.transport.name(), closed.port);
    if closed.silent {
        let text = format!("{host} did not answer the client on its {transport} port {port}");
        let remedy =
            "see that no firewall drops the packets, and that the address is that of the file server";
        return scene.stop(FindingId::NoFileServer, vec![place], text, remedy);
    }
    let text = format!("nobody serves files at {host}: its {transport} port {port} is closed");
    let remedy = "start the file server there, or name the one that has the files as the next server";
    scene.stop(FindingId::NoFileServer, vec![place], text, remedy)
}

/// Returns why the last file of an attempt did not arrive.
fn failed(scene: &Scene<'_>, file: &FileSeen, outcome: &FileOutcome) -> Option<Finding> {
    let may_go_on = match outcome {
        FileOutcome::Refused { .. } => false,
        FileOutcome::Stopped { end, .. } => matches!(end, None | Some(HttpEnd::Silence)),
        _ => true,
    };
    if may_go_on && !scene.is_over(file.last, ASK_MS) {
        return None;
    }
    let (name, evidence) = (&file.name, evidence(file));
    match outcome {
        FileOutcome::Refused { code, text } => refused(scene, file, *code, text),
        FileOutcome::Unanswered => no_file_server(scene).or_else(|| unanswered(scene, file)),
        FileOutcome::GivenUp { code, text } => {
            let text =
                format!("the client gave up `{name}` with code {code} (\"{text}\") and did not ask again");
            let remedy = "a client that is out of memory or does not like the confirmed options does so: take a smaller \
                          loader, or another one";
            scene.stop(FindingId::TransferGivenUp, evidence, text, remedy)
        }
        FileOutcome::Stopped { acknowledged: None, end: None, .. } => not_begun(scene, file),
        FileOutcome::Stopped { bytes, length, acknowledged, .. } => {
            let of = length.map(|length| format!(" of {length}")).unwrap_or_default();
            let block = acknowledged.map(|block| format!(", block {block} was the last one acknowledged"));
            let server = named(file.server);
            let text =
                format!("`{name}` from {server} stopped at {bytes}{of} bytes{}", block.unwrap_or_default());
            let remedy = "see whether large packets get lost on the way (compare the MTU of both ends with the block \
                          size), and whether the client was turned off";
            scene.stop(FindingId::TransferStalled, evidence, text, remedy)
        }
        FileOutcome::UnderWay | FileOutcome::Done { .. } => None,
    }
}

fn evidence(file: &FileSeen) -> Vec<usize> {
    if file.last == file.asked { vec![file.asked] } else { vec![file.asked, file.last] }
}

fn protocol(file: &FileSeen) -> &'static str {
    match file.protocol {
        Protocol::Tftp => "TFTP",
        Protocol::Http => "HTTP",
    }
}

fn refused(scene: &Scene<'_>, file: &FileSeen, code: u16, words: &str) -> Option<Finding> {
    let (name, server) = (&file.name, named(file.server));
    let missing = match file.protocol {
        Protocol::Tftp => code == TFTP_NOT_FOUND,
        Protocol::Http => code == HTTP_NOT_FOUND,
    };
    if missing {
        let text = format!("{server} has no file `{name}`");
        let remedy = format!("put `{name}` into the files of that server, or name a loader that is there");
        return scene.stop(FindingId::FileMissing, evidence(file), text, remedy);
    }
    let words = if words.is_empty() { String::new() } else { format!(" (\"{words}\")") };
    let text = format!("{server} refused the file `{name}` with code {code} of {}{words}", protocol(file));
    let remedy = "look into the log of that server: the file is there or secret, but may not be read so";
    scene.stop(FindingId::FileRefused, evidence(file), text, remedy)
}

fn unanswered(scene: &Scene<'_>, file: &FileSeen) -> Option<Finding> {
    let (server, requests) = (named(file.server), times(file.requests, "request"));
    let text = format!("{server} did not answer {requests} for `{}` by {}", file.name, protocol(file));
    let remedy = "see that a file server runs at that address, and that no firewall lies between";
    scene.stop(FindingId::FileRequestUnanswered, evidence(file), text, remedy)
}

/// The server answered, and the client acknowledged nothing.
fn not_begun(scene: &Scene<'_>, file: &FileSeen) -> Option<Finding> {
    let (name, server) = (&file.name, named(file.server));
    let answered = scene.at(file.last).and_then(|seen| seen.from.address);
    if answered != file.server {
        let text = format!("{server} was asked for `{name}`, and {} answered", named(answered));
        let remedy = "let the server answer from the address that was asked: a client drops anything else";
        return scene.stop(FindingId::AnswerFromAnotherAddress, evidence(file), text, remedy);
    }
    let text = format!("{server} answered the request for `{name}`, and the client did not hear it");
    let remedy =
        "TFTP answers from another port than 69: let the firewall pass UDP from all ports of the server";
    scene.stop(FindingId::TransferNotBegun, evidence(file), text, remedy)
}

/// A whole file must lead to something: the loader's own questions, or an operating system.
fn next_stage(scene: &Scene<'_>, file: &FileSeen) -> Option<Finding> {
    if scene.went_on() || !scene.is_over(file.last, START_MS) {
        return None;
    }
    let name = &file.name;
    let evidence = vec![file.asked, file.last];
    let is_other =
        |before: &FileSeen| matches!(before.outcome, FileOutcome::Done { .. }) && before.name != *name;
    if scene.firmware() == Some(Firmware::Ipxe) || scene.attempt.files.iter().any(is_other) {
        let text = format!(
            "`{name}` was the last file that was loaded, and nothing was seen of the machine after it"
        );
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
