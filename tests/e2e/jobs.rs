//! Logs of jobs and their end, as operators see them.

use std::process::Command;

use formwork_client::{JobCreation, PatchOp};
use formwork_model::Job;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;

/// Runs `count` jobs of one machine to their end. Returns the machine and the jobs in order.
async fn history(endpoint: &Endpoint, count: usize) -> (String, Vec<String>) {
    let client = endpoint.client();
    client.collection("tasks").create(&json!({"Name": "one"})).await.unwrap();
    let tasks = vec!["one"; count];
    let machine = client.collection("machines").create(&json!({"Name": "m1", "Tasks": tasks})).await.unwrap();
    let uuid = machine["Uuid"].as_str().unwrap().to_owned();
    let mut jobs = Vec::new();
    for number in 0..count {
        let JobCreation::Created(job) = client.job_create(&uuid, "", "").await.unwrap() else {
            panic!("no job {number}")
        };
        client.job_log_append(&job.uuid, b"0123456789").await.unwrap();
        for (old, new) in [("created", "running"), ("running", "finished")] {
            let patch = [PatchOp::test("/State", old), PatchOp::replace("/State", new)];
            client.patch::<Job>(&job.uuid, &patch).await.unwrap();
        }
        jobs.push(job.uuid);
    }
    (uuid, jobs)
}

fn listed(endpoint: &Endpoint) -> usize {
    let list = endpoint.cli(&["jobs", "list"]).stdout;
    serde_json::from_slice::<Vec<Value>>(&list).unwrap().len()
}

#[tokio::test]
async fn row_056_all_jobs_of_one_machine_are_purged() {
    let endpoint = Endpoint::start();
    let (machine, jobs) = history(&endpoint, 3).await;
    assert_eq!(endpoint.client().job_log(&jobs[0]).await.unwrap(), b"0123456789");
    let all = ["--jobs-to-keep", "0", "--complete-after", "0s", "--failed-after", "0s"];
    let purge = |more: &[&str]| {
        let words: Vec<&str> =
            ["jobs", "purge", "--machine", &machine].iter().chain(&all).chain(more).copied().collect();
        let output = endpoint.cli(&words);
        serde_json::from_slice::<Vec<Value>>(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    };
    assert_eq!(
        (purge(&["--dry-run"]).len(), listed(&endpoint)),
        (2, 3),
        "nothing goes, and the current job never"
    );
    assert_eq!(purge(&[]).len(), 2);
    assert!(endpoint.client().job_log(&jobs[0]).await.is_err());
    // Once the machine is gone its last job is nobody's current one.
    endpoint.client().collection("machines").destroy(&machine).await.unwrap();
    assert_eq!(purge(&[]).len(), 1);
    assert_eq!(listed(&endpoint), 0);
}

#[tokio::test]
async fn row_057_purge_keeps_the_newest_and_respects_ages() {
    let endpoint = Endpoint::start();
    let (machine, jobs) = history(&endpoint, 5).await;
    let purge = |words: &[&str]| {
        let words: Vec<&str> =
            ["jobs", "purge", "--machine", &machine].iter().chain(words).copied().collect();
        endpoint.cli(&words)
    };
    let day = ["--jobs-to-keep", "0", "--complete-after", "1d", "--failed-after", "1d"];
    assert_eq!(purge(&day).stdout, b"[]\n");
    assert!(purge(&["--jobs-to-keep", "2", "--complete-after", "0s"]).status.success());
    // The current job is kept beside the two newest of the others.
    assert_eq!(listed(&endpoint), 3);
    assert!(!endpoint.client().collection("jobs").exists(&jobs[1]).await.unwrap());
    let refused = purge(&["--complete-after", "soon"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`soon` is not a duration"));
    let refused = endpoint.cli(&["prefs", "set", "jobsToKeep", "few"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`few` is not a number of jobs"));
}

#[tokio::test]
async fn row_073_log_is_appended_and_read_by_head_and_range() {
    let endpoint = Endpoint::start();
    let (_, jobs) = history(&endpoint, 1).await;
    let client = endpoint.client();
    client.job_log_append(&jobs[0], b"abc").await.unwrap();
    assert_eq!(client.job_log(&jobs[0]).await.unwrap(), b"0123456789abc");
    let url = format!("{}/api/v3/jobs/{}/log", endpoint.url(), jobs[0]);
    let curl = |words: &[&str]| {
        let output = Command::new("curl")
            .args(["-sk", "-u", "rocketskates:test-password"])
            .args(words)
            .arg(&url)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap().to_lowercase()
    };
    assert!(curl(&["-I"]).contains("content-length: 13\r\n"), "{}", curl(&["-I"]));
    let part = curl(&["-i", "-r", "8-10"]);
    assert!(part.contains("206") && part.contains("content-range: bytes 8-10/13\r\n"), "{part}");
    assert!(part.ends_with("\r\n\r\n89a"), "{part}");
    assert!(curl(&["-i", "-r", "99-"]).contains("content-range: bytes */13\r\n"));
    let archive = url.replace("/log", "/archive");
    let output =
        Command::new("curl").args(["-sk", "-u", "rocketskates:test-password", &archive]).output().unwrap();
    assert_eq!(output.stdout, b"\"0123456789abc\"");
}

#[tokio::test]
async fn job_of_a_deleted_machine_has_failed() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    client.collection("tasks").create(&json!({"Name": "one"})).await.unwrap();
    let machine = json!({"Name": "m1", "Tasks": ["one"]});
    let machine = client.collection("machines").create(&machine).await.unwrap();
    let uuid = machine["Uuid"].as_str().unwrap();
    let JobCreation::Created(job) = client.job_create(uuid, "", "").await.unwrap() else { panic!("no job") };
    client.patch::<Job>(&job.uuid, &[PatchOp::replace("/State", "running")]).await.unwrap();
    client.collection("machines").destroy(uuid).await.unwrap();
    let job: Job = client.get(&job.uuid).await.unwrap();
    assert_eq!(job.state.as_str(), "failed");
    assert!(!job.end_time.is_unset());
    assert!(job.archived);
    let gone = client.job_log(&job.uuid).await.unwrap_err();
    assert_eq!(gone.status(), Some(404));
}
