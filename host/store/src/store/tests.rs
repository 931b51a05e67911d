//! Grouping and failing commits, over a backend that is held, counted and broken from outside.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    task::{Context, Poll, Waker},
};

use formwork_model::{ObjectsExt, Preference};

use super::*;
use crate::{BackendError, FeedError, backend::Batch, codec, published::Log};

/// What the test answers to a commit that waits for it.
type Verdict = Result<(), BackendError>;

/// A memory backend that counts commits and, when it is held, asks the test about each.
#[derive(Default)]
struct Instrumented {
    memory: MemoryBackend,
    commits: Arc<AtomicUsize>,
    held: Option<(Sender<usize>, Receiver<Verdict>)>,
}

impl Backend for Instrumented {
    fn load(&mut self, loader: &mut Loader) -> Result<Revision, OpenError> {
        self.memory.load(loader)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), BackendError> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        if let Some((arrived, verdicts)) = &self.held {
            arrived.send(codec::split_entries(&batch.entries).unwrap().len()).unwrap();
            verdicts.recv().unwrap()?;
        }
        self.memory.commit(batch)
    }
}

/// The test's side of a held backend.
struct Held {
    arrived: Receiver<usize>,
    verdicts: Sender<Verdict>,
}

impl Held {
    fn store(limits: Limits) -> (Store, Self) {
        let (arrived_sender, arrived) = channel();
        let (verdicts, verdict_receiver) = channel();
        let held = Some((arrived_sender, verdict_receiver));
        let backend = Instrumented { held, ..Instrumented::default() };
        (Store::start(Box::new(backend), Vec::new(), limits).unwrap(), Self { arrived, verdicts })
    }

    /// Waits for the next commit and returns how many entries it has.
    fn arrival(&self) -> usize {
        self.arrived.recv().unwrap()
    }

    fn allow(&self) {
        self.verdicts.send(Ok(())).unwrap();
    }

    fn fail(&self, error: impl FnOnce(Box<io::Error>) -> BackendError) {
        self.verdicts.send(Err(error(Box::new(io::Error::other("no space"))))).unwrap();
    }
}

fn preference(name: &str, val: &str) -> Arc<dyn Object> {
    Arc::new(Preference { name: name.into(), val: val.into(), ..Preference::default() })
}

async fn set(store: &Store, name: &str, val: &str) -> Result<Committed<()>, WriteError<Infallible>> {
    let object = preference(name, val);
    store
        .write("tester", |transaction| {
            transaction.put(object);
            Ok(())
        })
        .await
}

