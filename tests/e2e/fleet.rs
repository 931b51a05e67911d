//! Fleets of simulated machines: real agents against a real endpoint.

use std::collections::BTreeMap;

use formwork_model::{ExitState, Job, JobState, Machine};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;

/// The machines of the fleet.
const MACHINES: usize = 20;

/// The tasks of its workflow, in their order.
const TASKS: [&str; 5] = ["firmware-bios", "firmware-nic", "install-root", "configure", "hand-over"];

/// Tasks that fail, reboot, stay incomplete and vanish with their machine, and an operator who lets all of them go on.
const PROFILE: &str = "
workflow: burn-in
params: {owner/team: lab}
operator: {resumes: 100}
hardware:
  - {weight: 1, nics: 2, params: {rack/kind: compute}}
  - {weight: 1, disks: [1 TB, 2 TB..4 TB], params: {rack/kind: storage}}
tasks:
  - {task: 'firmware-*', ends: {complete: 6, reboot: 2, incomplete-reboot: 1, incomplete: 1}}
  - {task: install-root, time: 1ms..5ms, output: 100 B..100 KiB, crash: 0.3, ends: {complete: 7, failed: 2, 9: 1}}
  - {task: configure, output: 300 B, ends: {0: 8, 1: 1, killed: 1}}
";

/// What a test compares of one machine: its tasks with how each job of theirs ended, and its hardware.
type Story = (Vec<(String, JobState, ExitState)>, Value);

/// Makes the workflow, runs the fleet with a seed, and returns what it printed with the story of each machine by its name.
async fn run(seed: &str, more: &[&str]) -> (Endpoint, Value, BTreeMap<String, Story>) {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    for task in TASKS {
        let task = json!({"Name": task, "Templates": [{"Name": "script", "Contents": "exit 99"}]});
        client.collection("tasks").create(&task).await.unwrap();
    }
    client.collection("stages").create(&json!({"Name": "burn", "Tasks": TASKS})).await.unwrap();
    client.collection("workflows").create(&json!({"Name": "burn-in", "Stages": ["burn"]})).await.unwrap();
    let summary = fleet(&endpoint, seed, more);
    let mut stories = BTreeMap::new();
    for machine in client.list::<Machine>(&formwork_client::Query::new()).await.unwrap() {
        if !machine.name.starts_with("sim-") {
            continue;
        }
        let query = formwork_client::Query::new().with("Machine", &machine.uuid);
        let mut jobs: Vec<Job> = client.list(&query).await.unwrap();
        // Each job knows the one before it.
        let mut story = Vec::new();
        let mut next = machine.current_job.clone();
        while let Some(at) = jobs.iter().position(|job| job.uuid == next) {
            let job = jobs.swap_remove(at);
            next = job.previous.clone();
            story.push((job.task, job.state, job.exit_state));
        }
        assert!(jobs.is_empty(), "jobs that follow no other: {jobs:?}");
        story.reverse();
        let hardware = json!([machine.hardware_addrs, machine.fingerprint, machine.params]);
        stories.insert(machine.name, (story, hardware));
    }
    (endpoint, summary, stories)
}

/// Runs the fleet until its end and returns what it printed.
fn fleet(endpoint: &Endpoint, seed: &str, more: &[&str]) -> Value {
    fleet_of(endpoint, PROFILE, &[&["--machines", "20", "--seed", seed], more].concat())
}

