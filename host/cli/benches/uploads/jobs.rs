//! Tasks that are stopped while they run on the endpoint.

use std::time::Duration;

use formwork_client::{Client, Query};
use formwork_model::{Job, JobState};
use serde_json::json;

use crate::Hostile;
use crate::recipe::{Recipe, upload};

/// How the guest misbehaves, and how that is called here.
const BEHAVIOURS: [(&str, &str); 8] = [
    ("endless loop", "spin"),
    ("memory without end", "allocate"),
    ("recursion", "recurse"),
    ("panic", "panic"),
    ("flood of the log", "log-flood"),
    ("huge result", "huge-result"),
    ("huge argument", "huge-argument"),
    ("host calls without end", "host-calls"),
];

/// The pack that is installed for it.
const PACK: &str = "running";

/// One way to misbehave.
pub(crate) struct Misbehaves(&'static str);

/// Installs the pack; returns all cases with their names.
pub(crate) async fn install(client: &Client) -> Vec<(&'static str, Misbehaves)> {
    let recipe = Recipe { name: PACK, ..Recipe::default() };
    upload(client, recipe.bytes()).await.expect("a pack that is good by itself");
    BEHAVIOURS.into_iter().map(|(name, behaviour)| (name, Misbehaves(behaviour))).collect()
}

impl Hostile for Misbehaves {
    async fn once(&self, client: &Client, number: u64) -> bool {
        let machine = json!({
            "Name": format!("{}-{number}", self.0),
            "Context": "host",
            "Meta": {"BaseContext": "host"},
            "Workflow": format!("{PACK}-probe"),
            "Params": {"hostile/behaviour": self.0},
        });
        let made = client.collection("machines").create(&machine).await.expect("a machine");
        let uuid = made["Uuid"].as_str().unwrap_or_default().to_owned();
        loop {
            let query = Query::new().with("Machine", &uuid).with("Task", format!("{PACK}-probe"));
            let jobs: Vec<Job> = client.list(&query).await.expect("jobs");
            if let Some(job) = jobs.iter().find(|job| job.state.is_final()) {
                client.collection("machines").destroy(&uuid).await.expect("a machine that can go");
                return job.state == JobState::Failed;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
