//! The members that all stored objects share (drp-api.md 3.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Meta, Timestamp};

/// The common members of a stored object. All but `Meta` are the server's: what a client sends is ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Header {
    /// True when the object is acceptable; only such objects are stored.
    pub validated: bool,
    /// True when the object can be used now; `Errors` says why not.
    pub available: bool,
    /// Why the object is not available; empty exactly when it is.
    pub errors: Vec<String>,
    /// True for every object that comes out of a content bundle.
    pub read_only: bool,
    /// Free words of users; `icon`, `color`, `title` and `feature-flags` have a meaning to clients.
    pub meta: Meta,
    /// The endpoint that owns the object; empty on a stand-alone server.
    pub endpoint: String,
    /// The content bundle that the object comes from; empty for the writable layer.
    pub bundle: String,
    /// When the object was made.
    pub created_at: Timestamp,
    /// The user who made it.
    pub created_by: String,
    /// When it was last changed.
    pub last_modified_at: Timestamp,
    /// The user who last changed it.
    pub last_modified_by: String,
}

impl Header {
    /// The members that only the server writes, by their JSON names.
    pub const READ_ONLY: &'static [&'static str] = &[
        "Validated",
        "Available",
        "Errors",
        "ReadOnly",
        "Endpoint",
        "Bundle",
        "CreatedAt",
        "CreatedBy",
        "LastModifiedAt",
        "LastModifiedBy",
        "Partial",
    ];

    /// Sets availability from what is wrong with the object; nothing wrong means available.
    pub fn set_errors(&mut self, errors: Vec<String>) {
        self.validated = true;
        self.available = errors.is_empty();
        self.errors = errors;
    }

    /// Tells whether the comma-separated `feature-flags` of the meta map hold a word.
    #[must_use]
    pub fn has_feature(&self, feature: &str) -> bool {
        self.meta
            .get("feature-flags")
            .is_some_and(|flags| flags.split(',').any(|flag| flag.trim() == feature))
    }
}
