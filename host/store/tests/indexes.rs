//! Indexes against scans of the same objects.

use std::{collections::BTreeSet, convert::Infallible, ops::Bound, path::Path, sync::Arc};

use formwork_model::{KINDS, Lease, Machine, Object, Objects, Profile, SortKey, Span, index_entries, scan};
use formwork_store::{Snapshot, Store, WriteError};
use proptest::prelude::*;

use crate::support::few_late;

/// The objects of a set without its indexes.
struct Scanned<'a>(&'a dyn Objects);

impl Objects for Scanned<'_> {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        self.0.find(prefix, key)
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.0.visit(prefix, visit);
    }

    fn count(&self, prefix: &str) -> usize {
        self.0.count(prefix)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write { touches: Vec<Touch>, refused: bool },
    Restart,
}

#[derive(Clone, Debug)]
struct Touch {
    kind: u8,
    key: u8,
    /// What the object holds; it goes when there is nothing.
    look: Option<(u8, Vec<u8>)>,
}

const PREFIXES: [&str; 3] = ["leases", "machines", "profiles"];

fn step() -> impl Strategy<Value = Step> {
    // Few values, so that they are shared, and enough keys for every way in which an index holds them.
    let look = prop::option::weighted(0.7, (0_u8..4, prop::collection::vec(0_u8..4, 0..4)));
    let touch = (0_u8..3, 0_u8..30, look).prop_map(|(kind, key, look)| Touch { kind, key, look });
    let write = (prop::collection::vec(touch, 0..40), prop::bool::weighted(0.2));
    prop_oneof![
        12 => write.prop_map(|(touches, refused)| Step::Write { touches, refused }),
        1 => Just(Step::Restart),
    ]
}

fn key(kind: u8, key: u8) -> String {
    match kind {
        0 => format!("0A0000{key:02X}"),
        1 => format!("u-{key:02}"),
        _ => format!("p{key}"),
    }
}

fn object(kind: u8, number: u8, (value, list): &(u8, Vec<u8>)) -> Arc<dyn Object> {
    let names = || list.iter().map(|item| format!("p{item}")).collect();
    match kind {
        0 => Arc::new(Lease {
            addr: format!("10.0.0.{number}"),
            token: format!("t{value}"),
            ..Lease::default()
        }),
        1 => Arc::new(Machine {
            uuid: key(kind, number),
            name: format!("m{value}"),
            address: if *value == 0 { String::new() } else { format!("10.0.{value}.1") },
            runnable: value % 2 == 0,
            stage: format!("s{value}"),
            profiles: names(),
            ..Machine::default()
        }),
        _ => Arc::new(Profile { name: key(kind, number), profiles: names(), ..Profile::default() }),
    }
}

fn base() -> Vec<Arc<dyn Object>> {
    vec![
        object(1, 0, &(9, vec![1, 2])),
        object(1, 1, &(9, vec![1])),
        // Of two with one key the later counts, also for the indexes.
        object(1, 1, &(8, vec![2])),
        object(2, 1, &(0, vec![2])),
    ]
}

fn named(object: &Arc<dyn Object>) -> String {
    format!("{}:{}", object.kind().prefix, object.key())
}

fn users(objects: &dyn Objects, prefix: &str, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    objects.users_of(prefix, key, &mut |object| {
        found.push(named(object));
        true
    });
    found
}

fn within(objects: &dyn Objects, span: &Span<'_>) -> Vec<String> {
    let mut found = Vec::new();
    objects.range(span, &mut |object| {
        found.push(named(object));
        true
    });
    found
}

/// Compares every index with a scan.
fn check(objects: &dyn Objects) {
    let scanned = Scanned(objects);
    for name in 0..30 {
        for (prefix, key) in [("profiles", key(2, name)), ("stages", format!("s{name}"))] {
            assert_eq!(users(objects, prefix, &key), users(&scanned, prefix, &key), "{prefix}:{key}");
        }
    }
    for kind in KINDS.iter().filter(|kind| PREFIXES.contains(&kind.prefix)) {
        let mut values: BTreeSet<(usize, SortKey)> = BTreeSet::new();
        objects.visit(kind.prefix, &mut |object| {
            values.extend(index_entries(object.as_ref()));
            true
        });
        for (position, member) in kind.indexes().enumerate() {
            let all = Span::all(kind.prefix, member);
            let back = Span { backwards: true, ..all.clone() };
            for span in [&all, &back] {
                assert_eq!(within(objects, span), within(&scanned, span), "{span:?}");
            }
            for (_, value) in values.iter().filter(|(place, _)| *place == position) {
                let above = (Bound::Excluded(value.clone()), Bound::Unbounded);
                let below = (Bound::Unbounded, Bound::Included(value.clone()));
                let equal = Span::equal(kind.prefix, member, value.clone()).bounds;
                for bounds in [above, below, equal] {
                    for backwards in [false, true] {
                        let span = Span { bounds: bounds.clone(), backwards, ..all.clone() };
                        assert_eq!(within(objects, &span), within(&scanned, &span), "{span:?}");
                    }
                }
            }
        }
    }
}

