//! From stages to one flat task list: drp-api.md 7.8 and 7.4, drp-behaviour.md 3.3.

use std::collections::{HashMap, HashSet};

use formwork_sdk::{Failure, PlanRequest};

/// Returns the task list of a machine.
///
/// A workflow gives, for each stage, `stage:<name>`, then `bootenv:<name>` if the stage has one that differs from the one
/// in force, then its tasks. A stage by itself gives its tasks only. Prerequisites stand before the task that needs them,
/// each once in a stretch of the list with the same boot environment.
pub(crate) fn plan(request: &PlanRequest) -> Result<Vec<String>, Failure> {
    let prerequisites =
        request.tasks.iter().map(|task| (task.name.as_str(), task.prerequisites.as_slice())).collect();
    let mut plan = Plan { prerequisites, list: Vec::new(), placed: HashSet::new(), bootenv: String::new() };
    for stage in &request.stages {
        if request.workflow.is_some() {
            plan.list.push(format!("stage:{}", stage.name));
            if !stage.bootenv.is_empty() && stage.bootenv != plan.bootenv {
                plan.list.push(format!("bootenv:{}", stage.bootenv));
                plan.enter(&stage.bootenv);
            }
        } else {
            plan.bootenv.clone_from(&stage.bootenv);
        }
        for entry in &stage.tasks {
            plan.add(entry)?;
        }
    }
    Ok(plan.list)
}

/// A list in the making.
struct Plan<'a> {
    /// What each task needs.
    prerequisites: HashMap<&'a str, &'a [String]>,
    list: Vec<String>,
    /// The tasks in the present stretch.
    placed: HashSet<&'a str>,
    /// The boot environment in force; empty at the start.
    bootenv: String,
}

impl<'a> Plan<'a> {
    /// Begins a stretch.
    fn enter(&mut self, bootenv: &str) {
        self.placed.clear();
        bootenv.clone_into(&mut self.bootenv);
    }

    /// Adds an entry of a stage. What is listed is never dropped, also when it is there already.
    fn add(&mut self, entry: &'a str) -> Result<(), Failure> {
        match entry.split_once(':') {
            Some(("bootenv", name)) if name != self.bootenv => self.enter(name),
            Some(_) => {}
            None => self.add_prerequisites(entry)?,
        }
        self.list.push(entry.to_owned());
        self.placed.insert(entry);
        Ok(())
    }

    /// Adds what a task needs, depth first, in the order in which it is listed. The path is a list of its own, as a
    /// chain may be longer than the stack is deep.
    fn add_prerequisites(&mut self, task: &'a str) -> Result<(), Failure> {
        let mut path = vec![(task, self.of(task))];
        let mut on_path = HashSet::from([task]);
        while let Some((name, left)) = path.last_mut() {
            let Some((next, rest)) = left.split_first() else {
                let name = *name;
                path.pop();
                on_path.remove(name);
                if !path.is_empty() {
                    self.list.push(name.to_owned());
                    self.placed.insert(name);
                }
                continue;
            };
            *left = rest;
            if on_path.contains(next.as_str()) {
                return Err(cycle(next, name));
            }
            if !self.placed.contains(next.as_str()) {
                on_path.insert(next);
                path.push((next, self.of(next)));
            }
        }
        Ok(())
    }

    /// What a task needs; nothing when it is not known.
    fn of(&self, task: &str) -> &'a [String] {
        self.prerequisites.get(task).copied().unwrap_or_default()
    }
}

/// The failure for tasks that need each other.
fn cycle(task: &str, by: &str) -> Failure {
    Failure::new("prerequisite-cycle", format!("task `{task}` needs itself, by way of task `{by}`"))
        .hint(format!("remove `{task}` from the prerequisites of `{by}`"))
}

#[cfg(test)]
mod tests;
