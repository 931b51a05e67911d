//! Lines of the endpoint's log (drp-api.md 12.8).

use formwork_model::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One line of the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Line {
    /// The request that it belongs to; 0 for none.
    pub group: i64,
    /// Grows by one from line to line.
    pub seq: i64,
    /// When it was written.
    pub time: Timestamp,
    /// The part of the endpoint that wrote it: `frontend`, `dhcp`, `static`, `bootstrap`, `plugins`, `renderer` ...
    pub service: String,
    /// On whose behalf.
    pub principal: String,
    /// `trace debug info warn error` or `audit`.
    pub level: String,
    /// The source file.
    pub file: String,
    /// The line in it.
    pub line: i64,
    /// The words.
    pub message: String,
    /// What belongs to them, as `name=value`.
    pub data: Vec<Value>,
    /// True when it is not told as an event.
    pub ignore_publish: bool,
}
