//! One stage of a boot: from the question for an address to the last file.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::dhcp_seen::{DhcpSeen, Message};
use super::sighting::{DecisionSeen, Dhcp6Seen, HttpEnd, HttpSeen, Peer, Sighting, TftpSeen, What};
use super::stage::Stage;
use crate::boot::Firmware;
use crate::dhcp::HardwareAddress;

/// A client that asks again after this long has begun anew. Firmware repeats a question for half a minute at most.
const NEW_AFTER_US: u64 = 60_000_000;

/// Most files and servers of an attempt that are kept.
const MAX_KEPT: usize = 256;

/// One attempt of one program to get an address and to boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The program, in words: `UEFI x86-64 PXE`, `iPXE (BIOS)`, `operating system`.
    pub client: String,
    /// What boots; `None` for an operating system.
    pub firmware: Option<Firmware>,
    /// True where its first question was one of IPv6.
    pub ipv6: bool,
    /// The first of the story's sightings that belongs to it.
    pub first: usize,
    /// The one behind its last.
    pub end: usize,
    /// All servers that answered.
    pub servers: Vec<ServerSeen>,
    /// The server whose offer the client took.
    pub chosen: Option<Ipv4Addr>,
    /// The first address that the client got.
    pub address: Option<IpAddr>,
    /// The files that it asked for.
    pub files: Vec<FileSeen>,
    /// What the endpoint decided for it last; never of a capture.
    pub decision: Option<DecisionSeen>,
}

/// A DHCP server that answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerSeen {
    /// Its identifier (option 54).
    pub id: Option<Ipv4Addr>,
    /// Where its answers came from.
    pub from: Peer,
    /// The address that it offered.
    pub offered: Option<IpAddr>,
    /// The boot file that it named, in an offer before an ACK.
    pub boot_file: Option<String>,
    /// The next server that it named.
    pub next_server: Option<String>,
    /// True where it answers boot questions alone.
    pub proxy: bool,
    /// How often it offered, confirmed and refused.
    pub offers: u32,
    /// Confirmations.
    pub acks: u32,
    /// Refusals.
    pub naks: u32,
}

/// A file that the client asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSeen {
    /// `tftp` or `http`.
    pub protocol: Protocol,
    /// Its name or path.
    pub name: String,
    /// The server that was asked.
    pub server: Option<IpAddr>,
    /// The sighting of the first request.
    pub asked: usize,
    /// How often it was asked for before an answer came.
    pub requests: u32,
    /// The sighting that ended it, or else the last one of it.
    pub last: usize,
    /// What became of it.
    pub outcome: FileOutcome,
}

/// The protocol of a file transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names of the protocols")]
pub enum Protocol {
    Tftp,
    Http,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum FileOutcome {
    /// Nothing was seen behind the request.
    Unanswered,
    /// The answer began, and no end was seen.
    UnderWay,
    /// It arrived.
    Done {
        /// Its length.
        bytes: u64,
        /// Milliseconds since the request.
        millis: u64,
    },
    /// The server refused it.
    Refused {
        /// The code of TFTP, or the status of HTTP.
        code: u16,
        /// The server's words.
        text: String,
    },
    /// The client gave it up, as OVMF does with each file that it only wants to know the length of.
    GivenUp {
        /// The code of TFTP.
        code: u16,
        /// The client's words.
        text: String,
    },
    /// It ended too early.
    Stopped {
        /// Bytes sent.
        bytes: u64,
        /// Bytes that there are, where the server said so.
        length: Option<u64>,
        /// The last block that was acknowledged (TFTP).
        acknowledged: Option<u64>,
        /// How the connection ended (HTTP).
        end: Option<HttpEnd>,
    },
}

/// Divides the sightings of a machine into attempts.
pub(super) fn attempts(sightings: &[Sighting]) -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut current: Option<Current> = None;
    for (index, sighting) in sightings.iter().enumerate() {
        if let Some(stage) = Stage::of(sighting) {
            let goes_on = current.as_mut().zip(attempts.last());
            if !goes_on.is_some_and(|(current, attempt)| current.goes_on(&stage, sighting, attempt)) {
                attempts.push(Attempt::new(&stage, if attempts.is_empty() { 0 } else { index }));
                current =
                    Some(Current { families: [!stage.ipv6, stage.ipv6], asked_us: sighting.at_us, stage });
            }
        }
        if let Some(attempt) = attempts.last_mut() {
            attempt.end = index + 1;
            attempt.take(index, sighting);
        }
    }
    attempts
}

