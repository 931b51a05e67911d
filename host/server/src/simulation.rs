//! An endpoint without a network, with invented time and invented surroundings: what a pack does is seen here before a
//! machine sees it.
//!
//! Objects, transactions, workflow components, templates and the calls of tasks are those of a real endpoint. Invented are
//! the clock, what scripts end with, and everything that a component would reach outside of the endpoint. `formwork pack
//! test` runs scenarios in one, and `formwork machines plan` a copy of what is real.

mod elsewhere;
mod plan;
mod script;
mod step;

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use formwork_api::ApiError;
use formwork_core::jobs::Answer;
use formwork_model::{
    Job, JobState, Machine, Object, Objects, ObjectsExt, Plugin, Task, Timestamp, Values, kind_of,
};
use formwork_packs::Pack;
use formwork_sandbox::{Host, Optimise};
use formwork_store::Store;
use serde_json::Value;

pub(crate) use self::plan::plan;
pub use self::{
    script::{Ending, Script},
    step::Step,
};
use crate::{
    ServeError, ServeOptions,
    auth::Caller,
    clock::Clock,
    commands::{
        jobs::create_job,
        objects::{self, Change, Request},
    },
    endpoint::Endpoint,
    housekeeping, packs,
    plugins::{self, Asked, Happening},
    runner::{self, Assigned},
    start,
};

/// Most entries that one run goes through: a list that grows for ever ends here.
const MAX_STEPS: usize = 2_000;

/// Most calls of one task for one machine: one that asks to be called again for ever ends here.
const MAX_CALLS: usize = 200;

/// An endpoint without a network.
pub struct Simulation {
    endpoint: Arc<Endpoint>,
    caller: Caller,
    /// What the scripts of tasks come to; those that are not named succeed.
    scripts: BTreeMap<String, Script>,
    /// How often a task was called, by machine and task.
    calls: Mutex<BTreeMap<(String, String), usize>>,
    /// Whether it is a copy of a real endpoint.
    is_copy: bool,
}

/// What a simulation is made of.
pub struct Surroundings {
    /// A folder of its own, for logs and compiled components.
    pub scratch: PathBuf,
    /// The program that compiles components, see [`ServeOptions::worker`].
    pub worker: PathBuf,
    /// The time at its beginning.
    pub start: Timestamp,
    /// Answers what components ask of the world outside: web services, files, programs, random bytes.
    pub outside: Arc<dyn Host>,
    /// What scripts of tasks come to, by the task's name.
    pub scripts: BTreeMap<String, Script>,
}

impl Simulation {
    /// Makes an endpoint that has nothing but the built-in pack.
    ///
    /// # Errors
    ///
    /// The folder cannot be used, or the built-in components do not compile.
    pub async fn fresh(surroundings: Surroundings) -> Result<Self, ServeError> {
        let Surroundings { scratch, worker, start, outside, scripts } = surroundings;
        let options = ServeOptions { memory: true, ..ServeOptions::new(scratch, worker) };
        // A compiler in the background would outlive the folder that it writes to.
        let never = Optimise::AfterCalls(u32::MAX);
        let mut endpoint = start::open(options, never).await?.0;
        if let Some(endpoint) = Arc::get_mut(&mut endpoint) {
            endpoint.clock = Clock::invented(start);
            endpoint.outside = Some(outside);
        }
        Ok(Self { endpoint, caller: Caller::operator(), scripts, calls: Mutex::default(), is_copy: false })
    }

    /// Makes a copy of an endpoint as it is now: nothing that happens here is seen there.
    pub(crate) fn copy_of(
        real: &Endpoint,
        scratch: &Path,
        outside: Arc<dyn Host>,
    ) -> Result<Self, ServeError> {
        let endpoint = start::copy(real, scratch, Store::memory(copied(real)), outside)?;
        Ok(Self {
            endpoint: Arc::new(endpoint),
            caller: Caller::operator(),
            scripts: BTreeMap::new(),
            calls: Mutex::default(),
            is_copy: true,
        })
    }

    /// Installs a pack with all that it asks for. Returns what is not in order with its objects.
    ///
    /// # Errors
    ///
    /// Everything that an endpoint refuses an upload for, but for a signature.
    pub async fn install(&self, pack: Pack) -> Result<Vec<String>, ApiError> {
        packs::install_at_once(&self.endpoint, pack).await
    }

    /// Tells whether the objects of a pack could be installed, whatever its components are. Nothing is kept of it.
    ///
    /// # Errors
    ///
    /// Everything that an endpoint refuses the objects of a pack for.
    pub async fn rehearse(&self, pack: Pack) -> Result<(), ApiError> {
        packs::rehearse_objects(&self.endpoint, pack).await
    }

    /// Makes an object of any type and returns it.
    ///
    /// # Errors
    ///
    /// As the API refuses it.
    pub async fn create(&self, prefix: &str, object: Value) -> Result<Value, ApiError> {
        let request = self.request(prefix)?;
        Ok(objects::create(&self.endpoint, request, object).await?.value.to_json())
    }

