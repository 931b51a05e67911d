//! The packets of a running transfer.

use crate::bytes::Reader;

/// The operation codes of RFC 1350 and RFC 2347.
pub(crate) mod opcode {
    pub(crate) const READ: u16 = 1;
    pub(crate) const WRITE: u16 = 2;
    pub(crate) const DATA: u16 = 3;
    pub(crate) const ACK: u16 = 4;
    pub(crate) const ERROR: u16 = 5;
    pub(crate) const OACK: u16 = 6;
}

/// The error codes that this server sends (RFC 1350 appendix, RFC 2347).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The text says it.
    Undefined,
    /// There is no such file.
    NotFound,
    /// The file may not be read, or written: this server is read-only.
    Denied,
    /// The packet makes no sense here.
    IllegalOperation,
}

impl ErrorCode {
    /// Returns the code on the wire.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Undefined => 0,
            Self::NotFound => 1,
            Self::Denied => 2,
            Self::IllegalOperation => 4,
        }
    }
}

/// Writes an ERROR packet.
#[must_use]
pub fn error_packet(code: ErrorCode, message: &str) -> Vec<u8> {
    let mut packet = Vec::with_capacity(message.len() + 5);
    packet.extend_from_slice(&opcode::ERROR.to_be_bytes());
    packet.extend_from_slice(&code.code().to_be_bytes());
    packet.extend(message.bytes().filter(|byte| *byte != 0));
    packet.push(0);
    packet
}

/// Writes an OACK packet into `packet`.
pub(super) fn write_oack(packet: &mut Vec<u8>, options: &[(&'static str, u64)]) {
    packet.extend_from_slice(&opcode::OACK.to_be_bytes());
    for (name, value) in options {
        packet.extend_from_slice(name.as_bytes());
        packet.push(0);
        packet.extend_from_slice(value.to_string().as_bytes());
        packet.push(0);
    }
}

/// What a client says during a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FromClient {
    Ack(u16),
    Error { code: u16, message: String },
}

/// Reads a client's packet; `None` for everything that a reading client does not send. Trailing bytes are ignored.
pub(super) fn parse(packet: &[u8]) -> Option<FromClient> {
    let mut reader = Reader::new(packet);
    match reader.u16()? {
        opcode::ACK => reader.u16().map(FromClient::Ack),
        opcode::ERROR => {
            let code = reader.u16()?;
            let text = reader.rest().split(|byte| *byte == 0).next().unwrap_or_default();
            let text = text.get(..text.len().min(128)).unwrap_or_default();
            Some(FromClient::Error { code, message: String::from_utf8_lossy(text).into_owned() })
        }
        _ => None,
    }
}
