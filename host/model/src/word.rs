//! Members that hold one of a few words, each of them a variant of an enum.

use std::fmt;

use serde::de::{Error, Visitor};

/// How the message about a word begins that its member does not know (drp-api.md 7.10); the decoder's own messages begin
/// otherwise.
const UNKNOWN: &str = "Invalid ";

/// Reads a member that holds one of a few words.
pub(crate) struct Word<F> {
    /// The member.
    pub(crate) member: &'static str,
    /// Returns what a word stands for.
    pub(crate) read: F,
}

impl<T, F: Fn(&str) -> Option<T>> Visitor<'_> for Word<F> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a word")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        (self.read)(word).ok_or_else(|| E::custom(format!("{UNKNOWN}{} `{word}`", self.member)))
    }
}

/// Tells whether a decoder failed at a word that its member does not know. A decoder's errors are nothing but text.
pub(crate) fn is_unknown(message: &str) -> bool {
    message.starts_with(UNKNOWN)
}