/// The same of any profile.
fn fleet_of(endpoint: &Endpoint, text: &str, more: &[&str]) -> Value {
    let profile = endpoint.folder().join("fleet.yaml");
    std::fs::write(&profile, text).unwrap();
    let words = ["fleet", "--profile", profile.to_str().unwrap()];
    let output = endpoint.cli(&[&words[..], more].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns what does not depend on how fast all went.
fn decided(summary: &Value) -> Value {
    let names =
        ["machines", "jobs-finished", "jobs-failed", "jobs-incomplete", "crashes", "reboots", "resumes"];
    names.into_iter().map(|name| (name.to_owned(), summary[name].clone())).collect()
}

#[tokio::test]
async fn fleet_with_failures_reboots_and_crashes_comes_to_its_end_with_each_task_run_in_order() {
    let (endpoint, summary, stories) = run("7", &[]).await;
    assert_eq!(stories.len(), MACHINES);
    assert_eq!(summary["machines"]["complete"], MACHINES, "{summary}");
    for counted in ["crashes", "reboots", "jobs-failed", "jobs-incomplete", "resumes"] {
        assert!(summary[counted].as_u64().unwrap() > 0, "{counted}: {summary}");
    }
    for (name, (story, _)) in &stories {
        // Every task but the last try of it failed or was broken off; the list never goes back or leaves one out.
        let mut tasks = story.iter().filter(|(task, ..)| TASKS.contains(&task.as_str())).peekable();
        for task in TASKS {
            let mut last = None;
            while let Some((_, state, _)) = tasks.next_if(|(name, ..)| name == task) {
                assert!(last.is_none_or(|last| last == JobState::Failed), "{name}: {story:?}");
                last = Some(*state);
            }
            assert_eq!(last, Some(JobState::Finished), "{name}, {task}: {story:?}");
        }
        assert_eq!(tasks.next(), None, "{name}: {story:?}");
    }
    let client = endpoint.client();
    let machine: Machine = client.get("Name:sim-00003").await.unwrap();
    assert!(machine.workflow_complete && machine.runnable);
    let params = client.collection("machines").params(&machine.uuid, false).await.unwrap();
    assert_eq!(params["owner/team"], "lab");
    assert!(params["gohai-inventory"]["System"]["Memory"]["Total"].as_u64().unwrap() > 0);
    // The machines are there already, and have nothing to do.
    let again = fleet(&endpoint, "7", &[]);
    assert_eq!((&again["machines"]["complete"], &again["jobs-finished"]), (&json!(MACHINES), &json!(0)));
    let machines: Vec<Machine> = client.list(&formwork_client::Query::new()).await.unwrap();
    assert_eq!(machines.iter().filter(|machine| machine.name.starts_with("sim-")).count(), MACHINES);
}

#[tokio::test]
async fn seed_decides_what_happens_to_every_machine_however_they_are_run() {
    let (first, second) =
        tokio::join!(run("11", &[]), run("11", &["--streams", "own", "--connections", "3"]));
    assert_eq!(decided(&first.1), decided(&second.1));
    assert_eq!(first.2, second.2);
    let other = run("12", &[]).await;
    assert_ne!(first.2, other.2);
}

#[test]
fn fleet_that_stays_ends_in_good_order_when_it_is_told_to() {
    let endpoint = Endpoint::start();
    let words = ["fleet", "--machines", "5", "--then", "stay", "--streams", "own"];
    let fleet = endpoint.command(&words).stdout(std::process::Stdio::piped()).spawn().unwrap();
    endpoint.eventually("all machines are registered", || {
        let listed = endpoint.cli(&["machines", "list"]).stdout;
        let machines: Vec<Value> = serde_json::from_slice(&listed).unwrap();
        machines.iter().filter(|machine| machine["Params"]["gohai-inventory"].is_object()).count() == 5
    });
    let id = fleet.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let output = fleet.wait_with_output().unwrap();
    assert!(output.status.success());
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["jobs-failed"], 0);
    assert_eq!(summary["errors"], json!([]));
}

/// Through a boot environment with a kernel and one without; the first machines may load kernels, and it does not always go well.
#[tokio::test]
async fn machine_gets_into_a_boot_environment_by_its_kernel_where_the_operator_allows_it() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    // Simulated machines have no addresses of their own by which the endpoint could know them.
    client.prefs_set(&[("machineFileAccess".into(), "anybody".into())].into()).await.unwrap();
    let tree = endpoint.folder().join("tftpboot/memory/install");
    std::fs::create_dir_all(&tree).unwrap();
    std::fs::write(tree.join("vmlinuz"), "a kernel").unwrap();
    let boot_env = json!({"Name": "memory", "Kernel": "vmlinuz", "BootParams": "quiet {{.Machine.Name}}"});
    client.collection("bootenvs").create(&boot_env).await.unwrap();
    client.collection("tasks").create(&json!({"Name": "look"})).await.unwrap();
    for (stage, boot_env) in [("into-memory", "memory"), ("onto-disk", "local")] {
        let stage = json!({"Name": stage, "BootEnv": boot_env, "Tasks": ["look"]});
        client.collection("stages").create(&stage).await.unwrap();
    }
    let workflow = json!({"Name": "twice", "Stages": ["into-memory", "onto-disk"]});
    client.collection("workflows").create(&workflow).await.unwrap();
    for (seed, name, profile, kexecs, reboots) in [
        // The local disk has no kernel that the network serves.
        ("1", "may", "params: {kexec-ok: true}", 3, 3),
        ("2", "may-not", "params: {kexec-ok: false}", 0, 6),
        ("3", "cannot", "kexec: 0\nparams: {kexec-ok: true}", 0, 6),
    ] {
        let text = format!("name: '{name}-{{number}}'\nworkflow: twice\n{profile}\n");
        let summary = fleet_of(&endpoint, &text, &["--machines", "3", "--seed", seed]);
        assert_eq!(summary["machines"]["complete"], 3, "{summary}");
        assert_eq!(
            (&summary["kexecs"], &summary["reboots"]),
            (&json!(kexecs), &json!(reboots)),
            "{name}: {summary}"
        );
    }
}