/// Polls a write once, which puts it into the queue.
fn queue<F: Future>(write: Pin<&mut F>) {
    assert!(write.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[tokio::test]
async fn writers_who_wait_share_one_commit() {
    let (store, held) = Held::store(Limits::default());
    let mut first = pin!(set(&store, "first", "1"));
    queue(first.as_mut());
    assert_eq!(held.arrival(), 1);
    let names: Vec<String> = (0..99).map(|number| format!("n{number}")).collect();
    let mut rest: Vec<_> = names.iter().map(|name| Box::pin(set(&store, name, "1"))).collect();
    rest.iter_mut().for_each(|write| queue(write.as_mut()));
    held.allow();
    assert_eq!(held.arrival(), 99);
    held.allow();
    assert_eq!(first.await.unwrap().revision, Revision(1));
    for (write, revision) in rest.into_iter().zip(2..) {
        assert_eq!(write.await.unwrap().revision, Revision(revision));
    }
}

#[tokio::test]
async fn group_is_bounded_in_writes_and_bytes() {
    let limits = Limits { group_writes: 4, group_bytes: 100_000, ..Limits::default() };
    let (store, held) = Held::store(limits);
    let mut first = Box::pin(set(&store, "first", "1"));
    queue(first.as_mut());
    assert_eq!(held.arrival(), 1);
    let large = "x".repeat(40_000);
    let values = ["1", "2", "3", "4", "5", &large, &large, &large];
    let mut rest: Vec<_> = values.iter().map(|value| Box::pin(set(&store, "same", value))).collect();
    rest.iter_mut().for_each(|write| queue(write.as_mut()));
    held.allow();
    assert_eq!(held.arrival(), 4, "bounded by the number of writes");
    held.allow();
    assert_eq!(held.arrival(), 3, "a row and an entry of 40 kB are 80 kB, two more make it full");
    held.allow();
    assert_eq!(held.arrival(), 1);
    held.allow();
    for write in rest {
        write.await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_visible_before_it_is_durable() {
    let (store, held) = Held::store(Limits::default());
    let mut feed = store.feed();
    let mut write = pin!(set(&store, "a", "1"));
    queue(write.as_mut());
    held.arrival();
    assert_eq!(store.snapshot().revision(), Revision(0));
    assert!(store.snapshot().get::<Preference>("a").is_none());
    assert!(feed.try_next().unwrap().is_none());
    held.allow();
    write.await.unwrap();
    assert!(store.snapshot().get::<Preference>("a").is_some());
    assert_eq!(feed.try_next().unwrap().unwrap().revision, Revision(1));
}

#[tokio::test]
async fn refused_commit_fails_its_group_and_later_writes_go_on_from_the_durable_state() {
    let (store, held) = Held::store(Limits::default());
    let mut first = pin!(set(&store, "a", "1"));
    queue(first.as_mut());
    held.arrival();
    let mut second = pin!(set(&store, "a", "2"));
    let mut refused = pin!(store.write("tester", |transaction| {
        Err::<(), String>(transaction.get::<Preference>("a").unwrap().val.clone())
    }));
    queue(second.as_mut());
    queue(refused.as_mut());
    held.allow();
    held.arrival();
    held.fail(|error| BackendError::Refused(error));
    first.await.unwrap();
    assert!(matches!(second.await, Err(WriteError::Commit(_))));
    // It refused because of a value that never came to be.
    assert!(matches!(refused.await, Err(WriteError::Commit(_))));
    assert_eq!(store.snapshot().get::<Preference>("a").unwrap().val, "1");

    held.allow();
    assert_eq!(set(&store, "b", "1").await.unwrap().revision, Revision(2));
    let entry = store.feed_since(Revision(1)).unwrap().try_next().unwrap().unwrap();
    assert_eq!(&*entry.changes[0].key, "b");
}

#[tokio::test]
async fn what_ran_on_top_of_a_commit_that_failed_fails_with_it() {
    let (store, held) = Held::store(Limits::default());
    let mut first = pin!(set(&store, "a", "1"));
    queue(first.as_mut());
    held.arrival();
    let (ran, has_run) = channel();
    let mut second = pin!(store.write("tester", move |transaction| {
        let seen = transaction.get::<Preference>("a").unwrap().val.clone();
        transaction.put(preference("b", &seen));
        ran.send(seen).unwrap();
        Ok::<_, Infallible>(())
    }));
    queue(second.as_mut());
    assert_eq!(has_run.recv().unwrap(), "1", "it runs while the first is being saved");
    held.fail(|error| BackendError::Refused(error));
    assert!(matches!(first.await, Err(WriteError::Commit(_))));
    assert!(matches!(second.await, Err(WriteError::Commit(_))));
    assert_eq!(store.snapshot().revision(), Revision(0));

    held.allow();
    assert_eq!(set(&store, "c", "1").await.unwrap().revision, Revision(1));
    assert!(store.snapshot().get::<Preference>("a").is_none());
}

#[tokio::test]
async fn broken_backend_leaves_a_store_that_only_reads() {
    let (store, held) = Held::store(Limits::default());
    held.allow();
    set(&store, "a", "1").await.unwrap();
    held.fail(|error| BackendError::Broken(error));
    assert!(matches!(set(&store, "a", "2").await, Err(WriteError::Commit(_))));
    let Err(WriteError::ReadOnly(cause)) = set(&store, "a", "3").await else { panic!("it wrote") };
    assert!(matches!(&*cause, BackendError::Broken(_)));
    assert_eq!(store.snapshot().get::<Preference>("a").unwrap().val, "1");
}

#[tokio::test]
async fn backend_at_another_revision_is_a_conflict_and_leaves_a_store_that_only_reads() {
    let mut memory = MemoryBackend::default();
    let published = Published::new(Loader::new(Vec::new()).finish(Revision(0)).0, Log::default());
    memory.commit(Batch { revision: Revision(5), ..Batch::default() }).unwrap();
    let (store, started) = Store::over(published, Box::new(memory), Limits::default());
    started.unwrap();
    let Err(WriteError::Commit(error)) = set(&store, "a", "1").await else { panic!("it wrote") };
    assert_eq!(error.to_string(), "the backend is at revision 5, not 0");
    assert!(matches!(set(&store, "a", "1").await, Err(WriteError::ReadOnly(_))));
}

#[tokio::test]
async fn transaction_without_a_change_costs_no_commit_and_no_revision() {
    let backend = Instrumented::default();
    let commits = Arc::clone(&backend.commits);
    let store = Store::start(Box::new(backend), Vec::new(), Limits::default()).unwrap();
    set(&store, "a", "1").await.unwrap();
    let same = preference("a", "1");
    let put = store.write("tester", |transaction| Ok::<_, Infallible>(transaction.put_if_changed(same)));
    assert_eq!(put.await.unwrap(), Committed { value: false, revision: Revision(1) });
    let made = preference("b", "1");
    let undone = store.write("tester", |transaction| {
        transaction.put(made);
        Ok::<_, Infallible>(transaction.delete("preferences", "b").is_some())
    });
    assert_eq!(undone.await.unwrap(), Committed { value: true, revision: Revision(1) });
    assert_eq!(commits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn close_commits_what_was_queued_before_and_refuses_what_comes_after() {
    let (store, held) = Held::store(Limits::default());
    let mut feed = store.feed();
    let mut first = pin!(set(&store, "a", "1"));
    queue(first.as_mut());
    held.arrival();
    let mut second = pin!(set(&store, "a", "2"));
    let mut close = pin!(store.close());
    let mut late = pin!(set(&store, "a", "3"));
    queue(second.as_mut());
    queue(close.as_mut());
    queue(late.as_mut());
    held.allow();
    held.allow();
    close.await;
    first.await.unwrap();
    second.await.unwrap();
    assert!(matches!(late.await, Err(WriteError::Closed)));
    assert!(matches!(set(&store, "a", "4").await, Err(WriteError::Closed)));
    assert_eq!(store.snapshot().get::<Preference>("a").unwrap().val, "2");
    assert_eq!(feed.next().await.unwrap().revision, Revision(1));
    assert_eq!(feed.next().await.unwrap().revision, Revision(2));
    assert_eq!(feed.next().await.unwrap_err(), FeedError::Closed);
    store.close().await;
}

#[tokio::test]
async fn waiting_reader_of_the_feed_is_woken() {
    let store = Store::memory(Vec::new());
    let mut feed = store.feed();
    let mut next = pin!(feed.next());
    assert!(matches!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    set(&store, "a", "1").await.unwrap();
    assert_eq!(next.await.unwrap().revision, Revision(1));
}
