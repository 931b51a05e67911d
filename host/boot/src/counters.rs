//! What the services did, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Adds one. Relaxed: each counter stands alone.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The running counters of a [`crate::DhcpService`] or a [`crate::Dhcp6Service`].
#[derive(Debug, Default)]
pub struct DhcpCounters {
    pub(crate) received: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) silent: AtomicU64,
    pub(crate) unsent: AtomicU64,
}

/// The counters of a [`crate::DhcpService`] or a [`crate::Dhcp6Service`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DhcpCounts {
    /// Datagrams received.
    pub received: u64,
    /// Datagrams that are no DHCP messages.
    pub malformed: u64,
    /// Messages answered.
    pub answered: u64,
    /// Messages that the handler met with silence.
    pub silent: u64,
    /// Answers that the system would not send.
    pub unsent: u64,
}

impl DhcpCounters {
    /// Reads all counters.
    #[must_use]
    pub fn snapshot(&self) -> DhcpCounts {
        DhcpCounts {
            received: read(&self.received),
            malformed: read(&self.malformed),
            answered: read(&self.answered),
            silent: read(&self.silent),
            unsent: read(&self.unsent),
        }
    }
}

/// The running counters of a [`crate::TftpService`].
#[derive(Debug, Default)]
pub struct TftpCounters {
    pub(crate) received: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) completed: AtomicU64,
    pub(crate) aborted: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// The counters of a [`crate::TftpService`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TftpCounts {
    /// Datagrams received on the service's port.
    pub received: u64,
    /// Datagrams that are no requests.
    pub malformed: u64,
    /// Requests without an answer: there are too many transfers, or it is a repeat of one that is being served.
    pub dropped: u64,
    /// Requests answered with an ERROR: no such file, not allowed, a write.
    pub refused: u64,
    /// Transfers that the client acknowledged to the end.
    pub completed: u64,
    /// Transfers that the client ended or replaced by a new request. Firmware that only asks for a length does so.
    pub aborted: u64,
    /// Transfers whose client fell silent, or whose file could not be read.
    pub failed: u64,
}

impl TftpCounters {
    /// Reads all counters.
    #[must_use]
    pub fn snapshot(&self) -> TftpCounts {
        TftpCounts {
            received: read(&self.received),
            malformed: read(&self.malformed),
            dropped: read(&self.dropped),
            refused: read(&self.refused),
            completed: read(&self.completed),
            aborted: read(&self.aborted),
            failed: read(&self.failed),
        }
    }
}
