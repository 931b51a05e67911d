//! How long the API takes to answer while packs are refused and components are stopped, beside the same endpoint idle.
//!
//! `cargo xtask bench uploads` runs this and prints a table. What is printed here is one JSON object a line
//! ([`formwork_bench::Row`]). In each case one client sends the same hostile thing again and again, each time with other
//! bytes, so that nothing is remembered; another one reads and writes machines, and its requests are timed.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a program that measures ends where a step fails, as a test does"
)]

mod components;
#[path = "../../../../tests/e2e/endpoint.rs"]
#[expect(dead_code, reason = "the end to end tests need more of it")]
mod endpoint;
mod files;
mod jobs;
#[path = "../../../sandbox/tests/support/made.rs"]
#[expect(dead_code, reason = "the tests of the sandbox need more of it")]
mod made;
mod recipe;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use formwork_bench::{Chosen, Row, Samples, Stopwatch, Target};
use formwork_client::{Client, PatchOp, Query};
use formwork_model::{Machine, Publisher, Timestamp};
use serde_json::json;

use endpoint::Endpoint;
use recipe::{EXPIRED, TRUSTED};

/// The name of this suite.
const SUITE: &str = "uploads";

/// How long a case lasts.
const WINDOW: Duration = Duration::from_secs(4);

/// Machines of the endpoint.
const MACHINES: usize = 200;

/// The longest that 99 of 100 requests may take, in milliseconds.
const LONGEST_MILLIS: f64 = 50.0;

/// Something that is sent or done again and again. Each time it has to end badly for the one who sent it.
trait Hostile {
    /// Sends it once; the number makes it another one than all before.
    ///
    /// # Errors
    ///
    /// What came of it, when it was not refused with the words that it is to be refused with.
    async fn once(&self, client: &Client, number: u64) -> Result<(), String>;
}

fn main() {
    let Some(chosen) = Chosen::from_arguments() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(run(&chosen));
}

async fn run(chosen: &Chosen) {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let machine = prepare(&client).await;
    let mut idle = probe(&client, &machine).await;
    let idle = Figures::of(&mut idle);
    Row::new(SUITE, "idle: 99 of 100 requests", idle.most, "ms").print();
    Row::new(SUITE, "idle: median", idle.median, "ms").print();
    let lab = Lab { endpoint, machine, idle };
    for (what, cases) in [("component", components::all()), ("file", files::all())] {
        for case in cases {
            let name = format!("{what}: {}", case.name);
            if chosen.has(&name) {
                lab.measure(&name, &case.files()).await;
            }
        }
    }
    for hostile in jobs::install(&client).await {
        let name = format!("running: {}", hostile.name);
        if chosen.has(&name) {
            lab.measure(&name, &hostile).await;
        }
    }
}

/// Makes machines and the publishers, one of which is not trusted any more.
async fn prepare(client: &Client) -> String {
    let mut uuid = String::new();
    for number in 0..MACHINES {
        let made = client.collection("machines").create(&json!({ "Name": format!("m{number}") })).await;
        uuid = made.expect("a machine")["Uuid"].as_str().unwrap_or_default().to_owned();
    }
    for (id, seed, not_after) in [("acme", TRUSTED, None), ("former", EXPIRED, Some(1))] {
        let publisher = Publisher {
            id: id.into(),
            public_key: recipe::key(seed).public().to_string(),
            not_after: not_after.map_or_else(Timestamp::default, Timestamp::from_millis),
            ..Publisher::default()
        };
        client.create(&publisher).await.expect("a publisher");
    }
    uuid
}

/// The figures of one window, in milliseconds.
struct Figures {
    median: f64,
    most: f64,
}

impl Figures {
    fn of(samples: &mut Samples) -> Self {
        Self { median: samples.median(), most: samples.quantile(0.99) }
    }
}

/// Where cases are measured.
struct Lab {
    endpoint: Endpoint,
    /// The machine that requests are about.
    machine: String,
    /// The figures without a case.
    idle: Figures,
}

impl Lab {
    async fn measure(&self, case: &str, hostile: &impl Hostile) {
        let (client, sender) = (self.endpoint.client(), self.endpoint.client());
        let over = AtomicBool::new(false);
        let sending = async {
            let (mut sent, mut unlike) = (0_u64, None);
            // What was begun when the window ends is ended.
            while !over.load(Ordering::Relaxed) {
                sent += 1;
                unlike = unlike.or(hostile.once(&sender, sent).await.err());
            }
            (sent, unlike)
        };
        let window = async {
            let samples = probe(&client, &self.machine).await;
            over.store(true, Ordering::Relaxed);
            samples
        };
        let ((sent, unlike), mut samples) = tokio::join!(sending, window);
        if let Some(words) = unlike {
            return Row::without(SUITE, case, "ms", format!("not as it must be refused: {words}")).print();
        }
        let figures = Figures::of(&mut samples);
        Row::new(SUITE, format!("{case} ({sent} refused)"), figures.most, "ms")
            .beside("idle", self.idle.most)
            .reaches(Target::Below(LONGEST_MILLIS))
            .print();
    }
}

/// Sends requests one after the other for the time of a window, and times each.
async fn probe(client: &Client, machine: &str) -> Samples {
    let mut samples = Samples::default();
    let window = Stopwatch::start();
    let machines = client.collection("machines");
    let mut number = 0_u64;
    while window.elapsed() < WINDOW {
        let clock = Stopwatch::start();
        match number % 4 {
            0 => drop(client.list::<Machine>(&Query::new().with("limit", 20)).await.expect("machines")),
            1 => drop(machines.show(machine, &Query::new()).await.expect("a machine")),
            2 => drop(client.info().await.expect("the endpoint's facts")),
            _ => {
                let change = [PatchOp::replace("/Description", format!("change {number}"))];
                drop(machines.patch(machine, &change).await.expect("a change"));
            }
        }
        samples.add(clock.millis());
        number += 1;
        // A client with something else to do, so that the endpoint is not busy with this one alone.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    samples
}
