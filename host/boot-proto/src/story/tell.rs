//! Picks the sightings of one machine out of all and tells its story.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, FileOutcome, attempts};
use super::dhcp_seen::Message;
use super::findings::{Finding, FindingId, Severity, findings};
use super::sighting::{ArpSeen, RouterSeen, Sighting, What};
use crate::boot::Firmware;
use crate::dhcp::HardwareAddress;

/// Most sightings of one machine that a story is told from; the first ones are kept.
pub const MAX_STORY: usize = 5000;

/// How one machine's boot went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// The machine.
    pub mac: HardwareAddress,
    /// All addresses that it was given.
    pub addresses: Vec<IpAddr>,
    /// What was seen of it, in order of time; findings and attempts point into this list.
    pub sightings: Vec<Sighting>,
    /// Its attempts to boot, one for each stage.
    pub attempts: Vec<Attempt>,
    /// What went wrong, in the order of the attempts.
    pub findings: Vec<Finding>,
    /// How it ended.
    pub outcome: Outcome,
    /// Sightings beyond [`MAX_STORY`], which are not part of it.
    pub left_out: usize,
}

/// How a boot ended, as far as it was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing was seen of the machine.
    Unseen,
    /// An operating system asked for an address and got it.
    Booted,
    /// It stopped; the finding at this place of [`Story::findings`] says where and why.
    Stopped(usize),
    /// The last thing seen was fine, and there was no time to see more.
    UnderWay,
}

/// Most machines that are found in a capture; a storm of a thousand is one of them.
pub const MAX_MACHINES: usize = 1024;

/// Most addresses of one machine that are followed.
const MAX_ADDRESSES: usize = 64;

/// Returns the machines that asked for an address, in the order in which they appear, at most [`MAX_MACHINES`].
#[must_use]
pub fn machines(sightings: &[Sighting]) -> Vec<HardwareAddress> {
    let mut known = HashSet::new();
    let asks = |sighting: &&Sighting| {
        matches!(sighting.what, What::Dhcp(_) | What::Dhcp6(_)) && sighting.is_by_client()
    };
    let macs = sightings.iter().filter(asks).filter_map(|sighting| sighting.mac);
    macs.filter(|mac| known.insert(*mac)).take(MAX_MACHINES).collect()
}

impl Story {
    /// Tells the story of a machine from what was seen of all of them, which must be in order of time. `until_us` is
    /// when watching ended, in microseconds since the Unix epoch: now, or the end of a capture.
    #[must_use]
    pub fn tell(mac: HardwareAddress, all: &[Sighting], until_us: u64) -> Self {
        let (sightings, addresses, left_out) = own(mac, all);
        let attempts = attempts(&sightings);
        let findings = findings(&sightings, &attempts, until_us);
        let outcome = outcome(&attempts, &findings);
        Self { mac, addresses, sightings, attempts, findings, outcome, left_out }
    }
}

/// Follows the machine by its hardware address, and by the addresses that it is given.
fn own(mac: HardwareAddress, all: &[Sighting]) -> (Vec<Sighting>, Vec<IpAddr>, usize) {
    let mut owners: HashMap<IpAddr, HardwareAddress> = HashMap::new();
    let mut addresses = Vec::new();
    let mut sightings = Vec::new();
    let mut left_out = 0;
    for sighting in all {
        for address in given(sighting) {
            if let Some(owner) = sighting.mac {
                owners.insert(address, owner);
                if owner == mac && addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        if !belongs(mac, sighting, &owners, &addresses, !sightings.is_empty()) {
            continue;
        }
        if sightings.len() < MAX_STORY {
            sightings.push(sighting.clone());
        } else {
            left_out += 1;
        }
    }
    (sightings, addresses, left_out)
}

/// The addresses that a sighting gives to its client.
fn given(sighting: &Sighting) -> Vec<IpAddr> {
    match &sighting.what {
        What::Dhcp(seen) if seen.message == Message::Ack => seen.yiaddr.map(IpAddr::V4).into_iter().collect(),
        What::Dhcp6(seen) if seen.message == 7 => seen.addresses.iter().copied().map(IpAddr::V6).collect(),
        _ => Vec::new(),
    }
}

fn belongs(
    mac: HardwareAddress,
    sighting: &Sighting,
    owners: &HashMap<IpAddr, HardwareAddress>,
    addresses: &[IpAddr],
    begun: bool,
) -> bool {
    match &sighting.what {
        // A hardware address behind a router is that router's, so the owner of the IP address goes first.
        What::Tftp(_) | What::Http(_) | What::Closed(_) | What::Decision(_) => {
            let owner = sighting.client().address.and_then(|address| owners.get(&address));
            owner.copied().or(sighting.mac) == Some(mac)
        }
        // An advertisement to all nodes is for this machine too.
        What::Router(RouterSeen::Advertisement { .. }) => sighting.mac.map_or(begun, |to| to == mac),
        What::Arp(ArpSeen::Has { address }) => {
            sighting.mac == Some(mac) || addresses.contains(&IpAddr::V4(*address))
        }
        _ => sighting.mac == Some(mac),
    }
}

fn outcome(attempts: &[Attempt], findings: &[Finding]) -> Outcome {
    let Some((last, before)) = attempts.split_last() else { return Outcome::Unseen };
    // UEFI firmware looks for an IPv6 address before it says what it is, so that alone is no operating system.
    let is_system =
        !last.ipv6 || before.last().is_some_and(|attempt| attempt.firmware == Some(Firmware::Ipxe));
    if last.firmware.is_none() && last.address.is_some() && is_system {
        return Outcome::Booted;
    }
    let stops = || findings.iter().enumerate().filter(|(_, finding)| finding.severity == Severity::Stop);
    if let Some((place, _)) = stops().find(|(_, finding)| finding.id == FindingId::ChainLoadLoop) {
        return Outcome::Stopped(place);
    }
    if !stops().any(|(_, finding)| finding.attempt == before.len()) {
        return Outcome::UnderWay;
    }
    // Firmware goes on to its next boot device, so the attempt that came farthest tells most, and of those the first.
    let progress = |finding: &Finding| attempts.get(finding.attempt).map_or(0, progress);
    let farthest = stops().rev().max_by_key(|(_, finding)| progress(finding));
    farthest.map_or(Outcome::UnderWay, |(place, _)| Outcome::Stopped(place))
}

/// How far an attempt came: nothing, an offer, an address, a request for a file, a whole file.
fn progress(attempt: &Attempt) -> u8 {
    let whole = attempt.files.iter().any(|file| matches!(file.outcome, FileOutcome::Done { .. }));
    match attempt {
        _ if whole => 4,
        Attempt { files, .. } if !files.is_empty() => 3,
        Attempt { address: Some(_), .. } => 2,
        Attempt { servers, .. } if !servers.is_empty() => 1,
        _ => 0,
    }
}
