//! Files of other releases, damaged rows, and a disk that loses power.

mod disk;

use std::{convert::Infallible, error::Error, sync::Arc};

use formwork_model::{Objects, ObjectsExt, Preference};

use self::disk::{Disk, OnDisk};
use super::{
    format::{FEED_1, FORMAT, GROUPS_2},
    *,
};
use crate::{Limits, Store, WriteError};

const FOREVER: u64 = u64::MAX;

/// The rows of a few steps wait, so that commits write some of them and a start reads the rest from the feed.
fn store_on(disk: &Disk, late_rows: usize) -> Result<Store, Box<dyn Error>> {
    let limits = Limits { late_rows, late_feed_bytes: 600, ..Limits::default() };
    let database = builder().create_with_backend(OnDisk { disk: disk.clone(), file: 0 })?;
    let backend = RedbBackend::prepare(database, Box::new(disk.clone()), Path::new("disk"), limits)?;
    Ok(Store::start(Box::new(backend), Vec::new(), limits)?)
}

/// Sets two preferences to one number in one transaction.
async fn step(store: &Store, number: u64) -> Result<(), WriteError<Infallible>> {
    let pair = ["left", "right"].map(|name| Preference {
        name: name.into(),
        val: number.to_string(),
        ..Preference::default()
    });
    let written = store.write("tester", |transaction| {
        pair.into_iter().for_each(|preference| transaction.put(Arc::new(preference)));
        Ok(())
    });
    written.await.map(drop)
}

fn number(objects: &impl Objects, name: &str) -> u64 {
    objects.get::<Preference>(name).map_or(0, |preference| preference.val.parse().unwrap())
}

#[tokio::test]
async fn power_loss_at_any_operation_keeps_acknowledged_transactions_whole() {
    let fresh = Disk::new(vec![Vec::new()], FOREVER);
    store_on(&fresh, 1).unwrap().close().await;
    let images = fresh.images();
    let mut lost = 0;
    for fuse in 0..120 {
        let disk = Disk::new(images.clone(), fuse);
        let mut acknowledged = 0;
        let mut attempted = 0;
        let late_rows = (fuse % 4) as usize;
        if let Ok(store) = store_on(&disk, late_rows) {
            for number in 1..=12 {
                attempted = number;
                if step(&store, number).await.is_err() {
                    lost += 1;
                    let next = step(&store, 99).await;
                    assert!(matches!(next, Err(WriteError::ReadOnly(_))), "{next:?}");
                    break;
                }
                acknowledged = number;
            }
            store.close().await;
        }
        let survivor = store_on(&Disk::new(disk.after_power_loss(), FOREVER), late_rows).unwrap();
        let snapshot = survivor.snapshot();
        let found = number(&snapshot, "left");
        assert_eq!(found, number(&snapshot, "right"), "torn with fuse {fuse}");
        assert!((acknowledged..=attempted).contains(&found), "{found} of {acknowledged} with fuse {fuse}");
        assert_eq!(snapshot.revision(), Revision(found), "one revision each with fuse {fuse}");
        let mut feed = survivor.feed_since(Revision(0)).unwrap();
        for revision in 1..=found {
            assert_eq!(feed.try_next().unwrap().unwrap().revision, Revision(revision));
        }
        step(&survivor, found + 1).await.unwrap();
        survivor.close().await;
    }
    assert!(lost > 20, "the power went in only {lost} commits");
}

#[tokio::test]
async fn file_of_a_later_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    Store::open(&path, Vec::new()).unwrap().close().await;
    let database = builder().open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert(FORMAT, FORMAT_KNOWN + 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(&path, Vec::new()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 4, known: 3, .. }), "{error}");
}

/// Writes a file of an earlier format, with one object that was made and changed.
fn earlier(path: &Path, format: u64) {
    let database = builder().create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    let object = |val: &str| serde_json::json!({"Name": "a", "Val": val});
    let entry = |before: Option<&str>, after: &str| {
        let (before, after) = (before.map(object), object(after));
        let change = serde_json::json!({"prefix": "preferences", "key": "a", "action": "updated", "before": before, "after": after});
        serde_json::json!({"principal": "p", "changes": [change]}).to_string()
    };
    // In format 2 the row may be late.
    let saved: u64 = if format == 1 { 2 } else { 1 };
    let text = object(&saved.to_string()).to_string();
    let row = [&saved.to_be_bytes()[..], text.as_bytes()].concat();
    let mut objects = transaction.open_table(OBJECTS).unwrap();
    objects.insert(&b"preferences\0a"[..], row.as_slice()).unwrap();
    for (revision, entry) in [(1, entry(None, "1")), (2, entry(Some("1"), "2"))] {
        if format == 1 {
            transaction.open_table(FEED_1).unwrap().insert(revision, entry.as_bytes()).unwrap();
        } else {
            let length = entry.len() as u64;
            let group = [&revision.to_be_bytes()[..], &length.to_be_bytes(), entry.as_bytes()].concat();
            transaction.open_table(GROUPS_2).unwrap().insert(revision, group.as_slice()).unwrap();
        }
    }
    let mut meta = transaction.open_table(META).unwrap();
    meta.insert(FORMAT, format).unwrap();
    meta.insert(REVISION, 2).unwrap();
    if format == 2 {
        meta.insert(SAVED, saved).unwrap();
    }
    drop((meta, objects));
    transaction.commit().unwrap();
}

