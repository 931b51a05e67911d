//! What was answered, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// The running counters of [`super::HttpFiles`].
#[derive(Debug, Default)]
pub struct HttpCounters {
    answered: AtomicU64,
    bytes: AtomicU64,
    handed_on: AtomicU64,
}

/// The counters of [`super::HttpFiles`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HttpCounts {
    /// Requests that were answered to the end.
    pub answered: u64,
    /// Bytes of files in these answers.
    pub bytes: u64,
    /// Connections that somebody else went on with.
    pub handed_on: u64,
}

impl HttpCounters {
    pub(super) fn answered(&self, bytes: u64) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn handed_on(&self) {
        self.handed_on.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads all counters.
    #[must_use]
    pub fn snapshot(&self) -> HttpCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HttpCounts {
            answered: read(&self.answered),
            bytes: read(&self.bytes),
            handed_on: read(&self.handed_on),
        }
    }
}
