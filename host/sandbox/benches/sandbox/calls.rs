//! Calls: one by one, many at once, and what goes over the border.

use crate::SUITE;
use formwork_bench::{Row, Samples, Stopwatch, Target};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use formwork_sandbox::{Digest, Outcome};
use tokio::task::JoinSet;

use crate::stage::{Stage, call, run_task, runtime, turn};

/// Calls of which a median is taken.
const SAMPLES: usize = 20_000;

/// How long calls are counted.
const COUNTED: Duration = Duration::from_secs(3);

/// Runs the cases.
pub(crate) fn run(stage: &Stage) {
    let mut small = one_by_one(stage, &stage.small, SAMPLES);
    let fresh = small.median();
    let mut greet = one_by_one(stage, &stage.greet, SAMPLES);
    Row::new(SUITE, "fresh call, small task", fresh, "us").reaches(Target::Below(25.0)).print();
    Row::new(SUITE, "fresh call, small task, 99 %", small.quantile(0.99), "us").print();
    Row::new(SUITE, "fresh call, greet (4 host calls)", greet.median(), "us")
        .reaches(Target::Below(25.0))
        .print();
    let (line, read) = (host_call(stage, "lines"), host_call(stage, "reads"));
    Row::new(SUITE, "host call: a line of 40 bytes", line, "us").reaches(Target::Below(0.3)).print();
    Row::new(SUITE, "host call: a param, to the guest's own type", read, "us").print();
    let alone = counted(stage, &stage.small, 1);
    let both = counted(stage, &stage.small, 2);
    Row::new(SUITE, "fresh calls, 1 thread", alone, "1/s").print();
    Row::new(SUITE, "fresh calls, 2 threads", both, "1/s")
        .beside("1 thread", alone)
        .reaches(Target::AtLeast(60_000.0))
        .print();
    let (alone, both) = (counted(stage, &stage.greet, 1), counted(stage, &stage.greet, 2));
    Row::new(SUITE, "fresh calls, greet, 2 threads", both, "1/s").beside("1 thread", alone).print();
    memory(stage);
}

/// Times calls, one after the other, in microseconds.
pub(crate) fn one_by_one(stage: &Stage, digest: &Digest, count: usize) -> Samples {
    let mut samples = Samples::default();
    runtime().block_on(async {
        for number in 0..count + count / 10 {
            let (turn, call) = (turn(0), call("small"));
            let clock = Stopwatch::start();
            let report = run_task(&stage.sandbox, digest, turn, call).await.expect("a call that ends well");
            let micros = clock.micros();
            assert_eq!(report.answer, Outcome::Done);
            // The first ones warm up.
            if number >= count / 10 {
                samples.add(micros);
            }
        }
    });
    samples
}

/// What one call of a host function adds to a call, in microseconds.
fn host_call(stage: &Stage, what: &str) -> f64 {
    const MANY: u32 = 10_000;
    let mut samples = Samples::default();
    runtime().block_on(async {
        for _ in 0..200 {
            let mut times = [0.0; 2];
            for (time, count) in times.iter_mut().zip([0, MANY]) {
                let call = call(&format!("{what} {count}"));
                let clock = Stopwatch::start();
                let called = run_task(&stage.sandbox, &stage.small, turn(0), call).await;
                *time = clock.micros();
                assert_eq!(called.expect("a call that ends well").answer, Outcome::Done);
            }
            let [without, with] = times;
            samples.add((with - without) / f64::from(MANY));
        }
    });
    samples.median()
}

/// Counts the calls a second of some threads, each with machines of its own.
fn counted(stage: &Stage, digest: &Digest, threads: usize) -> f64 {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let clock = Stopwatch::start();
    thread::scope(|scope| {
        for thread in 0..threads {
            let (stop, count) = (&stop, &count);
            scope.spawn(move || {
                runtime().block_on(async {
                    let mut done = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let turn = turn(thread);
                        run_task(&stage.sandbox, digest, turn, call("small"))
                            .await
                            .expect("a call that ends well");
                        done += 1;
                    }
                    count.fetch_add(done, Ordering::Relaxed);
                });
            });
        }
        thread::sleep(COUNTED);
        stop.store(true, Ordering::Relaxed);
    });
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousands")]
    let done = count.into_inner() as f64;
    done / clock.elapsed().as_secs_f64()
}

/// What calls take that are under way at the same time and wait for their host.
fn memory(stage: &Stage) {
    const WAITING: usize = 48;
    let waiting = runtime();
    let before = resident();
    let mut calls = JoinSet::new();
    waiting.block_on(async {
        for machine in 0..WAITING {
            let (sandbox, hostile) = (stage.sandbox.clone(), stage.hostile);
            calls.spawn(async move { run_task(&sandbox, &hostile, turn(machine), call("wait")).await });
        }
        // Each task runs until it waits before this one is asked again.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "some millions")]
    let each = (resident().saturating_sub(before) / WAITING) as f64;
    Row::new(SUITE, "memory of a call that waits", each / 1024.0, "KiB").print();
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("the state of this process");
    let pages: usize =
        statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}
