//! Reading: all objects at one revision.

use std::sync::Arc;

use formwork_model::{Object, Objects, Span};

use crate::{Index, Revision, Stored, state::State};

/// All objects at one revision. A copy costs one pointer; later writes do not show in it.
#[derive(Clone)]
pub struct Snapshot(pub(crate) Arc<State>);

impl Snapshot {
    /// Returns the revision of the snapshot.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.0.revision
    }

    /// Returns an object with the revision of its last change.
    #[must_use]
    pub fn stored(&self, prefix: &str, key: &str) -> Option<Stored> {
        self.0.stored(prefix, key).cloned()
    }

    /// Calls `visit` with the key and the object for all objects of a type in key order, until it returns false.
    pub fn visit_stored(&self, prefix: &str, visit: &mut dyn FnMut(&str, &Stored) -> bool) {
        self.0.visit_stored(prefix, visit);
    }

    /// Returns a sorted member of a type ([`formwork_model::Kind::indexes`]); none when the store does not keep it
    /// sorted, or has never had an object of the type.
    #[must_use]
    pub fn index(&self, prefix: &str, member: &str) -> Option<Index<'_>> {
        self.0.index(prefix, member)
    }
}

impl Objects for Snapshot {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        self.0.find(prefix, key)
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.0.visit(prefix, visit);
    }

    fn count(&self, prefix: &str) -> usize {
        self.0.count(prefix)
    }

    fn users_of(&self, prefix: &str, key: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.0.users_of(prefix, key, visit);
    }

    fn range(&self, span: &Span<'_>, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.0.range(span, visit);
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Snapshot").field("revision", &self.revision()).finish_non_exhaustive()
    }
}
