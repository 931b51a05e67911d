//! The first packet of a transfer.

use super::packet::opcode;
use crate::bytes::Reader;

/// Longest request that is read, in bytes. RFC 2347 allows 512; a long path in a longer one does no harm.
const MAX_REQUEST: usize = 2048;

/// How many options are read; clients send up to five.
const MAX_OPTIONS: usize = 16;

/// What a client wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Read a file.
    Read,
    /// Write one, which is always refused.
    Write,
}

/// How the bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As they are. An empty mode counts as this one: the health test of the command line client sends it.
    Octet,
    /// As text with CR LF at the ends of lines.
    Netascii,
}

/// A request as the client sent it. An option whose value is not a number is absent, and so never confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Read or write.
    pub kind: Kind,
    /// The name, as it came; see [`clean_path`].
    pub name: String,
    /// How to send.
    pub mode: Mode,
    /// The block size asked for (RFC 2348).
    pub block_size: Option<u64>,
    /// True when the client asks for the file's length (RFC 2349).
    pub transfer_size: bool,
    /// Seconds until a repeat (RFC 2349).
    pub timeout_secs: Option<u64>,
    /// Blocks sent before one acknowledgement (RFC 7440).
    pub window_size: Option<u64>,
}

/// Why a packet is not a request. The caller counts it; where [`RequestError::deserves_answer`] holds, it also
/// answers with ERROR 4.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Longer than 2,048 bytes.
    #[error("the request of {len} bytes is too long")]
    Oversized {
        /// Its length.
        len: usize,
    },
    /// Something else than a read or write request.
    #[error("the packet is neither a read nor a write request")]
    Operation,
    /// No name, or no mode after it.
    #[error("the request ends before its name and mode")]
    Truncated,
    /// Neither octet nor netascii.
    #[error("the mode `{mode}` is neither octet nor netascii")]
    Mode {
        /// The first 16 characters of it.
        mode: String,
    },
}

impl RequestError {
    /// Tells whether the sender seems to be a TFTP client that can make use of an ERROR.
    #[must_use]
    pub fn deserves_answer(&self) -> bool {
        matches!(self, Self::Truncated | Self::Mode { .. })
    }
}

/// Reads a request. Tolerated: a missing last zero byte, odd bytes at the end, options in any case.
///
/// # Errors
///
/// The packet is no request, or its mode is unknown.
pub fn parse_request(packet: &[u8]) -> Result<Request, RequestError> {
    if packet.len() > MAX_REQUEST {
        return Err(RequestError::Oversized { len: packet.len() });
    }
    let mut reader = Reader::new(packet);
    let kind = match reader.u16() {
        Some(opcode::READ) => Kind::Read,
        Some(opcode::WRITE) => Kind::Write,
        _ => return Err(RequestError::Operation),
    };
    let mut texts = reader.rest().split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let name = texts.next().filter(|name| !name.is_empty()).ok_or(RequestError::Truncated)?;
    let mode = texts.next().ok_or(RequestError::Truncated)?;
    let mode = match mode.to_ascii_lowercase().as_str() {
        "octet" | "" => Mode::Octet,
        "netascii" => Mode::Netascii,
        _ => return Err(RequestError::Mode { mode: mode.chars().take(16).collect() }),
    };
    let mut request = Request {
        kind,
        name: name.into_owned(),
        mode,
        block_size: None,
        transfer_size: false,
        timeout_secs: None,
        window_size: None,
    };
    for _ in 0..MAX_OPTIONS {
        let (Some(option), Some(value)) = (texts.next(), texts.next()) else {
            break;
        };
        request.set_option(&option.to_ascii_lowercase(), &value);
    }
    Ok(request)
}

impl Request {
    fn set_option(&mut self, option: &str, value: &str) {
        let number = value.parse().ok();
        match option {
            "blksize" => self.block_size = number,
            "tsize" => self.transfer_size = number.is_some(),
            "timeout" => self.timeout_secs = number,
            "windowsize" => self.window_size = number,
            _ => {}
        }
    }
}

/// Turns a name as clients send it into a relative path with single slashes: firmware and boot loaders ask for
/// `/grub//grub.cfg`, `\Boot\BCD` and `./ldlinux.c32`. `None` where it climbs with `..` or holds control characters.
#[must_use]
pub fn clean_path(name: &str) -> Option<String> {
    if name.chars().any(char::is_control) {
        return None;
    }
    let parts = name.split(['/', '\\']).filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>();
    if parts.contains(&"..") || parts.is_empty() {
        return None;
    }
    Some(parts.join("/"))
}
