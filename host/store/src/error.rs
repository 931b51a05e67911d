//! What opening and writing can raise.

use std::{error::Error, io, path::PathBuf, sync::Arc};

use crate::Revision;

/// The store could not be opened. Nothing in the file was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another store of this one, has the file open.
    #[error(
        "the database at `{path}` is held by another process\nhint: stop it, or choose another data folder"
    )]
    Held {
        /// The data file.
        path: PathBuf,
    },
    /// The file could not be created.
    #[error("failed to create the database at `{path}`")]
    Create {
        /// The data file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// The file could not be read, or is no database.
    #[error("failed to open the database at `{path}`")]
    Open {
        /// The data file.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: Box<redb::Error>,
    },
    /// A later release wrote the file.
    #[error(
        "the database at `{path}` has format {found}, this release knows formats up to {known}\n\
         hint: use the release that wrote it, or restore a backup"
    )]
    Newer {
        /// The data file.
        path: PathBuf,
        /// The format of the file.
        found: u64,
        /// The latest format that this release reads.
        known: u64,
    },
    /// An object of an unknown type, or one that does not decode. Dropping it silently would lose it, so the store
    /// does not open.
    #[error(
        "failed to read the object `{key}` in the database at `{path}`: {reason}\n\
         hint: nothing was changed; use the release that wrote it, or restore a backup"
    )]
    Row {
        /// The data file.
        path: PathBuf,
        /// Prefix and key of the object, with a slash between.
        key: String,
        /// What does not fit.
        reason: String,
    },
    /// The journal beside the file, in the folder that is called as the file with `.journal`, cannot be read, or does not go with
    /// the file. Without it changes would be lost that were acknowledged, so the store does not open.
    #[error(
        "the journal of the database at `{path}` cannot be used: {reason}\n\
         hint: nothing was changed; keep the file and the folder `{path}.journal` together, or restore a backup of both"
    )]
    Journal {
        /// The data file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The system gave no thread for the committer.
    #[error("failed to start the thread that commits")]
    Thread(#[source] io::Error),
}

/// A transaction was not committed: nothing of it is visible or will become so, except as said at a variant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError<E> {
    /// The closure refused.
    #[error("{0}")]
    Refused(E),
    /// The closure panicked.
    #[error("a transaction panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// An object cannot be saved so that it can be read again.
    #[error("failed to encode the object `{prefix}/{key}`: {reason}")]
    Unwritable {
        /// The type of the object.
        prefix: &'static str,
        /// The key of the object.
        key: String,
        /// What does not fit.
        reason: String,
    },
    /// The commit of the group failed. After [`BackendError::Broken`] it is unknown, until the next start, whether
    /// the transaction is in the file.
    #[error("failed to commit")]
    Commit(#[source] Arc<BackendError>),
    /// An earlier commit broke the file; the store only reads until it is opened again.
    #[error("the store is read-only since a commit failed\nhint: look after the disk and restart")]
    ReadOnly(#[source] Arc<BackendError>),
    /// The store was closed. A write that waited in the queue was not run.
    #[error("the store is closed")]
    Closed,
}

/// The backend did not commit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// Nothing was written, and the backend works on.
    #[error("the backend refused the commit")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// It is unknown what was written, and the backend takes no more.
    #[error("the backend broke during the commit")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// Somebody else has written since this store read. Nothing was written.
    #[error("the backend is at revision {found}, not {expected}")]
    Conflict {
        /// The revision that this store wrote last.
        expected: Revision,
        /// The revision of the backend.
        found: Revision,
    },
}
