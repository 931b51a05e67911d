//! How machines go from pool to pool and are handed out (drp-api.md 13.3, drp-behaviour.md 4.6).
//!
//! A transition does to a machine what the actions of the pool say. Where these name a workflow the machine waits for its
//! end in a status of its own; [`settle`] moves on every machine whose workflow is over, whoever ended it.

use std::collections::BTreeMap;

use formwork_model::{Machine, Objects, ObjectsExt, Pool, PoolTransitionActions, Values};
use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    machine::{self, Change},
};

/// What is done with machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// They come into the pool.
    Add,
    /// They go back to the pool's parent.
    Remove,
    /// They are handed out.
    Allocate,
    /// They are taken back.
    Release,
}

/// What a call gives in place of what the pool says, member by member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Instead {
    /// The workflow; empty for none.
    #[serde(rename = "pool/workflow", skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The profiles that a machine is given.
    #[serde(rename = "pool/add-profiles", skip_serializing_if = "Option::is_none")]
    pub add_profiles: Option<Vec<String>>,
    /// The profiles that it loses.
    #[serde(rename = "pool/remove-profiles", skip_serializing_if = "Option::is_none")]
    pub remove_profiles: Option<Vec<String>>,
    /// The parameters that it is given.
    #[serde(rename = "pool/add-parameters", skip_serializing_if = "Option::is_none")]
    pub add_parameters: Option<Values>,
    /// The names of parameters that it loses.
    #[serde(rename = "pool/remove-parameters", skip_serializing_if = "Option::is_none")]
    pub remove_parameters: Option<Vec<String>>,
}

impl Instead {
    /// Returns the members of a machine that it decides about.
    #[must_use]
    pub fn members(&self) -> Vec<&'static str> {
        let profiles = self.add_profiles.is_some() || self.remove_profiles.is_some();
        let params = self.add_parameters.is_some() || self.remove_parameters.is_some();
        let all = [("Workflow", self.workflow.is_some()), ("Profiles", profiles), ("Params", params)];
        all.into_iter().filter(|(_, decides)| *decides).map(|(name, _)| name).collect()
    }

    /// Returns the names of the parameters that it gives or takes.
    #[must_use]
    pub fn params(&self) -> Vec<String> {
        let added = self.add_parameters.iter().flat_map(Values::keys);
        added.chain(self.remove_parameters.iter().flatten()).cloned().collect()
    }

    fn over(self, actions: PoolTransitionActions) -> PoolTransitionActions {
        PoolTransitionActions {
            workflow: self.workflow.unwrap_or(actions.workflow),
            add_profiles: self.add_profiles.unwrap_or(actions.add_profiles),
            remove_profiles: self.remove_profiles.unwrap_or(actions.remove_profiles),
            add_parameters: self.add_parameters.unwrap_or(actions.add_parameters),
            remove_parameters: self.remove_parameters.unwrap_or(actions.remove_parameters),
            pipeline: actions.pipeline,
            blueprint: actions.blueprint,
        }
    }
}

/// A transition that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// What is done.
    pub operation: Operation,
    /// The pool that it is about.
    pub pool: String,
    /// The pool that machines are taken from when they are added.
    pub source: String,
    /// True when status and allocation do not count.
    pub force: bool,
    /// What the call gives in place of what the pool says.
    pub instead: Instead,
}

impl Wanted {
    /// Returns the pool in which machines must be for the operation.
    #[must_use]
    pub fn from(&self) -> &str {
        match self.operation {
            Operation::Add => &self.source,
            _ => &self.pool,
        }
    }

    /// Says why a machine cannot go through the transition as it is.
    #[must_use]
    pub fn objection(&self, machine: &Machine) -> Option<String> {
        if machine.pool != self.from() {
            return Some(format!("is in pool {}", machine.pool));
        }
        if machine.locked {
            return Some(String::from("is locked"));
        }
        let (status, allocated) = match self.operation {
            Operation::Release => ("InUse", true),
            _ => ("Free", false),
        };
        if self.force || machine.pool_status == status && machine.pool_allocated == allocated {
            return None;
        }
        let held = if machine.pool_allocated { " and allocated" } else { "" };
        Some(format!("is {}{held}", machine.pool_status))
    }
}

/// Where a machine goes that leaves its pool, kept in its meta until it is there.
pub const DESTINATION: &str = "pool-destination";

/// What [`DESTINATION`] holds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Destination {
    pool: String,
    #[serde(default, skip_serializing_if = "is_plain")]
    instead: Instead,
}

fn is_plain(instead: &Instead) -> bool {
    *instead == Instead::default()
}

/// Returns the pool that machines of a pool come from and go back to.
#[must_use]
pub fn parent(objects: &(impl Objects + ?Sized), pool: &str) -> String {
    let parent = objects.get::<Pool>(pool).map(|pool| pool.parent_pool.clone()).unwrap_or_default();
    if parent.is_empty() { String::from(Pool::ROOT) } else { parent }
}

