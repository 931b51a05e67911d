//! The life of a machine in its workflow: its list, how it is moved on, and what moves it back.

use std::collections::BTreeMap;

use formwork_client::{Client, Collection, JobCreation, PatchOp};
use formwork_model::{Job, JobState, Machine};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;

const MAC: &str = "52:54:00:00:61:01";

/// Makes tasks that do nothing.
async fn tasks(client: &Client, names: &[&str]) {
    for name in names {
        client.collection("tasks").create(&json!({"Name": name})).await.unwrap();
    }
}

/// Makes a stage for each name with its tasks, and a workflow of all of them.
async fn workflow(client: &Client, name: &str, stages: &[(&str, Value)]) {
    for (stage, members) in stages {
        let mut members = members.clone();
        members["Name"] = json!(stage);
        client.collection("stages").create(&members).await.unwrap();
    }
    let names: Vec<&str> = stages.iter().map(|(stage, _)| *stage).collect();
    client.collection("workflows").create(&json!({"Name": name, "Stages": names})).await.unwrap();
}

async fn machine(client: &Client, members: Value) -> Machine {
    let made = client.collection("machines").create(&members).await.unwrap();
    client.get(made["Uuid"].as_str().unwrap()).await.unwrap()
}

async fn now(client: &Client, machine: &Machine) -> Machine {
    client.get(&machine.uuid).await.unwrap()
}

/// Brings a job that was handed out to its end.
async fn end(client: &Client, job: &Job, state: &str) -> Job {
    client.patch::<Job>(&job.uuid, &[PatchOp::replace("/State", "running")]).await.unwrap();
    client.patch(&job.uuid, &[PatchOp::replace("/State", state)]).await.unwrap()
}

async fn next(client: &Client, machine: &Machine) -> Option<Job> {
    match client.job_create(&machine.uuid, "", "").await.unwrap() {
        JobCreation::Created(job) => Some(job),
        JobCreation::Nothing => None,
        JobCreation::Resumed(job) => panic!("{job:?} goes on"),
    }
}

async fn jobs(client: &Client) -> Vec<Job> {
    let listed: Collection<'_> = client.collection("jobs");
    let found = listed.list(&formwork_client::Query::new().with("sort", "StartTime")).await.unwrap();
    found.into_iter().map(|job| serde_json::from_value(job).unwrap()).collect()
}

#[tokio::test]
async fn row_061_workflow_is_flattened_into_stages_boot_environments_and_tasks() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    tasks(&client, &["aa", "bb"]).await;
    let stages =
        [("one", json!({"Tasks": ["aa"]})), ("two", json!({"BootEnv": "local", "Tasks": ["bb", "aa"]}))];
    workflow(&client, "wf", &stages).await;
    let made = machine(&client, json!({"Name": "m1"})).await;
    let set: Machine = client.patch(&made.uuid, &[PatchOp::replace("/Workflow", "wf")]).await.unwrap();
    assert_eq!(set.tasks, ["stage:one", "aa", "stage:two", "bootenv:local", "bb", "aa"]);
    assert_eq!((set.current_task, set.workflow_complete), (-1, false));
    let same: Machine = client.patch(&made.uuid, &[PatchOp::replace("/Workflow", "wf")]).await.unwrap();
    assert_eq!(same.tasks, set.tasks);
}

#[tokio::test]
async fn row_062_prerequisite_comes_once_in_each_boot_environment() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    tasks(&client, &["base"]).await;
    for name in ["aa", "bb"] {
        client.collection("tasks").create(&json!({"Name": name, "Prerequisites": ["base"]})).await.unwrap();
    }
    let stages =
        [("one", json!({"Tasks": ["aa", "bb"]})), ("two", json!({"BootEnv": "local", "Tasks": ["bb"]}))];
    workflow(&client, "wf", &stages).await;
    let made = machine(&client, json!({"Name": "m1", "Workflow": "wf"})).await;
    assert_eq!(made.tasks, ["stage:one", "base", "aa", "bb", "stage:two", "bootenv:local", "base", "bb"]);
}