/// What the attempt that goes on has asked so far.
struct Current {
    stage: Stage,
    asked_us: u64,
    /// Whether it asked for an address of IPv4 and of IPv6.
    families: [bool; 2],
}

impl Current {
    /// Takes a question into the attempt where it belongs to it: of the same program, and not a new beginning.
    fn goes_on(&mut self, stage: &Stage, sighting: &Sighting, attempt: &Attempt) -> bool {
        let [asked4, asked6] = self.families;
        let asked = if stage.ipv6 { asked6 } else { asked4 };
        let pause = sighting.at_us.saturating_sub(self.asked_us) >= NEW_AFTER_US;
        let anew = begins_anew(sighting) && (pause || asked && attempt.is_past_the_offer());
        let goes_on = self.stage.is_same(stage) && !anew;
        if goes_on {
            self.families = [asked4 || !stage.ipv6, asked6 || stage.ipv6];
            self.asked_us = sighting.at_us;
        }
        goes_on
    }
}

/// Tells whether a client that knows nothing yet sends this.
fn begins_anew(sighting: &Sighting) -> bool {
    match &sighting.what {
        What::Dhcp(seen) => seen.message == Message::Discover,
        What::Dhcp6(seen) => seen.message == 1,
        _ => false,
    }
}

impl Attempt {
    fn new(stage: &Stage, first: usize) -> Self {
        Self {
            client: stage.name.clone(),
            firmware: stage.firmware,
            ipv6: stage.ipv6,
            first,
            end: first,
            servers: Vec::new(),
            chosen: None,
            address: None,
            files: Vec::new(),
            decision: None,
        }
    }

    fn is_past_the_offer(&self) -> bool {
        self.chosen.is_some() || self.address.is_some() || !self.files.is_empty()
    }

    fn take(&mut self, index: usize, sighting: &Sighting) {
        match &sighting.what {
            What::Dhcp(seen) if seen.reply => self.take_answer(sighting, seen),
            What::Dhcp(seen) if seen.message == Message::Request => {
                self.chosen = seen.server_id.or(self.chosen);
            }
            What::Dhcp6(seen) if !seen.is_by_client() => self.take_answer6(sighting, seen),
            What::Tftp(seen) => self.take_tftp(index, sighting, seen),
            What::Http(seen) => self.take_http(index, sighting, seen),
            What::Decision(seen) => self.decision = Some(seen.clone()),
            _ => {}
        }
    }

    fn take_answer(&mut self, sighting: &Sighting, seen: &DhcpSeen) {
        if seen.message == Message::Ack {
            self.address = self.address.or(seen.yiaddr.map(IpAddr::V4));
        }
        let Some(server) = self.server(seen.server_id, sighting.from) else { return };
        match seen.message {
            Message::Offer => server.offers += 1,
            Message::Ack => server.acks += 1,
            Message::Nak => server.naks += 1,
            _ => {}
        }
        server.offered = seen.yiaddr.map(IpAddr::V4).or(server.offered);
        server.proxy = server.offered.is_none() && server.naks == 0;
        server.boot_file = server.boot_file.take().or_else(|| seen.boot_file.clone());
        let next_server = seen.siaddr.map(|address| address.to_string()).or_else(|| seen.boot_server.clone());
        server.next_server = server.next_server.take().or(next_server);
    }

    fn take_answer6(&mut self, sighting: &Sighting, seen: &Dhcp6Seen) {
        let address = seen.addresses.first().copied().map(IpAddr::V6);
        if seen.message == 7 {
            self.address = self.address.or(address);
        }
        let Some(server) = self.server(None, sighting.from) else { return };
        match seen.message {
            2 => server.offers += 1,
            7 => server.acks += 1,
            _ => {}
        }
        server.offered = address.or(server.offered);
        server.boot_file = server.boot_file.take().or_else(|| seen.boot_url.clone());
    }

    /// Returns the entry of a server, by its identifier or else by where it sends from.
    fn server(&mut self, id: Option<Ipv4Addr>, from: Peer) -> Option<&mut ServerSeen> {
        let is_it = |server: &ServerSeen| match id {
            Some(_) => server.id == id,
            None => server.id.is_none() && server.from.address == from.address,
        };
        let place = self.servers.iter().position(is_it).unwrap_or(self.servers.len());
        if place == self.servers.len() && place < MAX_KEPT {
            self.servers.push(ServerSeen { id, from, ..ServerSeen::default() });
        }
        self.servers.get_mut(place)
    }

