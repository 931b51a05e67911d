//! Follows TFTP transfers: from a request to port 69 on, by the client's address and port.

use std::net::IpAddr;

use super::flows::Flows;
use super::frame::Decoded;
use crate::bytes::Reader;
use crate::story::{Peer, TftpSeen, What, text};
use crate::tftp::{Kind, opcode, parse_request};

/// The block size without option (RFC 1350).
const PLAIN_BLOCK: u64 = 512;

/// Most options of an OACK that are kept.
const MAX_OPTIONS: usize = 16;

/// The transfers under way.
#[derive(Debug)]
pub(super) struct Transfers {
    flows: Flows<(IpAddr, u16), Transfer>,
}

/// A step with the time at which it was seen and its ends.
pub(super) type Step = (u64, Peer, Peer, What);

#[derive(Debug)]
struct Transfer {
    file: String,
    client: Peer,
    server: Peer,
    began_us: u64,
    last_us: u64,
    answered: bool,
    block_size: u64,
    /// Blocks and acknowledgements are counted on past 65,535.
    sent: u64,
    acknowledged: Option<u64>,
    bytes: u64,
    last_block: Option<u64>,
}

impl Transfers {
    pub(super) fn new() -> Self {
        Self { flows: Flows::new() }
    }

    /// Takes a datagram to port 69.
    pub(super) fn request(&mut self, at_us: u64, decoded: &Decoded<'_>, bytes: &[u8], steps: &mut Vec<Step>) {
        let (Some(address), Some(port)) = (decoded.from.address, decoded.from.port) else { return };
        let request = match parse_request(bytes) {
            Ok(request) => request,
            Err(error) => {
                let reason = format!("tftp: {error}");
                steps.push((at_us, decoded.from, decoded.to, What::Unreadable { reason }));
                return;
            }
        };
        let file = text(request.name.as_bytes());
        let seen = TftpSeen::Request {
            file: file.clone(),
            write: request.kind == Kind::Write,
            block_size: request.block_size,
            window: request.window_size,
            size: request.transfer_size,
        };
        steps.push((at_us, decoded.from, decoded.to, What::Tftp(seen)));
        let key = (address, port);
        let repeated = self.flows.find(&key).is_some_and(|flow| !flow.answered && flow.file == file);
        if repeated {
            return;
        }
        if let Some(flow) = self.flows.remove(&key) {
            steps.push(flow.end());
        }
        let flow = Transfer {
            file,
            client: decoded.from,
            server: decoded.to,
            began_us: at_us,
            last_us: at_us,
            answered: false,
            block_size: PLAIN_BLOCK,
            sent: 0,
            acknowledged: None,
            bytes: 0,
            last_block: None,
        };
        steps.extend(self.flows.insert(key, flow).map(Transfer::end));
    }

    /// Takes any other datagram; most belong to no transfer.
    pub(super) fn datagram(
        &mut self,
        at_us: u64,
        decoded: &Decoded<'_>,
        bytes: &[u8],
        wire_len: usize,
        steps: &mut Vec<Step>,
    ) {
        let key = |peer: &Peer| Some((peer.address?, peer.port?));
        let (Some(from), Some(to)) = (key(&decoded.from), key(&decoded.to)) else { return };
        let (key, by_client) = if self.flows.find(&from).is_some() { (from, true) } else { (to, false) };
        let Some(flow) = self.flows.find(&key) else { return };
        let done = if by_client {
            flow.take_client(at_us, bytes, steps)
        } else {
            flow.take_server(at_us, decoded, bytes, wire_len, steps)
        };
        if done == Some(true) {
            self.flows.remove(&key);
        }
    }

    /// Ends the transfers that are still under way when the capture ends.
    pub(super) fn finish(self, steps: &mut Vec<Step>) {
        steps.extend(self.flows.into_flows().map(Transfer::end));
    }
}

