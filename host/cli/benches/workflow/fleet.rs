//! A fleet in a process of its own.

use std::{process::Stdio, time::Duration};

use formwork_bench::busy_seconds;
use serde_json::Value;
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
};

use crate::endpoint::Endpoint;

/// How often is looked how busy the process is: what it was at the end nobody tells.
const LOOK: Duration = Duration::from_millis(200);

/// A program that plays machines.
pub(crate) struct Fleet {
    process: Child,
}

impl Fleet {
    pub(crate) fn start(endpoint: &Endpoint, machines: u32, flags: &[&str]) -> Self {
        let machines = machines.to_string();
        let words = [&["fleet", "--machines", &machines, "--format", "json"], flags].concat();
        let mut command = Command::from(endpoint.command(&words));
        // A line a job would be measured too.
        command.env_remove("RUST_LOG");
        let process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("a fleet");
        Self { process }
    }

    /// Waits until the fleet ends; returns what it printed, and how many seconds it has kept processors busy.
    pub(crate) async fn end(mut self) -> (Value, f64) {
        let id = self.process.id().expect("a process that was not waited for");
        let mut output = self.process.stdout.take().expect("a pipe");
        let mut busy = 0.0;
        let watch = async {
            loop {
                // A thread that ends takes its time with it.
                busy = busy_seconds(id).unwrap_or_default().max(busy);
                tokio::time::sleep(LOOK).await;
            }
        };
        let mut text = String::new();
        tokio::select! {
            read = output.read_to_string(&mut text) => drop(read.expect("text")),
            never = watch => never,
        }
        let status = self.process.wait().await.expect("a status");
        let summary: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("the fleet ended with {status} and printed no summary: {error}: {text}")
        });
        assert_eq!(summary["errors"], serde_json::json!([]), "{summary}");
        (summary, busy)
    }

    /// Tells the fleet to end, and does as [`Fleet::end`].
    pub(crate) async fn interrupt(self) -> (Value, f64) {
        let id = self.process.id().expect("a process that was not waited for").to_string();
        let told = Command::new("kill").args(["-INT", &id]).status().await.expect("kill");
        assert!(told.success());
        self.end().await
    }
}
