//! Random histories against a map.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use formwork_model::{Object, Objects, Profile};
use formwork_store::{Limits, Revision, Snapshot, Store, WriteError};
use proptest::prelude::*;

use crate::support::{few_late, preference};

#[derive(Clone, Debug)]
enum Step {
    Write { touches: Vec<Touch>, refused: bool },
    Restart,
}

#[derive(Clone, Debug)]
enum Touch {
    Put(bool, u8, u8),
    PutIfChanged(bool, u8, u8),
    Delete(bool, u8),
}

/// What readers should see: the text, the revision of the last change, and whether it is of the base.
type Model = BTreeMap<(&'static str, String), (String, u64, bool)>;

fn touch() -> impl Strategy<Value = Touch> {
    // Few keys and values, so that histories meet.
    let key = 0_u8..6;
    let value = 0_u8..3;
    prop_oneof![
        4 => (any::<bool>(), key.clone(), value.clone()).prop_map(|(kind, key, value)| Touch::Put(kind, key, value)),
        1 => (any::<bool>(), key.clone(), value)
            .prop_map(|(kind, key, value)| Touch::PutIfChanged(kind, key, value)),
        3 => (any::<bool>(), key).prop_map(|(kind, key)| Touch::Delete(kind, key)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let write = (prop::collection::vec(touch(), 0..5), prop::bool::weighted(0.2));
    prop_oneof![
        8 => write.prop_map(|(touches, refused)| Step::Write { touches, refused }),
        1 => Just(Step::Restart),
    ]
}

fn prefix(profile: bool) -> &'static str {
    if profile { "profiles" } else { "preferences" }
}

fn object(profile: bool, key: u8, value: u8) -> Arc<dyn Object> {
    let (name, text) = (format!("k{key}"), format!("v{value}"));
    match profile {
        true => Arc::new(Profile { name, description: text, ..Profile::default() }),
        false => preference(&name, &text),
    }
}

fn base() -> Vec<Arc<dyn Object>> {
    vec![object(false, 0, 9), object(false, 1, 9), object(true, 5, 9)]
}

fn text(object: &dyn Object) -> String {
    let json = object.to_json();
    let member = if object.kind().prefix == "profiles" { "Description" } else { "Val" };
    json[member].as_str().unwrap().to_owned()
}

fn read(snapshot: &Snapshot) -> Model {
    let mut read = Model::new();
    for prefix in ["preferences", "profiles"] {
        let mut keys = Vec::new();
        snapshot.visit_stored(prefix, &mut |key, stored| {
            keys.push(key.to_owned());
            let value = (text(&*stored.object), stored.revision.0, stored.base);
            read.insert((prefix, key.to_owned()), value);
            true
        });
        assert!(keys.is_sorted());
        assert_eq!(keys.len(), snapshot.count(prefix));
    }
    read
}

/// Applies a transaction to the model the slow and obvious way; returns the keys whose visible objects changed.
fn apply(model: &mut Model, touches: &[Touch], revision: u64) -> usize {
    let before = model.clone();
    let mut touched = std::collections::BTreeSet::new();
    for touch in touches {
        let (profile, key, value) = match *touch {
            Touch::Put(profile, key, value) => (profile, key, Some(value)),
            Touch::PutIfChanged(profile, key, value) => {
                let present = model.get(&(prefix(profile), format!("k{key}")));
                if present.is_some_and(|(present, ..)| *present == format!("v{value}")) {
                    continue;
                }
                (profile, key, Some(value))
            }
            Touch::Delete(profile, key) => (profile, key, None),
        };
        let row = (prefix(profile), format!("k{key}"));
        let is_row = model.get(&row).is_some_and(|(.., base)| !base);
        if value.is_some() || is_row {
            touched.insert(row.clone());
        }
        match value {
            Some(value) => drop(model.insert(row, (format!("v{value}"), revision, false))),
            None if is_row => match base().iter().find(|base| (base.kind().prefix, base.key()) == row) {
                Some(base) => drop(model.insert(row, (text(&**base), 0, true))),
                None => drop(model.remove(&row)),
            },
            None => {}
        }
    }
    touched.into_iter().filter(|row| before.get(row) != model.get(row)).count()
}

async fn write(store: &Store, touches: Vec<Touch>, refused: bool) -> Option<Revision> {
    let written = store.write("tester", move |transaction| {
        for touch in touches {
            match touch {
                Touch::Put(profile, key, value) => transaction.put(object(profile, key, value)),
                Touch::PutIfChanged(profile, key, value) => {
                    transaction.put_if_changed(object(profile, key, value));
                }
                Touch::Delete(profile, key) => {
                    transaction.delete(prefix(profile), &format!("k{key}"));
                }
            }
        }
        if refused { Err(()) } else { Ok(()) }
    });
    match written.await {
        Ok(committed) => Some(committed.revision),
        Err(WriteError::Refused(())) => None,
        Err(error) => panic!("{error:?}"),
    }
}

async fn follow(path: &Path, steps: Vec<Step>, limits: Limits) {
    let mut store = Store::open_with(path, base(), limits).unwrap();
    let mut model = read(&store.snapshot());
    assert_eq!(model.len(), base().len());
    let mut sizes = Vec::new();
    for step in steps {
        match step {
            Step::Restart => {
                store.close().await;
                store = Store::open_with(path, base(), limits).unwrap();
            }
            Step::Write { touches, refused } => {
                let mut changed = model.clone();
                let size = apply(&mut changed, &touches, sizes.len() as u64 + 1);
                let written = write(&store, touches, refused).await;
                assert_eq!(written.is_none(), refused);
                if !refused && size > 0 {
                    model = changed;
                    sizes.push(size);
                }
                assert!(written.is_none_or(|revision| revision == Revision(sizes.len() as u64)));
            }
        }
        assert_eq!(read(&store.snapshot()), model);
        assert_eq!(store.snapshot().revision(), Revision(sizes.len() as u64));
    }
    replay(&store, &model, &sizes);
    store.close().await;
}

/// The feed from the beginning turns the base into the present state.
fn replay(store: &Store, model: &Model, sizes: &[usize]) {
    let mut feed = store.feed_since(Revision(0)).unwrap();
    let mut replayed: BTreeMap<_, _> =
        base().iter().map(|base| ((base.kind().prefix, base.key()), text(&**base))).collect();
    for size in sizes {
        let entry = feed.try_next().unwrap().unwrap();
        assert_eq!(entry.changes.len(), *size);
        for change in &*entry.changes {
            let row = (change.prefix, String::from(&*change.key));
            let before = match &change.after {
                Some(after) => replayed.insert(row, text(&**after)),
                None => replayed.remove(&row),
            };
            assert_eq!(before, change.before.as_ref().map(|before| text(&**before)));
        }
    }
    assert!(feed.try_next().unwrap().is_none());
    let seen: BTreeMap<_, _> = model.iter().map(|(row, (text, ..))| (row.clone(), text.clone())).collect();
    assert_eq!(replayed, seen);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_equals_a_map(steps in prop::collection::vec(step(), 1..40), late_rows in 0_usize..10) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(follow(&folder.path().join("data"), steps, few_late(late_rows)));
    }
}
