//! A bounded table of conversations.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Most conversations that are followed at once. A storm of a thousand machines has a few thousand in a capture, but
/// each for moments only.
const MAX_FLOWS: usize = 4096;

/// Conversations by key; when the table is full the oldest is given up.
#[derive(Debug)]
pub(super) struct Flows<K, F> {
    numbers: HashMap<K, u64>,
    flows: BTreeMap<u64, (K, F)>,
    next: u64,
}

impl<K: Hash + Eq + Copy, F> Flows<K, F> {
    pub(super) fn new() -> Self {
        Self { numbers: HashMap::new(), flows: BTreeMap::new(), next: 0 }
    }

    pub(super) fn find(&mut self, key: &K) -> Option<&mut F> {
        let number = self.numbers.get(key)?;
        self.flows.get_mut(number).map(|(_, flow)| flow)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<F> {
        let number = self.numbers.remove(key)?;
        self.flows.remove(&number).map(|(_, flow)| flow)
    }

    /// Adds a conversation under a key that is not taken, and returns the one that had to go for it.
    pub(super) fn insert(&mut self, key: K, flow: F) -> Option<F> {
        self.numbers.insert(key, self.next);
        self.flows.insert(self.next, (key, flow));
        self.next += 1;
        if self.flows.len() <= MAX_FLOWS {
            return None;
        }
        let (_, (oldest, flow)) = self.flows.pop_first()?;
        self.numbers.remove(&oldest);
        Some(flow)
    }

    /// Returns all conversations, the oldest first.
    pub(super) fn into_flows(self) -> impl Iterator<Item = F> {
        self.flows.into_values().map(|(_, flow)| flow)
    }
}
