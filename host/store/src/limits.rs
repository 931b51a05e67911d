//! Bounds on what a store groups and keeps.

/// How much a store groups into one commit and keeps of its feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most transactions in one durable commit.
    pub group_writes: usize,
    /// The encoded bytes after which a group takes no further transaction.
    pub group_bytes: usize,
    /// The entries of the feed that are kept, in memory and on disk.
    pub feed_entries: usize,
    /// The encoded bytes of the feed that are kept, in memory and on disk.
    ///
    /// The entries of the latest commit are kept in any case, so that a reader who keeps up never lags.
    pub feed_bytes: usize,
}

impl Default for Limits {
    /// Groups 512 writes or 4 MiB, where a commit costs more by its bytes than by its flush; keeps 10,000 entries
    /// or 64 MiB of the feed, some minutes of a busy site.
    fn default() -> Self {
        Self { group_writes: 512, group_bytes: 4 << 20, feed_entries: 10_000, feed_bytes: 64 << 20 }
    }
}
