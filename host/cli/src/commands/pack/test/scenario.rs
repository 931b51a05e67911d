//! A scenario: machines, what happens to them, and what is expected.

mod expect;

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use formwork_api::ApiError;
use formwork_model::Timestamp;
use formwork_packs::Pack;
use formwork_server::{Happening, Simulation, Step};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::expect::{Expect, Found, log_fault};
use crate::commands::pack::simulate::{Stage, World};

/// The time at which a scenario begins unless it says otherwise: 2026-01-01 00:00 UTC.
const START_MS: i64 = 1_767_225_600_000;

/// The type of the objects that scenarios are about.
const MACHINES: &str = "machines";

/// A file of `tests/`. A word that is not known here is refused.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Scenario {
    /// The machine that it is about.
    machine: Value,
    /// The machines that it is about, where there are several. They are played one after the other.
    machines: Vec<Value>,
    /// More objects that are there before, by type.
    objects: BTreeMap<String, Vec<Value>>,
    /// The stage that the machines are put into.
    stage: String,
    /// The workflow that the machines are put into.
    workflow: String,
    /// An action of a plugin that is asked for on the machines.
    action: String,
    /// The params of the action's request.
    params: Map<String, Value>,
    /// Events that are delivered to the plugins after all that.
    events: Vec<Event>,
    /// The time at which it begins, in RFC 3339.
    start: Option<Timestamp>,
    /// The world around.
    world: World,
    /// What must have come of it.
    expect: Expect,
}

/// An event for the plugins.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    /// The type of the object.
    #[serde(rename = "type", default = "machines")]
    kind: String,
    /// What happened.
    action: String,
    /// The key of the object; a machine's is its name. Each machine of the scenario when it is left out.
    #[serde(default)]
    key: String,
    /// The object; that which is there when it is left out.
    #[serde(default)]
    object: Option<Value>,
}

fn machines() -> String {
    MACHINES.to_owned()
}

/// What came of a scenario.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// The machines by their names, with what they went through.
    pub(super) machines: Vec<(String, Vec<Step>)>,
    pub(super) faults: Vec<String>,
}

impl Scenario {
    /// Plays the scenario with a pack.
    ///
    /// # Errors
    ///
    /// The words do not fit together, or the pack or an object of the scenario is refused. What is not as expected is no
    /// error but a fault.
    pub(super) async fn play(&self, pack: Pack) -> Result<Played> {
        let machines = self.all_machines()?;
        let start = self.start.unwrap_or_else(|| Timestamp::from_millis(START_MS));
        let stage = Stage::open(start, self.world.clone()).await?;
        let simulation = &stage.simulation;
        simulation.install(pack).await.map_err(refused)?;
        for (prefix, objects) in &self.objects {
            for object in objects {
                simulation.create(prefix, object.clone()).await.map_err(refused)?;
            }
        }
        let mut found = Vec::new();
        for machine in machines {
            found.push(Found::new(simulation.create(MACHINES, machine).await.map_err(refused)?));
        }
        if let Some(name) = self.expect.strangers(found.iter().map(|found| found.name.as_str())) {
            bail!("`expect`: `machines` has `{name}`, which is no machine of the scenario");
        }
        for machine in &mut found {
            self.go_through(simulation, machine).await?;
        }
        for event in &self.events {
            self.deliver(simulation, event, &mut found).await?;
        }
        Ok(self.judge(simulation, found))
    }

    /// Returns the machines as they are made.
    fn all_machines(&self) -> Result<Vec<Value>> {
        let one = std::slice::from_ref(&self.machine);
        let given = match (self.machine.is_null(), self.machines.as_slice()) {
            (false, [_, ..]) => bail!("a scenario has a `machine` or `machines`, not both"),
            (true, several @ [_, ..]) => several,
            _ => one,
        };
        let machine = |given: &Value| match given {
            Value::Null => json!({"Name": "machine"}),
            Value::String(name) => json!({"Name": name}),
            machine => machine.clone(),
        };
        Ok(given.iter().map(machine).collect())
    }

    /// Asks for the action on a machine, or has it go through its tasks.
    async fn go_through(&self, simulation: &Simulation, machine: &mut Found) -> Result<()> {
        if self.action.is_empty() {
            machine.steps = self.work(simulation, &machine.uuid).await.map_err(refused)?;
            return Ok(());
        }
        match simulation.act((MACHINES, &machine.uuid), &self.action, self.params.clone()).await {
            Ok(result) => machine.result = Some(result),
            Err(error) => machine.refuse(&format!("action {}", self.action), &error),
        }
        Ok(())
    }

    async fn work(&self, simulation: &Simulation, uuid: &str) -> Result<Vec<Step>, ApiError> {
        let change = match (self.workflow.as_str(), self.stage.as_str()) {
            ("", "") => json!({}),
            ("", stage) => json!({"Workflow": "", "Stage": stage}),
            (workflow, _) => json!({"Workflow": workflow}),
        };
        simulation.change(MACHINES, uuid, &change).await?;
        simulation.run(uuid).await
    }

    /// Delivers an event. What refuses it counts for the machine that it is about, or else for the first one.
    async fn deliver(&self, simulation: &Simulation, event: &Event, found: &mut [Found]) -> Result<()> {
        let Event { kind, action, key, object } = event;
        let is_about = |machine: &Found| kind == MACHINES && (key.is_empty() || *key == machine.name);
        let mut about: Vec<&mut Found> = found.iter_mut().filter(|machine| is_about(machine)).collect();
        if about.is_empty() && key.is_empty() {
            bail!("an event of type `{kind}` needs a `key`");
        }
        let keys: Vec<(String, String)> = match about.as_slice() {
            [] => vec![(key.clone(), key.clone())],
            machines => machines.iter().map(|one| (one.name.clone(), one.uuid.clone())).collect(),
        };
        if about.is_empty() {
            about = found.iter_mut().take(1).collect();
        }
        for ((shown, key), machine) in keys.into_iter().zip(about) {
            let happening =
                Happening { kind: kind.clone(), action: action.clone(), key, object: object.clone() };
            if let Err(error) = simulation.deliver(happening).await {
                machine.refuse(&format!("event {kind}.{action}.{shown}"), &error);
            }
        }
        Ok(())
    }

    /// Compares what came of it with what is expected.
    fn judge(&self, simulation: &Simulation, found: Vec<Found>) -> Played {
        let mut played = Played::default();
        let several = found.len() > 1;
        let mut log = String::new();
        for mut machine in found {
            let expect = self.expect.of(&machine.name);
            machine.machine = simulation.object(MACHINES, &machine.uuid).unwrap_or_default();
            let param = |name: &String| (name.clone(), simulation.param(&machine.uuid, name));
            machine.params = expect.params().map(param).collect();
            let faults = expect.faults(&machine, self.ends());
            let named = |fault| if several { format!("{}: {fault}", machine.name) } else { fault };
            played.faults.extend(faults.into_iter().map(named));
            log.push_str(&machine.log());
            played.machines.push((machine.name, machine.steps));
        }
        log.push_str(&simulation.plugin_log());
        played.faults.extend(log_fault(self.expect.log(), &log));
        played
    }

    /// Tells what the end of a machine's tasks is judged by.
    fn ends(&self) -> expect::Ends {
        match (self.action.as_str(), self.workflow.as_str()) {
            ("", "") => expect::Ends::Tasks,
            ("", _) => expect::Ends::Workflow,
            _ => expect::Ends::Action,
        }
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
