//! The members of objects in order: which objects of a type have which values.
//!
//! Everything here is persistent: a copy shares the whole, a change copies a path.

use std::{
    collections::HashSet,
    marker::PhantomData,
    ops::{Bound, RangeFull},
    slice,
    sync::Arc,
};

use formwork_model::{Kind, SortKey};
use immutable_chunkmap::set::{Set, SetIter};

use crate::{
    facts::Value,
    tree::{self, NODE, Sharing, Tree, Walk},
};

/// The most keys that are kept as a plain list: up to here a copy of it is cheaper than a node of a tree.
const FEW: usize = 16;

/// The keys of the objects that have a value, by the value.
type Values = Tree<SortKey, Keys>;

/// The sorted members of one type, in the order of [`Kind::indexes`].
#[derive(Clone)]
pub(crate) struct Members(Box<[Values]>);

impl Members {
    pub(crate) fn new(kind: &Kind) -> Self {
        Self(kind.indexes().map(|_| Values::new()).collect())
    }

    /// Follows an object from the values that it had to those that it has, both sorted.
    pub(crate) fn follow(&mut self, key: &Arc<str>, (old, new): (&[Value], &[Value]), sharing: Sharing) {
        for (position, value) in old.iter().filter(|entry| new.binary_search(entry).is_err()) {
            if let Some(values) = self.0.get_mut(*position) {
                remove(values, value, key);
            }
        }
        for (position, value) in new.iter().filter(|entry| old.binary_search(entry).is_err()) {
            if let Some(values) = self.0.get_mut(*position) {
                insert(values, value, key, sharing);
            }
        }
    }

    pub(crate) fn index(&self, kind: &Kind, member: &str) -> Option<Index<'_>> {
        let position = kind.indexes().position(|name| name == member)?;
        self.0.get(position).map(Index)
    }
}

/// Adds a key below a value, or anything else that keys are collected by.
pub(crate) fn insert<V: Ord + Clone>(tree: &mut Tree<V, Keys>, value: &V, key: &Arc<str>, sharing: Sharing) {
    if tree.get(value).is_none() {
        tree::set(tree, value.clone(), Keys::One(Arc::clone(key)), sharing);
    } else if let Some(keys) = tree.get_mut_cow(value) {
        keys.insert(key, sharing);
    }
}

/// Removes a key, and what it was collected by when it was the last.
pub(crate) fn remove<V: Ord + Clone>(tree: &mut Tree<V, Keys>, value: &V, key: &Arc<str>) {
    if tree.get_mut_cow(value).is_some_and(|keys| keys.remove(key)) {
        tree.remove_cow(value);
    }
}

/// One sorted member of a type at one revision: its values in order, with the keys of the objects that have each.
///
/// Every object has a value: that of a member that is missing or null, or of an address that is not set, is
/// [`SortKey::NOTHING`]. Only of a member that is a list an object has as many as there are different items.
#[derive(Clone, Copy)]
pub struct Index<'a>(&'a Values);

impl<'a> Index<'a> {
    /// Returns how many objects have a value, without visiting them.
    #[must_use]
    pub fn count(self, value: &SortKey) -> usize {
        self.0.get(value).map_or(0, Keys::len)
    }

    /// Returns the objects that have a value, to ask for one after the other whether it is among them.
    #[must_use]
    pub fn holders(self, value: &SortKey) -> Holders<'a> {
        Holders(self.0.get(value))
    }

    /// Returns the values within bounds in order, each with the number of the objects that have it; from the end
    /// when `backwards`. Finding the first costs no more than finding one object by its key.
    pub fn values(
        self,
        bounds: (Bound<SortKey>, Bound<SortKey>),
        backwards: bool,
    ) -> impl Iterator<Item = (&'a SortKey, usize)> + use<'a> {
        Walk::new(self.0, bounds, backwards).map(|(value, keys)| (value, keys.len()))
    }

    /// Returns the keys of the objects with a value within bounds, in the order of the values and, of equal values,
    /// of the keys; from the end when `backwards`.
    pub fn keys(
        self,
        bounds: (Bound<SortKey>, Bound<SortKey>),
        backwards: bool,
    ) -> impl Iterator<Item = &'a Arc<str>> + use<'a> {
        Walk::new(self.0, bounds, backwards).flat_map(move |(_, keys)| keys.iter(backwards))
    }
}

impl std::fmt::Debug for Index<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Index").field("values", &self.0.len()).finish_non_exhaustive()
    }
}

/// The objects that have one value of a sorted member.
#[derive(Clone, Copy)]
pub struct Holders<'a>(Option<&'a Keys>);

impl Holders<'_> {
    /// Tells whether the object with a key is among them, without a look at the object.
    #[must_use]
    pub fn contains(self, key: &Arc<str>) -> bool {
        self.0.is_some_and(|keys| keys.contains(key))
    }
}

impl<'a> Holders<'a> {
    /// Returns how many they are.
    #[must_use]
    pub fn count(self) -> usize {
        self.0.map_or(0, Keys::len)
    }

    /// Collects them, for many questions: to collect one costs a small part of what a question costs without.
    #[must_use]
    pub fn gathered(self) -> Gathered<'a> {
        let keys = self.0.into_iter().flat_map(|keys| keys.iter(false));
        Gathered { places: keys.map(place).collect(), holders: PhantomData }
    }
}

/// The objects that have one value of a sorted member, collected by where their keys are in memory: of one state all indexes
/// of a type share the texts of its keys.
pub struct Gathered<'a> {
    places: HashSet<usize>,
    /// While these are borrowed, no other key comes to lie in the place of one of theirs.
    holders: PhantomData<Holders<'a>>,
}

