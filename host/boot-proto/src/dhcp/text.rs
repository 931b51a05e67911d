//! The values of options as text: how operators write them, and how they are shown (drp-behaviour.md 6.7).

use std::net::Ipv4Addr;

use super::{MessageType, code};

/// What marks raw text as the value of an option that has no form of its own.
const RAW: &str = "string:";

/// The names of the message types, in the order of their codes from 1 on.
const MESSAGES: [&str; 8] = ["dis", "ofr", "req", "dec", "ack", "nak", "rel", "inf"];

/// A text is not the value of an option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("option {code}: `{part}` is not {wanted}")]
pub struct OptionTextError {
    /// The option.
    pub code: u8,
    /// The part of the text that does not fit.
    pub part: String,
    /// What it should be.
    pub wanted: &'static str,
}

/// How the value of an option is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The option has no value.
    Nothing,
    Message,
    Address,
    Addresses,
    Text,
    Number32,
    Number16,
    Number8,
    /// Decimal bytes, or raw text behind [`RAW`].
    Bytes,
}

impl Form {
    fn of(code: u8) -> Self {
        match code {
            code::PAD | code::END => Self::Nothing,
            code::MESSAGE_TYPE => Self::Message,
            1 | 16 | 28 | 32 | 50 | 54 => Self::Address,
            3..=11 | 21 | 33 | 41 | 42 | 44 | 45 | 48 | 49 | 65 | 68..=76 => Self::Addresses,
            12 | 14 | 15 | 17 | 18 | 40 | 47 | 56 | 60 | 64 | 66 | 67 | 77 | 100 | 101 => Self::Text,
            2 | 24 | 35 | 38 | 51 | 58 | 59 => Self::Number32,
            13 | 22 | 26 | 57 | 93 => Self::Number16,
            19 | 20 | 23 | 27 | 29..=31 | 34 | 36 | 37 | 39 | 46 | 52 => Self::Number8,
            _ => Self::Bytes,
        }
    }

    /// Says what a value is, in an error.
    fn wanted(self) -> &'static str {
        match self {
            Self::Nothing => "empty, as this option has no value",
            Self::Message => "a message: dis, ofr, req, dec, ack, nak, rel or inf",
            Self::Address | Self::Addresses => "an IPv4 address",
            Self::Text => "text",
            Self::Number32 => "a number from 0 to 4294967295",
            Self::Number16 => "a number from 0 to 65535",
            Self::Number8 => "a number from 0 to 255",
            Self::Bytes => {
                "a byte from 0 to 255; write numbers with commas between, or `string:` before text"
            }
        }
    }
}

/// Returns the bytes of an option whose value is written as text; of the empty text there are none.
///
/// # Errors
///
/// The text does not have the form of the option's values.
pub fn option_bytes(code: u8, text: &str) -> Result<Vec<u8>, OptionTextError> {
    let form = Form::of(code);
    let one = |part: &str| {
        one_value(form, part.trim()).ok_or_else(|| OptionTextError {
            code,
            part: part.trim().to_owned(),
            wanted: form.wanted(),
        })
    };
    if text.is_empty() {
        return Ok(Vec::new());
    }
    match form {
        Form::Text => Ok(text.as_bytes().to_vec()),
        Form::Bytes if text.starts_with(RAW) => {
            Ok(text.as_bytes().get(RAW.len()..).unwrap_or_default().to_vec())
        }
        Form::Addresses | Form::Bytes => {
            Ok(text.split(',').map(one).collect::<Result<Vec<_>, _>>()?.concat())
        }
        _ => one(text),
    }
}

fn one_value(form: Form, part: &str) -> Option<Vec<u8>> {
    Some(match form {
        Form::Nothing => return None,
        Form::Message => vec![u8::try_from(MESSAGES.iter().position(|name| *name == part)?).ok()? + 1],
        Form::Address | Form::Addresses => part.parse::<Ipv4Addr>().ok()?.octets().to_vec(),
        Form::Text => part.as_bytes().to_vec(),
        Form::Number32 => part.parse::<u32>().ok()?.to_be_bytes().to_vec(),
        Form::Number16 => part.parse::<u16>().ok()?.to_be_bytes().to_vec(),
        Form::Number8 | Form::Bytes => vec![part.parse().ok()?],
    })
}

/// Returns the value of an option as text. Bytes that do not have the option's form are shown as those of an unknown option are:
/// as decimal numbers with commas between.
#[must_use]
pub fn option_text(code: u8, bytes: &[u8]) -> String {
    in_form(Form::of(code), bytes).unwrap_or_else(|| joined(bytes))
}