/// Begins a transition of a machine to which [`Wanted::objection`] has none.
///
/// # Errors
///
/// A machine that is to leave the root pool for itself, or actions that this endpoint cannot carry out.
pub fn begin(
    objects: &(impl Objects + ?Sized),
    mut machine: Machine,
    wanted: &Wanted,
) -> Result<Change, Refusal> {
    let pool = objects.get::<Pool>(&wanted.pool);
    let (allocating, releasing) = (
        pool.as_ref().and_then(|pool| pool.allocate_actions.clone()),
        pool.as_ref().and_then(|pool| pool.release_actions.clone()),
    );
    match wanted.operation {
        Operation::Allocate => {
            machine.pool_allocated = true;
            enact(objects, machine, wanted.instead.clone().over(allocating.unwrap_or_default()), "Building")
        }
        Operation::Release => {
            enact(objects, machine, wanted.instead.clone().over(releasing.unwrap_or_default()), "Destroying")
        }
        Operation::Add => {
            let leaves_with = Instead::default();
            let to = Destination { pool: wanted.pool.clone(), instead: wanted.instead.clone() };
            leave(objects, machine, leaves_with, &to)
        }
        Operation::Remove => {
            let to = Destination { pool: parent(objects, &wanted.pool), instead: Instead::default() };
            if to.pool == wanted.pool {
                let message = format!("machines cannot be removed from the root pool {}", wanted.pool);
                return Err(Refusal::invalid(format!("{message}\nhint: add them to another pool")));
            }
            leave(objects, machine, wanted.instead.clone(), &to)
        }
    }
}

/// Moves a machine on whose transition is over, or holds it where a task of the transition failed.
///
/// The answer may again have a workflow that begins: a machine that has left a pool enters another.
///
/// # Errors
///
/// The actions of the pool that it enters cannot be carried out.
pub fn settle(
    objects: &(impl Objects + ?Sized),
    before: &Machine,
    machine: Machine,
) -> Result<Change, Refusal> {
    if machine.workflow_complete {
        return end(objects, machine);
    }
    let fails = machine.job_state == FAILED && before.job_state != FAILED && !machine.runnable;
    Ok(Change::Ready(Box::new(if fails { hold(machine) } else { machine })))
}

/// Holds a machine whose transition cannot go on until somebody has seen to it.
#[must_use]
pub fn hold(mut machine: Machine) -> Machine {
    if let Some(held) = held(&machine.pool_status) {
        held.clone_into(&mut machine.pool_status);
    }
    machine
}

/// The state of a job whose task failed.
const FAILED: &str = "failed";

fn held(status: &str) -> Option<&'static str> {
    match status {
        "Joining" => Some("HoldJoin"),
        "Building" => Some("HoldBuild"),
        "Destroying" => Some("HoldDestroy"),
        "Leaving" => Some("HoldLeave"),
        _ => None,
    }
}

/// Tells whether a machine is on its way from one status to another.
#[must_use]
pub fn is_under_way(status: &str) -> bool {
    held(status).is_some() || status.starts_with("Hold")
}

fn end(objects: &(impl Objects + ?Sized), mut machine: Machine) -> Result<Change, Refusal> {
    match machine.pool_status.as_str() {
        "Joining" | "HoldJoin" => "Free".clone_into(&mut machine.pool_status),
        "Building" | "HoldBuild" => "InUse".clone_into(&mut machine.pool_status),
        "Destroying" | "HoldDestroy" => {
            machine.pool_allocated = false;
            "Free".clone_into(&mut machine.pool_status);
        }
        "Leaving" | "HoldLeave" => return enter(objects, machine),
        _ => {}
    }
    Ok(Change::Ready(Box::new(machine)))
}

fn leave(
    objects: &(impl Objects + ?Sized),
    mut machine: Machine,
    instead: Instead,
    to: &Destination,
) -> Result<Change, Refusal> {
    machine.pool_allocated = false;
    let actions = objects.get::<Pool>(&machine.pool).and_then(|pool| pool.exit_actions.clone());
    let text = serde_json::to_string(to).unwrap_or_default();
    machine.header.meta.insert(String::from(DESTINATION), text);
    enact(objects, machine, instead.over(actions.unwrap_or_default()), "Leaving")
}

/// Puts a machine that has left its pool into the one that it was meant for: that of its meta, else the parent.
fn enter(objects: &(impl Objects + ?Sized), mut machine: Machine) -> Result<Change, Refusal> {
    let kept = machine.header.meta.remove(DESTINATION);
    let to = kept.and_then(|text| serde_json::from_str::<Destination>(&text).ok()).unwrap_or_default();
    machine.pool = if to.pool.is_empty() { parent(objects, &machine.pool) } else { to.pool };
    let actions = objects.get::<Pool>(&machine.pool).and_then(|pool| pool.enter_actions.clone());
    enact(objects, machine, to.instead.over(actions.unwrap_or_default()), "Joining")
}

/// Does what actions say, and begins their workflow. Without one the transition is over.
fn enact(
    objects: &(impl Objects + ?Sized),
    mut machine: Machine,
    actions: PoolTransitionActions,
    status: &str,
) -> Result<Change, Refusal> {
    for (member, name) in [("Pipeline", &actions.pipeline), ("Blueprint", &actions.blueprint)] {
        if !name.is_empty() {
            return Err(Refusal::invalid(format!(
                "pool {}: this endpoint cannot start the {member} {name} of a transition yet\nhint: name a Workflow",
                machine.pool
            )));
        }
    }
    actions.remove_parameters.iter().for_each(|name| {
        machine.params.remove(name);
    });
    machine.params.extend(actions.add_parameters);
    machine.profiles.retain(|name| !actions.remove_profiles.contains(name));
    for name in actions.add_profiles {
        if !machine.profiles.contains(&name) {
            machine.profiles.push(name);
        }
    }
    status.clone_into(&mut machine.pool_status);
    if actions.workflow.is_empty() {
        return end(objects, machine);
    }
    machine.workflow = actions.workflow;
    machine.runnable = true;
    Ok(machine::begin_workflow(objects, machine))
}

/// Counts machines by why they cannot go through a transition, for a refusal that says so.
#[must_use]
pub fn told(objections: &[String]) -> String {
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    objections.iter().for_each(|words| *counted.entry(words).or_default() += 1);
    let parts: Vec<String> = counted.into_iter().map(|(words, count)| format!("{count} {words}")).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests;
