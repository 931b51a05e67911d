//! What was acknowledged survives, and what was interrupted goes on.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
};

use formwork_client::{Credentials, JobCreation, PatchOp, Query};
use formwork_model::{Job, JobState, Machine};
use redb::{ReadableDatabase as _, ReadableTable as _};
use serde_json::{Value, json};

use crate::{
    endpoint::{Endpoint, PATIENCE, program, serve_command},
    files::{curl, post},
};

#[tokio::test]
async fn acknowledged_objects_survive_a_kill() {
    let mut endpoint = Endpoint::start();
    let mut made = Vec::new();
    for index in 0..20 {
        made.push(endpoint.machine(&format!("m{index}")).await.uuid);
        if index % 7 == 6 {
            endpoint.kill_and_start_again();
        }
    }
    endpoint.kill_and_start_again();
    for uuid in made {
        assert!(endpoint.client().get::<Machine>(&uuid).await.is_ok(), "{uuid}");
    }
}

#[test]
fn second_endpoint_on_the_same_folder_is_refused_and_told_the_holder() {
    let endpoint = Endpoint::start();
    let mut ports = endpoint.ports;
    ports.api = 0;
    let output = serve_command(endpoint.folder(), ports).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    let holder = std::fs::read_to_string(endpoint.folder().join("formwork.pid")).unwrap();
    assert!(words.contains(&format!("served by process {}", holder.trim())), "{words}");
}

