//! A process that is killed while it writes.

use std::{
    convert::Infallible,
    env,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use formwork_model::Objects;
use formwork_store::{Revision, Store};

use crate::support::{few_late, preference, val};

/// Names the data file to the child; without it the child does not write.
const PATH: &str = "FORMWORK_STORE_CRASH_PATH";

const WRITERS: usize = 6;
const ROUNDS: u64 = 20;

fn number(objects: &impl Objects, name: &str) -> u64 {
    val(objects, name).map_or(0, |val| val.parse().unwrap())
}

/// Counts on and on, in three objects a transaction, and prints what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the program that the crash test kills"]
async fn child_that_counts_until_it_is_killed() {
    let path = env::var_os(PATH).expect("the crash test names a file");
    let store = Store::open_with(Path::new(&path), Vec::new(), few_late(5)).unwrap();
    let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(count(store.clone(), writer))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn count(store: Store, writer: usize) {
    loop {
        let written = store.write("child", move |transaction| {
            for name in [format!("left {writer}"), format!("right {writer}"), String::from("total")] {
                let next = number(transaction, &name) + 1;
                transaction.put(preference(&name, &next.to_string()));
            }
            Ok::<_, Infallible>(number(transaction, &format!("left {writer}")))
        });
        let written = written.await.unwrap();
        println!("acknowledged {writer} {} {}", written.value, written.revision);
    }
}

/// What the child says when a write has returned.
struct Acknowledged {
    writer: u64,
    number: u64,
    revision: u64,
}

/// Runs the child, kills it some time after its first write or at its start, and returns what it said.
fn run_and_kill(path: &Path, after_first: Option<Duration>) -> Vec<Acknowledged> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["crash::child_that_counts_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    if after_first.is_some() {
        let first = lines.by_ref().find_map(|line| parse(&line));
        seen.push(first.expect("the child ended before it wrote"));
    }
    // The pipe must not fill up meanwhile, or the child would stop writing.
    let rest = thread::spawn(move || lines.filter_map(|line| parse(&line)).collect::<Vec<_>>());
    // Without a first write to wait for, the child dies somewhere in its start, perhaps while it opens the file.
    thread::sleep(after_first.unwrap_or(Duration::from_millis(4)));
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "the child ended by itself");
    seen.extend(rest.join().unwrap());
    seen
}

fn parse(line: &str) -> Option<Acknowledged> {
    let mut words = line.split_once("acknowledged ")?.1.split(' ');
    let mut next = || words.next()?.parse().ok();
    Some(Acknowledged { writer: next()?, number: next()?, revision: next()? })
}

/// Opens the file and returns its revision; all that was ever acknowledged must be in it, and whole.
async fn check(path: &Path, acknowledged: &[Acknowledged]) -> u64 {
    let store = Store::open_with(path, Vec::new(), few_late(5)).unwrap();
    let snapshot = store.snapshot();
    let numbers = |side| (0..WRITERS).map(|writer| number(&snapshot, &format!("{side} {writer}"))).collect();
    let (lefts, rights): (Vec<u64>, Vec<u64>) = (numbers("left"), numbers("right"));
    assert_eq!(lefts, rights, "a transaction was torn");
    let total = number(&snapshot, "total");
    assert_eq!(total, lefts.iter().sum::<u64>(), "a transaction was torn");
    assert_eq!(snapshot.revision(), Revision(total));
    for said in acknowledged {
        let found = lefts[said.writer as usize];
        assert!(found >= said.number, "writer {} was told {}, {found} is there", said.writer, said.number);
        assert!(total >= said.revision, "revision {} was told, {total} is there", said.revision);
    }
    let mut feed = store.feed_since(Revision(total.saturating_sub(100))).unwrap();
    while let Some(entry) = feed.try_next().unwrap() {
        assert_eq!((entry.changes.len(), &*entry.principal), (3, "child"));
    }
    assert_eq!(feed.position(), Revision(total));
    store.close().await;
    total
}

#[tokio::test]
async fn killed_process_loses_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let mut acknowledged = Vec::new();
    let mut total = 0;
    for round in 0..ROUNDS {
        // Spread over the time of some dozen commits, and every fifth at the start.
        let instant = (round % 5 != 0).then(|| Duration::from_micros(1_000 + round * 7_919 % 120_000));
        acknowledged.extend(run_and_kill(&path, instant));
        let reached = check(&path, &acknowledged).await;
        assert!(instant.is_none() || reached > total, "round {round} wrote nothing");
        total = reached;
    }
}
