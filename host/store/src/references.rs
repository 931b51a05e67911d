//! Who refers to whom: the references of all objects, backwards.

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use formwork_model::{Object, kind_of};

use crate::{
    index::{self, Keys},
    tree::{Sharing, Tree, Walk},
};

/// All references to one object out of objects of one type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edges {
    prefix: &'static str,
    key: Arc<str>,
    from: &'static str,
}

/// The keys of the objects that refer to an object, by that object and their type; persistent, as the indexes are.
#[derive(Clone, Default)]
pub(crate) struct References(Tree<Edges, Keys>);

impl References {
    /// Follows an object from what it referred to to what it refers to.
    pub(crate) fn follow(
        &mut self,
        from: &'static str,
        key: &Arc<str>,
        (before, after): (Option<&dyn Object>, Option<&dyn Object>),
        sharing: Sharing,
    ) {
        let (old, new) = (needed(before), needed(after));
        let edges = |(prefix, key): &(&'static str, String)| Edges { prefix, key: key.as_str().into(), from };
        for gone in old.difference(&new) {
            index::remove(&mut self.0, &edges(gone), key);
        }
        for come in new.difference(&old) {
            index::insert(&mut self.0, &edges(come), key, sharing);
        }
    }

    /// Returns the prefixes and keys of the objects that refer to one, in order.
    pub(crate) fn users(&self, prefix: &str, key: &str) -> impl Iterator<Item = (&'static str, &Arc<str>)> {
        let first = kind_of(prefix).map(|kind| Edges { prefix: kind.prefix, key: key.into(), from: "" });
        let ranges = first.into_iter().flat_map(|first| {
            let (prefix, key) = (first.prefix, Arc::clone(&first.key));
            let all = Walk::new(&self.0, (Bound::Included(first), Bound::Unbounded), false);
            all.take_while(move |(edges, _)| edges.prefix == prefix && edges.key == key)
        });
        ranges.flat_map(|(edges, keys)| keys.iter(false).map(move |key| (edges.from, key)))
    }
}

fn needed(object: Option<&dyn Object>) -> BTreeSet<(&'static str, String)> {
    let references = object.map(Object::references).unwrap_or_default();
    references.into_iter().map(|reference| (reference.prefix, reference.key)).collect()
}
