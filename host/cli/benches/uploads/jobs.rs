//! Tasks that are stopped while they run on the endpoint.

use std::time::Duration;

use formwork_client::{Client, Query};
use formwork_model::{Job, JobState};
use serde_json::json;

use crate::Hostile;
use crate::made::{handle_leak, reentrant, table_bomb, trapping_destructor};
use crate::recipe::{Recipe, upload};

/// How the guest misbehaves: how that is called here and there, and part of what its job says.
const BEHAVIOURS: [(&str, &str, &str); 8] = [
    ("endless loop", "spin", "its limit `fuel`"),
    ("memory without end", "allocate", "its limit `memory-bytes`"),
    ("recursion", "recurse", "its limit `stack-bytes`"),
    ("panic", "panic", "crashed: panicked at"),
    ("flood of the log", "log-flood", "its limit `log-bytes`"),
    ("huge result", "huge-result", "its limit `result-bytes`"),
    ("huge argument", "huge-argument", "its limit `result-bytes`"),
    ("host calls without end", "host-calls", "its limit `host-calls`"),
];

/// The pack of the guest that can misbehave in many ways. Those of the others are named after it.
const PACK: &str = "running";

/// What no compiler makes: its name here, that of its pack, its bytes, and part of what its job says.
fn by_hand() -> [(&'static str, &'static str, Vec<u8>, &'static str); 4] {
    let destroy = "(call $drop (call $new (i32.const 1)))";
    [
        ("table without end", "table", table_bomb(), "its limit `table-elements`"),
        ("leak of handles", "leak", handle_leak(), "its limit `handles`"),
        ("trap in a destructor", "destructor", trapping_destructor(destroy), "crashed: wasm trap"),
        ("reentrancy", "reentrancy", reentrant(), "cannot leave component instance"),
    ]
}

/// One way to misbehave.
pub(crate) struct Misbehaves {
    /// How it is called.
    pub(crate) name: &'static str,
    pack: String,
    behaviour: &'static str,
    words: &'static str,
}

/// Installs the packs; returns all cases.
pub(crate) async fn install(client: &Client) -> Vec<Misbehaves> {
    let recipe = Recipe { name: PACK, ..Recipe::default() };
    upload(client, recipe.bytes()).await.expect("a pack that is good by itself");
    let case = |(name, behaviour, words)| Misbehaves { name, pack: PACK.to_owned(), behaviour, words };
    let mut cases: Vec<_> = BEHAVIOURS.into_iter().map(case).collect();
    for (name, short, component, words) in by_hand() {
        let pack = format!("{PACK}-{short}");
        let recipe = Recipe { name: &pack, component, grants: &[], ..Recipe::default() };
        upload(client, recipe.bytes()).await.expect("a pack that is good by itself");
        cases.push(Misbehaves { name, pack, behaviour: "none", words });
    }
    cases
}

impl Hostile for Misbehaves {
    async fn once(&self, client: &Client, number: u64) -> Result<(), String> {
        let machine = json!({
            "Name": format!("{}-{}-{number}", self.pack, self.behaviour),
            "Context": "host",
            "Meta": {"BaseContext": "host"},
            "Workflow": format!("{}-probe", self.pack),
            "Params": {"hostile/behaviour": self.behaviour},
        });
        let made = client.collection("machines").create(&machine).await.expect("a machine");
        let uuid = made["Uuid"].as_str().unwrap_or_default().to_owned();
        let job = loop {
            let query = Query::new().with("Machine", &uuid).with("Task", format!("{}-probe", self.pack));
            let jobs: Vec<Job> = client.list(&query).await.expect("jobs");
            if let Some(job) = jobs.into_iter().find(|job| job.state.is_final()) {
                break job;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let log = client.job_log(&job.uuid).await.expect("its log");
        client.collection("machines").destroy(&uuid).await.expect("a machine that can go");
        let log = String::from_utf8_lossy(&log);
        match job.state {
            JobState::Failed if log.contains(self.words) => Ok(()),
            state => Err(format!("the job is {state:?}: {}", log.lines().last().unwrap_or_default())),
        }
    }
}
