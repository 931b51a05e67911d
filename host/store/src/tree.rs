//! Persistent maps: a copy shares the whole, a change copies no more than it must.

use std::{mem, ops::Bound, vec};

use immutable_chunkmap::map::{Map, NodeRef};

/// The entries of one node. A change copies a node whole, which takes the caches as many misses as it has entries,
/// and even a node of one entry has the memory of all.
pub(crate) const NODE: usize = 64;

/// A sorted map that is cheap to copy.
pub(crate) type Tree<K, V> = Map<K, V, NODE>;

/// How entries are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Nobody has a copy yet: in place. Of a map that is shared this would copy every node on the way.
    Alone,
    /// There are copies, which keep what they hold: one node is copied.
    Shared,
}

/// Sets an entry and returns what it was before.
pub(crate) fn set<K: Ord + Clone, V: Clone>(
    tree: &mut Tree<K, V>,
    key: K,
    value: V,
    sharing: Sharing,
) -> Option<V> {
    if sharing == Sharing::Alone {
        return tree.insert_cow(key, value);
    }
    if tree.get(&key).is_some() {
        return tree.get_mut_cow(&key).map(|present| mem::replace(present, value));
    }
    *tree = tree.insert(key, value).0;
    None
}

/// A way through the entries of a tree within bounds.
///
/// The tree's own ranges are not for this: to find their first entry they look at every node before it.
pub(crate) struct Walk<'a, K: Ord + Clone, V: Clone> {
    waiting: Vec<Step<'a, K, V>>,
    bounds: (Bound<K>, Bound<K>),
    backwards: bool,
}

enum Step<'a, K: Ord + Clone, V: Clone> {
    /// A node that was not looked at yet, and all below it.
    Below(NodeRef<'a, K, V, NODE>),
    /// Entries of one node, all within the bounds, and in the order of the way but for the direction.
    Entries(vec::IntoIter<(&'a K, &'a V)>),
}

impl<'a, K: Ord + Clone, V: Clone> Walk<'a, K, V> {
    pub(crate) fn new(tree: &'a Tree<K, V>, bounds: (Bound<K>, Bound<K>), backwards: bool) -> Self {
        Self { waiting: tree.root().map(Step::Below).into_iter().collect(), bounds, backwards }
    }

    fn open(&mut self, node: &NodeRef<'a, K, V, NODE>) {
        let (low, high) = &self.bounds;
        let is_before = |key: &K| match low {
            Bound::Unbounded => false,
            Bound::Included(bound) => key < bound,
            Bound::Excluded(bound) => key <= bound,
        };
        let is_behind = |key: &K| match high {
            Bound::Unbounded => false,
            Bound::Included(bound) => key > bound,
            Bound::Excluded(bound) => key >= bound,
        };
        let mut entries: Vec<_> = node.pairs().collect();
        let all = entries.len();
        let first = entries.partition_point(|(key, _)| is_before(key));
        entries.drain(..first);
        let end = entries.partition_point(|(key, _)| !is_behind(key));
        let is_cut = first + end < all;
        entries.truncate(end);
        // What is left of a node whose first entry is before the bounds is before them as well.
        let left = node.left().filter(|_| first == 0).map(Step::Below);
        let right = node.right().filter(|_| !is_cut).map(Step::Below);
        let (sooner, later) = if self.backwards { (right, left) } else { (left, right) };
        self.waiting.extend(later);
        self.waiting.push(Step::Entries(entries.into_iter()));
        self.waiting.extend(sooner);
    }
}

impl<'a, K: Ord + Clone, V: Clone> Iterator for Walk<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.waiting.pop()? {
                Step::Below(node) => self.open(&node),
                Step::Entries(mut entries) => {
                    let found = if self.backwards { entries.next_back() } else { entries.next() };
                    if found.is_some() {
                        self.waiting.push(Step::Entries(entries));
                        return found;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, ops::RangeBounds};

    use proptest::prelude::*;

    use super::*;

    fn bound() -> impl Strategy<Value = Bound<u16>> {
        prop_oneof![
            Just(Bound::Unbounded),
            (0_u16..900).prop_map(Bound::Included),
            (0_u16..900).prop_map(Bound::Excluded),
        ]
    }

    /// A map of the same entries; its ranges panic where a walk finds nothing.
    fn expected(model: &BTreeMap<u16, u16>, bounds: (Bound<u16>, Bound<u16>)) -> Vec<(u16, u16)> {
        model.iter().filter(|(key, _)| bounds.contains(*key)).map(|(key, value)| (*key, *value)).collect()
    }

    proptest! {
        #[test]
        fn walk_finds_what_is_within_the_bounds_both_ways(
            entries in prop::collection::vec((0_u16..900, any::<u16>(), any::<bool>()), 0..900),
            bounds in (bound(), bound()),
            is_shared in any::<bool>(),
        ) {
            let sharing = if is_shared { Sharing::Shared } else { Sharing::Alone };
            let (mut tree, mut model) = (Tree::new(), BTreeMap::new());
            for (key, value, comes) in entries {
                if comes {
                    prop_assert_eq!(set(&mut tree, key, value, sharing), model.insert(key, value));
                } else {
                    prop_assert_eq!(tree.remove_cow(&key), model.remove(&key));
                }
            }
            let walk = |backwards| -> Vec<(u16, u16)> {
                Walk::new(&tree, bounds, backwards).map(|(key, value)| (*key, *value)).collect()
            };
            let mut found = expected(&model, bounds);
            prop_assert_eq!(walk(false), found.clone());
            found.reverse();
            prop_assert_eq!(walk(true), found);
        }
    }

    #[test]
    fn first_entry_is_found_without_looking_at_those_before_it() {
        thread_local!(static COMPARED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });

        #[derive(Clone, PartialEq, Eq)]
        struct Counted(u32);

        impl PartialOrd for Counted {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for Counted {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                COMPARED.set(COMPARED.get() + 1);
                self.0.cmp(&other.0)
            }
        }

        let mut tree = Tree::new();
        for number in 0..100_000 {
            set(&mut tree, Counted(number), (), Sharing::Alone);
        }
        COMPARED.set(0);
        let bounds = || (Bound::Included(Counted(90_000)), Bound::Unbounded);
        let found: Vec<u32> = Walk::new(&tree, bounds(), false).take(3).map(|(key, ())| key.0).collect();
        assert_eq!(found, [90_000, 90_001, 90_002]);
        assert!(COMPARED.get() < 500, "{} comparisons", COMPARED.get());
    }
}
