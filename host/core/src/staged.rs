//! Objects with changes over them that are not saved.

use std::{collections::BTreeMap, sync::Arc};

use formwork_model::{Object, Objects, Span};

/// Objects with changes over them that are not saved. Only a look-up by key sees the changes: lists and indexes are those
/// of the objects below, so a change that makes or deletes an object, or whom it refers to, is none of theirs.
pub(crate) struct Staged<'a, O: Objects + ?Sized> {
    objects: &'a O,
    changed: BTreeMap<&'static str, BTreeMap<String, Arc<dyn Object>>>,
}

impl<'a, O: Objects + ?Sized> Staged<'a, O> {
    /// Lays nothing over the objects yet.
    pub(crate) fn new(objects: &'a O) -> Self {
        Self { objects, changed: BTreeMap::new() }
    }

    /// Lays an object over the one of its type and key.
    pub(crate) fn put(&mut self, object: Arc<dyn Object>) {
        self.changed.entry(object.kind().prefix).or_default().insert(object.key(), object);
    }

    /// Returns the object that was laid over another.
    pub(crate) fn changed(&self, prefix: &str, key: &str) -> Option<&Arc<dyn Object>> {
        self.changed.get(prefix)?.get(key)
    }

    /// Returns the objects that were laid over others.
    pub(crate) fn into_changed(self) -> Vec<Arc<dyn Object>> {
        self.changed.into_values().flat_map(BTreeMap::into_values).collect()
    }
}

impl<O: Objects + ?Sized> Objects for Staged<'_, O> {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        self.changed(prefix, key).map(Arc::clone).or_else(|| self.objects.find(prefix, key))
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.objects.visit(prefix, visit);
    }

    fn count(&self, prefix: &str) -> usize {
        self.objects.count(prefix)
    }

    fn users_of(&self, prefix: &str, key: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.objects.users_of(prefix, key, visit);
    }

    fn range(&self, span: &Span<'_>, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.objects.range(span, visit);
    }
}
