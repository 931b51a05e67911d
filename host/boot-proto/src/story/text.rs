//! A story as a text for people.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::attempt::Attempt;
use super::findings::{Finding, Severity};
use super::sighting::{Peer, Sighting, What};
use super::tell::{Outcome, Story};
use super::words::describe;

impl Story {
    /// Writes the story: what became of the boot, the packets with the seconds since the first one, the findings.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing into a `String` does not fail.
        let _ = self.write(&mut text);
        text
    }

    /// Says in one sentence how it ended.
    #[must_use]
    pub fn conclusion(&self) -> String {
        match self.outcome {
            Outcome::Unseen => "nothing was seen of this machine".to_owned(),
            Outcome::Booted => "booted: an operating system asked for an address".to_owned(),
            Outcome::Stopped(place) => match self.findings.get(place) {
                Some(finding) => format!("stopped: {}", finding.text),
                None => "stopped".to_owned(),
            },
            Outcome::UnderWay => "under way: the last thing seen was fine".to_owned(),
        }
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "{}  {}", self.mac, self.conclusion())?;
        if !self.addresses.is_empty() {
            let list = self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
            writeln!(out, "addresses: {}", list.join(", "))?;
        }
        let width = self.sightings.iter().map(|seen| ends(seen).chars().count()).max().unwrap_or(0);
        let began = self.sightings.first().map_or(0, |first| first.at_us);
        let mut attempts = self.attempts.iter().enumerate().peekable();
        for (place, sighting) in self.sightings.iter().enumerate() {
            if let Some((number, attempt)) = attempts.next_if(|(_, attempt)| attempt.first == place) {
                self.write_attempt(out, number, attempt)?;
            }
            let since = sighting.at_us.saturating_sub(began);
            let seconds = format!("{}.{:03}", since / 1_000_000, since % 1_000_000 / 1000);
            writeln!(out, "{place:>4} {seconds:>9}  {:<width$}  {}", ends(sighting), describe(sighting))?;
        }
        if self.left_out > 0 {
            writeln!(out, "     and {} more", self.left_out)?;
        }
        if !self.findings.is_empty() {
            writeln!(out, "\nfindings")?;
        }
        self.findings.iter().try_for_each(|finding| write_finding(out, finding))
    }

    fn write_attempt(&self, out: &mut String, number: usize, attempt: &Attempt) -> fmt::Result {
        let got = attempt.address.map(|address| format!(", got {address}")).unwrap_or_default();
        writeln!(out, "\nattempt {}: {}{got}", number + 1, attempt.client)
    }
}

fn write_finding(out: &mut String, finding: &Finding) -> fmt::Result {
    let mark = match finding.severity {
        Severity::Stop => "stop",
        Severity::Warning => "warning",
        Severity::Slow => "slow",
    };
    let evidence = finding.evidence.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    writeln!(out, "  {mark}: {} (attempt {}, packets {evidence})", finding.id.name(), finding.attempt + 1)?;
    writeln!(out, "    {}", finding.text)?;
    writeln!(out, "    change: {}", finding.remedy)
}

/// Writes who sent a packet to whom.
fn ends(sighting: &Sighting) -> String {
    let to = if matches!(sighting.what, What::Arp(_)) { &Peer::default() } else { &sighting.to };
    match (peer(&sighting.from), peer(to)) {
        (Some(from), Some(to)) => format!("{from} > {to}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => String::new(),
    }
}

fn peer(peer: &Peer) -> Option<String> {
    const ALL_DHCP_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
    match (peer.address, peer.mac) {
        (Some(IpAddr::V4(Ipv4Addr::BROADCAST)), _) => Some("broadcast".to_owned()),
        (Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), Some(mac)) => Some(mac.to_string()),
        (Some(IpAddr::V6(address)), _) if address == crate::ra::ALL_ROUTERS => Some("all routers".to_owned()),
        (Some(IpAddr::V6(address)), _) if address == crate::ra::ALL_NODES => Some("all nodes".to_owned()),
        (Some(IpAddr::V6(ALL_DHCP_SERVERS)), _) => Some("all DHCP servers".to_owned()),
        (Some(address), _) => Some(address.to_string()),
        (None, Some(mac)) => Some(mac.to_string()),
        (None, None) => None,
    }
}
