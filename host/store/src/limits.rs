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
    /// The rows of objects that wait in memory until they are written to their table. Their changes are durable before that: the
    /// entries of the feed are.
    pub late_rows: usize,
    /// The bytes of the rows that wait.
    pub late_bytes: usize,
    /// The encoded bytes of the feed after which all rows that waited before them are written, however few wait: what a start
    /// after a crash reads again is at most twice as much.
    pub late_feed_bytes: usize,
}

impl Default for Limits {
    /// Groups 512 writes or 4 MiB, where a commit costs more by its bytes than by its flush; keeps 10,000 entries
    /// or 64 MiB of the feed, some minutes of a busy site. The rows that wait are enough for neighbours among them to share
    /// pages of their table, and little beside the objects of a site that has so many.
    fn default() -> Self {
        Self {
            group_writes: 512,
            group_bytes: 4 << 20,
            feed_entries: 10_000,
            feed_bytes: 64 << 20,
            late_rows: 2048,
            late_bytes: 4 << 20,
            late_feed_bytes: 32 << 20,
        }
    }
}