    /// Changes members of an object, as PATCH with a merge would; an operator does it.
    ///
    /// # Errors
    ///
    /// As the API refuses it.
    pub async fn change(&self, prefix: &str, key: &str, members: &Value) -> Result<Value, ApiError> {
        let request = self.request(prefix)?;
        let snapshot = self.endpoint.snapshot();
        let old = snapshot.find(prefix, key).ok_or_else(|| ApiError::not_found("PUT", prefix, key))?;
        let mut new = old.to_json();
        json_patch::merge(&mut new, members);
        let changed =
            objects::update(&self.endpoint, request, key.to_owned(), vec![Change::Put(new)]).await?;
        Ok(changed.value.to_json())
    }

    /// Goes through what a machine has to do, until there is nothing more to do for now.
    ///
    /// Waiting costs no time: the clock is set to the moment that is waited for.
    ///
    /// # Errors
    ///
    /// The machine is not there, a task was called 200 times, or 2,000 entries were gone through.
    pub async fn run(&self, machine: &str) -> Result<Vec<Step>, ApiError> {
        let mut told = HashSet::new();
        let mut steps: Vec<Step> = Vec::new();
        while let Some(job) = self.next(machine).await? {
            self.tell_entries(machine, &job, &mut told, &mut steps).await?;
            if steps.len() >= MAX_STEPS || self.call_number(&job) >= MAX_CALLS {
                let message = format!("task {} was called again and again and is not done", job.task);
                return Err(ApiError::new(422, "SIMULATE", message).about("machines", machine));
            }
            told.insert(job.uuid.clone());
            steps.push(self.step(&job).await?);
        }
        self.tell_entries(machine, &Job::default(), &mut told, &mut steps).await?;
        Ok(steps)
    }

    /// Tells of the entries that the endpoint went through by itself, such as `stage:` and `context:`, before a job.
    async fn tell_entries(
        &self,
        machine: &str,
        job: &Job,
        told: &mut HashSet<String>,
        steps: &mut Vec<Step>,
    ) -> Result<(), ApiError> {
        let mut entries: Vec<Arc<Job>> = self.endpoint.snapshot().list::<Job>();
        entries.retain(|one| one.machine == machine && one.uuid != job.uuid && told.insert(one.uuid.clone()));
        entries.sort_by_key(|one| (one.start_time, one.current_index));
        for entry in entries {
            steps.push(self.told(&entry, entry.start_time, Vec::new()).await?);
        }
        Ok(())
    }

    /// Has a plugin do an action on an object.
    ///
    /// # Errors
    ///
    /// No plugin offers it, a param is missing, or the plugin refuses.
    pub async fn act(
        &self,
        (prefix, key): (&str, &str),
        command: &str,
        params: serde_json::Map<String, Value>,
    ) -> Result<Value, ApiError> {
        let subject = self.endpoint.snapshot().find(prefix, key);
        let subject = subject.ok_or_else(|| ApiError::not_found("POST", prefix, key))?;
        let asked = Asked {
            subject: Some(subject),
            plugin: None,
            command: command.to_owned(),
            params: params.into_iter().collect::<Values>(),
            principal: self.caller.principal.clone(),
            job: None,
        };
        plugins::act(&self.endpoint, asked).await
    }

    /// Delivers an event, once, to all plugins that want it. Returns their names. What they change on account of it is
    /// delivered to none.
    ///
    /// # Errors
    ///
    /// There is no such object, no plugin wants the event, or some refuse it.
    pub async fn deliver(&self, event: Happening) -> Result<Vec<String>, ApiError> {
        plugins::deliver(&self.endpoint, event).await
    }

    /// Returns what the plugins have written to their logs so far, plugin by plugin.
    pub fn plugin_log(&self) -> String {
        let plugins = self.endpoint.snapshot().list::<Plugin>();
        let lines = plugins.iter().flat_map(|plugin| self.endpoint.plugins.lines.of(&plugin.name));
        lines.map(|line| format!("{}\n", line.message)).collect()
    }

    /// Returns an object as it is now.
    pub fn object(&self, prefix: &str, key: &str) -> Option<Value> {
        self.endpoint.snapshot().find(prefix, key).map(|object| object.to_json())
    }

    /// Returns a parameter as a machine sees it.
    pub fn param(&self, machine: &str, name: &str) -> Option<Value> {
        let snapshot = self.endpoint.snapshot();
        let machine = snapshot.get::<Machine>(machine)?;
        self.endpoint.vault.resolve(&snapshot, machine.as_ref(), name)
    }

    /// Returns the invented time.
    pub fn now(&self) -> Timestamp {
        self.endpoint.now()
    }

    /// Sets the clock forward by so many milliseconds.
    pub fn wait_ms(&self, millis: u64) {
        self.endpoint.clock.advance_to(self.now().plus_millis(millis));
    }

