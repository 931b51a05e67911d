//! Objects and writes that the tests share.

use std::{convert::Infallible, sync::Arc};

use formwork_model::{Object, Objects, ObjectsExt, Preference};
use formwork_store::{Committed, Limits, Revision, Store, WriteError};

pub(crate) fn preference(name: &str, val: &str) -> Arc<dyn Object> {
    Arc::new(Preference { name: name.into(), val: val.into(), ..Preference::default() })
}

pub(crate) fn val(objects: &impl Objects, name: &str) -> Option<String> {
    objects.get::<Preference>(name).map(|preference| preference.val.clone())
}

pub(crate) fn val_of(object: Option<&Arc<dyn Object>>) -> Option<&str> {
    object?.as_any().downcast_ref::<Preference>().map(|preference| preference.val.as_str())
}

/// Puts one preference and returns the revision.
pub(crate) async fn set(store: &Store, name: &str, val: &str) -> Revision {
    let object = preference(name, val);
    let written: Result<Committed<()>, WriteError<Infallible>> = store
        .write("tester", |transaction| {
            transaction.put(object);
            Ok(())
        })
        .await;
    written.unwrap().revision
}

/// Deletes one preference and returns the revision.
pub(crate) async fn delete(store: &Store, name: &'static str) -> Revision {
    let written = store.write("tester", |transaction| {
        Ok::<_, Infallible>(transaction.delete("preferences", name).is_some())
    });
    written.await.unwrap().revision
}

/// Limits by which so few rows wait that small histories have some in their table and some in the feed alone.
pub(crate) fn few_late(late_rows: usize) -> Limits {
    Limits { late_rows, late_feed_bytes: 2000, ..Limits::default() }
}
