//! Tokens, passwords of users and signed URLs (drp-api.md 2.2, 7.15; drp-behaviour.md 5.4).

use formwork_model::Timestamp;
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

/// A URL of a file that needs no other credentials until its time is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct SignedUrl {
    /// The URL: with a host where one was given, else the path from the root of the endpoint on. A secret.
    #[serde(rename = "URL")]
    pub url: String,
    /// When it stops to work.
    pub expires: Timestamp,
}
