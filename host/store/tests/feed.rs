//! Order, resuming and lagging.

use std::sync::Arc;

use formwork_store::{Action, Entry, FeedError, FeedGone, Limits, Revision, Store};

use crate::support::{delete, set, val, val_of};

fn few(feed_entries: usize) -> Limits {
    Limits { feed_entries, ..Limits::default() }
}

fn summary(entry: &Entry) -> (u64, &str, Action, Option<&str>, Option<&str>) {
    let change = &entry.changes[0];
    let (before, after) = (val_of(change.before.as_ref()), val_of(change.after.as_ref()));
    (change.revision.0, &change.key, change.action, before, after)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn entries_come_in_revision_order_without_gaps() {
    let store = Store::memory(Vec::new());
    let (snapshot, mut feed) = store.snapshot_and_feed();
    assert_eq!(snapshot.revision(), feed.position());
    for writer in 0..8 {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..50 {
                set(&store, &format!("w{writer}"), &round.to_string()).await;
            }
        });
    }
    for revision in 1..=400 {
        let entry = feed.next().await.unwrap();
        assert_eq!(entry.revision, Revision(revision));
        assert_eq!(entry.changes[0].revision, entry.revision);
        assert!(store.snapshot().revision() >= entry.revision, "the feed ran ahead of the snapshot");
    }
}

#[tokio::test]
async fn feed_has_the_entry_when_the_write_returns() {
    let store = Store::memory(Vec::new());
    let mut feed = store.feed();
    for number in 1..=20 {
        set(&store, "a", &number.to_string()).await;
        assert_eq!(feed.try_next().unwrap().unwrap().revision, Revision(number));
    }
}

#[tokio::test]
async fn feed_resumes_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store = Store::open(&path, Vec::new()).unwrap();
    set(&store, "a", "1").await;
    set(&store, "a", "2").await;
    set(&store, "b", "1").await;
    store.close().await;

    let store = Store::open(&path, Vec::new()).unwrap();
    let mut feed = store.feed_since(Revision(1)).unwrap();
    delete(&store, "b").await;
    let mut entries = Vec::<Arc<Entry>>::new();
    while let Some(entry) = feed.try_next().unwrap() {
        entries.push(entry);
    }
    let summaries: Vec<_> = entries.iter().map(|entry| summary(entry)).collect();
    assert_eq!(
        summaries,
        [
            (2, "a", Action::Updated, Some("1"), Some("2")),
            (3, "b", Action::Created, None, Some("1")),
            (4, "b", Action::Deleted, Some("1"), None),
        ]
    );
    assert_eq!(&*entries[0].principal, "tester");
}

#[tokio::test]
async fn only_a_bounded_part_is_kept_also_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store = Store::open_with(&path, Vec::new(), few(3)).unwrap();
    for number in 1..=10 {
        set(&store, "a", &number.to_string()).await;
    }
    let gone = FeedGone { asked: Revision(6), oldest: Revision(7), newest: Revision(10) };
    assert_eq!(store.feed_since(Revision(6)).unwrap_err(), gone);
    store.close().await;

    let store = Store::open(&path, Vec::new()).unwrap();
    assert_eq!(store.feed_since(Revision(6)).unwrap_err(), gone);
    let mut feed = store.feed_since(Revision(7)).unwrap();
    for revision in 8..=10 {
        assert_eq!(feed.try_next().unwrap().unwrap().revision, Revision(revision));
    }
}

#[tokio::test]
async fn feed_is_bounded_in_bytes_but_keeps_the_latest_entry() {
    let limits = Limits { feed_bytes: 10_000, ..Limits::default() };
    let store = Store::memory_with(Vec::new(), limits);
    for _ in 0..4 {
        set(&store, "a", "1").await;
    }
    let large = "x".repeat(20_000);
    set(&store, "b", &large).await;
    assert_eq!(store.feed_since(Revision(3)).unwrap_err().oldest, Revision(4));
    let entry = store.feed_since(Revision(4)).unwrap().try_next().unwrap().unwrap();
    assert_eq!(summary(&entry).4, Some(large.as_str()));
}

#[tokio::test]
async fn feed_of_the_future_is_refused() {
    let store = Store::memory(Vec::new());
    let gone = store.feed_since(Revision(1)).unwrap_err();
    assert_eq!(
        gone.to_string(),
        "the feed cannot resume from revision 1: it keeps what came after 0, up to 0"
    );
}

#[tokio::test]
async fn slow_reader_is_told_that_it_lags_and_holds_up_nobody() {
    let store = Store::memory_with(Vec::new(), few(5));
    let mut slow = store.feed();
    let mut quick = store.feed();
    for number in 1..=5 {
        set(&store, "a", &number.to_string()).await;
        quick.try_next().unwrap().unwrap();
    }
    assert_eq!(slow.next().await.unwrap().revision, Revision(1));
    set(&store, "a", "6").await;
    assert_eq!(slow.next().await.unwrap().revision, Revision(2), "it is at the end of what is kept");
    for number in 7..=10 {
        set(&store, "a", &number.to_string()).await;
        quick.try_next().unwrap().unwrap();
    }
    let lagged = FeedError::Lagged { position: Revision(2), oldest: Revision(5) };
    assert_eq!(slow.next().await.unwrap_err(), lagged);
    assert_eq!(slow.next().await.unwrap_err(), lagged, "an error that is overlooked comes again");

    let (snapshot, mut again) = store.snapshot_and_feed();
    assert_eq!(val(&snapshot, "a").as_deref(), Some("10"));
    set(&store, "a", "11").await;
    assert_eq!(again.next().await.unwrap().revision, Revision(11));
}

#[tokio::test]
async fn feed_ends_when_the_last_handle_goes() {
    let store = Store::memory(Vec::new());
    let mut feed = store.feed();
    set(&store, "a", "1").await;
    drop(store);
    assert_eq!(feed.next().await.unwrap().revision, Revision(1));
    assert_eq!(feed.next().await.unwrap_err(), FeedError::Closed);
}