    fn take_tftp(&mut self, index: usize, sighting: &Sighting, seen: &TftpSeen) {
        let protocol = Protocol::Tftp;
        match seen {
            TftpSeen::Request { file, .. } => self.ask(protocol, index, sighting, file),
            TftpSeen::Options { file, .. } => self.settle(protocol, file, index, FileOutcome::UnderWay),
            TftpSeen::Done { file, bytes, millis } => {
                self.settle(protocol, file, index, FileOutcome::Done { bytes: *bytes, millis: *millis });
            }
            TftpSeen::Error { file, code, text, by_client, .. } => {
                let (code, text) = (*code, text.clone());
                let outcome = if *by_client {
                    FileOutcome::GivenUp { code, text }
                } else {
                    FileOutcome::Refused { code, text }
                };
                self.settle(protocol, file, index, outcome);
            }
            TftpSeen::Unfinished { file, answered: false, .. } => {
                self.settle(protocol, file, index, FileOutcome::Unanswered);
            }
            TftpSeen::Unfinished { file, bytes, acknowledged, .. } => {
                let (bytes, acknowledged) = (*bytes, *acknowledged);
                let outcome = FileOutcome::Stopped { bytes, length: None, acknowledged, end: None };
                self.settle(protocol, file, index, outcome);
            }
        }
    }

    fn take_http(&mut self, index: usize, sighting: &Sighting, seen: &HttpSeen) {
        let protocol = Protocol::Http;
        match seen {
            HttpSeen::Request { target, .. } => self.ask(protocol, index, sighting, target),
            HttpSeen::Response { target, .. } => self.settle(protocol, target, index, FileOutcome::UnderWay),
            HttpSeen::Done { target, status, bytes, millis } => {
                let outcome = if *status < 400 {
                    FileOutcome::Done { bytes: *bytes, millis: *millis }
                } else {
                    FileOutcome::Refused { code: *status, text: String::new() }
                };
                self.settle(protocol, target, index, outcome);
            }
            HttpSeen::Broken { target, status: Some(status), .. } if *status >= 400 => {
                let outcome = FileOutcome::Refused { code: *status, text: String::new() };
                self.settle(protocol, target, index, outcome);
            }
            HttpSeen::Broken { target, status: None, .. } => {
                self.settle(protocol, target, index, FileOutcome::Unanswered);
            }
            HttpSeen::Broken { target, bytes, length, end, .. } => {
                let (bytes, length, end) = (*bytes, *length, Some(*end));
                let outcome = FileOutcome::Stopped { bytes, length, acknowledged: None, end };
                self.settle(protocol, target, index, outcome);
            }
        }
    }

    fn ask(&mut self, protocol: Protocol, index: usize, sighting: &Sighting, name: &str) {
        if let Some(file) = self.files.last_mut() {
            let repeated = file.outcome == FileOutcome::Unanswered && file.name == name;
            if repeated && file.protocol == protocol {
                file.requests += 1;
                file.last = index;
                return;
            }
        }
        if self.files.len() == MAX_KEPT {
            return;
        }
        self.files.push(FileSeen {
            protocol,
            name: name.to_owned(),
            server: sighting.to.address,
            asked: index,
            requests: 1,
            last: index,
            outcome: FileOutcome::Unanswered,
        });
    }

    /// Says what became of the last open request for a file.
    fn settle(&mut self, protocol: Protocol, name: &str, index: usize, outcome: FileOutcome) {
        let is_open = |file: &&mut FileSeen| {
            let open = matches!(file.outcome, FileOutcome::Unanswered | FileOutcome::UnderWay);
            open && file.protocol == protocol && file.name == name
        };
        if let Some(file) = self.files.iter_mut().rev().find(is_open) {
            file.outcome = outcome;
            file.last = index;
        }
    }

    /// Returns the hardware address of the server with an identifier.
    #[must_use]
    pub fn server_mac(&self, id: Ipv4Addr) -> Option<HardwareAddress> {
        self.servers.iter().find(|server| server.id == Some(id)).and_then(|server| server.from.mac)
    }
}
