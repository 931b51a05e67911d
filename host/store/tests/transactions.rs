//! What a transaction reads, writes and leaves behind.

use std::{convert::Infallible, sync::Arc};

use formwork_model::{Objects, ObjectsExt, Preference, Profile};
use formwork_store::{Action, Committed, Revision, Store, WriteError};
use serde_json::json;

use crate::support::{delete, preference, set, val, val_of};

#[tokio::test]
async fn refused_transaction_leaves_nothing() {
    let store = Store::memory(Vec::new());
    set(&store, "a", "1").await;
    let mut feed = store.feed();
    let object = preference("a", "2");
    let refused = store.write("tester", |transaction| {
        transaction.put(object);
        transaction.put(preference("b", "2"));
        Err::<(), _>("no")
    });
    let error = refused.await.unwrap_err();
    assert!(matches!(error, WriteError::Refused("no")));
    assert_eq!(error.to_string(), "no");
    assert_eq!(val(&store.snapshot(), "a").as_deref(), Some("1"));
    assert_eq!(store.snapshot().count("preferences"), 1);
    assert_eq!(store.snapshot().revision(), Revision(1));
    assert!(feed.try_next().unwrap().is_none());
}

#[tokio::test]
async fn panic_in_a_transaction_is_an_error_and_the_store_lives_on() {
    let store = Store::memory(Vec::new());
    let object = preference("a", "1");
    let panicked = store.write("tester", move |transaction| -> Result<(), Infallible> {
        transaction.put(object);
        panic!("oh {}", "dear")
    });
    let error = panicked.await.unwrap_err();
    assert!(matches!(&error, WriteError::Panicked { message } if message == "oh dear"), "{error}");
    assert_eq!(val(&store.snapshot(), "a"), None);
    assert_eq!(set(&store, "b", "1").await, Revision(1));
}

#[tokio::test]
async fn object_that_cannot_be_read_again_is_refused_alone() {
    let store = Store::memory(Vec::new());
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    let params = [(String::from("deep"), deep)].into();
    let profile = Arc::new(Profile { name: "a".into(), params, ..Profile::default() });
    let written = store.write("tester", |transaction| {
        transaction.put(preference("with it", "1"));
        transaction.put(profile);
        Ok::<_, Infallible>(())
    });
    let error = written.await.unwrap_err();
    assert!(matches!(&error, WriteError::Unwritable { prefix: "profiles", .. }), "{error}");
    assert_eq!(store.snapshot().count("preferences"), 0);
    set(&store, "b", "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_increments_are_all_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data"), Vec::new()).unwrap();
    let writers: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    let increment = store.write("tester", |transaction| {
                        let before = val(transaction, "count").map_or(0, |val| val.parse().unwrap());
                        transaction.put(preference("count", &(before + 1).to_string()));
                        Ok::<u32, Infallible>(before + 1)
                    });
                    let written = increment.await.unwrap();
                    assert_eq!(u64::from(written.value), written.revision.0);
                    let seen: u32 = val(&store.snapshot(), "count").unwrap().parse().unwrap();
                    assert!(seen >= written.value, "own write is not visible after it returned");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(val(&store.snapshot(), "count").as_deref(), Some("400"));
}

#[tokio::test]
async fn snapshot_does_not_see_later_writes() {
    let store = Store::memory(Vec::new());
    set(&store, "a", "1").await;
    set(&store, "b", "1").await;
    let snapshot = store.snapshot();
    set(&store, "a", "2").await;
    delete(&store, "b").await;
    set(&store, "c", "1").await;
    assert_eq!(snapshot.revision(), Revision(2));
    let names: Vec<_> = snapshot.list::<Preference>().iter().map(|found| found.name.clone()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(val(&snapshot, "a").as_deref(), Some("1"));
    assert_eq!(store.snapshot().stored("preferences", "a").unwrap().revision, Revision(3));
}

#[tokio::test]
async fn transaction_reads_its_own_writes_and_lists_its_net_changes() {
    let store = Store::memory(Vec::new());
    set(&store, "old", "1").await;
    set(&store, "gone", "1").await;
    let written = store.write("tester", |transaction| {
        assert_eq!((transaction.revision(), transaction.principal()), (Revision(3), "tester"));
        transaction.put(preference("old", "2"));
        transaction.put(preference("new", "1"));
        transaction.put(preference("brief", "1"));
        transaction.delete("preferences", "brief").unwrap();
        transaction.delete("preferences", "gone").unwrap();
        transaction.put(preference("old", "3"));
        assert!(transaction.delete("preferences", "never").is_none());
        assert_eq!(val(transaction, "old").as_deref(), Some("3"));
        assert_eq!(transaction.revision_of("preferences", "old"), Some(Revision(3)));
        assert_eq!(transaction.revision_of("preferences", "gone"), None);
        assert_eq!(transaction.count("preferences"), 2);
        Ok::<_, Infallible>(transaction.changes())
    });
    let Committed { value: changes, revision } = written.await.unwrap();
    assert_eq!(revision, Revision(3));
    let listed: Vec<_> = changes.iter().map(|change| (&*change.key, change.action)).collect();
    let expected = [("old", Action::Updated), ("new", Action::Created), ("gone", Action::Deleted)];
    assert_eq!(listed, expected);
    assert_eq!(val_of(changes[0].before.as_ref()), Some("1"));
    assert_eq!(val_of(changes[0].after.as_ref()), Some("3"));
}

#[tokio::test]
async fn row_hides_a_base_object_and_its_deletion_uncovers_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let base = || vec![preference("a", "built in"), preference("b", "built in")];
    let store = Store::open(&path, base()).unwrap();
    let found = store.snapshot().stored("preferences", "a").unwrap();
    assert_eq!((found.base, found.revision), (true, Revision(0)));

    set(&store, "a", "own").await;
    store.close().await;
    let store = Store::open(&path, base()).unwrap();
    let found = store.snapshot().stored("preferences", "a").unwrap();
    assert_eq!((found.base, found.revision), (false, Revision(1)));
    assert_eq!(val(&store.snapshot(), "a").as_deref(), Some("own"));
    assert_eq!(store.snapshot().count("preferences"), 2);

    let mut feed = store.feed();
    delete(&store, "a").await;
    assert_eq!(val(&store.snapshot(), "a").as_deref(), Some("built in"));
    let entry = feed.try_next().unwrap().unwrap();
    assert_eq!(entry.changes[0].action, Action::Updated);
    assert_eq!(val_of(entry.changes[0].after.as_ref()), Some("built in"));

    assert_eq!(delete(&store, "a").await, Revision(2), "a base object cannot be deleted");
    store.close().await;
    let store = Store::open(&path, base()).unwrap();
    assert!(store.snapshot().stored("preferences", "a").unwrap().base);
    store.close().await;
    let store = Store::open(&path, Vec::new()).unwrap();
    assert_eq!(store.snapshot().count("preferences"), 0, "the base is not saved");
}

#[tokio::test]
async fn base_object_put_and_deleted_in_one_transaction_is_no_change() {
    let store = Store::memory(vec![preference("a", "built in")]);
    let written = store.write("tester", |transaction| {
        assert!(transaction.is_base("preferences", "a"));
        transaction.put(preference("a", "own"));
        assert!(!transaction.is_base("preferences", "a"));
        transaction.delete("preferences", "a").unwrap();
        Ok::<_, Infallible>(())
    });
    assert_eq!(written.await.unwrap().revision, Revision(0));
    assert!(store.snapshot().stored("preferences", "a").unwrap().base);
}
