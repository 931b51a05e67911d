//! Machines that run a workflow, and machines that wait.
//!
//! `cargo xtask bench workflow` runs this and prints a table. What is printed here is one JSON object a line
//! ([`formwork_bench::Row`]). The endpoint and the fleet run in processes of their own and speak HTTPS over the loopback; both
//! share the processors, so that all rates are those of both together. The processor time of each for a job tells whose time it is.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a program that measures ends where a step fails, as a test does"
)]

#[path = "../../../../tests/e2e/endpoint.rs"]
#[expect(dead_code, reason = "the end to end tests need more of it")]
mod endpoint;
mod fleet;

use std::time::Duration;

use formwork_bench::{Chosen, Row, Samples, Target, busy_seconds};
use formwork_client::{Client, Query};
use serde_json::{Value, json};

use endpoint::Endpoint;
use fleet::Fleet;

/// The name of this suite.
const SUITE: &str = "workflow";

/// Machines that run workflows.
const MACHINES: u32 = 1_000;

/// Tasks of the workflow.
const TASKS: usize = 20;

/// Requests of all machines that are under way at once: enough to keep two processors busy, and all of their time is in what is
/// measured. Those of more would only wait longer.
const REQUESTS: &str = "32";

/// How long the workflow is run again and again to see what becomes of the memory.
const TIME: Duration = Duration::from_secs(180);

/// When the memory is to have its size.
const WARM: Duration = Duration::from_secs(60);

/// How often the memory is looked at; of as many looks the median counts.
const LOOK: Duration = Duration::from_secs(1);

/// The looks that make one figure.
const LOOKS: usize = 10;

/// How often the operator has finished jobs removed.
const PURGE: Duration = Duration::from_secs(20);

/// How long the memory is looked at for its highest: longer than from one removal to the end of the next, between which it
/// goes up and down with the jobs that there are.
const CYCLE: Duration = Duration::from_secs(40);

/// Machines that wait.
const IDLE: u32 = 10_000;

/// How long they may take to come.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long they wait before the memory is looked at.
const REST: Duration = Duration::from_secs(20);

/// What another product publishes: 1,000 sets in 5 minutes.
const PEER: (&str, f64) =
    ("DRP docs: 1,000 machine transaction sets per 5 minutes on 6 cores", 1_000.0 / 300.0);

fn main() {
    let Some(chosen) = Chosen::from_arguments() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        if chosen.has("cycles") {
            cycles().await;
        }
        if chosen.has("idle") {
            idle().await;
        }
    });
}

async fn cycles() {
    let endpoint = Endpoint::start();
    let client = endpoint.client().logged_in("1d").await.expect("a token");
    workflow(&client).await;
    once(&endpoint).await;
    again(&endpoint, &client).await;
}

/// Makes a workflow whose tasks are a script each.
async fn workflow(client: &Client) {
    let tasks: Vec<String> = (0..TASKS).map(|number| format!("bench-{number:02}")).collect();
    for task in &tasks {
        let contents = "#!/bin/sh\necho {{ .Machine.Name }} {{ .Machine.Uuid }}\n";
        let task = json!({"Name": task, "Templates": [{"Name": "script", "Contents": contents}]});
        client.collection("tasks").create(&task).await.expect("a task");
    }
    client.collection("stages").create(&json!({"Name": "bench", "Tasks": tasks})).await.expect("a stage");
    let workflow = json!({"Name": "bench", "Stages": ["bench"]});
    client.collection("workflows").create(&workflow).await.expect("a workflow");
}

/// Runs the workflow once on all machines.
async fn once(endpoint: &Endpoint) {
    let before = busy(endpoint.process_id());
    let fleet = Fleet::start(endpoint, MACHINES, &["--workflow", "bench", "--connections", REQUESTS]);
    let (summary, of_fleet) = fleet.end().await;
    let of_endpoint = busy(endpoint.process_id()) - before;
    let finished = number(&summary, "jobs-finished");
    let wanted = f64::from(MACHINES) * usize_as_number(TASKS);
    assert!(finished >= wanted, "{finished} jobs of {wanted} finished: {summary}");
    let label =
        format!("job cycles of {MACHINES} machines with {TASKS} tasks each, {REQUESTS} requests under way");
    Row::new(SUITE, label, number(&summary, "jobs-per-second"), "jobs/s")
        .beside(PEER.0, PEER.1)
        .reaches(Target::AtLeast(2_000.0))
        .print();
    let asked = |name| number(&summary, name);
    Row::new(SUITE, "POST /jobs, 99 of 100", asked("job-request-p99-ms"), "ms")
        .reaches(Target::Below(25.0))
        .print();
    Row::new(SUITE, "POST /jobs, median", asked("job-request-median-ms"), "ms").print();
    Row::new(SUITE, "requests for a job, registration included", asked("requests") / finished, "requests")
        .print();
    Row::new(SUITE, "processor time of a job in the endpoint", of_endpoint * 1e6 / finished, "us").print();
    Row::new(SUITE, "processor time of a job in the fleet", of_fleet * 1e6 / finished, "us").print();
}