#[tokio::test]
async fn row_063_machine_without_its_workflow_has_stage_none_and_no_tasks() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    tasks(&client, &["aa"]).await;
    workflow(&client, "wf", &[("one", json!({"Tasks": ["aa"]}))]).await;
    let made = machine(&client, json!({"Name": "m1", "Workflow": "wf"})).await;
    next(&client, &made).await.unwrap();
    let output = endpoint.cli(&["machines", "workflow", "Name:m1", ""]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let reset = now(&client, &made).await;
    assert_eq!((reset.workflow.as_str(), reset.stage.as_str(), reset.tasks.len()), ("", "none", 0));
    assert!(reset.workflow_complete);
}

#[tokio::test]
async fn row_064_stage_changes_with_pending_tasks_only_by_force() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    tasks(&client, &["aa", "bb"]).await;
    for (stage, task) in [("one", "aa"), ("two", "bb")] {
        client.collection("stages").create(&json!({"Name": stage, "Tasks": [task]})).await.unwrap();
    }
    let made = machine(&client, json!({"Name": "m1", "Stage": "one"})).await;
    let change = [PatchOp::replace("/Stage", "two")];
    let refused = client.patch::<Machine>(&made.uuid, &change).await.unwrap_err();
    assert!(refused.status() == Some(422) && refused.to_string().contains("unless forced"), "{refused}");
    client.collection("machines").force(true).patch(&made.uuid, &change).await.unwrap();
    let forced = now(&client, &made).await;
    assert_eq!((forced.stage.as_str(), &forced.tasks[..]), ("two", &["bb".to_owned()][..]));
}

#[tokio::test]
async fn row_065_jobs_are_422_for_nobody_409_for_who_is_held_and_204_at_the_end() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let unknown = client.job_create("00000000-0000-4000-8000-000000000065", "", "").await.unwrap_err();
    assert_eq!(unknown.status(), Some(422));
    tasks(&client, &["aa"]).await;
    let made = machine(&client, json!({"Name": "m1", "Tasks": ["aa"]})).await;
    client.patch::<Machine>(&made.uuid, &[PatchOp::replace("/Runnable", false)]).await.unwrap();
    let held = client.job_create(&made.uuid, "", "").await.unwrap_err();
    assert!(held.status() == Some(409) && held.to_string().contains("not runnable"), "{held}");
    client.patch::<Machine>(&made.uuid, &[PatchOp::replace("/Runnable", true)]).await.unwrap();
    end(&client, &next(&client, &made).await.unwrap(), "finished").await;
    assert!(next(&client, &made).await.is_none());
    assert!(now(&client, &made).await.workflow_complete);
}

#[tokio::test]
async fn row_066_incomplete_job_is_answered_again_as_it_is() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    tasks(&client, &["aa"]).await;
    let made = machine(&client, json!({"Name": "m1", "Tasks": ["aa"]})).await;
    let job = end(&client, &next(&client, &made).await.unwrap(), "incomplete").await;
    for _ in 0..2 {
        let JobCreation::Resumed(again) = client.job_create(&made.uuid, "", "").await.unwrap() else {
            panic!("another job")
        };
        assert_eq!(again, job);
    }
    assert_eq!(jobs(&client).await.len(), 1);
}

#[tokio::test]
async fn row_067_stages_and_boot_environments_in_a_row_are_one_finished_job() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    tasks(&client, &["aa"]).await;
    let stages = [("one", json!({})), ("two", json!({})), ("three", json!({"Tasks": ["aa"]}))];
    workflow(&client, "wf", &stages).await;
    let made = machine(&client, json!({"Name": "m1", "Workflow": "wf"})).await;
    let job = next(&client, &made).await.unwrap();
    assert_eq!((job.task.as_str(), job.current_index), ("aa", 3));
    let all = jobs(&client).await;
    let rolled = all.iter().find(|job| job.task == "stage:three").unwrap();
    assert_eq!((rolled.state, rolled.current_index, rolled.next_index), (JobState::Finished, 0, 3));
    assert_eq!(all.len(), 2);
    assert_eq!(now(&client, &made).await.stage, "three");
}

