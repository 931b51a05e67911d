//! Files that are open or in memory: as many as the limits allow, those that were asked for last.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::load::Entry;

/// How long a file is given without a look whether it is still the one at its path.
const FRESH: Duration = Duration::from_secs(1);

/// The most files, in memory and open.
const MOST_FILES: usize = 1024;

/// The most open files; connections that send one hold it beyond that.
const MOST_OPEN: usize = 128;

/// The most bytes in memory.
const MOST_BYTES: usize = 16 << 20;

/// What is known of a path.
pub(super) enum Lookup {
    /// This file.
    Fresh(Arc<Entry>),
    /// This file, a while ago.
    Stale(Arc<Entry>),
    /// Nothing.
    Unknown,
}

#[derive(Default)]
pub(super) struct Cache(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    by_path: HashMap<Box<str>, Slot>,
    bytes: usize,
    open: usize,
    turn: u64,
}

struct Slot {
    entry: Arc<Entry>,
    checked: Instant,
    revision: u64,
    used: u64,
}

impl Cache {
    /// Returns the file at a path, where it was put at this revision.
    pub(super) fn get(&self, path: &str, revision: u64, now: Instant) -> Lookup {
        let mut slots = self.slots();
        slots.turn += 1;
        let turn = slots.turn;
        let Some(slot) = slots.by_path.get_mut(path) else { return Lookup::Unknown };
        slot.used = turn;
        let entry = Arc::clone(&slot.entry);
        match slot.revision == revision && now.saturating_duration_since(slot.checked) < FRESH {
            true => Lookup::Fresh(entry),
            false => Lookup::Stale(entry),
        }
    }

    /// Puts a file in that was just looked at; others may go for it.
    pub(super) fn put(&self, path: &str, entry: Arc<Entry>, revision: u64, now: Instant) {
        let mut slots = self.slots();
        slots.remove(path);
        slots.turn += 1;
        (slots.bytes, slots.open) = (slots.bytes + entry.bytes(), slots.open + usize::from(entry.is_open()));
        let slot = Slot { entry, checked: now, revision, used: slots.turn };
        slots.by_path.insert(path.into(), slot);
        while slots.by_path.len() > MOST_FILES || slots.bytes > MOST_BYTES || slots.open > MOST_OPEN {
            let only_open = slots.open > MOST_OPEN;
            let going = slots.by_path.iter().filter(|(_, slot)| !only_open || slot.entry.is_open());
            let Some(path) = going.min_by_key(|(_, slot)| slot.used).map(|(path, _)| path.clone()) else {
                break;
            };
            slots.remove(&path);
        }
    }

    /// Forgets what was at a path.
    pub(super) fn forget(&self, path: &str) {
        self.slots().remove(path);
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn remove(&mut self, path: &str) {
        if let Some(slot) = self.by_path.remove(path) {
            self.bytes -= slot.entry.bytes();
            self.open -= usize::from(slot.entry.is_open());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::load::{SMALL_BYTES, load};

    /// Fills a cache with so many files of a length, and returns what it holds then: files, bytes, open files.
    fn filled(count: usize, len: u64) -> (usize, usize, usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::File::create(&path).unwrap().set_len(len).unwrap();
        let (cache, now) = (Cache::default(), Instant::now());
        for number in 0..count {
            cache.put(&number.to_string(), load(&path, None).unwrap(), 0, now);
            assert!(
                matches!(cache.get("0", 0, now), Lookup::Fresh(_)),
                "the one that is used stays: {number}"
            );
        }
        let slots = cache.slots();
        (slots.by_path.len(), slots.bytes, slots.open)
    }

    #[test]
    fn files_in_memory_and_open_ones_stay_within_their_limits() {
        assert_eq!(filled(MOST_FILES + 10, 1), (MOST_FILES, MOST_FILES, 0));
        let (files, bytes, _) = filled(300, SMALL_BYTES);
        assert_eq!((files, bytes), (256, MOST_BYTES));
        assert_eq!(filled(MOST_OPEN + 5, SMALL_BYTES + 1), (MOST_OPEN, 0, MOST_OPEN));
    }

    #[test]
    fn file_is_looked_at_again_after_a_change_elsewhere_and_after_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let (cache, now) = (Cache::default(), Instant::now());
        cache.put("a", load(&path, None).unwrap(), 1, now);
        assert!(matches!(cache.get("a", 1, now), Lookup::Fresh(_)));
        assert!(matches!(cache.get("a", 2, now), Lookup::Stale(_)));
        assert!(matches!(cache.get("a", 1, now + FRESH), Lookup::Stale(_)));
        cache.forget("a");
        assert!(matches!(cache.get("a", 1, now), Lookup::Unknown));
        let slots = cache.slots();
        assert_eq!((slots.bytes, slots.open), (0, 0));
    }
}