/// Runs the workflow again and again, with finished jobs removed from time to time as an operator has it done.
async fn again(endpoint: &Endpoint, client: &Client) {
    let time = format!("{}s", TIME.as_secs());
    let flags = ["--workflow", "bench", "--connections", REQUESTS, "--then", "again", "--for", &time];
    let fleet = Fleet::start(endpoint, MACHINES, &flags);
    let purge = async {
        let none = "0";
        let all = Query::new()
            .with("jobsToKeep", none)
            .with("completeJobsPurgedAfter", "0s")
            .with("failedJobsPurgedAfter", "0s");
        loop {
            tokio::time::sleep(PURGE).await;
            client.jobs_purge(&all).await.expect("jobs are removed");
        }
    };
    let sizes = async {
        tokio::time::sleep(WARM).await;
        let early = highest(endpoint).await;
        // The last looks are over before the fleet ends.
        tokio::time::sleep(TIME - WARM - CYCLE * 2 - LOOK * 4).await;
        (early, highest(endpoint).await)
    };
    let (early, late) = tokio::select! {
        sizes = sizes => sizes,
        never = purge => never,
    };
    let (summary, _) = fleet.end().await;
    let note = format!(
        "RSS at most {early:.0} MiB in {} s after the first {}, {late:.0} MiB at the end of {} s; {} jobs, removed every {} s",
        CYCLE.as_secs(),
        WARM.as_secs(),
        TIME.as_secs(),
        number(&summary, "jobs-finished"),
        PURGE.as_secs()
    );
    Row::new(SUITE, "memory at the end, of that after the first minute", late / early, "x")
        .with_note(note)
        .reaches(Target::Below(1.1))
        .print();
    let rate = number(&summary, "jobs-per-second");
    Row::new(SUITE, format!("job cycles over {} s", TIME.as_secs()), rate, "jobs/s").print();
}

/// Has machines come that have nothing to do, each with an event stream of its own.
async fn idle() {
    let label = format!("memory with {IDLE} idle agents");
    let endpoint = Endpoint::start();
    let fleet = Fleet::start(&endpoint, IDLE, &["--then", "stay", "--streams", "own"]);
    let mut waited = Duration::ZERO;
    while endpoint.open_files() < IDLE as usize {
        if waited >= PATIENCE {
            let words = format!("only {} connections after {} s", endpoint.open_files(), PATIENCE.as_secs());
            return Row::without(SUITE, label, "GiB", words).print();
        }
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
    }
    tokio::time::sleep(REST).await;
    let connections = endpoint.open_files();
    let before = busy(endpoint.process_id());
    let size = resident(&endpoint).await;
    let busy = busy(endpoint.process_id()) - before;
    let (summary, _) = fleet.interrupt().await;
    Row::new(SUITE, label, size / 1024.0, "GiB")
        .with_note(format!(
            "{connections} open files after {} s; {} machines idle",
            waited.as_secs(),
            summary["machines"]["complete"]
        ))
        .reaches(Target::Below(1.0))
        .print();
    Row::new(SUITE, "processors busy meanwhile", busy / (LOOK * (LOOKS as u32)).as_secs_f64(), "cores")
        .print();
}

/// Returns how much memory the endpoint has resident, in MiB: the median of several looks.
async fn resident(endpoint: &Endpoint) -> f64 {
    let mut looks = Samples::default();
    for _ in 0..LOOKS {
        looks.add(usize_as_number(endpoint.resident_kib() as usize) / 1024.0);
        tokio::time::sleep(LOOK).await;
    }
    looks.median()
}

/// Returns how much memory the endpoint has resident at most within a cycle, in MiB.
async fn highest(endpoint: &Endpoint) -> f64 {
    let until = tokio::time::Instant::now() + CYCLE;
    let mut highest = 0.0_f64;
    while tokio::time::Instant::now() < until {
        highest = highest.max(usize_as_number(endpoint.resident_kib() as usize) / 1024.0);
        tokio::time::sleep(LOOK).await;
    }
    highest
}

fn busy(process: u32) -> f64 {
    busy_seconds(process).expect("a process that runs")
}

fn number(summary: &Value, name: &str) -> f64 {
    summary[name].as_f64().unwrap_or_else(|| panic!("`{name}` is no number: {summary}"))
}

#[expect(clippy::cast_precision_loss, reason = "far below where numbers of this kind lose digits")]
fn usize_as_number(count: usize) -> f64 {
    count as f64
}