/// Makes a task of one script, and a machine whose list it is.
async fn scripted(endpoint: &Endpoint, name: &str, script: &str, mac: &str) -> Machine {
    let client = endpoint.client();
    let task = json!({"Name": name, "Meta": {"feature-flags": "sane-exit-codes"},
                      "Templates": [{"Name": "script", "Contents": format!("#!/bin/sh\n{script}\n")}]});
    client.collection("tasks").create(&task).await.unwrap();
    machine(&client, json!({"Name": format!("m-{name}"), "HardwareAddrs": [mac], "Tasks": [name]})).await
}

/// Runs an agent until there is nothing to do or a task ends it; returns what it said.
fn agent(endpoint: &Endpoint, mac: &str, more: &[&str]) -> String {
    let state = endpoint.folder().join(format!("agent-{}", mac.replace(':', "")));
    let words = ["agent", "--once", "--simulate-mac", mac, "--state-dir", state.to_str().unwrap()];
    let output = endpoint.cli(&[&words[..], more].concat());
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn row_068_agent_reboots_when_the_boot_environment_changes() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    client.collection("bootenvs").create(&json!({"Name": "other"})).await.unwrap();
    tasks(&client, &["aa"]).await;
    workflow(&client, "wf", &[("one", json!({"BootEnv": "other", "Tasks": ["aa"]}))]).await;
    let members = json!({"Name": "m1", "HardwareAddrs": [MAC], "BootEnv": "local", "Workflow": "wf"});
    let made = machine(&client, members).await;
    let said = agent(&endpoint, MAC, &[]);
    assert!(said.contains("Reboot"), "{said}");
    let changed = now(&client, &made).await;
    assert_eq!(
        (changed.boot_env.as_str(), changed.runnable, changed.workflow_complete),
        ("other", false, false)
    );
}

#[tokio::test]
async fn row_069_exit_codes_say_how_a_job_ended_and_what_the_machine_does() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let codes = [
        (0, "finished", "complete"),
        (16, "finished", "stop"),
        (32, "finished", "poweroff"),
        (64, "finished", "reboot"),
        (128, "incomplete", "complete"),
        (144, "incomplete", "stop"),
        (160, "incomplete", "poweroff"),
        (192, "incomplete", "reboot"),
        (7, "failed", "failed"),
    ];
    let mut ended = BTreeMap::new();
    for (code, ..) in codes {
        let mac = format!("52:54:00:00:69:{code:02x}");
        let made = scripted(&endpoint, &format!("exit-{code}"), &format!("exit {code}"), &mac).await;
        agent(&endpoint, &mac, &[]);
        let job: Job = client.get(&now(&client, &made).await.current_job).await.unwrap();
        ended.insert(code, (job.state.as_str().to_owned(), job.exit_state.as_str().to_owned()));
    }
    let expected = codes.map(|(code, state, exit)| (code, (state.to_owned(), exit.to_owned())));
    assert_eq!(ended, BTreeMap::from(expected));
}

#[tokio::test]
async fn task_that_does_not_end_is_ended_and_says_so() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let mac = "52:54:00:00:70:01";
    let made = scripted(&endpoint, "endless", "sleep 1000 & wait", mac).await;
    client
        .collection("machines")
        .param_set(&made.uuid, "task-timeout", &json!({"endless": 1}))
        .await
        .unwrap();
    agent(&endpoint, mac, &[]);
    let machine = now(&client, &made).await;
    let job: Job = client.get(&machine.current_job).await.unwrap();
    assert_eq!(job.state, JobState::Failed);
    assert!(machine.job_result_errors[0].contains("longer than 1 s"), "{machine:?}");
}

