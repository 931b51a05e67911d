//! A scenario: a machine, what happens to it, and what is expected.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use formwork_api::ApiError;
use formwork_model::Timestamp;
use formwork_packs::Pack;
use formwork_server::{Simulation, Step};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::commands::pack::simulate::{Stage, World};

/// The time at which a scenario begins unless it says otherwise: 2026-01-01 00:00 UTC.
const START_MS: i64 = 1_767_225_600_000;

/// A file of `tests/`. A word that is not known here is refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// The machine that it is about.
    #[serde(default)]
    machine: Value,
    /// More objects that are there before, by type.
    #[serde(default)]
    objects: BTreeMap<String, Vec<Value>>,
    /// The stage that the machine is put into.
    #[serde(default)]
    stage: String,
    /// The workflow that the machine is put into.
    #[serde(default)]
    workflow: String,
    /// An action of a plugin that is asked for on the machine.
    #[serde(default)]
    action: String,
    /// The params of the action's request.
    #[serde(default)]
    params: Map<String, Value>,
    /// The time at which it begins, in RFC 3339.
    #[serde(default)]
    start: Option<Timestamp>,
    /// The world around.
    #[serde(default)]
    world: World,
    /// What must have come of it.
    #[serde(default)]
    expect: Expect,
}

/// What must have come of a scenario. What is left out is not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Expect {
    /// The machine's task list.
    tasks: Option<Vec<String>>,
    /// The entries that were gone through, in order.
    steps: Option<Vec<String>>,
    /// Params as the machine sees them; null means that there is none.
    params: BTreeMap<String, Value>,
    /// Words that are in the logs, in this order.
    log: Vec<String>,
    /// Words that are in the reasons of failed jobs.
    errors: Vec<String>,
    /// Whether the workflow is complete; true unless errors are expected or an action is asked for.
    complete: Option<bool>,
    /// The machine's members, such as `Stage`.
    machine: Map<String, Value>,
    /// The result of the action.
    result: Option<Value>,
}

/// What came of a scenario.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub(super) steps: Vec<Step>,
    /// The logs of all steps, or of the plugins.
    log: String,
    pub(super) faults: Vec<String>,
}

impl Scenario {
    /// Plays the scenario with a pack.
    ///
    /// # Errors
    ///
    /// The pack or an object of the scenario is refused. What is not as expected is no error but a fault.
    pub(super) async fn play(&self, pack: Pack) -> Result<Played> {
        let start = self.start.unwrap_or_else(|| Timestamp::from_millis(START_MS));
        let stage = Stage::open(start, self.world.clone()).await?;
        let simulation = &stage.simulation;
        simulation.install(pack).await.map_err(refused)?;
        for (prefix, objects) in &self.objects {
            for object in objects {
                simulation.create(prefix, object.clone()).await.map_err(refused)?;
            }
        }
        let machine = simulation.create("machines", self.first_machine()).await.map_err(refused)?;
        let uuid = machine.get("Uuid").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut played = Played::default();
        if self.action.is_empty() {
            played.steps = self.work(simulation, &uuid).await.map_err(refused)?;
            played.log = played.steps.iter().map(|step| step.log.as_str()).collect();
        } else {
            self.act(simulation, &uuid, &mut played).await;
        }
        self.judge(simulation, &uuid, &mut played);
        Ok(played)
    }

    fn first_machine(&self) -> Value {
        match &self.machine {
            Value::Null => json!({"Name": "machine"}),
            Value::String(name) => json!({"Name": name}),
            machine => machine.clone(),
        }
    }

    async fn work(&self, simulation: &Simulation, uuid: &str) -> Result<Vec<Step>, ApiError> {
        let change = match (self.workflow.as_str(), self.stage.as_str()) {
            ("", "") => json!({}),
            ("", stage) => json!({"Workflow": "", "Stage": stage}),
            (workflow, _) => json!({"Workflow": workflow}),
        };
        simulation.change("machines", uuid, &change).await?;
        simulation.run(uuid).await
    }

