//! The same small task done by others.

use crate::SUITE;
use formwork_bench::{Row, Samples, Stopwatch, Target};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::calls::one_by_one;
use crate::stage::{Stage, example};

/// Children of which a median is taken.
const CHILDREN: usize = 1_000;

/// Fresh calls between two children, so that what else the host does meets both.
const CALLS: usize = 20;

/// Compares a fresh call with its peers.
pub(crate) fn run(stage: &Stage) {
    let (mut children, mut confined, mut calls) =
        (Samples::default(), Samples::default(), Samples::default());
    for number in 0..CHILDREN + CHILDREN / 10 {
        let times = [None, Some("confined")].map(|argument| {
            let clock = Stopwatch::start();
            child(argument);
            (clock.micros(), one_by_one(stage, &stage.small, CALLS).median())
        });
        // The first ones warm up.
        if number >= CHILDREN / 10 {
            for (samples, (child, call)) in [&mut children, &mut confined].into_iter().zip(times) {
                samples.add(child);
                calls.add(call);
            }
        }
    }
    let fresh = calls.median();
    let (child, confined) = (children.median(), confined.median());
    Row::new(SUITE, "fresh call, small task", fresh, "us")
        .beside("a child process, JSON on its pipes", child)
        .print();
    Row::new(SUITE, "child process with no limits at all / fresh call", child / fresh, "x").print();
    // A call has its limits and no network, so the peer that does the same has them too.
    Row::new(SUITE, "child process / fresh call", confined / fresh, "x")
        .reaches(Target::AtLeast(40.0))
        .print();
    Row::without(
        SUITE,
        "Extism / fresh call",
        "x",
        "not run: its crate needs wasmtime 49, and that needs rustc 1.96",
    )
    .print();
}

/// Starts a program, gives it the call, answers what it asks, and takes its outcome: all that a call of a guest does.
fn child(argument: Option<&str>) {
    let mut child = Command::new(example("json-child"))
        .args(argument)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut input = child.stdin.take().expect("its input");
    let output = BufReader::new(child.stdout.take().expect("its output")).lines();
    let call =
        json!({ "machine": { "uuid": "7b1e0b3c-0000-4000-8000-000000000001", "name": "n1" }, "now-ms": 1 });
    writeln!(input, "{call}").expect("a child that reads");
    for line in output {
        let asked: Value = serde_json::from_str(&line.expect("a child that writes")).expect("JSON");
        if asked.get("read").is_some() {
            writeln!(input, "{}", json!({ "value": true })).expect("a child that reads");
        } else if asked.get("outcome").is_some() {
            break;
        }
    }
    drop(input);
    assert!(child.wait().expect("its end").success());
}
