//! Updates as clients see them (drp-api.md 14.3).

use std::collections::BTreeMap;

use formwork_model::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An update as clients see it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateResponse {
    /// What names it in further requests.
    pub(crate) token: String,
    /// Who started it.
    pub(crate) user: String,
    /// The revision of the objects when it was started.
    pub(crate) revision: u64,
    /// When it was started.
    pub(crate) created_at: Timestamp,
    /// When it ends unless something happens to it.
    pub(crate) expires_at: Timestamp,
    /// What was added to it.
    pub(crate) items: Vec<StagedItem>,
}

/// Something that was added to an update.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StagedItem {
    /// The name of the bundle or pack.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// What tells it from other items.
    pub(crate) path: String,
    /// The bytes of what was sent.
    pub(crate) size: u64,
    /// What it says of itself.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What is done at the end of an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CommitOperation {
    /// `add` for what was added to the update, `remove` for what is installed.
    pub(crate) op: String,
    /// The name of the bundle or pack.
    pub(crate) name: String,
    /// Its version; any will do when empty.
    pub(crate) version: String,
    /// The path of the item; any will do when empty.
    pub(crate) path: String,
}
