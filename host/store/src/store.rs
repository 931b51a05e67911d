//! The store: a handle on the latest state, the feed and the committer.

use std::{io, path::Path, sync::Arc};

use formwork_model::Object;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    Feed, FeedGone, Limits, OpenError, Revision, Snapshot, Transaction, WriteError,
    backend::{Backend, MemoryBackend, RedbBackend},
    committer::{self, Message},
    group::{Failure, Job},
    loader::Loader,
    published::Published,
    saver::Saver,
};

/// The writers that may wait before further ones wait for a place: two groups.
const QUEUE_WRITES: usize = 1024;

/// All objects of an endpoint. A copy is another handle on the same store.
///
/// When the last handle goes without [`Store::close`], the file is released shortly after.
#[derive(Clone)]
pub struct Store {
    published: Arc<Published>,
    news: watch::Receiver<Revision>,
    queue: mpsc::Sender<Message>,
}

/// The result of a committed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the closure returned.
    pub value: T,
    /// The revision that the transaction made, or the one that it read when it changed nothing.
    pub revision: Revision,
}

impl Store {
    /// Opens the data file at a path, and makes it when there is none, over the built-in objects `base`.
    ///
    /// Reads the whole file; of two base objects with one prefix and key the later counts. A change of the base from
    /// one start to the next does not show in the feed.
    ///
    /// # Errors
    ///
    /// The file is held by another process, is no data file, is of a later format, or has an object that does not
    /// decode. The file is then as it was.
    pub fn open(path: &Path, base: Vec<Arc<dyn Object>>) -> Result<Self, OpenError> {
        Self::open_with(path, base, Limits::default())
    }

    /// Opens the data file at a path with other limits than the usual.
    ///
    /// # Errors
    ///
    /// Those of [`Store::open`].
    pub fn open_with(path: &Path, base: Vec<Arc<dyn Object>>, limits: Limits) -> Result<Self, OpenError> {
        Self::start(Box::new(RedbBackend::open(path, limits)?), base, limits)
    }

    /// Makes an empty store that is not saved, over the built-in objects `base`.
    #[must_use]
    pub fn memory(base: Vec<Arc<dyn Object>>) -> Self {
        Self::memory_with(base, Limits::default())
    }

    /// Makes an empty store that is not saved, with other limits than the usual.
    ///
    /// Should the system give no thread, every write answers [`WriteError::Closed`].
    #[must_use]
    pub fn memory_with(base: Vec<Arc<dyn Object>>, limits: Limits) -> Self {
        let (state, log) = Loader::new(base).finish(Revision::default());
        let (store, started) =
            Self::over(Published::new(state, log), Box::<MemoryBackend>::default(), limits);
        if let Err(error) = started {
            tracing::error!(%error, "failed to start the threads that commit");
        }
        store
    }

    /// Loads a backend and starts its committer.
    pub(crate) fn start(
        mut backend: Box<dyn Backend>,
        base: Vec<Arc<dyn Object>>,
        limits: Limits,
    ) -> Result<Self, OpenError> {
        let mut loader = Loader::new(base);
        let revision = backend.load(&mut loader)?;
        let (state, log) = loader.finish(revision);
        let (store, started) = Self::over(Published::new(state, log), backend, limits);
        started.map_err(OpenError::Thread)?;
        Ok(store)
    }

