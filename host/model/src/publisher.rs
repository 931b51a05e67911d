//! Publishers: whose signatures on packs are trusted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Header, Kind, Layers, NameGrammar, Timestamp, name_problem, object::object};

/// The length of 32 bytes in base64 with padding.
const KEY_TEXT_BYTES: usize = 44;

/// Somebody whose packs may be installed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Publisher {
    /// The key.
    pub id: String,
    /// The name for people; empty means the id.
    pub name: String,
    /// The ed25519 public key: 32 bytes in base64.
    pub public_key: String,
    /// When trust in the key ends; unset means never.
    pub not_after: Timestamp,
    /// One line for people.
    pub description: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Publisher {
    /// Returns what people call the publisher.
    #[must_use]
    pub fn title(&self) -> &str {
        if self.name.is_empty() { &self.id } else { &self.name }
    }
}

pub(crate) static KIND: Kind = Kind {
    columns: &["Id", "Name", "PublicKey", "NotAfter", "Description"],
    layers: Layers::Writable,
    ..Kind::of::<Publisher>("publishers", "Id", "publisher")
};

object!(
    Publisher,
    KIND,
    key = |publisher| publisher.id.clone(),
    normalise = |publisher| publisher.public_key = publisher.public_key.trim().to_owned(),
    problems = problems
);

fn problems(publisher: &Publisher) -> Vec<String> {
    let id = publisher.id.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Machine, id, id).into_iter().collect();
    if !is_key_text(&publisher.public_key) {
        found.push(format!("{id}: Invalid PublicKey: it must be 32 bytes in base64"));
    }
    found
}

/// Tells whether a text looks like 32 bytes in base64. Whether they are a point of the curve is for those who verify.
fn is_key_text(text: &str) -> bool {
    text.len() == KEY_TEXT_BYTES
        && text.strip_suffix('=').is_some_and(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Object as _;

    fn publisher(public_key: &str) -> Publisher {
        Publisher { id: "acme".into(), public_key: public_key.into(), ..Publisher::default() }
    }

    #[test]
    fn key_is_32_bytes_in_base64() {
        assert!(publisher("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").problems().is_empty());
        for text in [
            "",
            "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUR==",
            "é",
        ] {
            let problems = publisher(text).problems();
            assert_eq!(problems, ["acme: Invalid PublicKey: it must be 32 bytes in base64"], "{text}");
        }
    }

    #[test]
    fn publisher_without_a_name_is_called_by_its_id() {
        assert_eq!(publisher("").title(), "acme");
        assert_eq!(Publisher { name: "Acme Ltd".into(), ..publisher("") }.title(), "Acme Ltd");
    }
}
