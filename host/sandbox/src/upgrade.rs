//! Upgrade steps: what goes into a question and what comes out, the same for all tracks.

use serde::{Deserialize, Serialize};

/// The releases on both sides of an upgrade, as semantic versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Upgrade {
    /// The release that the objects are of.
    pub from_version: String,
    /// The release that they are to be of.
    pub to_version: String,
}

/// How much of one type is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Census {
    /// Prefix of the type.
    pub prefix: String,
    /// How many objects, read-only layers not counted.
    pub objects: u64,
}

/// Something that stands in the way of an upgrade, or that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// Whether the upgrade must not begin.
    pub is_fatal: bool,
    /// Kebab-case, for programs.
    pub code: String,
    /// One sentence for the operator.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
}

/// What becomes of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It stays as it is.
    Keep,
    /// This one takes its place, as JSON text.
    Replace(String),
    /// It goes.
    Remove,
}