impl Gathered<'_> {
    /// Tells whether the object with a key, which an index or the objects of the same snapshot gave, is among them.
    #[must_use]
    pub fn contains(&self, key: &Arc<str>) -> bool {
        self.places.contains(&place(key))
    }
}

impl std::fmt::Debug for Gathered<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Gathered").field("count", &self.places.len()).finish()
    }
}

fn place(key: &Arc<str>) -> usize {
    Arc::as_ptr(key).addr()
}

impl std::fmt::Debug for Holders<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Holders").field("count", &self.0.map_or(0, Keys::len)).finish()
    }
}

/// The keys of one or more objects in order.
#[derive(Clone)]
pub(crate) enum Keys {
    /// By far the most frequent: the values of most members of most objects are their own.
    One(Arc<str>),
    Few(Arc<[Arc<str>]>),
    Many(Set<Arc<str>, NODE>),
}

impl Keys {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Few(keys) => keys.len(),
            Self::Many(keys) => keys.len(),
        }
    }

    fn contains(&self, key: &Arc<str>) -> bool {
        match self {
            Self::One(only) => only == key,
            Self::Few(keys) => keys.binary_search(key).is_ok(),
            Self::Many(keys) => keys.contains(key),
        }
    }

    pub(crate) fn iter(&self, backwards: bool) -> KeyIter<'_> {
        let source = match self {
            Self::One(key) => KeySource::Listed(slice::from_ref(key).iter()),
            Self::Few(keys) => KeySource::Listed(keys.iter()),
            Self::Many(keys) => KeySource::Tree(Box::new(keys.into_iter())),
        };
        KeyIter { source, backwards }
    }

    fn insert(&mut self, key: &Arc<str>, sharing: Sharing) {
        let listed = match self {
            Self::Many(keys) if sharing == Sharing::Alone => {
                keys.insert_cow(Arc::clone(key));
                return;
            }
            Self::Many(keys) => {
                *keys = keys.insert(Arc::clone(key)).0;
                return;
            }
            Self::One(only) => slice::from_ref(only),
            Self::Few(keys) => keys,
        };
        let Err(place) = listed.binary_search(key) else { return };
        let (low, high) = listed.split_at(place);
        let all = low.iter().chain([key]).chain(high).map(Arc::clone);
        *self = if listed.len() < FEW { Self::Few(all.collect()) } else { Self::Many(all.collect()) };
    }

    /// Removes a key; tells whether none is left.
    fn remove(&mut self, key: &Arc<str>) -> bool {
        let listed = match self {
            Self::One(only) => return only == key,
            Self::Many(keys) => {
                keys.remove_cow(key);
                // Half of the bound, so that a key that comes and goes does not turn it over and over.
                if keys.len() > FEW / 2 {
                    return false;
                }
                &keys.into_iter().map(Arc::clone).collect()
            }
            Self::Few(keys) => &*keys,
        };
        let left: Arc<[Arc<str>]> = listed.iter().filter(|other| *other != key).map(Arc::clone).collect();
        let is_empty = left.is_empty();
        *self = match &*left {
            [only] => Self::One(Arc::clone(only)),
            _ => Self::Few(left),
        };
        is_empty
    }
}

/// The way through the keys of one value.
pub(crate) struct KeyIter<'a> {
    source: KeySource<'a>,
    backwards: bool,
}

enum KeySource<'a> {
    Listed(slice::Iter<'a, Arc<str>>),
    /// Behind a box, as it is two kilobytes that a list need not move.
    Tree(Box<SetIter<'a, RangeFull, Arc<str>, Arc<str>, NODE>>),
}

impl<'a> Iterator for KeyIter<'a> {
    type Item = &'a Arc<str>;

    fn next(&mut self) -> Option<&'a Arc<str>> {
        match (&mut self.source, self.backwards) {
            (KeySource::Listed(keys), false) => keys.next(),
            (KeySource::Listed(keys), true) => keys.next_back(),
            (KeySource::Tree(keys), false) => keys.next(),
            (KeySource::Tree(keys), true) => keys.next_back(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn read(tree: &Tree<u8, Keys>) -> Vec<String> {
        tree.get(&0).into_iter().flat_map(|keys| keys.iter(false)).map(|key| String::from(&**key)).collect()
    }

    proptest! {
        #[test]
        fn keys_of_a_value_equal_a_set(
            steps in prop::collection::vec((any::<bool>(), 0_u8..40), 0..200),
            is_shared in any::<bool>(),
        ) {
            let sharing = if is_shared { Sharing::Shared } else { Sharing::Alone };
            let mut tree = Tree::<u8, Keys>::new();
            let mut model = BTreeSet::<String>::new();
            for (comes, number) in steps {
                let name = format!("k{number:02}");
                let earlier = (tree.clone(), model.clone());
                if comes {
                    insert(&mut tree, &0, &Arc::from(name.as_str()), sharing);
                    model.insert(name);
                } else {
                    remove(&mut tree, &0, &Arc::from(name.as_str()));
                    model.remove(&name);
                }
                prop_assert_eq!(read(&tree), model.iter().cloned().collect::<Vec<_>>());
                prop_assert_eq!(read(&earlier.0), earlier.1.into_iter().collect::<Vec<_>>());
                prop_assert_eq!(tree.get(&0).map_or(0, Keys::len), model.len());
                let name = Arc::from(format!("k{number:02}"));
                prop_assert_eq!(Holders(tree.get(&0)).contains(&name), model.contains(&*name));
                prop_assert_eq!(tree.len(), usize::from(!model.is_empty()));
                let backwards = tree.get(&0).into_iter().flat_map(|keys| keys.iter(true));
                let backwards: Vec<_> = backwards.map(|key| String::from(&**key)).collect();
                prop_assert_eq!(backwards, model.iter().rev().cloned().collect::<Vec<_>>());
            }
        }
    }
}
