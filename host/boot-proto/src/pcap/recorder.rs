//! From the frames of a capture to what was seen.

use super::frame::{Decoded, Payload, decode};
use super::http::Exchanges;
use super::tftp::{Step, Transfers};
use super::{Capture, Frame, PcapError, dhcp6};
use crate::dhcp::{HardwareAddress, Packet};
use crate::ra;
use crate::story::{ClosedSeen, DhcpSeen, RouterSeen, Sighting, Transport, What};

/// Most sightings that one capture gives; a boot has about a hundred.
pub const MAX_SIGHTINGS: usize = 50_000;

const DHCP_PORTS: [u16; 3] = [67, 68, 4011];
const DHCP6_PORTS: [u16; 2] = [546, 547];
const TFTP_PORT: u16 = 69;

/// How far back the same packet is looked for, in sightings and in microseconds. No client repeats itself so soon.
const REPEAT_DEPTH: usize = 16;
const REPEAT_US: u64 = 1000;

/// What a capture says of boots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recording {
    /// What was seen, in order of time.
    pub sightings: Vec<Sighting>,
    /// When the last frame was seen, in microseconds since the Unix epoch: silence is judged by it.
    pub until_us: u64,
    /// How many frames were read.
    pub frames: u64,
    /// Frames whose first headers could not be read, or whose link type is not known.
    pub unknown_frames: u64,
    /// Later fragments of datagrams: only the first one of a datagram is read.
    pub fragments: u64,
    /// Frames that were in the capture twice, as those of a bridge are in one of all interfaces.
    pub repeated: u64,
    /// Sightings beyond [`MAX_SIGHTINGS`], which are not kept.
    pub left_out: u64,
    /// Where the file went wrong; what was seen before that is kept.
    pub fault: Option<PcapError>,
}

/// Reads a capture file that lies in memory and follows the boots in it.
///
/// # Errors
///
/// The file is no capture at all. A fault further on is in [`Recording::fault`].
pub fn record(file: &[u8]) -> Result<Recording, PcapError> {
    let mut recorder = Recorder {
        transfers: Transfers::new(),
        exchanges: Exchanges::new(),
        recording: Recording::default(),
    };
    for frame in Capture::open(file)? {
        match frame {
            Ok(frame) => recorder.frame(&frame),
            Err(fault) => recorder.recording.fault = Some(fault),
        }
    }
    Ok(recorder.finish())
}

impl Recording {
    /// Says in sentences what of the capture was not read.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let note = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
        let counts = [
            note(self.unknown_frames, "frames are damaged or of a link type that is not read"),
            note(
                self.fragments,
                "frames are later fragments of datagrams, of which only the first one is read",
            ),
            note(self.repeated, "packets are in the capture twice, and count once"),
            note(self.left_out, "sightings are too many and were left out: capture fewer machines"),
        ];
        let fault = self.fault.as_ref().map(|fault| format!("{fault}; what came before that is kept"));
        counts.into_iter().flatten().chain(fault).collect()
    }
}

fn is_repeat(before: &Sighting, now: &Sighting) -> bool {
    now.at_us.abs_diff(before.at_us) < REPEAT_US
        && (before.mac, before.from, before.to) == (now.mac, now.from, now.to)
        && before.what == now.what
}

struct Recorder {
    transfers: Transfers,
    exchanges: Exchanges,
    recording: Recording,
}

impl Recorder {
    fn frame(&mut self, frame: &Frame<'_>) {
        self.recording.frames += 1;
        self.recording.until_us = self.recording.until_us.max(frame.at_us);
        let Some(decoded) = decode(frame) else {
            self.recording.unknown_frames += 1;
            return;
        };
        let at_us = frame.at_us;
        let mut steps = Vec::new();
        match &decoded.payload {
            Payload::Udp { bytes, wire_len } => self.datagram(at_us, &decoded, bytes, *wire_len, &mut steps),
            Payload::Tcp(segment) => self.exchanges.segment(at_us, &decoded, segment, &mut steps),
            Payload::Icmpv6(message) => self.icmp(at_us, &decoded, message),
            Payload::Arp { sender, seen } => self.push(at_us, Some(*sender), &decoded, What::Arp(*seen)),
            Payload::Refused(port) => {
                let closed = ClosedSeen { transport: Transport::Udp, port: *port, silent: false };
                self.push(at_us, None, &decoded, What::Closed(closed));
            }
            Payload::Fragment => self.recording.fragments += 1,
            Payload::Other => {}
        }
        self.push_steps(steps);
    }

