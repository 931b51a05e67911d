//! The hardware address of a client, which is its identity everywhere in the server.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::bytes::Hexadecimal;

/// The bytes of `chaddr` that `hlen` says are used: 0 to 16.
///
/// Shown in lower case with colons, which is also the form of a lease's token under the strategy `MAC`
/// (drp-behaviour.md 6.6: client identifiers are ignored). That folds the two identities of one machine into one:
/// OVMF sends no option 61, while iPXE and udhcpc send `01` and the MAC address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HardwareAddress {
    bytes: [u8; 16],
    len: u8,
}

/// A text or a slice of bytes is not a hardware address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a hardware address of one to sixteen bytes in hexadecimal, separated by colons")]
pub struct HardwareAddressError(String);

impl HardwareAddress {
    /// Makes an Ethernet address.
    #[must_use]
    pub fn ethernet(mac: [u8; 6]) -> Self {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(mac) {
            *to = from;
        }
        Self { bytes, len: 6 }
    }

    /// Makes an address from up to 16 bytes; `None` when there are more.
    #[must_use]
    pub fn new(address: &[u8]) -> Option<Self> {
        let len = u8::try_from(address.len()).ok().filter(|len| *len <= 16)?;
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(address) {
            *to = *from;
        }
        Some(Self { bytes, len })
    }

    /// Returns the bytes that are used.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Returns the whole `chaddr` field, padded with zeros.
    #[must_use]
    pub fn field(&self) -> [u8; 16] {
        self.bytes
    }

    /// Tells whether this can name one client: not empty, not all zeros, and not a group address of Ethernet.
    #[must_use]
    pub fn names_one_client(&self) -> bool {
        let bytes = self.as_bytes();
        let group = bytes.len() == 6 && bytes.first().is_some_and(|first| first & 1 == 1);
        bytes.iter().any(|byte| *byte != 0) && !group
    }
}

impl fmt::Display for HardwareAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hexadecimal(self.as_bytes()).fmt(formatter)
    }
}

impl fmt::Debug for HardwareAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HardwareAddress({self})")
    }
}

impl From<HardwareAddress> for String {
    fn from(address: HardwareAddress) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for HardwareAddress {
    type Error = HardwareAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for HardwareAddress {
    type Err = HardwareAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || HardwareAddressError(text.chars().take(64).collect());
        let part = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            if digits { u8::from_str_radix(part, 16).ok() } else { None }
        };
        let bytes = text.split([':', '-']).take(17).map(part).collect::<Option<Vec<_>>>();
        bytes.as_deref().and_then(Self::new).ok_or_else(refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_lower_case_with_colons_and_reads_back() {
        let address = HardwareAddress::ethernet([0x52, 0x54, 0, 0xAB, 0, 1]);
        assert_eq!(address.to_string(), "52:54:00:ab:00:01");
        assert_eq!("52-54-00-AB-00-01".parse(), Ok(address));
    }

    #[test]
    fn text_that_is_no_address_is_refused() {
        for text in ["", "52", "5:4:0", "52:54:zz", "+1:54", "52:54:00:ab:00:01:"] {
            let parsed = text.parse::<HardwareAddress>();
            assert_eq!(parsed.is_ok(), text == "52", "{text}");
        }
        assert!(["00"; 17].join(":").parse::<HardwareAddress>().is_err());
    }

    #[test]
    fn group_and_zero_addresses_name_no_client() {
        assert!(!HardwareAddress::ethernet([0xff; 6]).names_one_client());
        assert!(!HardwareAddress::ethernet([0; 6]).names_one_client());
        assert!(!HardwareAddress::default().names_one_client());
        assert!(HardwareAddress::ethernet([0xde, 0xad, 0xbe, 0xef, 0xf0, 1]).names_one_client());
    }
}
