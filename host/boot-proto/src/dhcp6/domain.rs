//! Domain names as DHCPv6 and Router Advertisements carry them.

use std::str::FromStr;

/// A domain name in the form of RFC 1035 section 3.1: each label with its length before it, and a zero at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainName(Vec<u8>);

/// A text is not a domain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a domain name: labels of 1 to 63 letters, digits, `-` or `_`, 253 characters in all")]
pub struct DomainNameError(String);

impl DomainName {
    /// Returns the bytes on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for DomainName {
    type Err = DomainNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || DomainNameError(text.chars().take(64).collect());
        let name = text.strip_suffix('.').unwrap_or(text);
        let mut bytes = Vec::with_capacity(name.len() + 2);
        for label in name.split('.') {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            let len = u8::try_from(label.len()).ok().filter(|len| (1..=63).contains(len));
            let len = len.filter(|_| label.bytes().all(allowed)).ok_or_else(refuse)?;
            bytes.push(len);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        if bytes.len() > 255 { Err(refuse()) } else { Ok(Self(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_written_in_labels() {
        let wire = b"\x04boot\x07example\x00";
        assert_eq!("boot.example".parse::<DomainName>().unwrap().as_bytes(), wire);
        assert_eq!("boot.example.".parse::<DomainName>().unwrap().as_bytes(), wire);
    }

    #[test]
    fn text_that_is_no_name_is_refused() {
        let long_label = "x".repeat(64);
        let long_name = ["x".repeat(50).as_str(); 6].join(".");
        for text in ["", ".", "a..b", "a b", "a/b", "é.example", &long_label, &long_name] {
            assert!(text.parse::<DomainName>().is_err(), "{text}");
        }
    }
}
