//! The options of a message, of a relay agent's envelope or of another option: raw bytes under a code.

use super::packet::PacketError;
use crate::bytes::Reader;

/// The option codes that this crate reads or writes (RFC 8415 and the IANA registry).
#[expect(missing_docs, reason = "a table of registered names; the registry explains each")]
pub mod code {
    pub const CLIENT_ID: u16 = 1;
    pub const SERVER_ID: u16 = 2;
    pub const IA_NA: u16 = 3;
    pub const IA_TA: u16 = 4;
    pub const IA_ADDRESS: u16 = 5;
    pub const OPTION_REQUEST: u16 = 6;
    pub const PREFERENCE: u16 = 7;
    pub const RELAY_MESSAGE: u16 = 9;
    pub const STATUS: u16 = 13;
    pub const RAPID_COMMIT: u16 = 14;
    pub const USER_CLASS: u16 = 15;
    pub const VENDOR_CLASS: u16 = 16;
    pub const INTERFACE_ID: u16 = 18;
    pub const DNS: u16 = 23;
    pub const DOMAINS: u16 = 24;
    pub const IA_PD: u16 = 25;
    pub const SNTP: u16 = 31;
    pub const REFRESH_TIME: u16 = 32;
    pub const ECHO_REQUEST: u16 = 43;
    pub const NTP: u16 = 56;
    pub const BOOT_URL: u16 = 59;
    pub const BOOT_PARAMETERS: u16 = 60;
    pub const ARCHITECTURE: u16 = 61;
    pub const LINK_LAYER_ADDRESS: u16 = 79;
    pub const RELAY_SOURCE_PORT: u16 = 135;
}

/// More options than this at one place are nobody's: real clients send about ten.
const MAX_OPTIONS: usize = 256;

/// An ordered list of options. A code may come several times, as a client has several associations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    entries: Vec<(u16, Vec<u8>)>,
}

impl Options {
    /// Makes an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a whole field of options.
    ///
    /// # Errors
    ///
    /// An option runs past the end of the field, or there are more than 256.
    pub fn parse(field: &[u8]) -> Result<Self, PacketError> {
        let mut options = Self::new();
        let mut reader = Reader::new(field);
        while !reader.rest().is_empty() {
            let code = reader.u16().ok_or(PacketError::OptionHeader)?;
            let value = reader.u16().and_then(|len| reader.take(usize::from(len)));
            let value = value.ok_or(PacketError::OptionLength { code })?;
            if options.entries.len() == MAX_OPTIONS {
                return Err(PacketError::TooManyOptions { max: MAX_OPTIONS });
            }
            options.entries.push((code, value.to_vec()));
        }
        Ok(options)
    }

    /// Returns the bytes of the first option with this code.
    #[must_use]
    pub fn bytes(&self, code: u16) -> Option<&[u8]> {
        self.all(code).next()
    }

    /// Returns the bytes of each option with this code.
    pub fn all(&self, code: u16) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(known, _)| *known == code).map(|(_, value)| value)
    }

    /// Tells whether an option is present, even when it is empty.
    #[must_use]
    pub fn contains(&self, code: u16) -> bool {
        self.bytes(code).is_some()
    }

    /// Iterates over all options in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.entries.iter().map(|(code, value)| (*code, value.as_slice()))
    }

    /// Adds an option at the end.
    pub fn push(&mut self, code: u16, value: impl Into<Vec<u8>>) {
        self.entries.push((code, value.into()));
    }

    /// Removes the first option with this code and returns its bytes.
    pub fn remove(&mut self, code: u16) -> Option<Vec<u8>> {
        let place = self.entries.iter().position(|(known, _)| *known == code)?;
        Some(self.entries.remove(place).1)
    }

    /// Appends all options as they are on the wire. A value above 65,535 bytes has no form there and is left out.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        for (code, value) in self.iter() {
            write_option(bytes, code, value);
        }
    }

    /// Returns how many bytes [`Options::write`] appends.
    #[must_use]
    pub fn written_len(&self) -> usize {
        self.entries.iter().map(|(_, value)| 4 + value.len()).sum()
    }
}

/// Appends one option.
pub(super) fn write_option(bytes: &mut Vec<u8>, code: u16, value: &[u8]) {
    if let Ok(len) = u16::try_from(value.len()) {
        bytes.extend_from_slice(&code.to_be_bytes());
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(value);
    }
}
