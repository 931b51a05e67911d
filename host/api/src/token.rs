//! Tokens and passwords of users (drp-api.md 2.2, 7.15).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Info;

/// A token and what the endpoint says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct UserToken {
    /// The token; opaque to clients.
    pub token: String,
    /// The endpoint's description.
    pub info: Info,
}

/// A new password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct UserPassword {
    /// The password in clear text.
    pub password: String,
}