#[tokio::test]
async fn files_of_earlier_formats_are_taken_over_with_all_of_their_objects() {
    for format in 1..FORMAT_KNOWN {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        earlier(&path, format);
        for start in 2..5 {
            let store = Store::open(&path, Vec::new()).unwrap();
            let snapshot = store.snapshot();
            assert_eq!((snapshot.revision(), number(&snapshot, "a")), (Revision(start), start));
            let mut feed = store.feed_since(Revision(2)).unwrap();
            for revision in 3..=start {
                assert_eq!(feed.try_next().unwrap().unwrap().revision, Revision(revision));
            }
            let next = Preference { name: "a".into(), val: (start + 1).to_string(), ..Preference::default() };
            let written = store.write("p", |transaction| {
                transaction.put(Arc::new(next));
                Ok::<_, Infallible>(())
            });
            written.await.unwrap();
            store.close().await;
        }
    }
}

/// A store in a folder that was left as after a crash: the row of its only change is not in the table yet.
async fn crashed() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let mut backend = RedbBackend::open(&path, Limits::default()).unwrap();
    let entry = br#"{"principal":"p","changes":[{"prefix":"preferences","key":"a","action":"created","after":{"Name":"a","Val":"1"}}]}"#;
    let entries = [&1_u64.to_be_bytes()[..], &(entry.len() as u64).to_be_bytes(), entry].concat();
    let batch = Batch { revision: Revision(1), entries, ..Batch::default() };
    backend.commit(batch).unwrap();
    (folder, path)
}

#[tokio::test]
async fn journal_has_what_is_not_in_the_table_after_a_crash() {
    let (_folder, path) = crashed().await;
    let store = Store::open(&path, Vec::new()).unwrap();
    assert_eq!((store.snapshot().revision(), number(&store.snapshot(), "a")), (Revision(1), 1));
}

#[tokio::test]
async fn file_is_whole_without_its_journal_after_it_was_closed() {
    let (_folder, path) = crashed().await;
    let store = Store::open(&path, Vec::new()).unwrap();
    step(&store, 2).await.unwrap();
    store.close().await;
    fs::remove_dir_all(format!("{}.journal", path.display())).unwrap();
    let store = Store::open(&path, Vec::new()).unwrap();
    assert_eq!((store.snapshot().revision(), number(&store.snapshot(), "left")), (Revision(2), 2));
    assert_eq!(number(&store.snapshot(), "a"), 1);
}

#[tokio::test]
async fn journal_of_another_database_is_refused_and_stays() {
    let (_folder, path) = crashed().await;
    fs::remove_file(&path).unwrap();
    for _ in 0..2 {
        let error = Store::open(&path, Vec::new()).unwrap_err();
        assert!(error.to_string().contains("it belongs to another database\nhint: "), "{error}");
    }
}

#[tokio::test]
async fn missing_revisions_of_the_journal_are_named() {
    let (_folder, path) = crashed().await;
    let database = builder().open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert(REVISION, 3).unwrap();
    transaction.open_table(META).unwrap().insert(SAVED, 0).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(&path, Vec::new()).unwrap_err();
    assert!(error.to_string().contains("the revisions from 2 to 3 are missing"), "{error}");
    fs::remove_dir_all(format!("{}.journal", path.display())).unwrap();
    let error = Store::open(&path, Vec::new()).unwrap_err();
    assert!(error.to_string().contains("the revisions from 1 to 3 are missing"), "{error}");
}

#[test]
fn entry_that_rows_are_missing_without_is_named_when_it_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let mut backend = RedbBackend::open(&path, Limits::default()).unwrap();
    let entries = [&1_u64.to_be_bytes()[..], &1_u64.to_be_bytes(), b"{"].concat();
    backend.commit(Batch { revision: Revision(1), entries, ..Batch::default() }).unwrap();
    drop(backend);
    let error = Store::open(&path, Vec::new()).unwrap_err();
    assert!(matches!(&error, OpenError::Row { key, .. } if key == "feed/1"), "{error}");
}

#[tokio::test]
async fn row_that_cannot_be_read_is_named_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    Store::open(&path, Vec::new()).unwrap().close().await;
    let insert = |key: &[u8]| {
        let database = builder().open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(OBJECTS).unwrap().insert(key, &b"\0\0\0\0\0\0\0\x01{}"[..]).unwrap();
        transaction.commit().unwrap();
    };
    insert(b"gadgets\0one");
    for _ in 0..2 {
        let error = Store::open(&path, Vec::new()).unwrap_err();
        assert!(matches!(&error, OpenError::Row { key, .. } if key == "gadgets/one"), "{error}");
        assert!(error.to_string().contains("the type `gadgets` is unknown\nhint: "), "{error}");
    }
}

#[test]
fn unfinished_file_of_a_crash_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    fs::write(folder.path().join("data.new"), [7; 5000]).unwrap();
    RedbBackend::open(&path, Limits::default()).unwrap();
    assert!(path.exists() && !folder.path().join("data.new").exists());
}

#[test]
fn file_that_another_makes_at_the_moment_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let other = File::create(folder.path().join("data.new")).unwrap();
    other.try_lock().unwrap();
    let error = RedbBackend::open(&folder.path().join("data"), Limits::default()).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Held { .. }), "{error}");
}

#[test]
fn batch_on_another_revision_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = RedbBackend::open(&folder.path().join("data"), Limits::default()).unwrap();
    let batch = Batch { expected: Revision(3), revision: Revision(4), ..Batch::default() };
    let error = backend.commit(batch).unwrap_err();
    assert!(matches!(error, BackendError::Conflict { found: Revision(0), .. }), "{error}");
    assert_eq!(backend.load(&mut Loader::new(Vec::new())).unwrap(), Revision(0));
}
