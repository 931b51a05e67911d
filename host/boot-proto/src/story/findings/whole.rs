//! What stands across attempts: other servers, loops, and waits.

use std::net::IpAddr;

use super::address::{holder, named};
use super::scene::Scene;
use super::{Finding, FindingId, Severity};
use crate::boot::Firmware;
use crate::story::attempt::{Attempt, FileOutcome, ServerSeen};
use crate::story::dhcp_seen::Message;
use crate::story::sighting::{RouterSeen, What};

/// iPXE waits 3.2 s for proxy offers and 16 s for a router (boot-lab.md section 0); a little less may be seen.
const PROXY_WAIT_MS: u64 = 2800;
const ROUTER_WAIT_MS: u64 = 8000;

/// An offer later than this costs a repeat of the question with every client. A server that pings first needs 3 s.
const LATE_OFFER_MS: u64 = 2500;

/// The same loader this often in a row is a loop: a retry after a failure takes two.
const LOOP: usize = 3;

/// Names all servers that give addresses, where there is more than one.
pub(super) fn several_servers(scene: &Scene<'_>) -> Option<Finding> {
    let is_full = |server: &&ServerSeen| !server.proxy && !matches!(server.from.address, Some(IpAddr::V6(_)));
    let full = scene.attempt.servers.iter().filter(is_full).collect::<Vec<_>>();
    if full.len() < 2 {
        return None;
    }
    let evidence = [scene.places(Message::Offer), scene.places(Message::Ack)].concat();
    let names = full.iter().map(|server| introduce(server)).collect::<Vec<_>>().join("; ");
    let chosen = full.iter().find(|server| server.id.is_some() && server.id == scene.attempt.chosen);
    let lost = full.iter().find(|server| server.boot_file.is_some() && server.id != scene.attempt.chosen);
    let proxied = scene.attempt.servers.iter().any(|server| server.proxy && server.boot_file.is_some());
    let fileless =
        chosen.filter(|server| server.boot_file.is_none() && !proxied && scene.firmware().is_some());
    if let (Some(chosen), Some(lost)) = (fileless, lost) {
        let text = format!(
            "the client took the offer of {}, which names no boot file; {} would have booted it. All servers: {names}",
            named(chosen.id.map(IpAddr::V4)),
            named(lost.id.map(IpAddr::V4)),
        );
        let remedy = format!("turn off DHCP at {}, or let it leave this machine alone", station(chosen));
        return Some(scene.finding(FindingId::OtherServerWon, Severity::Warning, evidence, text, remedy));
    }
    let taken =
        chosen.map(|server| format!("; the client took that of {}", named(server.id.map(IpAddr::V4))));
    let text =
        format!("{} DHCP servers give addresses here: {names}{}", full.len(), taken.unwrap_or_default());
    let remedy = "leave one of them; find the others by the hardware address in the tables of the switch, or turn on DHCP \
                  snooping";
    Some(scene.finding(FindingId::SeveralServers, Severity::Warning, evidence, text, remedy))
}

fn introduce(server: &ServerSeen) -> String {
    let offered = server.offered.map(|address| format!(" offered {address}")).unwrap_or_default();
    let file = match (&server.boot_file, &server.next_server) {
        (Some(file), Some(next)) => format!(", boot file `{file}` from {next}"),
        (Some(file), None) => format!(", boot file `{file}`"),
        (None, _) => ", no boot file".to_owned(),
    };
    format!("{}{offered}{file}", station(server))
}

fn station(server: &ServerSeen) -> String {
    let mac = server.from.mac.map(|mac| format!(" ({mac})")).unwrap_or_default();
    let relay = server.from.address.filter(|from| server.id.is_some_and(|id| IpAddr::V4(id) != *from));
    let through = relay.map(|relay| format!(" through {relay}")).unwrap_or_default();
    format!("{}{through}{mac}", named(server.id.map(IpAddr::V4).or(server.from.address)))
}

/// Another station answers for the address that the client got.
pub(super) fn address_in_use(scene: &Scene<'_>) -> Option<Finding> {
    if scene.has(Message::Decline) {
        return None;
    }
    let Some(IpAddr::V4(address)) = scene.attempt.address else { return None };
    let (place, holder) = holder(scene, address)?;
    let text = format!("{holder} says that it has {address}, which the client got");
    let remedy = "take the address out of the subnet's range, or give its holder a reservation";
    Some(scene.finding(FindingId::AddressInUse, Severity::Warning, vec![place], text, remedy))
}

/// Finds time that was lost for nothing.
pub(super) fn waits(scene: &Scene<'_>) -> Vec<Finding> {
    [late_offer(scene), proxy_wait(scene), router_wait(scene)].into_iter().flatten().collect()
}