/// Compares what only a snapshot offers with a scan.
fn check_snapshot(snapshot: &Snapshot) {
    check(snapshot);
    for kind in KINDS.iter().filter(|kind| PREFIXES.contains(&kind.prefix)) {
        for member in kind.indexes() {
            let Some(index) = snapshot.index(kind.prefix, member) else { continue };
            let all = || (Bound::Unbounded, Bound::Unbounded);
            let mut listed = 0;
            for (value, count) in index.values(all(), false) {
                assert_eq!(index.count(value), count);
                let span = Span::equal(kind.prefix, member, value.clone());
                assert_eq!(within(snapshot, &span).len(), count);
                assert!(count > 0);
                let (holders, gathered) = (index.holders(value), index.holders(value).gathered());
                assert_eq!(holders.count(), count);
                for key in index.keys(all(), false) {
                    assert_eq!(gathered.contains(key), holders.contains(key));
                }
                listed += count;
            }
            assert_eq!(index.keys(all(), true).count(), listed);
            let mut values: Vec<_> = index.values(all(), true).map(|(value, _)| value).collect();
            values.reverse();
            assert!(values.is_sorted() && values.len() == index.values(all(), false).count());
        }
    }
}

async fn write(store: &Store, touches: Vec<Touch>, refused: bool) {
    let written = store.write("tester", move |transaction| {
        for Touch { kind, key: number, look } in touches {
            match look {
                Some(look) => transaction.put(object(kind, number, &look)),
                None => drop(transaction.delete(PREFIXES[usize::from(kind)], &key(kind, number))),
            }
        }
        check(transaction);
        if refused { Err(()) } else { Ok(()) }
    });
    match written.await {
        Ok(_) => assert!(!refused),
        Err(WriteError::Refused(())) => assert!(refused),
        Err(error) => panic!("{error:?}"),
    }
}

async fn follow(path: &Path, steps: Vec<Step>) {
    let mut store = Store::open_with(path, base(), few_late(5)).unwrap();
    check_snapshot(&store.snapshot());
    for step in steps {
        let earlier = store.snapshot();
        match step {
            Step::Restart => {
                store.close().await;
                store = Store::open_with(path, base(), few_late(5)).unwrap();
            }
            Step::Write { touches, refused } => write(&store, touches, refused).await,
        }
        check_snapshot(&store.snapshot());
        check_snapshot(&earlier);
    }
    store.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn index_equals_a_scan_after_any_history(steps in prop::collection::vec(step(), 1..8)) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(follow(&folder.path().join("data"), steps));
    }
}

fn named_machine(number: u8, name: &str, profiles: &[&str]) -> Arc<dyn Object> {
    let profiles = profiles.iter().map(ToString::to_string).collect();
    Arc::new(Machine { uuid: key(1, number), name: name.into(), profiles, ..Machine::default() })
}

fn by_name(objects: &dyn Objects, name: &str) -> Option<String> {
    objects.by_unique("machines", "Name", name).map(|machine| machine.key())
}

async fn put(store: &Store, object: Arc<dyn Object>) {
    store
        .write("tester", |transaction| {
            transaction.put(object);
            Ok::<_, Infallible>(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn snapshot_keeps_its_own_indexes() {
    let store = Store::memory(Vec::new());
    put(&store, named_machine(1, "old", &["p1"])).await;
    let earlier = store.snapshot();
    put(&store, named_machine(1, "new", &["p2"])).await;
    let later = store.snapshot();
    assert_eq!((by_name(&earlier, "old").as_deref(), by_name(&earlier, "new")), (Some("u-01"), None));
    assert_eq!((by_name(&later, "old"), by_name(&later, "new").as_deref()), (None, Some("u-01")));
    assert_eq!((users(&earlier, "profiles", "p1").len(), users(&earlier, "profiles", "p2").len()), (1, 0));
    assert_eq!((users(&later, "profiles", "p1").len(), users(&later, "profiles", "p2").len()), (0, 1));
}

#[tokio::test]
async fn transaction_finds_its_own_writes_and_nobody_else_does_before_the_commit() {
    let store = Store::memory(Vec::new());
    let before = store.snapshot();
    let seen = store.write("tester", |transaction| {
        transaction.put(named_machine(1, "mine", &["p1"]));
        Ok::<_, Infallible>((by_name(transaction, "mine"), users(transaction, "profiles", "p1")))
    });
    let seen = seen.await.unwrap().value;
    assert_eq!(seen, (Some(key(1, 1)), vec![String::from("machines:u-01")]));
    assert_eq!(by_name(&before, "mine"), None);
}

#[tokio::test]
async fn built_in_object_is_found_only_while_no_row_hides_it() {
    let store = Store::memory(vec![named_machine(1, "built-in", &["p1"])]);
    assert_eq!(by_name(&store.snapshot(), "built-in").as_deref(), Some("u-01"));
    put(&store, named_machine(1, "row", &[])).await;
    assert_eq!(by_name(&store.snapshot(), "built-in"), None);
    assert!(users(&store.snapshot(), "profiles", "p1").is_empty());
    store.write("tester", |tx| Ok::<_, Infallible>(tx.delete("machines", "u-01").is_some())).await.unwrap();
    assert_eq!(by_name(&store.snapshot(), "built-in").as_deref(), Some("u-01"));
    assert_eq!(users(&store.snapshot(), "profiles", "p1"), ["machines:u-01"]);
    assert_eq!(by_name(&store.snapshot(), "row"), None);
}

#[tokio::test]
async fn member_without_an_index_is_scanned() {
    let store = Store::memory(vec![named_machine(2, "b", &[]), named_machine(1, "a", &[])]);
    let snapshot = store.snapshot();
    assert!(snapshot.index("machines", "Description").is_none());
    assert!(snapshot.index("profiles", "Name").is_none());
    let span = Span::all("machines", "Description");
    let mut scanned = Vec::new();
    scan(&snapshot, &span, &mut |object| {
        scanned.push(named(object));
        true
    });
    assert_eq!(scanned, ["machines:u-01", "machines:u-02"]);
    assert_eq!(within(&snapshot, &span), scanned);
}
