//! What the boot services saw of each machine, and what became of its boot.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use formwork_api::{BootExplanation, BootSeen};
use formwork_boot::{ForeignReply, Received};
use formwork_boot_proto::{
    boot::BootClient,
    dhcp::{
        HardwareAddress, Packet,
        server::{Reply, Verdict},
    },
    story::{DecisionSeen, DhcpSeen, HttpSeen, Journal, Peer, Sighting, Story, TftpSeen, What, text},
};
use formwork_core::boot::{self, Nearest, Offer};
use formwork_model::Timestamp;

use super::choose::asking;
use crate::{endpoint::Endpoint, render::KnownMachine};

/// What was seen, in memory and bounded: a restart forgets it.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Journal>);

impl Recorder {
    /// Tells whether what a client sends is worth a note: it is about to boot, or did so before.
    pub(super) fn watches(&self, request: &Packet) -> bool {
        BootClient::from_request(request).is_some() || self.locked().knows(request.chaddr)
    }

    /// Notes a request, what was decided, and the answer.
    pub(super) fn note_dhcp(&self, now: Timestamp, request: &Packet, received: &Received, verdict: &Verdict) {
        let (client, server) = (Peer::from(SocketAddr::from(received.arrival.peer)), own(received));
        let reply = verdict.reply.as_ref();
        let boot = reply.and_then(|reply| DhcpSeen::from(&reply.packet).boot_file);
        let rule = text(verdict.reason.to_string().as_bytes());
        let of_reply = |reply: &Reply| What::Dhcp(Box::new(DhcpSeen::from(&reply.packet)));
        let seen = [
            Some((client, server, What::Dhcp(Box::new(DhcpSeen::from(request))))),
            Some((server, client, What::Decision(DecisionSeen { rule, boot }))),
            reply.map(|reply| (server, client, of_reply(reply))),
        ];
        let mut journal = self.locked();
        for (from, to, what) in seen.into_iter().flatten() {
            journal.note(Sighting { at_us: micros(now), mac: Some(request.chaddr), from, to, what });
        }
    }

    /// Notes what another DHCP server told a client that is watched.
    pub(super) fn note_foreign(&self, now: Timestamp, reply: &ForeignReply) {
        let mac = reply.packet.chaddr;
        let mut journal = self.locked();
        if !journal.knows(mac) {
            return;
        }
        let from = Peer { mac: Some(reply.mac), address: Some(reply.source.into()), port: Some(67) };
        let what = What::Dhcp(Box::new(DhcpSeen::from(&reply.packet)));
        journal.note(Sighting { at_us: micros(now), mac: Some(mac), from, to: Peer::default(), what });
    }

    /// Notes a step of a transfer of files, of the machine that was given the address of its client.
    pub(super) fn note_transfer(&self, now: Timestamp, client: SocketAddr, what: What) {
        let is_request = matches!(
            what,
            What::Tftp(TftpSeen::Request { .. } | TftpSeen::Error { by_client: true, .. })
                | What::Http(HttpSeen::Request { .. })
        );
        let (own, client) = (Peer::default(), Peer::from(client));
        let (from, to) = if is_request { (client, own) } else { (own, client) };
        self.locked().note(Sighting { at_us: micros(now), mac: None, from, to, what });
    }