#[tokio::test]
async fn script_knows_how_often_its_job_has_rebooted_the_machine() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let mac = "52:54:00:00:70:02";
    let made = scripted(&endpoint, "boots", "[ \"$RS_JOB_REBOOTS\" -ge 2 ] || exit 192", mac).await;
    for _ in 0..3 {
        agent(&endpoint, mac, &[]);
    }
    let machine = now(&client, &made).await;
    assert!(machine.workflow_complete, "{machine:?}");
    let jobs = jobs(&client).await;
    assert_eq!((jobs.len(), jobs[0].header.meta["reboots"].as_str()), (1, "2"));
}

#[tokio::test]
async fn row_070_task_is_tried_again_after_a_pause_as_often_as_its_param_says() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let script = "echo x >>\"$RS_RUNNER_DIR/tries\"; [ $(wc -l <\"$RS_RUNNER_DIR/tries\") -ge 2 ]";
    let made = scripted(&endpoint, "flaky", script, MAC).await;
    client.collection("machines").param_set(&made.uuid, "task-retry", &json!({"flaky": 1})).await.unwrap();
    agent(&endpoint, MAC, &[]);
    let through = now(&client, &made).await;
    assert!(through.workflow_complete, "{through:?}");
    let tried = jobs(&client).await;
    let states: Vec<_> = tried.iter().map(|job| job.state).collect();
    assert_eq!(states, [JobState::Failed, JobState::Finished]);
    let pause = tried[1].start_time.millis() - tried[0].end_time.millis();
    assert!(pause >= 2_000, "the first pause is 2 s, this was {pause} ms");
    assert_eq!(through.retry_task_attempt, 0);
}

#[tokio::test]
async fn row_071_single_step_and_stop_at_hold_the_machine_between_tasks() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    tasks(&client, &["aa", "bb", "cc"]).await;
    let params = json!({"task-single-step": true, "task-stop-at": ["cc"]});
    let made = machine(&client, json!({"Name": "m1", "Tasks": ["aa", "bb", "cc"], "Params": params})).await;
    let run = || async {
        client.patch::<Machine>(&made.uuid, &[PatchOp::replace("/Runnable", true)]).await.unwrap()
    };
    end(&client, &next(&client, &made).await.unwrap(), "finished").await;
    assert!(!now(&client, &made).await.runnable, "one step was made");
    client.collection("machines").param_remove(&made.uuid, "task-single-step").await.unwrap();
    run().await;
    let second = next(&client, &made).await.unwrap();
    assert_eq!(second.task, "bb");
    end(&client, &second, "finished").await;
    assert!(now(&client, &made).await.runnable);
    assert!(next(&client, &made).await.is_none());
    assert!(!now(&client, &made).await.runnable, "it stops before the named task");
    run().await;
    assert_eq!(next(&client, &made).await.unwrap().task, "cc");
}