    fn request(&self, prefix: &str) -> Result<Request, ApiError> {
        let kind = kind_of(prefix)
            .ok_or_else(|| ApiError::new(404, "SIMULATE", format!("`{prefix}` is no type of object")))?;
        Ok(Request { kind, caller: self.caller.clone(), method: axum::http::Method::POST, force: false })
    }

    /// Returns the next job that somebody would run, after the time that has to pass before it.
    async fn next(&self, machine: &str) -> Result<Option<Job>, ApiError> {
        loop {
            let snapshot = self.endpoint.snapshot();
            let known = snapshot.get::<Machine>(machine);
            let known = known.ok_or_else(|| ApiError::not_found("SIMULATE", "machines", machine))?;
            if !known.runnable {
                match housekeeping::next_retry(&snapshot, &known) {
                    Some(time) => self.endpoint.clock.advance_to(time),
                    None => return Ok(None),
                }
                housekeeping::retry(&self.endpoint).await?;
                continue;
            }
            let request =
                Job { machine: machine.to_owned(), context: known.context.clone(), ..Job::default() };
            let principal = format!("runner:{machine}");
            return match create_job(&self.endpoint, &principal, request).await {
                Ok(Answer::Created(job) | Answer::Resumed(job)) => Ok(Some(*job)),
                // The list went on into another context, whose runner asks next.
                Ok(Answer::Nothing) if self.context_of(machine) != Some(known.context.clone()) => continue,
                Ok(Answer::Nothing) => Ok(None),
                // A machine that may not run says so in its errors.
                Err(error) if error.code == 409 => Ok(None),
                Err(error) => Err(error),
            };
        }
    }

    fn context_of(&self, machine: &str) -> Option<String> {
        self.endpoint.snapshot().get::<Machine>(machine).map(|machine| machine.context.clone())
    }

    /// Does what the runner or an agent would do for a job.
    async fn step(&self, job: &Job) -> Result<Step, ApiError> {
        let time = self.now();
        let mut does = Vec::new();
        if !job.state.is_final() {
            let snapshot = self.endpoint.snapshot();
            let is_component = snapshot.get::<Task>(&job.task).is_some_and(|task| !task.component.is_empty());
            let principal = format!("runner:{}", job.machine);
            let attempt = self.call_number(job);
            self.count_call(job);
            if is_component {
                let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
                let asked = Assigned { principal: &principal, job, attempt };
                let again = if self.is_elsewhere(job) {
                    let ended = elsewhere::perform(&self.endpoint, asked).await?;
                    does = ended.does;
                    ended.again
                } else {
                    runner::perform(&self.endpoint, asked).await?
                };
                if let Some(time) = again {
                    does.push(format!("waits until {time}"));
                    self.endpoint.clock.advance_to(time);
                }
            } else {
                let script = (self.scripts.get(&job.task), attempt);
                does = script::perform(&self.endpoint, &principal, job, script).await?;
            }
        }
        self.told(job, time, does).await
    }

    /// Tells whether a copy leaves a job to an agent, whose machine is not here.
    fn is_elsewhere(&self, job: &Job) -> bool {
        self.is_copy && job.context != runner::CONTEXT
    }

    /// Returns how often a machine's task was called.
    fn call_number(&self, job: &Job) -> usize {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.get(&(job.machine.clone(), job.task.clone())).copied().unwrap_or(0)
    }

    /// Counts a call of a machine's task.
    fn count_call(&self, job: &Job) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry((job.machine.clone(), job.task.clone())).or_default() += 1;
    }

    async fn told(&self, job: &Job, time: Timestamp, does: Vec<String>) -> Result<Step, ApiError> {
        let log = self.endpoint.logs.read(&job.uuid, 0, 1 << 20).await.unwrap_or_default();
        let ended = self.endpoint.snapshot().get::<Job>(&job.uuid);
        let ended = ended.ok_or_else(|| ApiError::not_found("SIMULATE", "jobs", &job.uuid))?;
        Ok(Step {
            time,
            stage: ended.stage.clone(),
            task: ended.task.clone(),
            context: ended.context.clone(),
            state: ended.state.as_str().to_owned(),
            exit_state: ended.exit_state.as_str().to_owned(),
            errors: if ended.state == JobState::Failed { ended.result_errors.clone() } else { Vec::new() },
            does,
            log: String::from_utf8_lossy(&log).into_owned(),
        })
    }
}

/// Returns what a copy needs: everything but jobs, leases and users, which are many or secret.
fn copied(real: &Endpoint) -> Vec<Arc<dyn Object>> {
    let snapshot = real.snapshot();
    let mut found = Vec::new();
    for kind in
        formwork_model::KINDS.iter().filter(|kind| !matches!(kind.prefix, "jobs" | "leases" | "users"))
    {
        snapshot.visit(kind.prefix, &mut |object| {
            found.push(Arc::clone(object));
            true
        });
    }
    found
}

#[cfg(test)]
mod tests;
