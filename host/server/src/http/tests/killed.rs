//! An endpoint that is killed at each commit of a workflow in turn, with an agent that starts again each time.

use std::{
    collections::BTreeMap,
    env,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Output},
};

use formwork_model::{Job, JobState, Machine};
use serde_json::Value;

use super::*;
use crate::logs::JobLogs;

/// Names the folder of the data to the child; without it the child does nothing.
const FOLDER: &str = "FORMWORK_KILLED_FOLDER";

/// Tells the child after how many commits of the workflow it dies; without it, it lives.
const COMMITS: &str = "FORMWORK_KILLED_COMMITS";

const MACHINE: &str = "8f3b7a52-0c1d-4e6f-9a2b-5d7c1e0f4a63";

/// Task `again` is incomplete at first and goes on after a reboot, and `fails` fails at first.
const TASKS: [&str; 8] =
    ["stage:one", "plain", "again", "bootenv:other", "fails", "context:shelf", "inside", "context:"];

/// More commits than the workflow can have: it does not come to an end.
const MAX_COMMITS: u64 = 200;

/// An endpoint and the agent of its machine in one process, which dies between a commit and its acknowledgement.
struct Child {
    site: Site,
    dies_at: u64,
}

impl Child {
    async fn new(folder: &Path) -> Self {
        let mut site = Site::new(Wishes::default());
        site.on_disk(&folder.join("objects.redb")).await;
        let endpoint = Arc::get_mut(&mut site.endpoint).unwrap();
        endpoint.logs = JobLogs::open(&folder.join("logs"), |_| true).unwrap();
        let mut child = Self { site, dies_at: u64::MAX };
        child.make_all().await;
        let commits = env::var(COMMITS).ok().and_then(|text| text.parse::<u64>().ok());
        let begins = child.site.endpoint.snapshot().revision().0;
        child.dies_at = commits.map_or(u64::MAX, |commits| begins + commits);
        child
    }

