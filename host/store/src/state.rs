//! All objects at one revision, as persistent maps: a copy costs a few pointers and shares the rest.

use std::{collections::BTreeMap, sync::Arc};

use formwork_model::{Object, Objects};
use immutable_chunkmap::map::MapM;

use crate::Revision;

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

type Table = MapM<Arc<str>, Stored>;
type Base = BTreeMap<&'static str, BTreeMap<Arc<str>, Arc<dyn Object>>>;

/// What readers see: the rows, and the base objects that no row hides.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) revision: Revision,
    tables: BTreeMap<&'static str, Table>,
    base: Arc<Base>,
}

impl State {
    /// Makes the state of an empty store over a base; of two base objects with one key the later counts.
    pub(crate) fn new(objects: Vec<Arc<dyn Object>>) -> Self {
        let mut base = Base::new();
        let mut tables = BTreeMap::<_, Table>::new();
        for object in objects {
            let (prefix, key) = (object.kind().prefix, Arc::<str>::from(object.key()));
            base.entry(prefix).or_default().insert(Arc::clone(&key), Arc::clone(&object));
            tables.entry(prefix).or_default().insert_cow(key, uncovered(object));
        }
        Self { revision: Revision::default(), tables, base: Arc::new(base) }
    }

    pub(crate) fn stored(&self, prefix: &str, key: &str) -> Option<&Stored> {
        self.tables.get(prefix)?.get(key)
    }

    /// Sets a row and returns what readers saw before.
    pub(crate) fn put(
        &mut self,
        key: Arc<str>,
        object: Arc<dyn Object>,
        revision: Revision,
    ) -> Option<Stored> {
        let table = self.tables.entry(object.kind().prefix).or_default();
        table.insert_cow(key, Stored { object, revision, base: false })
    }

    /// Removes a row, uncovers what it hid, and returns the row. Leaves a base object alone.
    pub(crate) fn delete(&mut self, prefix: &str, key: &str) -> Option<(&'static str, Arc<str>, Stored)> {
        let (prefix, table) = self.tables.iter_mut().find(|(name, _)| **name == prefix)?;
        let (key, stored) = table.get_full(key).map(|(key, stored)| (Arc::clone(key), stored.clone()))?;
        if stored.base {
            return None;
        }
        match self.base.get(prefix).and_then(|objects| objects.get(&key)) {
            Some(object) => table.insert_cow(Arc::clone(&key), uncovered(Arc::clone(object))),
            None => table.remove_cow(&key),
        };
        Some((prefix, key, stored))
    }

    /// Calls `visit` for all objects of a type in key order, until it returns false.
    pub(crate) fn visit_stored(&self, prefix: &str, visit: &mut dyn FnMut(&str, &Stored) -> bool) {
        for (key, stored) in self.tables.get(prefix).into_iter().flatten() {
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
        self.tables.get(prefix).map_or(0, Table::len)
    }
}

fn uncovered(object: Arc<dyn Object>) -> Stored {
    Stored { object, revision: Revision::default(), base: true }
}