    async fn act(&self, simulation: &Simulation, uuid: &str, played: &mut Played) {
        match simulation.act(("machines", uuid), &self.action, self.params.clone()).await {
            Ok(acted) => {
                played.log = acted.log;
                if let Some(expected) =
                    self.expect.result.as_ref().filter(|expected| **expected != acted.result)
                {
                    played.faults.push(format!("result: expected {expected}, found {}", acted.result));
                }
            }
            Err(error) => {
                let words = error.messages.join("; ");
                if self.expect.errors.is_empty() {
                    played.faults.push(format!("action {}: {words}", self.action));
                }
                let missing = self.expect.errors.iter().filter(|expected| !words.contains(expected.as_str()));
                played
                    .faults
                    .extend(missing.map(|expected| format!("errors: `{expected}` is not in `{words}`")));
            }
        }
    }

    fn judge(&self, simulation: &Simulation, uuid: &str, played: &mut Played) {
        let machine = simulation.object("machines", uuid).unwrap_or_default();
        let expect = &self.expect;
        let faults = &mut played.faults;
        let list = machine.get("Tasks").cloned().unwrap_or_default();
        if let Some(tasks) = expect.tasks.as_ref().filter(|tasks| json!(tasks) != list) {
            faults.push(format!("tasks: expected {}, found {list}", json!(tasks)));
        }
        let steps: Vec<&str> = played.steps.iter().map(|step| step.task.as_str()).collect();
        if let Some(expected) = expect.steps.as_ref().filter(|expected| **expected != steps) {
            faults.push(format!("steps: expected {expected:?}, found {steps:?}"));
        }
        for (name, expected) in &expect.params {
            let found = simulation.param(uuid, name).unwrap_or_default();
            if found != *expected {
                faults.push(format!("param {name}: expected {expected}, found {found}"));
            }
        }
        for (name, expected) in &expect.machine {
            let found = machine.get(name).cloned().unwrap_or_default();
            if found != *expected {
                faults.push(format!("machine {name}: expected {expected}, found {found}"));
            }
        }
        faults.extend(self.log_fault(&played.log));
        if self.action.is_empty() {
            faults.extend(self.ending_faults(&machine, &played.steps));
        }
    }

    /// Finds the first words that are not in the logs, after those before them.
    fn log_fault(&self, log: &str) -> Option<String> {
        let mut rest = log;
        for words in &self.expect.log {
            match rest.split_once(words.as_str()) {
                Some((_, after)) => rest = after,
                None => {
                    return Some(format!("log: `{words}` is not in the log, or not in this order:\n{log}"));
                }
            }
        }
        None
    }

    fn ending_faults(&self, machine: &Value, steps: &[Step]) -> Vec<String> {
        let mut faults = Vec::new();
        let errors: String =
            steps.iter().flat_map(|step| &step.errors).map(|error| format!("{error}\n")).collect();
        for expected in self.expect.errors.iter().filter(|expected| !errors.contains(expected.as_str())) {
            faults.push(format!("errors: `{expected}` is not in `{}`", errors.trim_end()));
        }
        let complete = machine.get("WorkflowComplete").and_then(Value::as_bool).unwrap_or(false);
        let in_workflow = !self.workflow.is_empty();
        let expected = self.expect.complete.unwrap_or(self.expect.errors.is_empty());
        let failed = steps.iter().any(|step| step.state == "failed");
        if in_workflow && complete != expected {
            let words = format!("complete: expected {expected}, found {complete}\n{errors}");
            faults.push(words.trim_end().to_owned());
        } else if failed && self.expect.errors.is_empty() && expected {
            faults.push(format!("a task failed: {}", errors.trim_end()));
        }
        faults
    }
}

/// One step in one line, and its log below it.
pub(super) fn line(step: &Step) -> String {
    let context = if step.context.is_empty() { "machine" } else { &step.context };
    let mut text = format!("{}  {:<8} {:<24} {}", step.time, context, step.task, step.state);
    for words in step.does.iter().chain(&step.errors).flat_map(|words| words.lines()).chain(step.log.lines())
    {
        text.push_str(&format!("\n    {words}"));
    }
    text
}

fn refused(error: ApiError) -> anyhow::Error {
    anyhow!("{error}")
}