fn late_offer(scene: &Scene<'_>) -> Option<Finding> {
    let (question, _) = scene.messages(Message::Discover).next()?;
    let (offer, _) = scene.messages(Message::Offer).next()?;
    let waited = scene.between_ms(question, offer);
    if waited < LATE_OFFER_MS {
        return None;
    }
    let text = format!("the first offer came {} after the first question", seconds(waited));
    let remedy = "let the server offer at once: a test whether the address is free should not hold the offer up, and a \
                  switch port with spanning tree needs its fast start (portfast)";
    Some(scene.finding(FindingId::SlowOffer, Severity::Slow, vec![question, offer], text, remedy))
}

fn proxy_wait(scene: &Scene<'_>) -> Option<Finding> {
    let (offer, said) = scene.messages(Message::Offer).next()?;
    let (request, _) = scene.messages(Message::Request).next()?;
    let waited = scene.between_ms(offer, request);
    let told = said.ipxe_no_proxy || said.is_class("PXEClient");
    if scene.firmware() != Some(Firmware::Ipxe) || told || waited < PROXY_WAIT_MS {
        return None;
    }
    let text =
        format!("iPXE waited {} for offers of proxy servers before it took the one it had", seconds(waited));
    let remedy = "let the offer to iPXE hold option 175 with the bytes b0 01 01 (no proxy DHCP)";
    Some(scene.finding(FindingId::SlowProxyWait, Severity::Slow, vec![offer, request], text, remedy))
}

/// iPXE configures IPv6 before it loads anything, and so waits for a router that nobody is.
fn router_wait(scene: &Scene<'_>) -> Option<Finding> {
    let steps = scene.own().filter(|(_, seen)| {
        matches!(seen.what, What::Tftp(_) | What::Http(_) | What::Dhcp(_) | What::Dhcp6(_))
    });
    let steps = steps.map(|(place, _)| place).collect::<Vec<_>>();
    let gaps = steps.iter().zip(steps.iter().skip(1));
    let (before, after) = gaps.max_by_key(|(before, after)| scene.between_ms(**before, **after))?;
    let waited = scene.between_ms(*before, *after);
    let earlier = || scene.own().take_while(|(place, _)| place < after);
    let asked = earlier().find(|(_, seen)| matches!(seen.what, What::Router(RouterSeen::Solicitation)))?.0;
    let answered =
        earlier().any(|(_, seen)| matches!(seen.what, What::Router(RouterSeen::Advertisement { .. })));
    if scene.firmware() != Some(Firmware::Ipxe) || answered || waited < ROUTER_WAIT_MS {
        return None;
    }
    let text =
        format!("nobody answered iPXE's question for an IPv6 router, and it waited {}", seconds(waited));
    let remedy = "answer router solicitations, as this endpoint does on the networks that it serves: an advertisement with \
                  lifetime 0 and no prefix ends the wait and makes nobody a router";
    Some(scene.finding(FindingId::SlowRouterWait, Severity::Slow, vec![asked, *before, *after], text, remedy))
}

fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

/// Finds a loader that was told to load itself: several attempts in a row with the same first file, which arrived.
pub(super) fn chain_load_loop(attempts: &[Attempt], findings: &mut Vec<Finding>) {
    let loaded = |attempt: &Attempt| {
        // A script may well be asked for again and again, by iPXE that finds nothing to boot in it.
        let last = attempt.files.last().filter(|file| !file.name.ends_with(".ipxe"))?;
        let done = matches!(last.outcome, FileOutcome::Done { .. }) && attempt.firmware.is_some();
        done.then(|| (last.name.clone(), last.asked))
    };
    let loads = attempts.iter().map(loaded).enumerate().collect::<Vec<_>>();
    let runs =
        loads.chunk_by(|(_, a), (_, b)| matches!((a, b), (Some((a, _)), Some((b, _))) if base(a) == base(b)));
    let Some(run) = runs.filter(|run| run.len() >= LOOP).max_by_key(|run| run.len()) else { return };
    let Some((first, Some((name, _)))) = run.first() else { return };
    let evidence =
        run.iter().filter_map(|(_, load)| load.as_ref().map(|(_, asked)| *asked)).collect::<Vec<_>>();
    let in_run = |attempt: usize| run.iter().any(|(place, _)| *place == attempt);
    // A loop explains why no other stage came.
    findings.retain(|finding| finding.id != FindingId::NextStageNeverCame || !in_run(finding.attempt));
    let text = format!(
        "`{name}` was loaded {} times in a row: each time it starts it is told to load itself",
        run.len()
    );
    let remedy = "tell the second stage from the first by its user class `iPXE` (option 77) or option 175, and answer it \
                  with a script or a kernel";
    let (id, severity, remedy) = (FindingId::ChainLoadLoop, Severity::Stop, remedy.to_owned());
    findings.push(Finding { id, severity, attempt: *first, text, evidence, remedy });
}

/// The last part of a path, by which a loader is known over TFTP and HTTP.
fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