    /// Returns all objects at the latest durable revision. Does not wait and does not touch the disk.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.published.snapshot()
    }

    /// Runs a transaction and returns when it is durable and visible.
    ///
    /// The closure runs in the committer's thread, alone, on top of everything before it, so that what it reads
    /// cannot change before it is committed; it must be quick and must not block. If it returns an error or panics,
    /// nothing of it is applied. After the return every new snapshot has the changes and every feed has the entry.
    ///
    /// Dropping the future does not take the write back once it is in the queue.
    ///
    /// # Errors
    ///
    /// The closure refused or panicked, an object could not be encoded, the commit failed, or the store takes no
    /// writes any more.
    pub async fn write<T, E, F>(&self, principal: &str, work: F) -> Result<Committed<T>, WriteError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut Transaction) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Write { principal: principal.into(), work: Some(work), outcome: None, reply };
        self.queue.send(Message::Write(Box::new(job))).await.map_err(|_| WriteError::Closed)?;
        answer.await.unwrap_or(Err(WriteError::Closed))
    }

    /// Returns a feed of what is committed from now on.
    #[must_use]
    pub fn feed(&self) -> Feed {
        self.snapshot_and_feed().1
    }

    /// Returns a feed of what was and will be committed after a revision.
    ///
    /// # Errors
    ///
    /// The entries after the revision are not all kept, or the store has not come so far.
    pub fn feed_since(&self, revision: Revision) -> Result<Feed, FeedGone> {
        let (oldest, newest) = self.published.resumable();
        if revision < oldest || revision > newest {
            return Err(FeedGone { asked: revision, oldest, newest });
        }
        Ok(self.feed_after(revision))
    }

    /// Returns a snapshot and a feed of exactly what is not in it.
    #[must_use]
    pub fn snapshot_and_feed(&self) -> (Snapshot, Feed) {
        let snapshot = self.snapshot();
        let feed = self.feed_after(snapshot.revision());
        (snapshot, feed)
    }

    /// Returns what tells of each new revision, for those who look at the feed by themselves; it ends with the store.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<Revision> {
        self.news.clone()
    }

    /// Commits what is in the queue before the call, refuses what comes after it, and releases the file.
    ///
    /// Snapshots stay readable, feeds end after their last entry. Closing twice is harmless.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.queue.send(Message::Close(reply)).await.is_ok() {
            // An error means that another close was faster, and that it has released the file.
            let _ = closed.await;
        }
    }

    /// Makes a store of what was loaded, and tells whether its threads could be started: without them every write answers
    /// that the store is closed.
    fn over(published: Published, backend: Box<dyn Backend>, limits: Limits) -> (Self, io::Result<()>) {
        let published = Arc::new(published);
        let (news, watched) = watch::channel(published.snapshot().revision());
        let (sender, queue) = mpsc::channel(QUEUE_WRITES);
        let store = Self { published: Arc::clone(&published), news: watched, queue: sender };
        (store, committer::spawn(queue, Saver { backend, published, news, limits }, limits))
    }

    fn feed_after(&self, revision: Revision) -> Feed {
        Feed::after(revision, Arc::clone(&self.published), self.news.clone())
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("revision", &self.snapshot().revision()).finish_non_exhaustive()
    }
}

/// A closure, its result once it has run, and where its writer waits.
struct Write<T, E, F> {
    principal: Arc<str>,
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<Committed<T>, WriteError<E>>>,
}

impl<T, E, F> Job for Write<T, E, F>
where
    T: Send,
    E: Send,
    F: FnOnce(&mut Transaction) -> Result<T, E> + Send,
{
    fn principal(&self) -> Arc<str> {
        Arc::clone(&self.principal)
    }

    fn run(&mut self, transaction: &mut Transaction) -> bool {
        self.outcome = self.work.take().map(|work| work(transaction));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, result: Result<Revision, Failure>) {
        let answer = match (result, self.outcome) {
            (Ok(revision), Some(Ok(value))) => Ok(Committed { value, revision }),
            (Ok(_), Some(Err(refusal))) => Err(WriteError::Refused(refusal)),
            (Ok(_), None) => Err(WriteError::Closed),
            (Err(Failure::Panicked(message)), _) => Err(WriteError::Panicked { message }),
            (Err(Failure::Unwritable { prefix, key, reason }), _) => {
                Err(WriteError::Unwritable { prefix, key, reason })
            }
            (Err(Failure::Commit(error)), _) => Err(WriteError::Commit(error)),
            (Err(Failure::ReadOnly(error)), _) => Err(WriteError::ReadOnly(error)),
        };
        // A writer who no longer waits needs no answer.
        let _ = self.reply.send(answer);
    }
}

#[cfg(test)]
mod tests;
