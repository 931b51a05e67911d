//! Rows whose changes are durable as entries of the feed, and which are not in their table yet.
//!
//! To write a few rows out of many costs a page for each of them and for each level above. Rows that wait until there are more
//! go into the table in the order of their keys, a part at a time, so that neighbours share pages, nobody waits for all of
//! them, and an object that changes often is written once. One way through all keys is a turn: when it ends, every change from
//! before it is in the table.

use std::{collections::BTreeMap, ops::Bound};

use crate::{Limits, Revision, codec::Row};

/// One in so many of the rows that may wait are written at a time.
const PARTS: usize = 4;

/// The rows that wait.
pub(super) struct Late {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The bytes of keys and values.
    bytes: usize,
    limits: Limits,
    /// The last key that was written in this turn.
    place: Vec<u8>,
    /// What the revision was when the turn began.
    turn: Revision,
    /// The bytes of the feed since then.
    feed_bytes: usize,
    saved: Revision,
}

impl Late {
    /// Nothing waits: all changes up to a revision are in the table.
    pub(super) fn new(limits: Limits, saved: Revision) -> Self {
        let rows = BTreeMap::new();
        Self { rows, bytes: 0, limits, place: Vec::new(), turn: saved, feed_bytes: 0, saved }
    }

    /// Returns the revision up to which all changes are in the table, once the rows are that were taken out.
    pub(super) fn saved(&self) -> Revision {
        self.saved
    }

    /// Lets rows wait, in place of earlier ones with their keys, of which the feed tells in so many bytes.
    pub(super) fn add(&mut self, rows: impl IntoIterator<Item = Row>, feed_bytes: usize) {
        self.feed_bytes += feed_bytes;
        for (key, value) in rows {
            self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            let length = key.len();
            if let Some(earlier) = self.rows.insert(key, value) {
                self.bytes -= length + earlier.map_or(0, |value| value.len());
            }
        }
    }

    /// Takes out the rows that it is time to write, when the latest change that waits is that of a revision: a part when too many
    /// wait, or when the feed has grown too long since the turn began.
    pub(super) fn due(&mut self, latest: Revision) -> Vec<Row> {
        let mut taken = Vec::new();
        if !self.is_over() && self.feed_bytes <= self.limits.late_feed_bytes {
            return taken;
        }
        let part = self.limits.late_rows / PARTS + 1;
        while self.is_over() || (taken.len() < part && !self.rows.is_empty()) {
            match self.next_row() {
                Some(row) => taken.push(row),
                None => self.end_turn(latest),
            }
        }
        if self.rows.is_empty() {
            self.end_turn(latest);
        }
        taken
    }

    /// Takes out all rows; then all changes up to a revision are in the table.
    pub(super) fn all(&mut self, latest: Revision) -> Vec<Row> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows).into_iter().collect();
        self.end_turn(latest);
        rows
    }

    fn next_row(&mut self) -> Option<Row> {
        let ahead = (Bound::Excluded(self.place.as_slice()), Bound::Unbounded);
        let key = self.rows.range::<[u8], _>(ahead).next().map(|(key, _)| key.clone())?;
        let value = self.rows.remove(&key).flatten();
        self.bytes -= key.len() + value.as_ref().map_or(0, Vec::len);
        self.place.clone_from(&key);
        Some((key, value))
    }

    /// Tells whether what waits under a key goes before a row of the table. What is in the table already waits no longer.
    pub(super) fn goes_before(&mut self, key: &[u8], row: &[u8]) -> bool {
        match self.rows.get(key) {
            None => false,
            Some(Some(waiting)) if waiting == row => {
                self.rows.remove(key);
                self.bytes -= key.len() + row.len();
                false
            }
            Some(_) => true,
        }
    }

    /// Returns the rows that wait and are there.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.rows.iter().filter_map(|(key, value)| Some((key.as_slice(), value.as_deref()?)))
    }

    fn is_over(&self) -> bool {
        self.rows.len() > self.limits.late_rows || self.bytes > self.limits.late_bytes
    }

    fn end_turn(&mut self, latest: Revision) {
        self.saved = if self.rows.is_empty() { latest } else { self.turn };
        self.turn = latest;
        self.feed_bytes = 0;
        self.place.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn table_has_all_changes_up_to_the_revision_that_is_saved(
            groups in prop::collection::vec(prop::collection::vec((0_u8..30, prop::bool::ANY), 1..8), 1..120),
            late_rows in 0_usize..12,
            late_feed_bytes in 0_usize..60,
        ) {
            let limits = Limits { late_rows, late_feed_bytes, ..Limits::default() };
            let mut late = Late::new(limits, Revision(0));
            let (mut table, mut states) = (BTreeMap::new(), vec![BTreeMap::new()]);
            for (group, revision) in groups.into_iter().zip(1..) {
                let mut state = states.last().cloned().unwrap_or_default();
                let rows = group.into_iter().map(|(key, is_there)| {
                    let value = is_there.then(|| vec![u8::try_from(revision).unwrap()]);
                    state.insert(vec![key], value.clone());
                    (vec![key], value)
                });
                late.add(rows.collect::<BTreeMap<_, _>>(), 10);
                table.extend(late.due(Revision(revision)));
                states.push(state.clone());

                prop_assert!(late.rows.len() <= late_rows);
                let bytes = late.rows.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
                prop_assert_eq!(late.bytes, bytes.sum::<usize>());
                // What the table lacks of the state of now, the entries since what is saved tell.
                let saved = usize::try_from(late.saved().0).unwrap();
                let told: BTreeSet<_> = states[saved..]
                    .windows(2)
                    .flat_map(|pair| pair[1].iter().filter(|(key, value)| pair[0].get(*key) != Some(value)))
                    .map(|(key, _)| key.clone())
                    .collect();
                for (key, value) in &state {
                    prop_assert!(told.contains(key) || table.get(key) == Some(value), "{key:?} is lost");
                }
            }
        }
    }

    #[test]
    fn one_row_that_changes_on_and_on_is_saved_from_time_to_time() {
        let mut late = Late::new(Limits { late_feed_bytes: 100, ..Limits::default() }, Revision(0));
        let mut written = 0;
        for revision in 1..=1000 {
            late.add([(b"a".to_vec(), Some(vec![0; 8]))], 10);
            written += late.due(Revision(revision)).len();
            assert!(revision - late.saved().0 <= 24, "{} of {revision}", late.saved());
        }
        assert!((40..=120).contains(&written), "{written}");
    }
}
