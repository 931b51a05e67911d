//! The one thread that writes: it runs transactions one after the other, saves a group of them at once, shows the
//! new state, and only then answers the writers.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    BackendError, Change, Entry, Limits, Revision, Transaction,
    backend::{Backend, Batch},
    codec,
    published::{Logged, Published},
    state::State,
};

/// What the committer is asked for.
pub(crate) enum Message {
    /// Run and commit a transaction.
    Write(Box<dyn Job>),
    /// Release the backend and stop.
    Close(oneshot::Sender<()>),
}

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

/// The owner of the backend.
pub(crate) struct Committer {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) published: Arc<Published>,
    pub(crate) news: watch::Sender<Revision>,
    pub(crate) queue: mpsc::Receiver<Message>,
    pub(crate) limits: Limits,
    pub(crate) broken: Option<Arc<BackendError>>,
}

impl Committer {
    /// Serves the queue until the store is closed or nobody holds it any more.
    pub(crate) fn run(mut self) {
        while let Some(message) = self.queue.blocking_recv() {
            if let Some(closed) = self.serve(message) {
                drop(self.backend);
                self.queue.close();
                while self.queue.try_recv().is_ok() {}
                // A caller who no longer waits needs no answer.
                let _ = closed.send(());
                return;
            }
        }
    }

    /// Commits one group, which begins with a message; returns whom to tell when it ended with a close.
    fn serve(&mut self, first: Message) -> Option<oneshot::Sender<()>> {
        let mut group = Group::new(&self.published);
        let mut next = Some(first);
        let mut closing = None;
        while let Some(message) = next.take() {
            match message {
                Message::Write(job) => group = group.run(job, self.broken.as_ref()),
                Message::Close(closed) => {
                    closing = Some(closed);
                    break;
                }
            }
            if !group.is_full(&self.limits) {
                next = self.queue.try_recv().ok();
            }
        }
        self.commit(group);
        closing
    }

    fn commit(&mut self, mut group: Group) {
        let (mut failed, mut replaced) = (None, None);
        if !group.added.is_empty() {
            let keep_from = self.published.keep_from(&group.added, &self.limits);
            group.batch.keep_from = keep_from;
            let revision = group.state.revision;
            group.batch.revision = revision;
            match self.backend.commit(group.batch) {
                Ok(()) => {
                    replaced = Some((revision, self.published.publish(group.state, group.added, keep_from)));
                }
                Err(error) => failed = Some(self.failed(error)),
            }
        }
        for (job, result) in group.jobs {
            job.answer(match (result, &failed) {
                (Ok(_), Some(error)) => Err(Failure::Commit(Arc::clone(error))),
                (result, _) => result,
            });
        }
        // Writers first: readers of the feed would keep the processors from them, and to drop what was replaced takes as long
        // as to make it.
        if let Some((revision, _old)) = replaced {
            self.news.send_replace(revision);
        }
    }

    fn failed(&mut self, error: BackendError) -> Arc<BackendError> {
        let refused = matches!(error, BackendError::Refused(_));
        let error = Arc::new(error);
        tracing::error!(error = %Chain(&*error), store.read_only = !refused, "a commit failed");
        if !refused {
            self.broken = Some(Arc::clone(&error));
        }
        error
    }
}

/// The transactions of the next commit.
struct Group {
    state: State,
    batch: Batch,
    bytes: usize,
    added: Vec<Logged>,
    jobs: Vec<(Box<dyn Job>, Result<Revision, Failure>)>,
}

/// What a transaction changed, encoded.
struct Staged {
    rows: Vec<codec::Row>,
    entry: Entry,
    /// The bytes of the entry, which is the last one of the batch.
    bytes: usize,
}

impl Group {
    fn new(published: &Published) -> Self {
        let state = State::clone(&published.snapshot().0);
        let batch = Batch { expected: state.revision, ..Batch::default() };
        Self { state, batch, bytes: 0, added: Vec::new(), jobs: Vec::new() }
    }

    fn is_full(&self, limits: &Limits) -> bool {
        self.jobs.len() >= limits.group_writes || self.bytes >= limits.group_bytes
    }

    /// Runs a transaction on top of those before it. One that fails leaves nothing.
    ///
    /// All transactions of a group change one state in place: a copy for each would copy the same paths again and again.
    fn run(mut self, mut job: Box<dyn Job>, broken: Option<&Arc<BackendError>>) -> Self {
        if let Some(error) = broken {
            self.jobs.push((job, Err(Failure::ReadOnly(Arc::clone(error)))));
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
                self.jobs.push((job, Ok(self.state.revision)));
                return self;
            }
            Ok(Ok(None)) => None,
            Ok(Err(failure)) => Some(failure),
            Err(panic) => Some(Failure::Panicked(panic_message(&*panic))),
        };
        self.state = transaction.undo();
        self.batch.entries.truncate(entries);
        let revision = self.state.revision;
        self.jobs.push((job, failure.map_or(Ok(revision), Err)));
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

/// An error with all its causes in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(formatter, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
