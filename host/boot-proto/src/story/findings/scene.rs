//! One attempt, laid out for the rules.

use super::{Finding, FindingId, Severity};
use crate::boot::Firmware;
use crate::story::attempt::Attempt;
use crate::story::dhcp_seen::{DhcpSeen, Message};
use crate::story::sighting::{Sighting, What};

/// An attempt with its messages sorted by kind.
pub(super) struct Scene<'a> {
    pub(super) sightings: &'a [Sighting],
    pub(super) attempt: &'a Attempt,
    pub(super) index: usize,
    pub(super) next: Option<&'a Attempt>,
    messages: Vec<(usize, &'a DhcpSeen)>,
    until_us: u64,
}

/// A message of DHCP and the place of its sighting.
pub(super) type Seen<'a> = (usize, &'a DhcpSeen);

impl<'a> Scene<'a> {
    pub(super) fn new(
        sightings: &'a [Sighting],
        attempts: &'a [Attempt],
        index: usize,
        until_us: u64,
    ) -> Option<Self> {
        let attempt = attempts.get(index)?;
        let own = sightings.get(attempt.first..attempt.end)?;
        let message = |(place, sighting): (usize, &'a Sighting)| match &sighting.what {
            What::Dhcp(seen) => Some((place, seen.as_ref())),
            _ => None,
        };
        let messages = (attempt.first..).zip(own).filter_map(message).collect();
        Some(Self { sightings, attempt, index, next: attempts.get(index + 1), messages, until_us })
    }

    pub(super) fn own(&self) -> impl Iterator<Item = (usize, &'a Sighting)> {
        (self.attempt.first..)
            .zip(self.sightings.get(self.attempt.first..self.attempt.end).unwrap_or_default())
    }

    pub(super) fn messages(&self, kind: Message) -> impl Iterator<Item = Seen<'a>> {
        self.messages.iter().copied().filter(move |(_, seen)| seen.message == kind)
    }

    /// Returns the places of all messages of a kind.
    pub(super) fn places(&self, kind: Message) -> Vec<usize> {
        self.messages(kind).map(|(place, _)| place).collect()
    }

    pub(super) fn has(&self, kind: Message) -> bool {
        self.messages(kind).next().is_some()
    }

    pub(super) fn at(&self, place: usize) -> Option<&'a Sighting> {
        self.sightings.get(place)
    }

    pub(super) fn firmware(&self) -> Option<Firmware> {
        self.attempt.firmware
    }

    /// Tells whether the PXE or HTTP boot of a UEFI machine asks, which is the strictest of all clients.
    pub(super) fn is_uefi(&self) -> bool {
        matches!(self.firmware(), Some(Firmware::PxeUefi | Firmware::HttpUefi))
    }

    /// Tells whether what should follow a sighting is missing: the client went on to another attempt, or the given
    /// time passed before watching ended.
    pub(super) fn is_over(&self, place: usize, within_ms: u64) -> bool {
        let waited =
            || self.at(place).map_or(0, |sighting| self.until_us.saturating_sub(sighting.at_us) / 1000);
        self.next.is_some() || waited() >= within_ms
    }

    /// Tells whether another program asked next, one that only a loader or an operating system brings.
    pub(super) fn went_on(&self) -> bool {
        self.next.is_some_and(|next| matches!(next.firmware, None | Some(Firmware::Ipxe)))
    }

    /// Returns the milliseconds between two sightings.
    pub(super) fn between_ms(&self, from: usize, to: usize) -> u64 {
        let at = |place| self.at(place).map_or(0, |sighting| sighting.at_us);
        at(to).saturating_sub(at(from)) / 1000
    }

    /// The boot file that the client was told, by the server whose offer it took or else by any.
    pub(super) fn boot_file(&self) -> Option<&'a str> {
        let servers = &self.attempt.servers;
        let chosen = servers.iter().filter(|server| server.id == self.attempt.chosen || server.proxy);
        chosen.chain(servers).find_map(|server| server.boot_file.as_deref())
    }

    /// Says by which rule the endpoint decided; empty where that is not known, as in a capture.
    pub(super) fn decision(&self) -> String {
        let rule = self.attempt.decision.as_ref().map(|decision| &decision.rule);
        rule.map(|rule| format!(" (this endpoint decided so by the rule `{rule}`)")).unwrap_or_default()
    }

    pub(super) fn finding(
        &self,
        id: FindingId,
        severity: Severity,
        evidence: Vec<usize>,
        text: String,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding { id, severity, attempt: self.index, text, evidence, remedy: remedy.into() }
    }

    pub(super) fn stop(
        &self,
        id: FindingId,
        evidence: Vec<usize>,
        text: String,
        remedy: impl Into<String>,
    ) -> Option<Finding> {
        Some(self.finding(id, Severity::Stop, evidence, text, remedy))
    }
}