#[tokio::test]
async fn job_survives_a_restart_of_the_endpoint_in_its_middle() {
    let mut endpoint = Endpoint::start();
    let client = endpoint.client();
    let folder = tempfile::tempdir().unwrap();
    let (begun, go) = (folder.path().join("begun"), folder.path().join("go"));
    // The script waits for a file, so that the test decides when it ends.
    let script = format!(
        "#!/bin/sh\necho before\nmkfifo {go} 2>/dev/null\n: > {begun}\nread word < {go}\necho after $word\n",
        go = go.display(),
        begun = begun.display()
    );
    let task = json!({"Name": "slow", "Meta": {"feature-flags": "sane-exit-codes"},
                      "Templates": [{"Name": "script", "Contents": script}]});
    client.collection("tasks").create(&task).await.unwrap();
    client.collection("stages").create(&json!({"Name": "one", "Tasks": ["slow"]})).await.unwrap();
    client.collection("workflows").create(&json!({"Name": "wf", "Stages": ["one"]})).await.unwrap();
    let machine =
        client.collection("machines").create(&json!({"Name": "m1", "Workflow": "wf"})).await.unwrap();
    let uuid = machine["Uuid"].as_str().unwrap().to_owned();
    let token = client.machine_token(&uuid, "1h").await.unwrap().token;
    let mut agent = tokio::process::Command::from({
        let mut command = program();
        command.env("RS_ENDPOINT", endpoint.url()).env("RS_TOKEN", token);
        command.args([
            "agent",
            "--uuid",
            &uuid,
            "--no-power",
            "--simulate-mac",
            "52:54:00:00:00:09",
            "--state-dir",
        ]);
        command.arg(folder.path().join("state")).stdin(Stdio::null());
        command
    })
    .kill_on_drop(true)
    .spawn()
    .unwrap();
    let running = async {
        let mut events = client.events().await.unwrap();
        events.register("jobs.*.*").await.unwrap();
        loop {
            let jobs: Vec<Job> = client.list(&Query::new().with("Task", "slow")).await.unwrap();
            if jobs.iter().any(|job| job.state == JobState::Running) {
                break;
            }
            events.next().await.unwrap();
        }
        // Running means that the agent has the job; the script itself says when it has begun.
        while !begun.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, running).await.expect("the job never ran");
    endpoint.kill();
    // The script may end while nobody is there to be told.
    let word = go.clone();
    tokio::task::spawn_blocking(move || {
        while !word.exists() {
            std::thread::yield_now();
        }
        std::fs::write(&word, "restart\n").unwrap();
    })
    .await
    .unwrap();
    endpoint.start_again();
    let client = endpoint.client();
    let complete = async {
        let mut events = client.events().await.unwrap();
        events.register(&format!("machines.*.{uuid}")).await.unwrap();
        while !client.get::<Machine>(&uuid).await.unwrap().workflow_complete {
            events.next().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, complete).await.expect("the workflow never completed");
    agent.start_kill().unwrap();
    agent.wait().await.unwrap();
    let jobs: Vec<Job> = client.list(&Query::new().with("Task", "slow")).await.unwrap();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!(jobs[0].state, JobState::Finished);
    let log = String::from_utf8(client.job_log(&jobs[0].uuid).await.unwrap()).unwrap();
    let (before, after) = (log.find("before").expect("before"), log.find("after restart").expect("after"));
    assert!(before < after, "{log}");
}

#[tokio::test]
async fn row_060_test_operation_keeps_writers_from_losing_an_update() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    client.collection("profiles").create(&json!({"Name": "counter", "Params": {"count": 0}})).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while done < 10 {
                    let profiles = client.collection("profiles");
                    let now = profiles.param("counter", "count", false).await.unwrap();
                    let next = now.as_u64().unwrap() + 1;
                    let patch =
                        [PatchOp::test("/Params/count", now), PatchOp::replace("/Params/count", next)];
                    if profiles.patch("counter", &patch).await.is_ok() {
                        done += 1;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let profiles = client.collection("profiles");
    assert_eq!(profiles.param("counter", "count", false).await.unwrap(), json!(80));
    let before = profiles.show("counter", &Query::new()).await.unwrap();
    let wrong = [
        PatchOp::replace("/Description", "before the test"),
        PatchOp::test("/Params/count", 79),
        PatchOp::replace("/Params/count", 0),
    ];
    assert_eq!(profiles.patch("counter", &wrong).await.unwrap_err().status(), Some(409));
    assert_eq!(profiles.show("counter", &Query::new()).await.unwrap(), before, "nothing changed");
}

/// drp-behaviour.md 9.5: everything is below one folder, so a copy of that is a backup.
#[tokio::test]
async fn row_195_copy_of_the_folder_is_a_backup_that_starts_as_the_same_endpoint() {
    let mut endpoint = Endpoint::start();
    let client = endpoint.client();
    let secure = json!({"Name": "pass/word", "Secure": true, "Schema": {"type": "string"}});
    client.collection("params").create(&secure).await.unwrap();
    client.collection("tasks").create(&json!({"Name": "one"})).await.unwrap();
    let machine =
        json!({"Name": "m1", "Tasks": ["one"], "Params": {"pass/word": "hidden", "a/b": {"c": [1]}}});
    let machine = client.collection("machines").create(&machine).await.unwrap();
    let uuid = machine["Uuid"].as_str().unwrap();
    let JobCreation::Created(job) = client.job_create(uuid, "", "").await.unwrap() else { panic!("no job") };
    client.job_log_append(&job.uuid, b"kept\n").await.unwrap();
    let bundle = json!({"meta": {"Name": "extra"}, "sections": {"stages": {"st": {"Name": "st"}}}});
    client.content_create(&bundle).await.unwrap();
    assert_eq!(post(&endpoint, "files/dir/one.txt", b"of a user").code, "201");
    let token = client.machine_token(uuid, "1h").await.unwrap().token;
    let before = dump(&endpoint);
    endpoint.kill();

    let copy = endpoint.start_copy();
    endpoint.start_again();
    let changed = [PatchOp::replace("/Description", "not in the backup")];
    endpoint.client().patch::<Machine>(uuid, &changed).await.unwrap();
    assert_eq!(dump(&copy), before);
    assert_ne!(dump(&endpoint), before);
    let restored = copy.client();
    assert_eq!(restored.job_log(&job.uuid).await.unwrap(), b"kept\n");
    assert_eq!(curl(&copy, "files/dir/one.txt", &[], b"").body, b"of a user");
    let clear = curl(&copy, &format!("machines/{uuid}/params/pass%2Fword?decode=true"), &[], b"");
    assert_eq!(clear.json(), "hidden", "the key is part of it");
    let agent = copy.client_with(Credentials::Token(token));
    assert!(agent.get::<Machine>(uuid).await.is_ok(), "tokens are good as before");
}

/// Returns all objects of an endpoint by their types.
fn dump(endpoint: &Endpoint) -> BTreeMap<&'static str, Value> {
    let types = formwork_model::KINDS.iter();
    types.map(|kind| (kind.prefix, curl(endpoint, kind.prefix, &[], b"").json())).collect()
}

/// Where the endpoint keeps the logs of jobs: their bytes, by the job and the offset.
const PIECES: redb::TableDefinition<'_, (&str, u64), &[u8]> = redb::TableDefinition::new("pieces");

/// Each job has a log; one transaction of a purge is not all of them.
#[tokio::test]
async fn purge_that_a_kill_breaks_off_leaves_no_job_without_its_log_and_no_log_without_its_job() {
    let mut endpoint = Endpoint::start();
    let client = endpoint.client();
    let tasks: Vec<String> = (0..10).map(|number| format!("talk-{number}")).collect();
    for task in &tasks {
        let script = json!({"Name": "script", "Contents": "echo"});
        client.collection("tasks").create(&json!({"Name": task, "Templates": [script]})).await.unwrap();
    }
    client.collection("stages").create(&json!({"Name": "talk", "Tasks": tasks})).await.unwrap();
    client.collection("workflows").create(&json!({"Name": "talk", "Stages": ["talk"]})).await.unwrap();
    let profile = endpoint.folder().join("fleet.yaml");
    std::fs::write(&profile, "tasks: [{task: '*', output: 100 B}]\n").unwrap();
    let profile = profile.to_str().unwrap();
    let fleet = endpoint.cli(&["fleet", "--machines", "60", "--workflow", "talk", "--profile", profile]);
    assert!(fleet.status.success(), "{}", String::from_utf8_lossy(&fleet.stderr));

    let mut events = client.events().await.unwrap();
    events.register("jobs.delete.*").await.unwrap();
    let all = Query::new()
        .with("jobsToKeep", "0")
        .with("completeJobsPurgedAfter", "0s")
        .with("failedJobsPurgedAfter", "0s");
    let purging = client.clone();
    let purge = tokio::spawn(async move { purging.jobs_purge(&all).await });
    events.next().await.unwrap();
    endpoint.kill();
    purge.abort();
    endpoint.start_again();

    let client = endpoint.client();
    let jobs: Vec<Job> = client.list(&Query::new()).await.unwrap();
    let with_log: BTreeSet<String> =
        jobs.iter().filter(|job| tasks.contains(&job.task)).map(|job| job.uuid.clone()).collect();
    assert!(with_log.len() < 600, "nothing was purged");
    for job in &with_log {
        assert!(client.job_log(job).await.unwrap().len() > 100, "job {job} is without its log");
    }
    endpoint.kill();
    let logs = redb::Database::open(endpoint.folder().join("job-logs/logs.redb")).unwrap();
    let pieces = logs.begin_read().unwrap().open_table(PIECES).unwrap();
    for piece in pieces.iter().unwrap() {
        let job = piece.unwrap().0.value().0.to_owned();
        assert!(with_log.contains(&job), "{job} is the log of no job");
    }
}
