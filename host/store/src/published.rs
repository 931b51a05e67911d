//! What everybody may see: the latest durable state and the end of the feed, under one short lock.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use crate::{Entry, Limits, Revision, Snapshot, state::State};

/// The entries of the feed that are kept. Their revisions have no gaps.
#[derive(Default)]
pub(crate) struct Log {
    entries: VecDeque<Logged>,
    bytes: usize,
}

/// An entry and its encoded size.
pub(crate) struct Logged {
    pub(crate) entry: Arc<Entry>,
    pub(crate) bytes: usize,
}

impl Log {
    pub(crate) fn oldest(&self) -> Option<Revision> {
        self.entries.front().map(|logged| logged.entry.revision)
    }

    pub(crate) fn newest(&self) -> Option<Revision> {
        self.entries.back().map(|logged| logged.entry.revision)
    }

    /// Appends the entry of the next revision.
    pub(crate) fn push(&mut self, entry: Arc<Entry>, bytes: usize) {
        self.bytes += bytes;
        self.entries.push_back(Logged { entry, bytes });
    }

    /// Returns the oldest revision that is kept when `added` follows. All of `added` is kept.
    fn keep_from(&self, added: &[Logged], limits: &Limits) -> Revision {
        let mut count = self.entries.len() + added.len();
        let mut bytes = self.bytes + added.iter().map(|logged| logged.bytes).sum::<usize>();
        for logged in &self.entries {
            if count <= limits.feed_entries && bytes <= limits.feed_bytes {
                return logged.entry.revision;
            }
            count -= 1;
            bytes -= logged.bytes;
        }
        added.first().map(|logged| logged.entry.revision).unwrap_or_default()
    }

    /// Removes and returns the entries before a revision.
    fn trim(&mut self, keep_from: Revision) -> VecDeque<Logged> {
        let kept = self.entries.partition_point(|logged| logged.entry.revision < keep_from);
        let rest = self.entries.split_off(kept);
        let trimmed = std::mem::replace(&mut self.entries, rest);
        self.bytes -= trimmed.iter().map(|logged| logged.bytes).sum::<usize>();
        trimmed
    }

    pub(crate) fn entry(&self, revision: Revision) -> Option<&Arc<Entry>> {
        let index = revision.0.checked_sub(self.oldest()?.0)?;
        self.entries.get(usize::try_from(index).ok()?).map(|logged| &logged.entry)
    }
}

/// The answer to a reader of the feed who wants one revision.
pub(crate) enum Lookup {
    /// The entry.
    Found(Arc<Entry>),
    /// No transaction has made the revision yet.
    NotYet,
    /// The entry is not kept any more; a feed can resume from `oldest`.
    Gone { oldest: Revision },
}

/// What readers do not find any more. The last owner of many objects takes long to drop them: not while anybody waits.
pub(crate) struct Replaced {
    _state: Arc<State>,
    _trimmed: VecDeque<Logged>,
}

/// The latest durable state and the end of the feed.
pub(crate) struct Published(RwLock<Inner>);

struct Inner {
    state: Arc<State>,
    log: Log,
}

impl Published {
    pub(crate) fn new(state: State, log: Log) -> Self {
        Self(RwLock::new(Inner { state: Arc::new(state), log }))
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot(Arc::clone(&self.read().state))
    }

    /// Returns the revisions between which a feed can resume.
    pub(crate) fn resumable(&self) -> (Revision, Revision) {
        self.read().resumable()
    }

    pub(crate) fn lookup(&self, revision: Revision) -> Lookup {
        let inner = self.read();
        if revision > inner.state.revision {
            return Lookup::NotYet;
        }
        match inner.log.entry(revision) {
            Some(entry) => Lookup::Found(Arc::clone(entry)),
            None => Lookup::Gone { oldest: inner.resumable().0 },
        }
    }

    pub(crate) fn keep_from(&self, added: &[Logged], limits: &Limits) -> Revision {
        self.read().log.keep_from(added, limits)
    }

    /// Shows a new state and its entries, all at once. Returns what they replace.
    pub(crate) fn publish(&self, state: State, added: Vec<Logged>, keep_from: Revision) -> Replaced {
        let state = Arc::new(state);
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut inner.state, state);
        for logged in added {
            inner.log.push(logged.entry, logged.bytes);
        }
        Replaced { _state: old, _trimmed: inner.log.trim(keep_from) }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn resumable(&self) -> (Revision, Revision) {
        let newest = self.state.revision;
        (self.log.oldest().map_or(newest, Revision::previous), newest)
    }
}