impl Transfer {
    /// Takes a packet of the server; `Some(true)` when the transfer is over.
    fn take_server(
        &mut self,
        at_us: u64,
        decoded: &Decoded<'_>,
        bytes: &[u8],
        wire_len: usize,
        steps: &mut Vec<Step>,
    ) -> Option<bool> {
        if self.answered && self.server.port != decoded.from.port {
            return None;
        }
        let mut reader = Reader::new(bytes);
        let operation = reader.u16()?;
        match operation {
            opcode::OACK if !self.answered => {
                let confirmed = options(reader.rest());
                let block_size = confirmed.iter().find(|(name, _)| name.eq_ignore_ascii_case("blksize"));
                self.block_size = block_size.and_then(|(_, size)| size.parse().ok()).unwrap_or(PLAIN_BLOCK);
                let seen = TftpSeen::Options { file: self.file.clone(), confirmed };
                steps.push((at_us, decoded.from, decoded.to, What::Tftp(seen)));
            }
            opcode::DATA => {
                let block = later(self.sent, reader.u16()?);
                let len = u64::try_from(wire_len.saturating_sub(4)).unwrap_or(0);
                if block > self.sent {
                    self.sent = block;
                    self.bytes = (block - 1).saturating_mul(self.block_size).saturating_add(len);
                }
                if len < self.block_size {
                    self.last_block = Some(block);
                }
            }
            opcode::ERROR => {
                steps.push(self.error(at_us, decoded.from, decoded.to, false, &mut reader));
                return Some(true);
            }
            opcode::OACK => {}
            _ => return None,
        }
        self.answered = true;
        self.server = decoded.from;
        self.last_us = at_us;
        Some(false)
    }

    /// Takes a packet of the client; `Some(true)` when the transfer is over.
    fn take_client(&mut self, at_us: u64, bytes: &[u8], steps: &mut Vec<Step>) -> Option<bool> {
        let mut reader = Reader::new(bytes);
        match reader.u16()? {
            opcode::ACK => {
                let block = later(self.acknowledged.unwrap_or(0), reader.u16()?);
                self.acknowledged = Some(block.max(self.acknowledged.unwrap_or(0)));
                self.last_us = at_us;
                if self.last_block.is_none_or(|last| block < last) {
                    return Some(false);
                }
                steps.push(self.done(at_us));
            }
            opcode::ERROR => steps.push(self.error(at_us, self.client, self.server, true, &mut reader)),
            _ => return None,
        }
        Some(true)
    }

    fn error(&self, at_us: u64, from: Peer, to: Peer, by_client: bool, reader: &mut Reader<'_>) -> Step {
        let code = reader.u16().unwrap_or(0);
        let words = reader.rest().split(|byte| *byte == 0).next().map(text).unwrap_or_default();
        let file = self.file.clone();
        let seen = TftpSeen::Error { file, code, text: words, by_client, bytes: self.bytes };
        (at_us, from, to, What::Tftp(seen))
    }

    fn millis(&self, at_us: u64) -> u64 {
        at_us.saturating_sub(self.began_us) / 1000
    }

    fn done(&self, at_us: u64) -> Step {
        let seen = TftpSeen::Done { file: self.file.clone(), bytes: self.bytes, millis: self.millis(at_us) };
        (at_us, self.server, self.client, What::Tftp(seen))
    }

    /// Says how far it came when nothing more is seen. A last block that was sent counts as received: some clients go
    /// on without acknowledging it.
    fn end(self) -> Step {
        let at_us = self.last_us;
        if self.last_block.is_some() {
            return self.done(at_us);
        }
        let seen = TftpSeen::Unfinished {
            millis: self.millis(at_us),
            bytes: self.bytes,
            acknowledged: self.acknowledged,
            answered: self.answered,
            file: self.file,
        };
        (at_us, self.server, self.client, What::Tftp(seen))
    }
}

/// Counts a 16-bit block number on from the last one seen; an older one stays an older one.
fn later(last: u64, block: u16) -> u64 {
    let ahead = block.wrapping_sub((last & 0xffff) as u16);
    if ahead < 0x8000 {
        last + u64::from(ahead)
    } else {
        last.saturating_sub(u64::from(ahead.wrapping_neg()))
    }
}

fn options(bytes: &[u8]) -> Vec<(String, String)> {
    let mut texts = bytes.split(|byte| *byte == 0).map(text);
    let pairs = std::iter::from_fn(|| Some((texts.next().filter(|name| !name.is_empty())?, texts.next()?)));
    pairs.take(MAX_OPTIONS).collect()
}
