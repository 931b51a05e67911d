//! Writing: the latest state, with a memory of what was touched, so that it can be taken back.

use std::{collections::BTreeSet, sync::Arc};

use formwork_model::{Object, Objects, Span};

use crate::{Action, Change, Revision, Stored, state::State};

/// The latest state with the changes of one writer on top. Reads see them; nobody else does before the commit.
pub struct Transaction {
    state: State,
    revision: Revision,
    principal: Arc<str>,
    /// On whose behalf objects are changed from now on.
    acting: Arc<str>,
    touched: Vec<Touched>,
    seen: BTreeSet<(&'static str, Arc<str>)>,
}

/// An object that the transaction put or deleted, and what it was at first.
struct Touched {
    prefix: &'static str,
    key: Arc<str>,
    before: Option<Stored>,
    principal: Arc<str>,
}

impl Transaction {
    pub(crate) fn new(state: State, principal: Arc<str>) -> Self {
        let revision = state.revision.next();
        let acting = Arc::clone(&principal);
        Self { state, revision, principal, acting, touched: Vec::new(), seen: BTreeSet::new() }
    }

    /// Returns the revision that the transaction gets when it changes something.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns who writes.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// Creates or replaces the object with the prefix and key of `object`. Hides a base object with them.
    ///
    /// This counts as a change even when nothing is different; [`Self::put_if_changed`] does not.
    pub fn put(&mut self, object: Arc<dyn Object>) {
        let (prefix, key) = (object.kind().prefix, Arc::<str>::from(object.key()));
        let before = self.state.put(Arc::clone(&key), object, self.revision, None);
        self.touch(prefix, key, before);
    }

    /// Puts an object unless the present one has the same JSON; returns whether it did.
    pub fn put_if_changed(&mut self, object: Arc<dyn Object>) -> bool {
        let present = self.state.stored(object.kind().prefix, &object.key());
        let changed = present.is_none_or(|present| present.object.to_json() != object.to_json());
        if changed {
            self.put(object);
        }
        changed
    }

    /// Deletes an object and returns it; uncovers the base object that it hid.
    ///
    /// A base object itself cannot be deleted: the answer is the same as for an object that does not exist, and
    /// [`Self::is_base`] tells the two apart.
    pub fn delete(&mut self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        let (prefix, key, row) = self.state.delete(prefix, key)?;
        let object = Arc::clone(&row.object);
        self.touch(prefix, key, Some(row));
        Some(object)
    }

    /// Returns an object with the revision of its last change, own changes included.
    #[must_use]
    pub fn stored(&self, prefix: &str, key: &str) -> Option<Stored> {
        self.state.stored(prefix, key).cloned()
    }

    /// Returns the revision of the last change of an object; zero for one of the base.
    #[must_use]
    pub fn revision_of(&self, prefix: &str, key: &str) -> Option<Revision> {
        self.state.stored(prefix, key).map(|stored| stored.revision)
    }

    /// Tells whether readers see an object of the base under a prefix and key.
    #[must_use]
    pub fn is_base(&self, prefix: &str, key: &str) -> bool {
        self.state.stored(prefix, key).is_some_and(|stored| stored.base)
    }

    /// Says on whose behalf the objects are changed that were not touched yet: what follows from a change of a user is
    /// not the user's own doing.
    pub fn go_on_as(&mut self, principal: &str) {
        self.acting = principal.into();
    }

    /// Returns what the transaction has changed so far, in the order of the first touch of each object.
    ///
    /// An object that was made and deleted again is not listed.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        self.touched.iter().filter_map(|touched| self.change(touched)).collect()
    }

    /// Returns the state with the changes, at the new revision.
    pub(crate) fn finish(mut self) -> State {
        self.state.revision = self.revision;
        self.state
    }

    /// Returns the state as it was before the transaction.
    pub(crate) fn undo(mut self) -> State {
        for touched in self.touched.into_iter().rev() {
            self.state.put_back(touched.prefix, touched.key, touched.before);
        }
        self.state
    }

    /// Returns what is stored under a key, and not only shown.
    pub(crate) fn row(&self, prefix: &str, key: &str) -> Option<&Stored> {
        self.state.stored(prefix, key).filter(|stored| !stored.base)
    }

    fn touch(&mut self, prefix: &'static str, key: Arc<str>, before: Option<Stored>) {
        if self.seen.insert((prefix, Arc::clone(&key))) {
            let principal = Arc::clone(&self.acting);
            self.touched.push(Touched { prefix, key, before, principal });
        }
    }

    fn change(&self, touched: &Touched) -> Option<Change> {
        let after = self.state.stored(touched.prefix, &touched.key);
        let action = match (&touched.before, after) {
            (None, None) => return None,
            (Some(before), Some(after)) if before.base && after.base => return None,
            (None, Some(_)) => Action::Created,
            (Some(_), Some(_)) => Action::Updated,
            (Some(_), None) => Action::Deleted,
        };
        Some(Change {
            revision: self.revision,
            principal: Arc::clone(&touched.principal),
            prefix: touched.prefix,
            key: Arc::clone(&touched.key),
            action,
            before: touched.before.as_ref().map(|stored| Arc::clone(&stored.object)),
            after: after.map(|stored| Arc::clone(&stored.object)),
        })
    }
}

impl Objects for Transaction {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        self.state.find(prefix, key)
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.state.visit(prefix, visit);
    }

    fn count(&self, prefix: &str) -> usize {
        self.state.count(prefix)
    }

    fn users_of(&self, prefix: &str, key: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.state.users_of(prefix, key, visit);
    }

    fn range(&self, span: &Span<'_>, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.state.range(span, visit);
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Transaction")
            .field("revision", &self.revision)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}
