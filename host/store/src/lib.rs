//! Transactions, revisions and the feed over typed objects.
//!
//! A [`Store`] holds all objects of one endpoint. Reads come from a [`Snapshot`]: every object at one [`Revision`],
//! shared without locks and without the disk. Writes are closures over a [`Transaction`]; one thread runs them one
//! after the other, another saves many of them in one durable commit, and only then shows them to anybody. What was
//! committed comes out of a [`Feed`] in the order of revisions; a feed resumes from any revision still kept, also
//! after a restart.
//!
//! A snapshot also holds indexes, which a transaction sees with its own changes in them: the members that each type
//! names in [`formwork_model::Kind::indexes`], sorted, and who refers to whom. They are made at the start out of the
//! objects and are not saved.
//!
//! Below the writable rows lies a layer of built-in objects, the base, which is given at every start and never saved.
//! A row with the prefix and key of a base object hides it; deleting the row uncovers it.

mod backend;
mod codec;
mod committer;
mod entry;
mod error;
mod facts;
mod feed;
mod group;
mod index;
mod limits;
mod loader;
mod published;
mod references;
mod reunion;
mod revision;
mod saver;
mod snapshot;
mod state;
mod store;
mod transaction;
mod tree;

pub use entry::{Action, Change, Entry};
pub use error::{BackendError, OpenError, WriteError};
pub use feed::{Feed, FeedError, FeedGone};
pub use index::{Gathered, Holders, Index};
pub use limits::Limits;
pub use revision::Revision;
pub use snapshot::Snapshot;
pub use state::Stored;
pub use store::{Committed, Store};
pub use transaction::Transaction;
