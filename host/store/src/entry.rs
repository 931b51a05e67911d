//! What the feed carries: one entry a transaction, one change an object.

use std::sync::Arc;

use formwork_model::Object;
use serde::{Deserialize, Serialize};

use crate::Revision;

/// What a change did to an object, as readers see it.
///
/// A row that hides a base object updates it, and so does the deletion of that row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// There was no such object before.
    Created,
    /// There was one and there is one.
    Updated,
    /// There is no such object any more.
    Deleted,
}

/// What one transaction did to one object, from its first touch to its last.
#[derive(Clone, Debug)]
pub struct Change {
    /// The revision of the transaction.
    pub revision: Revision,
    /// Who changed the object: who made the transaction, unless it went on as somebody else.
    pub principal: Arc<str>,
    /// The type of the object.
    pub prefix: &'static str,
    /// The native key of the object.
    pub key: Arc<str>,
    /// What happened.
    pub action: Action,
    /// The object before the transaction; absent when it was created.
    pub before: Option<Arc<dyn Object>>,
    /// The object after the transaction; absent when it was deleted.
    pub after: Option<Arc<dyn Object>>,
}

/// One committed transaction that changed something.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The revision that the transaction made.
    pub revision: Revision,
    /// Who made it.
    pub principal: Arc<str>,
    /// What changed, in the order in which the transaction first touched the objects; never empty.
    pub changes: Arc<[Change]>,
}
