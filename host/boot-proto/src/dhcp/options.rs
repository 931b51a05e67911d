//! The options of a packet: raw bytes under a code, in the order in which they came.

use std::net::Ipv4Addr;

use super::packet::PacketError;
use crate::bytes::Reader;

/// The option codes that this crate reads or writes (RFC 2132 and the IANA registry).
#[expect(missing_docs, reason = "a table of registered names; the registry explains each")]
pub mod code {
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DNS: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN: u8 = 15;
    pub const BROADCAST: u8 = 28;
    pub const VENDOR_SPECIFIC: u8 = 43;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_ID: u8 = 54;
    pub const PARAMETER_LIST: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const MAX_MESSAGE_SIZE: u8 = 57;
    pub const RENEWAL_TIME: u8 = 58;
    pub const REBINDING_TIME: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_ID: u8 = 61;
    pub const TFTP_SERVER: u8 = 66;
    pub const BOOT_FILE: u8 = 67;
    pub const USER_CLASS: u8 = 77;
    pub const RELAY_AGENT: u8 = 82;
    pub const ARCHITECTURE: u8 = 93;
    pub const MACHINE_ID: u8 = 97;
    pub const IPXE: u8 = 175;
    pub const END: u8 = 255;
}

/// An ordered list of options, each code at most once.
///
/// An option that came in several pieces is one entry here, at the place of its first piece (RFC 3396).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    entries: Vec<(u8, Vec<u8>)>,
}

impl Options {
    /// Makes an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the bytes of an option.
    #[must_use]
    pub fn bytes(&self, code: u8) -> Option<&[u8]> {
        self.entries.iter().find(|(known, _)| *known == code).map(|(_, value)| value.as_slice())
    }

    /// Tells whether an option is present, even when it is empty.
    #[must_use]
    pub fn contains(&self, code: u8) -> bool {
        self.bytes(code).is_some()
    }

    /// Returns the first byte of an option.
    #[must_use]
    pub fn byte(&self, code: u8) -> Option<u8> {
        self.bytes(code)?.first().copied()
    }

    /// Returns an option of exactly four bytes as an address.
    #[must_use]
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        <[u8; 4]>::try_from(self.bytes(code)?).ok().map(Ipv4Addr::from)
    }

    /// Returns an option of exactly four bytes as a number.
    #[must_use]
    pub fn number(&self, code: u8) -> Option<u32> {
        <[u8; 4]>::try_from(self.bytes(code)?).ok().map(u32::from_be_bytes)
    }

    /// Sets an option, in its old place or at the end. Codes 0 and 255 have no value and are ignored.
    pub fn set(&mut self, code: u8, value: impl Into<Vec<u8>>) {
        if matches!(code, code::PAD | code::END) {
            return;
        }
        match self.entries.iter_mut().find(|(known, _)| *known == code) {
            Some((_, old)) => *old = value.into(),
            None => self.entries.push((code, value.into())),
        }
    }

    /// Sets an option to a list of addresses; an empty list removes it.
    pub fn set_addresses(&mut self, code: u8, addresses: &[Ipv4Addr]) {
        if addresses.is_empty() {
            self.remove(code);
        } else {
            self.set(code, addresses.iter().flat_map(Ipv4Addr::octets).collect::<Vec<_>>());
        }
    }

    /// Removes an option and returns its bytes.
    pub fn remove(&mut self, code: u8) -> Option<Vec<u8>> {
        let place = self.entries.iter().position(|(known, _)| *known == code)?;
        Some(self.entries.remove(place).1)
    }

    /// Puts the options into an order; those of one rank stay as they are.
    pub fn sort_by_key(&mut self, mut rank: impl FnMut(u8) -> usize) {
        self.entries.sort_by_cached_key(|(code, _)| rank(*code));
    }

    /// Iterates over all options in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.entries.iter().map(|(code, value)| (*code, value.as_slice()))
    }

    /// Reads one option field up to its end mark, or to its last byte where a sloppy client left the mark out.
    ///
    /// # Errors
    ///
    /// An option whose length runs past the field: nothing behind it can be trusted (drp-behaviour.md 6.6).
    pub(super) fn extend_from_field(&mut self, field: &[u8]) -> Result<(), PacketError> {
        let mut reader = Reader::new(field);
        while let Some(code) = reader.byte() {
            match code {
                code::PAD => {}
                code::END => break,
                _ => {
                    let value = reader.byte().and_then(|len| reader.take(usize::from(len)));
                    self.append(code, value.ok_or(PacketError::OptionLength { code })?);
                }
            }
        }
        Ok(())
    }

    /// Adds the next piece of an option (RFC 3396 section 7).
    fn append(&mut self, code: u8, piece: &[u8]) {
        match self.entries.iter_mut().find(|(known, _)| *known == code) {
            Some((_, value)) => value.extend_from_slice(piece),
            None => self.entries.push((code, piece.to_vec())),
        }
    }
}
