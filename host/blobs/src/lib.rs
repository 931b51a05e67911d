//! Files and ISO images: kept below one folder, summed, and taken apart (drp-api.md 7.1, 11.1).
//!
//! | module | holds |
//! |---|---|
//! | `path` | names as clients write them, which lead nowhere else |
//! | `space` | a folder of files: lists, reads, uploads, removals |
//! | `sum` | SHA-256 of files, computed once |
//! | `archive` | what the child does that reads an archive: bytes in, entries out |
//! | `frame` | how the child tells its parent about entries |
//! | `tree` | what the parent does: entries become files, and only where they may |
//!
//! An archive is hostile. So it is read by a child process that has three descriptors and no path
//! ([`formwork_confine`]); the parent takes entries from a pipe and writes files through a handle of the folder that they
//! are for. Nothing here blocks for a network, and everything blocks for the disk: callers have threads for that.

mod archive;
mod frame;
mod path;
mod space;
mod sum;
mod tree;

pub use archive::archive_worker;
pub use path::{BlobPath, PathError};
pub use space::{Blob, BlobError, Space, Stored, Upload};
pub use sum::Sums;
pub use tree::{ArchiveWorker, ExplodeError, Exploded, TreeLimits, explode};