    /// Sends a request; the answer comes only if the process lives on.
    async fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let text = match body {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let answer = self.site.send(method, path, &self.site.everything(), &text).await;
        if self.site.endpoint.snapshot().revision().0 >= self.dies_at {
            std::process::abort();
        }
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn taken(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(method, path, &body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    async fn make(&self, prefix: &str, key: &str, body: Value) {
        if self.site.endpoint.snapshot().find(prefix, key).is_none() {
            self.taken("POST", &format!("/{prefix}"), body).await;
        }
    }

    async fn make_all(&self) {
        for task in TASKS.iter().filter(|task| !task.contains(':')) {
            let script = json!({"Name": "script", "Contents": "#!/bin/sh\n"});
            self.make("tasks", task, json!({"Name": task, "Templates": [script]})).await;
        }
        self.make("stages", "one", json!({"Name": "one"})).await;
        self.make("bootenvs", "other", json!({"Name": "other"})).await;
        self.make("contexts", "shelf", json!({"Name": "shelf"})).await;
        let machine = json!({"Uuid": MACHINE, "Name": "m1", "Tasks": TASKS});
        self.make("machines", MACHINE, machine).await;
    }

    async fn runnable(&self) {
        let patch = json!([{"op": "replace", "path": "/Runnable", "value": true}]);
        self.taken("PATCH", &format!("/machines/{MACHINE}"), patch).await;
    }

    async fn machine(&self) -> Machine {
        self.taken("GET", &format!("/machines/{MACHINE}"), Value::Null).await;
        self.site.endpoint.snapshot().get::<Machine>(MACHINE).unwrap().as_ref().clone()
    }

    async fn say(&self, job: &str, before: &str, after: &str) {
        let patch = json!([{"op": "test", "path": "/State", "value": before},
                           {"op": "replace", "path": "/State", "value": after}]);
        self.taken("PATCH", &format!("/jobs/{job}"), patch).await;
        println!("acknowledged {job} {after}");
    }

    /// What an agent does at its start: what ran has failed.
    async fn start(&self) {
        let current = self.machine().await.current_job;
        let job = self.site.endpoint.snapshot().get::<Job>(&current);
        if let Some(job) = job.filter(|job| matches!(job.state, JobState::Created | JobState::Running)) {
            self.say(&current, job.state.as_str(), "failed").await;
        }
    }

    async fn run(&self) {
        self.start().await;
        loop {
            let machine = self.machine().await;
            if machine.workflow_complete {
                return;
            }
            if !machine.runnable {
                self.runnable().await;
            }
            let body = json!({"Machine": MACHINE, "Context": machine.context});
            let (status, job) = self.send("POST", "/jobs", &body).await;
            assert!(matches!(status, 201 | 202 | 204), "{status} {job}");
            if status != 204 {
                self.perform(&job, status == 202).await;
            }
        }
    }

    async fn perform(&self, job: &Value, is_resumed: bool) {
        let (uuid, task) = (job["Uuid"].as_str().unwrap(), job["Task"].as_str().unwrap());
        self.say(uuid, job["State"].as_str().unwrap(), "running").await;
        self.taken("GET", &format!("/jobs/{uuid}/actions"), Value::Null).await;
        self.taken("PUT", &format!("/jobs/{uuid}/log"), json!(format!("ran {task}\n"))).await;
        println!("logged {uuid} {task}");
        let before = self.site.endpoint.snapshot().get::<Job>(job["Previous"].as_str().unwrap());
        let had_failed = before.is_some_and(|before| before.task == task && before.state == JobState::Failed);
        let state = match task {
            "again" if !is_resumed => "incomplete",
            "fails" if !had_failed => "failed",
            _ => "finished",
        };
        self.say(uuid, "running", state).await;
    }
}

#[tokio::test]
#[ignore = "the program that the test kills"]
async fn child_that_runs_a_workflow_until_it_is_killed() {
    let folder = env::var_os(FOLDER).expect("the test names a folder");
    let child = Child::new(Path::new(&folder)).await;
    child.run().await;
    child.site.endpoint.store.close().await;
}

fn spawn(folder: &Path, commits: Option<u64>) -> Output {
    let name = "http::tests::killed::child_that_runs_a_workflow_until_it_is_killed";
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([name, "--exact", "--ignored", "--nocapture"]).env(FOLDER, folder).env("TMPDIR", folder);
    if let Some(commits) = commits {
        command.env(COMMITS, commits.to_string());
    }
    command.output().unwrap()
}

/// What the processes said that was acknowledged, and what was logged.
#[derive(Default)]
struct Said {
    states: BTreeMap<String, Vec<String>>,
    logged: Vec<(String, String)>,
}

impl Said {
    fn hear(&mut self, output: &Output) {
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                [.., "acknowledged", job, state] => {
                    self.states.entry(job.to_owned()).or_default().push(state.to_owned());
                }
                [.., "logged", job, task] => self.logged.push((job.to_owned(), task.to_owned())),
                _ => {}
            }
        }
    }
}

/// Everything ran in order, once where it was acknowledged, and nothing of what was acknowledged is lost.
async fn check(folder: &Path, said: &Said, at: u64) {
    let mut site = Site::new(Wishes::default());
    site.on_disk(&folder.join("objects.redb")).await;
    let snapshot = site.endpoint.snapshot();
    let machine = snapshot.get::<Machine>(MACHINE).unwrap();
    assert_eq!((machine.workflow_complete, machine.current_task), (true, 8), "killed at {at}");
    assert_eq!(
        (&*machine.stage, &*machine.boot_env, &*machine.context),
        ("one", "other", ""),
        "killed at {at}"
    );
    let mut chain = Vec::new();
    let mut next = snapshot.get::<Job>(&machine.current_job);
    while let Some(job) = next {
        next = snapshot.get::<Job>(&job.previous);
        chain.push(job);
    }
    chain.reverse();
    assert_eq!(chain.len(), snapshot.list::<Job>().len(), "killed at {at}: no job is outside of the chain");
    let finished: Vec<&str> = chain
        .iter()
        .filter(|job| job.state == JobState::Finished && !job.task.contains(':'))
        .map(|job| &*job.task)
        .collect();
    assert_eq!(finished, ["plain", "again", "fails", "inside"], "killed at {at}");
    assert!(chain.windows(2).all(|pair| pair[0].current_index <= pair[1].current_index), "killed at {at}");
    assert!(chain.iter().all(|job| job.state.is_final()), "killed at {at}");
    for (job, states) in &said.states {
        let finals: Vec<_> =
            states.iter().filter(|state| matches!(&***state, "finished" | "failed")).collect();
        assert!(finals.len() <= 1, "killed at {at}: {job} was acknowledged as {states:?}");
        let stored = chain.iter().find(|stored| stored.uuid == *job).expect("an acknowledged job is there");
        assert!(finals.iter().all(|state| *state == stored.state.as_str()), "killed at {at}: {job}");
    }
    // The process that had them open has ended, and with it its lock.
    let logs = JobLogs::open(&folder.join("logs"), |_| true).unwrap();
    for (job, task) in &said.logged {
        let log = String::from_utf8(logs.read(job, 0, u64::MAX).await.unwrap()).unwrap();
        assert!(log.contains(&format!("ran {task}\n")), "killed at {at}: the log of {job} is `{log}`");
    }
}

#[tokio::test]
async fn endpoint_killed_at_each_commit_of_a_workflow_goes_on_in_order_and_loses_nothing() {
    for at in 1..MAX_COMMITS {
        let folder = tempfile::tempdir().unwrap();
        let mut said = Said::default();
        let killed = spawn(folder.path(), Some(at));
        said.hear(&killed);
        let is_through = killed.status.success();
        if !is_through {
            assert_eq!(killed.status.signal(), Some(6), "{}", String::from_utf8_lossy(&killed.stderr));
            let whole = spawn(folder.path(), None);
            assert!(whole.status.success(), "killed at {at}: {}", String::from_utf8_lossy(&whole.stdout));
            said.hear(&whole);
        }
        check(folder.path(), &said, at).await;
        if is_through {
            assert!(at > 20, "only {at} commits");
            return;
        }
    }
    panic!("the workflow never ends");
}
