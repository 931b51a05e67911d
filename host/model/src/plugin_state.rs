//! What the endpoint remembers for plugins: how far events are delivered, those that were given up, and the small
//! stores of packs. These types are the endpoint's own: they have routes of their own or none, and no events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Header, Kind, Layers, Surface, Timestamp, object::object};

/// How far the events of one plugin are delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct PluginCursor {
    /// The key: the name of the plugin.
    pub name: String,
    /// The last revision all of whose changes are done with.
    pub revision: u64,
    /// The changes of the next revision that are done with already.
    pub done: usize,
    /// What is wrong with the event that is being tried; empty when nothing is.
    pub trouble: String,
    /// The number of the newest dead letter; 0 before the first.
    pub letters: u64,
    /// Dead letters that are kept.
    pub kept: u64,
    /// The bytes of their objects.
    pub bytes: u64,
    /// Dead letters that were dropped to make room.
    pub dropped: u64,
    /// The newest gap in words: between which revisions events are lost; empty when none are.
    pub lost: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

/// The description of [`PluginCursor`].
pub(crate) static CURSOR: Kind = Kind {
    columns: &["Name", "Revision"],
    surface: Surface::Internal,
    layers: Layers::None,
    ..Kind::of::<PluginCursor>("plugin_cursors", "Name", "plugin cursor")
};

object!(PluginCursor, CURSOR, key = |cursor| cursor.name.clone());

/// An event that a plugin did not take in, or a gap in its events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeadLetter {
    /// The key: the name of the plugin, a slash and the number with leading zeros, so that keys sort by age.
    pub id: String,
    /// The name of the plugin.
    pub plugin: String,
    /// Its number among those of the plugin, from 1.
    pub number: u64,
    /// Why it is here.
    pub reason: String,
    /// How often it was tried; 0 for a gap.
    pub tries: u32,
    /// When it came here.
    pub time: Timestamp,
    /// True while it waits to be delivered again.
    pub retry: bool,
    /// The first revision whose events are lost; 0 when this is an event.
    pub lost_from: u64,
    /// The last revision whose events are lost.
    pub lost_to: u64,
    /// The type of the event.
    pub r#type: String,
    /// Its action.
    pub action: String,
    /// The key of its object.
    pub key: String,
    /// The revision that made it.
    pub revision: u64,
    /// When it happened.
    pub event_time: Timestamp,
    /// Its object as the plugin was to see it.
    pub object: Value,
    /// The bytes of the object's JSON.
    pub bytes: u64,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl DeadLetter {
    /// Returns the key of a letter.
    #[must_use]
    pub fn id(plugin: &str, number: u64) -> String {
        format!("{plugin}/{number:020}")
    }

    /// Tells whether this stands for events that are lost, so that there is nothing to deliver.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        self.lost_from != 0
    }
}

/// The description of [`DeadLetter`].
pub(crate) static LETTER: Kind = Kind {
    opaque: &["Object"],
    columns: &["Number", "Type", "Action", "Key", "Reason"],
    surface: Surface::Internal,
    layers: Layers::None,
    ..Kind::of::<DeadLetter>("dead_letters", "Id", "dead letter")
};

object!(DeadLetter, LETTER, key = |letter| letter.id.clone());

/// One entry of the small store of a pack; the one without a slash in its key holds what the pack has used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct PackValue {
    /// The key: the name of the pack, a slash and the entry's own key; the name alone for the sums.
    pub id: String,
    /// The value, free JSON.
    pub value: Value,
    /// The bytes of key and value; for the sums, of all entries.
    pub bytes: u64,
    /// For the sums, the number of entries.
    pub count: u64,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

/// The description of [`PackValue`].
pub(crate) static VALUE: Kind = Kind {
    opaque: &["Value"],
    columns: &["Id", "Bytes"],
    surface: Surface::Internal,
    layers: Layers::None,
    ..Kind::of::<PackValue>("pack_values", "Id", "pack value")
};

object!(PackValue, VALUE, key = |value| value.id.clone());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_dead_letters_sort_by_age() {
        assert!(DeadLetter::id("a", 9) < DeadLetter::id("a", 10));
        assert!(DeadLetter::id("a", u64::MAX) > DeadLetter::id("a", u64::MAX - 1));
    }
}
