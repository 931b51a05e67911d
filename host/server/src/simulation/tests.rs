//! Machines that go through workflows in a simulation. The compiler is an example of this crate.

use std::collections::BTreeMap;

use formwork_sandbox::{HostAnswer, HostCall, HostError, HostFuture};
use serde_json::json;

use super::*;

/// Nothing is there.
struct Nowhere;

impl Host for Nowhere {
    fn call(&self, _: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        Box::pin(std::future::ready(Err(HostError::Unavailable(String::from("nowhere")))))
    }
}

struct Site {
    _folder: tempfile::TempDir,
    simulation: Simulation,
}

impl Site {
    async fn with(scripts: &[(&str, &[Ending])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        let scripts = scripts.iter().map(|(task, ends)| {
            ((*task).to_owned(), Script { ends: ends.to_vec(), log: format!("{task} was here\n") })
        });
        let simulation = Simulation::fresh(Surroundings {
            scratch: folder.path().to_owned(),
            worker: program.ancestors().nth(2).unwrap().join("examples/server-compile-worker"),
            start: Timestamp::from_millis(1_000_000),
            outside: Arc::new(Nowhere),
            scripts: scripts.collect::<BTreeMap<_, _>>(),
        })
        .await
        .unwrap();
        Self { _folder: folder, simulation }
    }

    /// Makes tasks of scripts, a stage of them, and a machine in it.
    async fn machine(&self, tasks: &[&str], params: Value) -> String {
        for task in tasks.iter().filter(|task| !task.contains(':')) {
            let script = json!([{"Name": "script", "Contents": "#!/bin/sh\necho {{.Machine.Name}}\n"}]);
            let task = json!({"Name": task, "Templates": script});
            self.simulation.create("tasks", task).await.unwrap();
        }
        self.simulation.create("stages", json!({"Name": "st", "Tasks": tasks})).await.unwrap();
        self.simulation.create("workflows", json!({"Name": "wf", "Stages": ["st"]})).await.unwrap();
        let machine = json!({"Name": "m1", "Workflow": "wf", "Params": params});
        let machine = self.simulation.create("machines", machine).await.unwrap();
        machine["Uuid"].as_str().unwrap().to_owned()
    }
}

fn names(steps: &[Step]) -> Vec<(&str, &str)> {
    steps.iter().map(|step| (step.task.as_str(), step.state.as_str())).collect()
}

#[tokio::test]
async fn scripts_are_rendered_told_and_end_as_the_scenario_says() {
    let site = Site::with(&[("two", &[Ending::Failed])]).await;
    let uuid = site.machine(&["one", "two", "three"], json!({})).await;
    let steps = site.simulation.run(&uuid).await.unwrap();
    assert_eq!(names(&steps), [("stage:st", "finished"), ("one", "finished"), ("two", "failed")]);
    assert_eq!(steps[1].does, ["would run script script of 18 bytes"]);
    assert!(steps[2].log.contains("two was here"), "{:?}", steps[2]);
    assert_eq!(site.simulation.object("machines", &uuid).unwrap()["WorkflowComplete"], false);
}

#[tokio::test]
async fn retry_waits_in_invented_time_only() {
    let site = Site::with(&[("one", &[Ending::Failed, Ending::Finished])]).await;
    let uuid = site.machine(&["one"], json!({"task-retry": {"one": 1}})).await;
    let began = site.simulation.now();
    let steps = site.simulation.run(&uuid).await.unwrap();
    assert_eq!(names(&steps), [("stage:st", "finished"), ("one", "failed"), ("one", "finished")]);
    assert!(site.simulation.now().millis() - began.millis() >= 2_000);
    assert_eq!(site.simulation.object("machines", &uuid).unwrap()["WorkflowComplete"], true);
}

#[tokio::test]
async fn task_that_never_ends_is_stopped_with_a_reason() {
    let site = Site::with(&[("one", &[Ending::Incomplete])]).await;
    let uuid = site.machine(&["one"], json!({})).await;
    let error = site.simulation.run(&uuid).await.unwrap_err();
    assert!(error.messages[0].contains("task one was called again and again"), "{error}");
}

#[tokio::test]
async fn plan_tells_what_would_happen_and_changes_nothing() {
    let site = Site::with(&[]).await;
    let uuid = site.machine(&["one"], json!({})).await;
    site.simulation.change("machines", &uuid, &json!({"Workflow": "", "Stage": "none"})).await.unwrap();
    let before = site.simulation.object("machines", &uuid).unwrap();
    let members = json!({"Workflow": "discover"});
    let plan = plan::plan(&site.simulation.endpoint, &uuid, members.as_object().unwrap()).await.unwrap();
    assert_eq!(plan.tasks, ["stage:discover", "inventory", "context:host", "greet", "context:"]);
    let told: Vec<&str> = plan.steps.iter().map(|step| step.task.as_str()).collect();
    assert_eq!(told, plan.tasks);
    assert_eq!(plan.steps[1].does[0], "the agent would run the component of task inventory");
    assert_eq!((plan.complete, site.simulation.object("machines", &uuid).unwrap()), (true, before));
    assert_eq!(site.simulation.param(&uuid, "greet/message"), None);
}
