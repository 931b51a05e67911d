//! Events and the filters of the websocket (drp-api.md 8).

use formwork_model::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened to an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Event {
    /// When it was emitted.
    pub time: Timestamp,
    /// The prefix of the object, or any other word.
    pub r#type: String,
    /// `create`, `update`, `save`, `delete`, or any other word.
    pub action: String,
    /// The native key of the object.
    pub key: String,
    /// Who caused it: `user:NAME`, `runner:UUID`, `system`.
    pub principal: String,
    /// The object afterwards; for deletes as it was.
    pub object: Value,
    /// The object before an `update` or a `save`; null otherwise.
    pub original: Value,
    /// The revision that a stream can resume from after this event; streams that can resume have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// A filter is not of the form `TYPE.ACTION.KEY`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter `{0}` is not of the form TYPE.ACTION.KEY")]
pub struct FilterError(pub String);

/// Which events a listener wants: three lists, each with its values or everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter {
    parts: [Vec<String>; 3],
}

impl EventFilter {
    /// Parses the text of a `register` command. Each part is `*` or a comma list; `\1` stands for a dot,
    /// `\2` for a comma and `\3` for a star.
    ///
    /// # Errors
    ///
    /// The text has fewer than three parts.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let mut parts = text.splitn(3, '.').map(part);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(r#type), Some(action), Some(key)) => Ok(Self { parts: [r#type, action, key] }),
            _ => Err(FilterError(text.to_owned())),
        }
    }

    /// Returns the types that pass; none stands for all.
    #[must_use]
    pub fn types(&self) -> &[String] {
        let [types, ..] = &self.parts;
        types
    }

    /// Returns the keys that pass; none stands for all.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        let [.., keys] = &self.parts;
        keys
    }

    /// Tells whether an event with these three members passes.
    #[must_use]
    pub fn matches(&self, r#type: &str, action: &str, key: &str) -> bool {
        self.parts
            .iter()
            .zip([r#type, action, key])
            .all(|(values, member)| values.is_empty() || values.iter().any(|value| value == member))
    }
}

/// Returns the values of one part; none for everything.
fn part(text: &str) -> Vec<String> {
    let values: Vec<&str> = text.split(',').map(str::trim).collect();
    if values.contains(&"*") {
        return Vec::new();
    }
    values.iter().map(|value| value.replace("\\1", ".").replace("\\2", ",").replace("\\3", "*")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn third_part_may_hold_dots_and_stars_match_all() {
        let filter = EventFilter::parse("profiles.create, update.a.b").unwrap();
        assert!(filter.matches("profiles", "update", "a.b"));
        assert!(!filter.matches("profiles", "delete", "a.b"));
        assert_eq!(
            (filter.types(), filter.keys()),
            (&[String::from("profiles")][..], &[String::from("a.b")][..])
        );
        let all = EventFilter::parse("*.*.*").unwrap();
        assert!(all.matches("x", "y", "z") && all.types().is_empty() && all.keys().is_empty());
    }

    #[test]
    fn escapes_stand_for_the_characters_with_a_meaning() {
        assert!(EventFilter::parse(r"a\1b.c\2d.e\3f").unwrap().matches("a.b", "c,d", "e*f"));
    }

    #[test]
    fn two_parts_are_no_filter() {
        assert!(EventFilter::parse("machines.update").is_err());
    }
}
