//! The settings of iPXE: what is known of the machine and its network, and what scripts set.

use std::{collections::BTreeMap, fmt::Write as _};

/// How many variables scripts may set.
const MAX_VARIABLES: usize = 512;

/// The longest word after its expansion, in bytes.
const MAX_WORD: usize = 8192;

/// How many references one word may have, those that values bring along included.
const MAX_EXPANSIONS: usize = 64;

/// All variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    facts: BTreeMap<&'static str, String>,
    own: BTreeMap<String, String>,
}

impl Variables {
    /// Starts with what is known of the machine and its network, by iPXE's names without a card's prefix.
    pub(crate) fn new(facts: Vec<(&'static str, String)>) -> Self {
        Self { facts: facts.into_iter().collect(), own: BTreeMap::new() }
    }

    /// Replaces what is known of the machine and its network.
    pub(super) fn set_facts(&mut self, facts: Vec<(&'static str, String)>) {
        self.facts = facts.into_iter().collect();
    }

    /// Sets a variable; an empty value removes it, as in iPXE.
    pub(super) fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        if value.is_empty() {
            self.own.remove(name);
            return Ok(());
        }
        if self.own.len() >= MAX_VARIABLES && !self.own.contains_key(name) {
            return Err(format!("more than {MAX_VARIABLES} variables"));
        }
        if value.len() + name.len() > MAX_WORD {
            return Err(format!("a variable is longer than {MAX_WORD} bytes"));
        }
        self.own.insert(name.to_owned(), value);
        Ok(())
    }

    /// Replaces every `${name}` and `${name:type}`; what is not set becomes nothing.
    ///
    /// The innermost reference goes first, so names can hold references, and so can values.
    pub(super) fn expand(&self, word: &str) -> Result<String, String> {
        let mut text = word.to_owned();
        for _ in 0..MAX_EXPANSIONS {
            let Some((before, name, after)) = innermost(&text) else {
                return Ok(text);
            };
            text = [before, &self.value(name)?, after].concat();
            if text.len() > MAX_WORD {
                return Err(format!("a word is longer than {MAX_WORD} bytes"));
            }
        }
        Err(format!("a word has more than {MAX_EXPANSIONS} variables"))
    }

    fn value(&self, reference: &str) -> Result<String, String> {
        let (name, kind) = reference.split_once(':').unwrap_or((reference, ""));
        let value = self.own.get(name).or_else(|| self.facts.get(without_card(name)));
        let value = value.map(String::as_str).unwrap_or_default();
        Ok(match kind {
            "" | "string" | "uuid" | "ipv4" | "ip" => value.to_owned(),
            "hex" if is_card_address(name) => value.to_owned(),
            "hexhyp" if is_card_address(name) => value.replace(':', "-"),
            "hexraw" if is_card_address(name) => value.replace(':', ""),
            "hex" => hexadecimal(value, ":"),
            "hexhyp" => hexadecimal(value, "-"),
            "hexraw" => hexadecimal(value, ""),
            "uristring" => uri_encoded(value),
            _ => return Err(format!("the type `{kind}` of `${{{reference}}}` is not known")),
        })
    }
}

/// Finds the first reference that has none inside.
fn innermost(text: &str) -> Option<(&str, &str, &str)> {
    let (start, name, after) = text.match_indices('}').find_map(|(end, _)| {
        let (head, tail) = (text.get(..end)?, text.get(end + 1..)?);
        let start = head.rfind("${")?;
        Some((start, head.get(start + 2..)?, tail))
    })?;
    Some((text.get(..start)?, name, after))
}

/// The machine has one card: its settings and the common ones are the same.
fn without_card(name: &str) -> &str {
    match name.split_once('/') {
        Some(("net0" | "netX" | "smbios" | "dhcp" | "net0.dhcp" | "netX.dhcp", setting)) => setting,
        _ => name,
    }
}

/// A hardware address is bytes by nature, while other settings are texts.
fn is_card_address(name: &str) -> bool {
    without_card(name) == "mac"
}

fn hexadecimal(value: &str, separator: &str) -> String {
    value.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator)
}

fn uri_encoded(value: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
