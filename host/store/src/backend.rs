//! Where commits become durable.
//!
//! The interface asks for what an embedded file and a cluster both have: one ordered space of rows, a revision, and
//! a commit that is compared with the revision on which it was built. Several endpoints over one cluster would add
//! one method, a watch on the commits of others; a file has one writer and needs none.

mod memory;
mod redb;

use std::collections::BTreeMap;

pub(crate) use memory::MemoryBackend;
pub(crate) use redb::RedbBackend;

use crate::{BackendError, OpenError, Revision, loader::Loader};

/// Durable storage of rows, entries and the revision.
pub(crate) trait Backend: Send {
    /// Hands all rows and entries to the loader and returns the revision.
    fn load(&mut self, loader: &mut Loader) -> Result<Revision, OpenError>;

    /// Saves a batch, whole or not at all. When this returns, the batch outlives a loss of power.
    fn commit(&mut self, batch: Batch) -> Result<(), BackendError>;

    /// Does what a commit has put off, after those who wait for the commit have their answers.
    fn tidy(&mut self) {}

    /// Does all that was put off, after the last commit.
    fn close(&mut self) {}
}

/// The writes of a group of transactions.
#[derive(Default)]
pub(crate) struct Batch {
    /// The revision on which the batch was built; any other in the backend is a conflict.
    pub(crate) expected: Revision,
    /// The revision after the batch.
    pub(crate) revision: Revision,
    /// Rows by key; without a value the row goes.
    pub(crate) rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// New entries of the feed, as [`crate::codec::push_entry`] writes them one after the other.
    pub(crate) entries: Vec<u8>,
    /// Entries of earlier revisions go.
    pub(crate) keep_from: Revision,
}
