//! Who refers to whom: the references of all objects, backwards.

use std::{ops::Bound, sync::Arc};

use formwork_model::kind_of;

use crate::{
    facts::Needed,
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
    /// Follows an object from what it referred to to what it refers to, both sorted.
    pub(crate) fn follow(
        &mut self,
        from: &'static str,
        key: &Arc<str>,
        (old, new): (&[Needed], &[Needed]),
        sharing: Sharing,
    ) {
        let edges = |(prefix, key): &Needed| Edges { prefix, key: key.as_str().into(), from };
        for gone in old.iter().filter(|needed| new.binary_search(needed).is_err()) {
            index::remove(&mut self.0, &edges(gone), key);
        }
        for come in new.iter().filter(|needed| old.binary_search(needed).is_err()) {
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