    fn locked(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn own(received: &Received) -> Peer {
    Peer { mac: None, address: Some(received.local.into()), port: Some(received.arrival.server_port) }
}

fn micros(at: Timestamp) -> u64 {
    u64::try_from(at.millis()).unwrap_or(0).saturating_mul(1000)
}

/// Lists the machines that were seen to boot, those that were seen last first.
pub(crate) fn seen(endpoint: &Endpoint) -> Vec<BootSeen> {
    let now = micros(endpoint.now());
    let journal = endpoint.recorder.locked();
    let told = |mac: HardwareAddress| {
        let story = journal.story(mac, now);
        BootSeen {
            mac: mac.to_string(),
            addresses: story.addresses.iter().map(ToString::to_string).collect(),
            attempts: story.attempts.len(),
            conclusion: story.conclusion(),
        }
    };
    journal.machines().into_iter().take(MAX_LISTED).map(told).collect()
}

/// Machines in a list at most; each takes the telling of its story.
const MAX_LISTED: usize = 1000;

/// Tells what was seen of a machine, by which rule it boots what it does, and what would have to change so that it boots.
/// `known` is the machine that has the network card.
pub(crate) fn explain(
    endpoint: &Endpoint,
    mac: HardwareAddress,
    known: Option<&KnownMachine>,
) -> BootExplanation {
    let story = endpoint.recorder.locked().story(mac, micros(endpoint.now()));
    let mut told = BootExplanation {
        mac: mac.to_string(),
        machine: known.map(|known| known.uuid.clone()).unwrap_or_default(),
        conclusion: story.conclusion(),
        text: story.to_text(),
        ..BootExplanation::default()
    };
    if let Some(client) = last_client(&story, mac) {
        let objects = endpoint.snapshot();
        let (asking, files) = (asking(known, &client), |name: &str| endpoint.files.has(name));
        let choice = boot::decide(&objects, &asking, &files);
        told.rule = choice.rule.to_string();
        told.passed_over = choice.passed_over.iter().map(ToString::to_string).collect();
        told.boots = match choice.offer {
            Offer::Nothing => String::new(),
            Offer::Tftp(file) => file,
            Offer::Http(path) => path,
        };
        let nearest = boot::nearest(&objects, &asking, &files);
        told.changes =
            nearest.iter().flat_map(|Nearest { edits, .. }| edits).map(ToString::to_string).collect();
    }
    told.story = serde_json::to_value(&story).unwrap_or_default();
    told
}

/// Returns the program that asked to boot last, as it described itself.
fn last_client(story: &Story, mac: HardwareAddress) -> Option<BootClient> {
    story.sightings.iter().rev().find_map(|sighting| match &sighting.what {
        What::Dhcp(seen) if seen.is_by_client() => seen.boot_client(mac),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use formwork_boot_proto::dhcp::{
        MessageType, code,
        server::{Arrival, Reason},
    };

    use super::*;
    use crate::testing::{Site, Wishes};

    fn received() -> Received {
        let peer = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        let arrival = Arrival { peer, server_port: 67, unicast: false, binl: false };
        Received { arrival, local: Ipv4Addr::new(10, 0, 0, 1), interface: 1 }
    }

    #[tokio::test]
    async fn machine_that_is_left_alone_is_told_the_rule_and_the_change_that_would_boot_it() {
        let site = Site::new(Wishes::default());
        let mac = HardwareAddress::ethernet([0x52, 0x54, 0, 0, 0, 1]);
        let mut request = Packet::request(mac, 1);
        request.options.set(code::MESSAGE_TYPE, [MessageType::Discover.code()]);
        let recorder = &site.endpoint.recorder;
        assert!(!recorder.watches(&request), "an operating system that nobody saw boot");
        request.options.set(code::ARCHITECTURE, [0, 7]);
        request.options.set(code::VENDOR_CLASS, "PXEClient:Arch:00007:UNDI:003000");
        assert!(recorder.watches(&request));
        let verdict = Verdict { reply: None, lease: None, probe: None, reason: Reason::NoSubnet };
        recorder.note_dhcp(site.endpoint.now(), &request, &received(), &verdict);
        assert_eq!(seen(&site.endpoint).len(), 1);
        let told = explain(&site.endpoint, mac, None);
        assert!(told.text.contains("no subnet covers this network"), "{}", told.text);
        assert_eq!(told.boots, "");
        assert!(!told.rule.is_empty());
        assert!(told.changes.iter().any(|change| change.contains("unknownBootEnv")), "{:?}", told.changes);
        assert!(told.story["findings"].is_array());
        let stranger = HardwareAddress::ethernet([2; 6]);
        assert!(explain(&site.endpoint, stranger, None).rule.is_empty(), "nothing was seen of it");
    }
}
