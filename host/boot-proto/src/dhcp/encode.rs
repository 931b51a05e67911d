//! Writing a packet within the size that the client accepts.

use std::net::Ipv4Addr;

use super::options::code;
use super::packet::{FILE_FIELD, MAGIC_COOKIE, Op, Packet, SNAME_FIELD};

/// Shortest packet that is written, in bytes. RFC 1542 section 2.1: some relays and clients drop a shorter one.
pub const MIN_PACKET: usize = 300;

/// RFC 2132 section 9.10: no client may accept less, counted with the headers of IP and UDP.
const MIN_MESSAGE_SIZE: u16 = 576;

/// A larger packet would be sent in fragments on Ethernet, which firmware reassembles badly or not at all.
const MAX_MESSAGE_SIZE: u16 = 1500;

/// The headers of IP and UDP, which a client's maximum message size counts.
const HEADERS: u16 = 28;

/// The longest piece of an option (RFC 3396 section 4).
const MAX_PIECE: usize = 255;

/// A written packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The datagram.
    pub bytes: Vec<u8>,
    /// The options that did not fit, in order; to be logged.
    pub omitted: Vec<u8>,
}

/// Returns the largest UDP payload for a client that sent option 57 with this value, or sent none.
#[must_use]
pub fn payload_limit(max_message_size: Option<u16>) -> usize {
    let size = max_message_size.unwrap_or(MIN_MESSAGE_SIZE).clamp(MIN_MESSAGE_SIZE, MAX_MESSAGE_SIZE);
    usize::from(size - HEADERS)
}

impl Packet {
    /// Writes the packet in at most `limit` bytes, or in [`MIN_PACKET`] where `limit` is less.
    ///
    /// Option 53 comes first and 82 last (RFC 3046 section 2.2), its bytes untouched; the others keep their order. A
    /// long option is split (RFC 3396). An option that does not fit is left out and reported, room for 82 being kept
    /// before all others. Option overload is never used: the firmware reads the boot file's name from `file`. A
    /// `file` or `sname` that is longer than its field is left empty, since half a name is a wrong name.
    #[must_use]
    pub fn encode(&self, limit: usize) -> Encoded {
        let mut bytes = Vec::with_capacity(limit.clamp(MIN_PACKET, 1500));
        self.write_fixed(&mut bytes);
        let mut room = limit.max(MIN_PACKET).saturating_sub(bytes.len() + 1);
        let mut omitted = Vec::new();
        let relay = self.options.bytes(code::RELAY_AGENT).filter(|value| written_len(value) <= room);
        room -= relay.map_or(0, written_len);
        let first = self.options.iter().filter(|(code, _)| *code == code::MESSAGE_TYPE);
        let special = [code::MESSAGE_TYPE, code::RELAY_AGENT, code::OVERLOAD];
        let others = self.options.iter().filter(|(code, _)| !special.contains(code));
        for (code, value) in first.chain(others) {
            let len = written_len(value);
            if len <= room {
                room -= len;
                write_option(&mut bytes, code, value);
            } else {
                omitted.push(code);
            }
        }
        match relay {
            Some(value) => write_option(&mut bytes, code::RELAY_AGENT, value),
            None if self.options.contains(code::RELAY_AGENT) => omitted.push(code::RELAY_AGENT),
            None => {}
        }
        bytes.push(code::END);
        if bytes.len() < MIN_PACKET {
            bytes.resize(MIN_PACKET, code::PAD);
        }
        Encoded { bytes, omitted }
    }

    fn write_fixed(&self, bytes: &mut Vec<u8>) {
        let op = match self.op {
            Op::Request => 1,
            Op::Reply => 2,
        };
        let hlen = u8::try_from(self.chaddr.as_bytes().len()).unwrap_or(0);
        bytes.extend_from_slice(&[op, self.htype, hlen, self.hops]);
        bytes.extend_from_slice(&self.xid.to_be_bytes());
        bytes.extend_from_slice(&self.secs.to_be_bytes());
        bytes.extend_from_slice(&self.flags.to_be_bytes());
        let addresses = [self.ciaddr, self.yiaddr, self.siaddr, self.giaddr];
        bytes.extend(addresses.iter().flat_map(Ipv4Addr::octets));
        bytes.extend_from_slice(&self.chaddr.field());
        write_field(bytes, &self.sname, SNAME_FIELD);
        write_field(bytes, &self.file, FILE_FIELD);
        bytes.extend_from_slice(&MAGIC_COOKIE);
    }
}

fn write_field(bytes: &mut Vec<u8>, value: &[u8], field: usize) {
    let end = bytes.len() + field;
    if value.len() <= field {
        bytes.extend_from_slice(value);
    }
    bytes.resize(end, 0);
}

/// The length of an option with the headers of all its pieces.
fn written_len(value: &[u8]) -> usize {
    value.len() + 2 * value.len().div_ceil(MAX_PIECE).max(1)
}

fn write_option(bytes: &mut Vec<u8>, code: u8, value: &[u8]) {
    if value.is_empty() {
        bytes.extend_from_slice(&[code, 0]);
    }
    for piece in value.chunks(MAX_PIECE) {
        bytes.extend_from_slice(&[code, u8::try_from(piece.len()).unwrap_or(u8::MAX)]);
        bytes.extend_from_slice(piece);
    }
}
