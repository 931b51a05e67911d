//! Which listeners want an event, found without asking those that do not.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use formwork_api::EventFilter;

/// One filter of one listener: the number of the listener, and that of the filter among its own.
pub(super) type FilterId = (u64, u64);

/// The filters that could match something, in the order of their listeners.
type Candidates = BTreeMap<FilterId, Arc<EventFilter>>;

/// The filters of all listeners.
///
/// Each is kept where the fewest others have to be looked at: under its keys, or under its types when it takes all keys.
/// Under pairs of both a single command could take memory by the product of its lists.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_key: HashMap<String, Candidates>,
    by_type: HashMap<String, Candidates>,
    of_all: Candidates,
}

impl Index {
    /// Adds a filter.
    pub(super) fn add(&mut self, id: FilterId, filter: &Arc<EventFilter>) {
        match self.place(filter) {
            Some((map, values)) => {
                for value in values {
                    map.entry(value.clone()).or_default().insert(id, Arc::clone(filter));
                }
            }
            None => drop(self.of_all.insert(id, Arc::clone(filter))),
        }
    }

    /// Removes a filter that was added under this number.
    pub(super) fn remove(&mut self, id: FilterId, filter: &EventFilter) {
        let Some((map, values)) = self.place(filter) else {
            self.of_all.remove(&id);
            return;
        };
        for value in values {
            if let Some(candidates) = map.get_mut(value) {
                candidates.remove(&id);
                if candidates.is_empty() {
                    map.remove(value);
                }
            }
        }
    }

    /// Returns the listeners that want an event; one with several filters that match can come several times.
    pub(super) fn wanting<'a>(
        &'a self,
        r#type: &'a str,
        action: &'a str,
        key: &'a str,
    ) -> impl Iterator<Item = u64> + 'a {
        [self.by_key.get(key), self.by_type.get(r#type), Some(&self.of_all)]
            .into_iter()
            .flatten()
            .flatten()
            .filter(move |(_, filter)| filter.matches(r#type, action, key))
            .map(|((listener, _), _)| *listener)
    }

    /// Returns where a filter belongs, and under which values; nothing when it takes all types and keys.
    fn place<'a>(
        &mut self,
        filter: &'a EventFilter,
    ) -> Option<(&mut HashMap<String, Candidates>, &'a [String])> {
        match (filter.types(), filter.keys()) {
            ([], []) => None,
            (types, []) => Some((&mut self.by_type, types)),
            (_, keys) => Some((&mut self.by_key, keys)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn filter(text: &str) -> Arc<EventFilter> {
        Arc::new(EventFilter::parse(text).unwrap())
    }

    #[test]
    fn filter_that_is_removed_leaves_nothing_behind() {
        let mut index = Index::default();
        let texts = ["a,b.*.k,l", "a,a.*.*", "*.*.*", "*.x.k,k"];
        for (number, text) in (0..).zip(texts) {
            index.add((number, 0), &filter(text));
        }
        assert_eq!(index.wanting("a", "x", "k").collect::<BTreeSet<_>>(), (0..4).collect());
        for (number, text) in (0..).zip(texts) {
            index.remove((number, 0), &filter(text));
        }
        assert!(index.by_key.is_empty() && index.by_type.is_empty() && index.of_all.is_empty());
    }

    proptest! {
        #[test]
        fn index_finds_exactly_the_filters_that_match(
            filters in prop::collection::vec("[ab*](,[ab])?\\.[ab*]\\.[ab*](,[ab])?", 0..12),
            gone in prop::collection::vec(any::<bool>(), 12),
            event in "[ab][ab][ab]",
        ) {
            let mut index = Index::default();
            let parsed: Vec<_> = filters.iter().map(|text| filter(text)).collect();
            for (number, filter) in (0..).zip(&parsed) {
                index.add((number, number), filter);
            }
            for ((number, filter), _) in (0..).zip(&parsed).zip(&gone).filter(|(_, gone)| **gone) {
                index.remove((number, number), filter);
            }
            let (r#type, action, key) = (&event[..1], &event[1..2], &event[2..]);
            let found: BTreeSet<u64> = index.wanting(r#type, action, key).collect();
            let expected = (0..).zip(&parsed).zip(&gone).filter(|((_, filter), gone)| {
                !**gone && filter.matches(r#type, action, key)
            });
            prop_assert_eq!(found, expected.map(|((number, _), _)| number).collect());
        }
    }
}
