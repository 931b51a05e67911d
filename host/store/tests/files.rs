//! Opening and releasing files.

use std::fs;

use formwork_store::{OpenError, Revision, Store};

use crate::support::{set, val};

#[tokio::test]
async fn objects_and_revision_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store = Store::open(&path, Vec::new()).unwrap();
    set(&store, "a", "1").await;
    set(&store, "b", "2").await;
    store.close().await;
    let store = Store::open(&path, Vec::new()).unwrap();
    assert_eq!(store.snapshot().revision(), Revision(2));
    assert_eq!(store.snapshot().stored("preferences", "a").unwrap().revision, Revision(1));
    assert_eq!(val(&store.snapshot(), "b").as_deref(), Some("2"));
    assert_eq!(set(&store, "c", "3").await, Revision(3));
}

#[tokio::test]
async fn held_file_is_refused_by_name_and_free_after_close() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store = Store::open(&path, Vec::new()).unwrap();
    let error = Store::open(&path, Vec::new()).unwrap_err();
    assert!(matches!(&error, OpenError::Held { path: held } if *held == path), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    store.close().await;
    Store::open(&path, Vec::new()).unwrap();
}

#[test]
fn file_that_is_no_database_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    fs::write(&path, "not a database").unwrap();
    let error = Store::open(&path, Vec::new()).unwrap_err();
    assert!(matches!(error, OpenError::Open { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"not a database");
}

#[test]
fn missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open(&folder.path().join("none/data"), Vec::new()).unwrap_err();
    assert!(matches!(&error, OpenError::Create { .. }), "{error}");
    assert!(error.to_string().contains("none/data"), "{error}");
}
