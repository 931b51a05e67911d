//! Transactions that are saved together: their jobs, what they changed, and the state after them.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{
    BackendError, Change, Entry, Limits, Revision, Transaction,
    backend::Batch,
    codec,
    published::{Logged, Published},
    state::State,
};

/// A transaction with its writer, who waits for the answer.
pub(crate) trait Job: Send {
    /// Returns who writes.
    fn principal(&self) -> Arc<str>;
    /// Runs the closure, keeps its result, and returns whether it is to be committed.
    fn run(&mut self, transaction: &mut Transaction) -> bool;
    /// Answers the writer; the revision is the one of the state that the writer may now rely on.
    fn answer(self: Box<Self>, result: Result<Revision, Failure>);
}

/// Why a transaction that its closure did not refuse was not committed.
pub(crate) enum Failure {
    Panicked(String),
    Unwritable { prefix: &'static str, key: String, reason: String },
    Commit(Arc<BackendError>),
    ReadOnly(Arc<BackendError>),
}

/// A job that has run, and what its writer will hear when the group is durable.
pub(crate) type Answer = (Box<dyn Job>, Result<Revision, Failure>);

/// The transactions of one commit.
pub(crate) struct Group {
    /// The latest state, with their changes.
    pub(crate) state: State,
    /// What they have to save.
    pub(crate) batch: Batch,
    /// What they add to the feed.
    pub(crate) added: Vec<Logged>,
    /// Who waits for them.
    pub(crate) answers: Vec<Answer>,
    bytes: usize,
}

/// What a transaction changed, encoded.
struct Staged {
    rows: Vec<codec::Row>,
    entry: Entry,
    /// The bytes of the entry, which is the last one of the batch.
    bytes: usize,
}

impl Group {
    /// Makes an empty group on top of what readers see.
    pub(crate) fn new(published: &Published) -> Self {
        Self::on(State::clone(&published.snapshot().0))
    }

    /// Makes an empty group on top of this one.
    pub(crate) fn following(&self) -> Self {
        Self::on(self.state.clone())
    }

    fn on(state: State) -> Self {
        let batch = Batch { expected: state.revision, ..Batch::default() };
        Self { state, batch, bytes: 0, added: Vec::new(), answers: Vec::new() }
    }

    /// Tells whether the group is as large as one may be.
    pub(crate) fn is_full(&self, limits: &Limits) -> bool {
        self.answers.len() >= limits.group_writes || self.bytes >= limits.group_bytes
    }

    /// Runs a transaction on top of those before it. One that fails leaves nothing.
    ///
    /// All transactions of a group change one state in place: a copy for each would copy the same paths again and again.
    pub(crate) fn run(mut self, mut job: Box<dyn Job>, broken: Option<&Arc<BackendError>>) -> Self {
        if let Some(error) = broken {
            self.answers.push((job, Err(Failure::ReadOnly(Arc::clone(error)))));
            return self;
        }
        let mut transaction = Transaction::new(self.state, job.principal());
        let entries = self.batch.entries.len();
        let staged = catch_unwind(AssertUnwindSafe(|| match job.run(&mut transaction) {
            true => stage(&transaction, &mut self.batch.entries),
            false => Ok(None),
        }));
        let failure = match staged {
            Ok(Ok(Some(staged))) => {
                self.state = transaction.finish();
                for (key, value) in staged.rows {
                    self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
                    self.batch.rows.insert(key, value);
                }
                self.bytes += staged.bytes;
                self.added.push(Logged { bytes: staged.bytes, entry: Arc::new(staged.entry) });
                self.answers.push((job, Ok(self.state.revision)));
                return self;
            }
            Ok(Ok(None)) => None,
            Ok(Err(failure)) => Some(failure),
            Err(panic) => Some(Failure::Panicked(panic_message(&*panic))),
        };
        self.state = transaction.undo();
        self.batch.entries.truncate(entries);
        let revision = self.state.revision;
        self.answers.push((job, failure.map_or(Ok(revision), Err)));
        self
    }
}

/// Encodes what a transaction changed, its entry behind those of the batch; nothing when it changed nothing.
fn stage(transaction: &Transaction, entries: &mut Vec<u8>) -> Result<Option<Staged>, Failure> {
    let changes = transaction.changes();
    if changes.is_empty() {
        return Ok(None);
    }
    let rows = changes.iter().map(|change| row(transaction, change)).collect::<Result<Vec<_>, _>>()?;
    let (revision, principal) = (transaction.revision(), Arc::from(transaction.principal()));
    let entry = Entry { revision, principal, changes: changes.into() };
    let bytes = codec::push_entry(entries, &entry, &rows).map_err(|error| {
        let first = entry.changes.first();
        let (prefix, key) = first.map_or(("", ""), |change| (change.prefix, &*change.key));
        Failure::Unwritable { prefix, key: String::from(key), reason: error.to_string() }
    })?;
    Ok(Some(Staged { rows, entry, bytes }))
}

fn row(transaction: &Transaction, change: &Change) -> Result<codec::Row, Failure> {
    let stored = transaction.row(change.prefix, &change.key);
    let value = stored.map(|stored| codec::encode_row(&change.key, &*stored.object, stored.revision));
    let value = value.transpose().map_err(|reason| Failure::Unwritable {
        prefix: change.prefix,
        key: String::from(&*change.key),
        reason,
    })?;
    Ok((codec::row_key(change.prefix, &change.key), value))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    String::from(text.unwrap_or("no message"))
}

/// Answers those who waited for a group that was saved, or was not.
pub(crate) fn answer(answers: Vec<Answer>, failed: Option<&Arc<BackendError>>) {
    for (job, result) in answers {
        job.answer(match (result, failed) {
            (Ok(_), Some(error)) => Err(Failure::Commit(Arc::clone(error))),
            (result, _) => result,
        });
    }
}
