//! All objects at one revision, as persistent maps: a copy costs a few pointers and shares the rest.

use std::{collections::BTreeMap, sync::Arc};

use formwork_model::{Kind, Object, Objects, Span};

use crate::{
    Index, Revision,
    facts::Facts,
    index::Members,
    references::References,
    tree::{self, Sharing, Tree},
};

/// An object and when it last changed.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object.
    pub object: Arc<dyn Object>,
    /// The revision of the last change; zero for an object of the base.
    pub revision: Revision,
    /// True when the object is of the base: built in, not saved.
    pub base: bool,
}

type Table = Tree<Arc<str>, Stored>;
type Base = BTreeMap<&'static str, BTreeMap<Arc<str>, Arc<dyn Object>>>;

/// What readers see: the rows, and the base objects that no row hides. The indexes follow what is seen.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) revision: Revision,
    shelves: BTreeMap<&'static str, Arc<Shelf>>,
    references: References,
    base: Arc<Base>,
    sharing: Sharing,
}

/// All objects of one type.
#[derive(Clone)]
struct Shelf {
    kind: &'static Kind,
    table: Table,
    members: Members,
}

impl State {
    /// Makes the state of an empty store over a base; of two base objects with one key the later counts.
    pub(crate) fn new(objects: Vec<Arc<dyn Object>>) -> Self {
        let mut base = Base::new();
        let mut state = Self {
            revision: Revision::default(),
            shelves: BTreeMap::new(),
            references: References::default(),
            base: Arc::default(),
            sharing: Sharing::Alone,
        };
        for object in objects {
            let key = Arc::<str>::from(object.key());
            base.entry(object.kind().prefix).or_default().insert(Arc::clone(&key), Arc::clone(&object));
            state.show(key, uncovered(object), None);
        }
        state.base = Arc::new(base);
        state
    }

    /// Ends the building at a revision: from now on there may be copies.
    pub(crate) fn share(mut self, revision: Revision) -> Self {
        self.revision = revision;
        self.sharing = Sharing::Shared;
        self
    }

    pub(crate) fn stored(&self, prefix: &str, key: &str) -> Option<&Stored> {
        self.shelves.get(prefix)?.table.get(key)
    }

    /// Sets a row, of which the facts may be known already, and returns what readers saw before.
    pub(crate) fn put(
        &mut self,
        key: Arc<str>,
        object: Arc<dyn Object>,
        revision: Revision,
        facts: Option<Facts>,
    ) -> Option<Stored> {
        self.show(key, Stored { object, revision, base: false }, facts)
    }

    /// Lets readers see again what they saw before under a key: an object or none.
    pub(crate) fn put_back(&mut self, prefix: &'static str, key: Arc<str>, before: Option<Stored>) {
        if let Some(stored) = before {
            self.show(key, stored, None);
        } else if let Some(object) = self.stored(prefix, &key).map(|stored| Arc::clone(&stored.object)) {
            self.remove(prefix, &key, &*object);
        }
    }

    /// Removes a row, uncovers what it hid, and returns the row. Leaves a base object alone.
    pub(crate) fn delete(&mut self, prefix: &str, key: &str) -> Option<(&'static str, Arc<str>, Stored)> {
        let shelf = self.shelves.get(prefix)?;
        let prefix = shelf.kind.prefix;
        let (key, row) = shelf.table.get_full(key).map(|(key, stored)| (Arc::clone(key), stored.clone()))?;
        if row.base {
            return None;
        }
        match self.base.get(prefix).and_then(|objects| objects.get(&key)) {
            Some(object) => {
                let object = Arc::clone(object);
                self.show(Arc::clone(&key), uncovered(object), None);
            }
            None => self.remove(prefix, &key, &*row.object),
        }
        Some((prefix, key, row))
    }

    /// Returns the index of a member; none when the type keeps none.
    pub(crate) fn index(&self, prefix: &str, member: &str) -> Option<Index<'_>> {
        let shelf = self.shelves.get(prefix)?;
        shelf.members.index(shelf.kind, member)
    }

    /// Lets readers see an object, and returns what they saw before.
    fn show(&mut self, key: Arc<str>, stored: Stored, facts: Option<Facts>) -> Option<Stored> {
        let kind = stored.object.kind();
        let shelf = self.shelves.entry(kind.prefix).or_insert_with(|| Arc::new(Shelf::new(kind)));
        // All that looks into objects comes before the first change, so that a panic in one leaves nothing half done.
        let (known, old, facts) = match shelf.table.get_full(&*key) {
            Some((key, before)) => {
                let (old, new) = Facts::of_both(&*before.object, &*stored.object);
                (Some(Arc::clone(key)), old, new)
            }
            None => (None, Facts::default(), facts.unwrap_or_else(|| Facts::of(&*stored.object))),
        };
        // The indexes share the text of the key with the table.
        let key = known.unwrap_or(key);
        let shelf = Arc::make_mut(shelf);
        let before = tree::set(&mut shelf.table, Arc::clone(&key), stored, self.sharing);
        shelf.members.follow(&key, (&old.values, &facts.values), self.sharing);
        self.references.follow(kind.prefix, &key, (&old.needed, &facts.needed), self.sharing);
        before
    }

    fn remove(&mut self, prefix: &'static str, key: &Arc<str>, object: &dyn Object) {
        let old = Facts::of(object);
        let Some(shelf) = self.shelves.get_mut(prefix) else { return };
        let shelf = Arc::make_mut(shelf);
        shelf.table.remove_cow(key);
        shelf.members.follow(key, (&old.values, &[]), self.sharing);
        self.references.follow(prefix, key, (&old.needed, &[]), self.sharing);
    }

    /// Calls `visit` for all objects of a type in key order, until it returns false.
    pub(crate) fn visit_stored(&self, prefix: &str, visit: &mut dyn FnMut(&str, &Stored) -> bool) {
        for (key, stored) in self.shelves.get(prefix).into_iter().flat_map(|shelf| &shelf.table) {
            if !visit(key, stored) {
                return;
            }
        }
    }
}

impl Objects for State {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        self.stored(prefix, key).map(|stored| Arc::clone(&stored.object))
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.visit_stored(prefix, &mut |_, stored| visit(&stored.object));
    }

    fn count(&self, prefix: &str) -> usize {
        self.shelves.get(prefix).map_or(0, |shelf| shelf.table.len())
    }

    fn users_of(&self, prefix: &str, key: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        let mut users = self.references.users(prefix, key).filter_map(|(from, key)| self.stored(from, key));
        let _ = users.all(|stored| visit(&stored.object));
    }

    fn range(&self, span: &Span<'_>, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        let Some(shelf) = self.shelves.get(span.prefix) else { return };
        let Some(index) = shelf.members.index(shelf.kind, span.member) else {
            return formwork_model::scan(self, span, visit);
        };
        let show = |key: &Arc<str>| shelf.table.get(key).is_none_or(|stored| visit(&stored.object));
        let _ = index.keys(span.bounds.clone(), span.backwards).all(show);
    }
}

impl Shelf {
    fn new(kind: &'static Kind) -> Self {
        Self { kind, table: Table::new(), members: Members::new(kind) }
    }
}

fn uncovered(object: Arc<dyn Object>) -> Stored {
    Stored { object, revision: Revision::default(), base: true }
}