    fn datagram(
        &mut self,
        at_us: u64,
        decoded: &Decoded<'_>,
        bytes: &[u8],
        wire_len: usize,
        steps: &mut Vec<Step>,
    ) {
        let on = |ports: &[u16]| {
            [decoded.from.port, decoded.to.port].into_iter().flatten().any(|port| ports.contains(&port))
        };
        if on(&DHCP_PORTS) {
            self.dhcp(at_us, decoded, bytes);
        } else if on(&DHCP6_PORTS) {
            let (what, mac) = match dhcp6::read(bytes) {
                Some((seen, mac)) => (What::Dhcp6(Box::new(seen)), mac),
                None => (What::Unreadable { reason: "dhcpv6: the message is too short".to_owned() }, None),
            };
            self.push(at_us, mac, decoded, what);
        } else if decoded.to.port == Some(TFTP_PORT) {
            self.transfers.request(at_us, decoded, bytes, steps);
        } else {
            self.transfers.datagram(at_us, decoded, bytes, wire_len, steps);
        }
    }

    fn dhcp(&mut self, at_us: u64, decoded: &Decoded<'_>, bytes: &[u8]) {
        let (what, mac) = match Packet::parse(bytes) {
            Ok(packet) => (What::Dhcp(Box::new(DhcpSeen::from(&packet))), Some(packet.chaddr)),
            Err(error) => (What::Unreadable { reason: format!("dhcp: {error}") }, None),
        };
        self.push(at_us, mac, decoded, what);
    }

    fn icmp(&mut self, at_us: u64, decoded: &Decoded<'_>, message: &[u8]) {
        let seen = if ra::is_router_solicitation(message) {
            RouterSeen::Solicitation
        } else {
            match message {
                [134, 0, _, _, _, flags, high, low, ..] => RouterSeen::Advertisement {
                    managed: flags & 0x80 != 0,
                    other: flags & 0x40 != 0,
                    lifetime_secs: u16::from_be_bytes([*high, *low]),
                },
                _ => return,
            }
        };
        self.push(at_us, None, decoded, What::Router(seen));
    }

    /// Adds a sighting; where the packet names no client, the station at the client's end of the frame stands for it.
    fn push(&mut self, at_us: u64, mac: Option<HardwareAddress>, decoded: &Decoded<'_>, what: What) {
        self.keep(Sighting { at_us, mac, from: decoded.from, to: decoded.to, what });
    }

    fn push_steps(&mut self, steps: Vec<Step>) {
        for (at_us, from, to, what) in steps {
            self.keep(Sighting { at_us, mac: None, from, to, what });
        }
    }

    fn keep(&mut self, mut sighting: Sighting) {
        let client = sighting.mac.or(sighting.client().mac);
        sighting.mac = client.filter(HardwareAddress::names_one_client);
        if self.recording.sightings.iter().rev().take(REPEAT_DEPTH).any(|before| is_repeat(before, &sighting))
        {
            self.recording.repeated += 1;
        } else if self.recording.sightings.len() == MAX_SIGHTINGS {
            self.recording.left_out += 1;
        } else {
            self.recording.sightings.push(sighting);
        }
    }

    fn finish(mut self) -> Recording {
        let mut steps = Vec::new();
        std::mem::replace(&mut self.transfers, Transfers::new()).finish(&mut steps);
        std::mem::replace(&mut self.exchanges, Exchanges::new()).finish(&mut steps);
        self.push_steps(steps);
        // Stable, so that packets of one microsecond stay in the order of the file.
        self.recording.sightings.sort_by_key(|sighting| sighting.at_us);
        self.recording
    }
}