fn in_form(form: Form, bytes: &[u8]) -> Option<String> {
    match form {
        Form::Message => {
            let kind = MessageType::from_code(*bytes.first()?).filter(|_| bytes.len() == 1)?;
            MESSAGES.get(usize::from(kind.code()) - 1).map(|name| (*name).to_owned())
        }
        Form::Address => <[u8; 4]>::try_from(bytes).ok().map(|octets| Ipv4Addr::from(octets).to_string()),
        Form::Addresses => {
            let (addresses, rest) = bytes.as_chunks::<4>();
            rest.is_empty().then(|| joined(addresses.iter().map(|octets| Ipv4Addr::from(*octets))))
        }
        Form::Text => {
            // Clients end a text with zero bytes that are no part of it (RFC 2132 section 2).
            let text = std::str::from_utf8(bytes).ok()?.trim_end_matches('\0');
            (!text.contains(char::is_control)).then(|| text.to_owned())
        }
        Form::Number32 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| u32::from_be_bytes(bytes).to_string()),
        Form::Number16 => {
            // Option 93 may list several architectures; the first is that of the client (RFC 4578 section 2.1).
            let (first, _) =
                bytes.split_first_chunk::<2>().filter(|(_, rest)| rest.len().is_multiple_of(2))?;
            Some(u16::from_be_bytes(*first).to_string())
        }
        Form::Number8 => <[u8; 1]>::try_from(bytes).ok().map(|[byte]| byte.to_string()),
        Form::Nothing | Form::Bytes => None,
    }
}

fn joined(parts: impl IntoIterator<Item = impl ToString>) -> String {
    parts.into_iter().map(|part| part.to_string()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_form_is_read_and_shown() {
        for (code, text, bytes) in [
            (53, "ack", &[5][..]),
            (1, "255.255.255.0", &[255, 255, 255, 0]),
            (6, "10.0.0.1,10.0.0.2", &[10, 0, 0, 1, 10, 0, 0, 2]),
            (15, "lab.example", b"lab.example"),
            (67, "ipxe.efi", b"ipxe.efi"),
            (51, "3600", &[0, 0, 14, 16]),
            (26, "1500", &[5, 220]),
            (19, "1", &[1]),
            (43, "6,1,8,255", &[6, 1, 8, 255]),
            (175, "176,1,1", &[176, 1, 1]),
        ] {
            assert_eq!(option_bytes(code, text).as_deref(), Ok(bytes), "{code}");
            assert_eq!(option_text(code, bytes), text, "{code}");
        }
        assert_eq!(option_bytes(6, " 10.0.0.1 , 10.0.0.2 ").unwrap().len(), 8);
        assert_eq!(option_bytes(43, "string:6,1").unwrap(), b"6,1");
        assert_eq!(option_bytes(67, "").unwrap(), b"");
        assert_eq!(option_text(93, &[0, 7, 0, 9]), "7");
        assert_eq!(option_text(60, b"PXEClient\0"), "PXEClient");
    }

    #[test]
    fn value_of_another_form_is_refused_with_what_it_should_be() {
        for (code, text, message) in [
            (1, "255.255.255", "option 1: `255.255.255` is not an IPv4 address"),
            (3, "10.0.0.1,", "option 3: `` is not an IPv4 address"),
            (51, "-1", "option 51: `-1` is not a number from 0 to 4294967295"),
            (53, "hello", "option 53: `hello` is not a message: dis, ofr, req, dec, ack, nak, rel or inf"),
            (0, "1", "option 0: `1` is not empty, as this option has no value"),
        ] {
            assert_eq!(option_bytes(code, text).unwrap_err().to_string(), message);
        }
        assert!(option_bytes(43, "256").unwrap_err().to_string().contains("`string:` before text"));
    }

    #[test]
    fn bytes_that_are_no_value_of_the_option_are_shown_as_numbers() {
        assert_eq!(option_text(1, &[255, 255]), "255,255");
        assert_eq!(option_text(12, &[0xff, b'a']), "255,97");
        assert_eq!(option_text(53, &[9]), "9");
        assert_eq!(option_text(12, b"a\nb"), "97,10,98");
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_written_again(code in any::<u8>(), text in "[ -~]{0,40}") {
            if let Ok(bytes) = option_bytes(code, &text) {
                let shown = option_text(code, &bytes);
                prop_assert_eq!(option_bytes(code, &shown), Ok(bytes));
            }
        }

        #[test]
        fn any_bytes_are_shown(code in any::<u8>(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = option_text(code, &bytes);
        }
    }
}
