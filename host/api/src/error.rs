//! The error object (drp-api.md 1.5).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What every answer with a status of 400 or above carries. All members are always present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct ApiError {
    /// The prefix of the object, or the name of the service.
    pub model: String,
    /// The key as the server understood it; empty for a whole collection.
    pub key: String,
    /// The method of the request, or one of the symbolic types such as `ValidationError`.
    pub r#type: String,
    /// What is wrong, one message a problem.
    pub messages: Vec<String>,
    /// The status of the answer.
    pub code: u16,
}

impl ApiError {
    /// Makes an error with one message.
    #[must_use]
    pub fn new(code: u16, r#type: &str, message: impl Into<String>) -> Self {
        Self { r#type: r#type.to_owned(), messages: vec![message.into()], code, ..Self::default() }
    }

    /// Names the object that the error is about.
    #[must_use]
    pub fn about(mut self, model: &str, key: &str) -> Self {
        model.clone_into(&mut self.model);
        key.clone_into(&mut self.key);
        self
    }

    /// Says that there is no such object.
    #[must_use]
    pub fn not_found(method: &str, model: &str, key: &str) -> Self {
        Self::new(404, method, "Not Found").about(model, key)
    }

    /// Says that an object is not acceptable, one message a problem.
    #[must_use]
    pub fn invalid(model: &str, key: &str, messages: Vec<String>) -> Self {
        Self { messages, ..Self::new(422, "ValidationError", "").about(model, key) }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.r#type, self.model)?;
        if !self.key.is_empty() {
            write!(formatter, "/{}", self.key)?;
        }
        for message in &self.messages {
            write!(formatter, "\n  {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ApiError {}
