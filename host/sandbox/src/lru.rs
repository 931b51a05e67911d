//! A map that forgets what was not used for the longest time.

use std::collections::HashMap;
use std::hash::Hash;

/// A bounded map. Forgetting scans all entries, which is cheap for the few thousand that fit.
pub(crate) struct Lru<K, V> {
    entries: HashMap<K, (u64, V)>,
    capacity: usize,
    uses: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> Lru<K, V> {
    /// Makes a map of at most `capacity` entries.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), capacity, uses: 0 }
    }

    /// Returns a value and marks it as used.
    pub(crate) fn find(&mut self, key: &K) -> Option<V> {
        self.uses += 1;
        let (used, value) = self.entries.get_mut(key)?;
        *used = self.uses;
        Some(value.clone())
    }

    /// Keeps a value; the one that was not used for the longest time may go.
    pub(crate) fn keep(&mut self, key: K, value: V) {
        self.uses += 1;
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(key, (self.uses, value));
    }

    /// Forgets entries by their keys.
    pub(crate) fn forget(&mut self, is_meant: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| !is_meant(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_used_entry_goes_first() {
        let mut map = Lru::new(2);
        map.keep(1, 'a');
        map.keep(2, 'b');
        assert_eq!(map.find(&1), Some('a'));
        map.keep(3, 'c');
        assert_eq!((map.find(&1), map.find(&2), map.find(&3)), (Some('a'), None, Some('c')));
    }
}
