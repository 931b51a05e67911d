//! Why something was not done.

/// A decision not to do what was asked. The server turns it into a status (drp-api.md 1.5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The object is not acceptable; one message a problem.
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    /// The state of things does not allow it now.
    #[error("{0}")]
    Conflict(String),
}

impl Refusal {
    /// Makes a refusal of an object with one message.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(vec![message.into()])
    }
}
