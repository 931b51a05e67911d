//! The members of a query string.

/// Members of a query in order; a name may occur several times (drp-api.md 4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    members: Vec<(String, String)>,
}

impl Query {
    /// Makes an empty query.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.push(name, value);
        self
    }

    /// Adds a member in place.
    pub fn push(&mut self, name: impl Into<String>, value: impl ToString) {
        self.members.push((name.into(), value.to_string()));
    }

    /// Iterates over the members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