#[tokio::test]
async fn row_072_context_hands_the_tasks_to_the_agent_that_is_in_it() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    client.collection("contexts").create(&json!({"Name": "shelf"})).await.unwrap();
    for (name, script) in [("inside", "echo in ${RS_CONTEXT:-nothing}"), ("outside", "true")] {
        let task =
            json!({"Name": name, "Templates": [{"Name": "s", "Contents": format!("#!/bin/sh\n{script}\n")}]});
        client.collection("tasks").create(&task).await.unwrap();
    }
    let list = json!(["context:shelf", "inside", "context:", "outside"]);
    workflow(&client, "wf", &[("one", json!({"Tasks": list}))]).await;
    let made = machine(&client, json!({"Name": "m1", "HardwareAddrs": [MAC], "Workflow": "wf"})).await;
    let mut events = client.events().await.unwrap();
    events.register(&format!("machines.*.{}", made.uuid)).await.unwrap();
    let mut agents = ["", "shelf"].map(|context| {
        let state = endpoint.folder().join(format!("agent{context}"));
        let words =
            ["agent", "--context", context, "--simulate-mac", MAC, "--state-dir", state.to_str().unwrap()];
        endpoint.command(&words).spawn().unwrap()
    });
    let mut contexts = vec![made.context.clone()];
    loop {
        let machine: Machine = serde_json::from_value(events.next().await.unwrap().object).unwrap();
        if contexts.last() != Some(&machine.context) {
            contexts.push(machine.context.clone());
        }
        if machine.workflow_complete {
            break;
        }
    }
    for agent in &mut agents {
        agent.kill().unwrap();
        agent.wait().unwrap();
    }
    assert_eq!(contexts, ["", "shelf", ""]);
    let ran = jobs(&client).await;
    let of = |task: &str| ran.iter().find(|job| job.task == task).unwrap();
    assert_eq!((of("inside").context.as_str(), of("outside").context.as_str()), ("shelf", ""));
}

#[tokio::test]
async fn bash_task_of_the_ecosystem_has_the_functions_that_it_begins_with() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let script = r#"#!/usr/bin/env bash
{{template "setup.tmpl" .}}
job_info "$RS_MC_ROLE $RS_MC_NAME on $arch"
set_param rack/row 7
[[ $(get_param rack/row) == 7 ]] || xiterr 3 "the param was not kept"
echo '{"units": [1, 2]}' | set_param rack/map
[[ $(get_param rack/map | jq -c .units) == '[1,2]' ]] || job_fail "no map was kept"
[[ $(addr_port fd00::1 80) == '[fd00::1]:80' ]] || job_fail "not as in a URL"
job_debug nobody reads this
if [[ $(get_param rack/again) != true ]]; then
  set_param rack/again true
  exit_incomplete_reboot
fi
xiterr 5 "it ends here"
"#;
    let task = json!({"Name": "old", "Templates": [{"Name": "script", "Contents": script}]});
    client.collection("tasks").create(&task).await.unwrap();
    let members = json!({"Name": "m-old", "HardwareAddrs": [MAC], "Tasks": ["old"]});
    let made = machine(&client, members).await;
    let said = agent(&endpoint, MAC, &[]);
    assert!(said.contains("Reboot"), "{said}");
    let first: Job = client.get(&now(&client, &made).await.current_job).await.unwrap();
    assert_eq!((first.state.as_str(), first.exit_state.as_str()), ("incomplete", "reboot"));
    agent(&endpoint, MAC, &[]);
    let last: Job = client.get(&now(&client, &made).await.current_job).await.unwrap();
    assert_eq!((last.uuid.as_str(), last.state.as_str()), (first.uuid.as_str(), "failed"));
    let log = String::from_utf8(client.job_log(&last.uuid).await.unwrap()).unwrap();
    assert!(log.contains("info: machine m-old on a") && log.contains("error: it ends here"), "{log}");
    assert!(!log.contains("nobody reads this"), "{log}");
    let params = client.collection("machines").params(&made.uuid, false).await.unwrap();
    assert_eq!((&params["rack/row"], &params["rack/map"]), (&json!(7), &json!({"units": [1, 2]})));
}

#[tokio::test]
async fn script_of_any_shell_has_the_functions_of_its_folder() {
    let endpoint = Endpoint::start();
    let script =
        "set -eu\n. ./helper\nset_param rack/row 7\n[ \"$(get_param rack/row)\" = 7 ]\nexit_shutdown";
    let made = scripted(&endpoint, "plain", script, MAC).await;
    let client = endpoint.client();
    let said = agent(&endpoint, MAC, &[]);
    assert!(said.contains("Poweroff"), "{said}");
    let job: Job = client.get(&now(&client, &made).await.current_job).await.unwrap();
    assert_eq!((job.state.as_str(), job.exit_state.as_str()), ("finished", "poweroff"));
}
