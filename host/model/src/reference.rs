//! What one object needs of others: the edges that availability and deletion follow.

/// What happens when the thing that is referred to is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The object is refused.
    Refused,
    /// The object is stored, but not available.
    Unavailable,
}

/// A reference of one object to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The prefix of the object that is needed.
    pub prefix: &'static str,
    /// Its key.
    pub key: String,
    /// What happens when it does not exist.
    pub missing: Missing,
    /// The message when it does not exist.
    pub message: String,
    /// The message when it exists but is not available; `None` when that does not matter.
    pub unavailable: Option<String>,
}
