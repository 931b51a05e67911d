//! The one way in which anything is written: decide inside a transaction, and ask a component outside of it.
//!
//! A decision that needs a workflow component cannot wait for it while the store waits. So the transaction stops
//! with a question, the component is asked, and the transaction runs again with the answer. It takes the answer
//! only if it still asks the same question, so an answer to things that have changed since is never used.

use std::{collections::HashMap, sync::Arc};

use formwork_api::ApiError;
use formwork_core::{
    Refusal, availability,
    params::Found,
    plan::{Decision, FailureReport, PlanRequest},
};
use formwork_model::{Object, Objects, Params, Timestamp, Values};
use formwork_sandbox as sandbox;
use formwork_store::{Action, Committed, Transaction, WriteError};

use crate::{
    content,
    endpoint::Endpoint,
    files::FileRoot,
    housekeeping, kinds, render,
    secure::{self, Vault},
};

/// How often a decision is begun anew because the objects changed while a component was asked.
const ATTEMPTS: usize = 32;

/// Why a transaction did not go through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// A component must say what these task lists are.
    #[error("a task list is needed")]
    Plan(Vec<PlanRequest>),
    /// A component must say what happens after a failure.
    #[error("a decision is needed")]
    Decide(Box<FailureReport>),
    /// It is refused.
    #[error("{0}")]
    Fail(Box<ApiError>),
    /// It could have gone through; it was only tried.
    #[error("it was only tried")]
    Tried,
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Fail(Box::new(error))
    }
}

/// Turns a refusal into the error of the API.
pub(crate) fn refused(prefix: &str, key: &str, refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Invalid(messages) => ApiError::invalid(prefix, key, messages),
        Refusal::Conflict(message) => ApiError::new(409, "Conflict", message).about(prefix, key),
    }
}

/// What components have answered so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// By the machine that was asked about: a transaction may move thousands.
    plans: HashMap<String, Vec<(PlanRequest, Vec<String>)>>,
    decision: Option<(FailureReport, Decision)>,
}

impl Answers {
    /// Returns the task list that answers a question, or stops to have it asked.
    pub(crate) fn plan(&self, request: PlanRequest) -> Result<Vec<String>, Stop> {
        let known =
            self.plans.get(&request.uuid).and_then(|plans| plans.iter().find(|(asked, _)| *asked == request));
        match known {
            Some((_, tasks)) => Ok(tasks.clone()),
            None => Err(Stop::Plan(vec![request])),
        }
    }

    /// Returns the decision that answers a report, or stops to have it asked.
    pub(crate) fn decide(&self, report: FailureReport) -> Result<Decision, Stop> {
        match &self.decision {
            Some((asked, decision)) if *asked == report => Ok(decision.clone()),
            _ => Err(Stop::Decide(Box::new(report))),
        }
    }
}

/// A transaction with what is needed to admit objects into it.
pub(crate) struct Work<'a> {
    /// The objects, own changes included.
    pub(crate) tx: &'a mut Transaction,
    /// What components have answered.
    pub(crate) answers: &'a Answers,
    /// The time of the change.
    pub(crate) now: Timestamp,
    files: &'a FileRoot,
    vault: &'a Vault,
}

impl Work<'_> {
    /// Returns the params of an object for another that takes its place: what is sealed to the first would be nothing to
    /// the second.
    pub(crate) fn params_in_the_clear(&self, object: &dyn Object) -> Values {
        let (prefix, key) = (object.kind().prefix, object.key());
        let mut values = object.params().map(Params::values).unwrap_or_default();
        for (name, value) in &mut values {
            let found = Found { owner: Some((prefix, key.clone())), value: value.clone() };
            if let Some(clear) = self.vault.used_or_none(&*self.tx, name, found) {
                *value = clear;
            }
        }
        values
    }

    /// Checks an object and puts it.
    pub(crate) fn put(&mut self, mut object: Box<dyn Object>) -> Result<Arc<dyn Object>, Stop> {
        let (prefix, key) = (object.kind().prefix, object.key());
        let mut wrong = render::template_problems(self.tx, object.as_ref());
        let is_new = !object.header().read_only && self.tx.find(prefix, &key).is_none();
        let look = if is_new { housekeeping::faults_at_once } else { housekeeping::faults };
        let faults = look(self.files, object.as_ref());
        let newly_secure = secure::newly_secure(self.tx, object.as_ref());
        wrong.extend(secure::protect(self.vault, self.tx, object.as_mut()));
        match availability::admit(self.tx, object.as_mut(), faults) {
            Err(Refusal::Invalid(more)) => wrong.extend(more),
            Err(conflict) => return Err(refused(prefix, &key, conflict).into()),
            Ok(()) => {}
        }
        if !wrong.is_empty() {
            return Err(ApiError::invalid(prefix, &key, wrong).into());
        }
        let stored = self.put_unchecked(object)?;
        if let Some(param) = newly_secure {
            secure::seal_holders(self.vault, self.tx, &param);
        }
        Ok(stored)
    }

    /// Puts an object that the server itself changed in ways that need no check.
    pub(crate) fn put_unchecked(&mut self, mut object: Box<dyn Object>) -> Result<Arc<dyn Object>, Stop> {
        let user = self.tx.principal().strip_prefix("user:").unwrap_or_default().to_owned();
        let header = object.header_mut();
        header.validated = true;
        if header.created_at.is_unset() {
            header.created_at = self.now;
            header.created_by.clone_from(&user);
        }
        header.last_modified_at = self.now;
        if !user.is_empty() {
            header.last_modified_by = user;
        }
        let object = object.shared();
        self.tx.put(Arc::clone(&object));
        Ok(object)
    }

    /// Ends what was decided: availability is as it will be, and what is owed to that is the endpoint's own change.
    fn settle(&mut self) {
        secure::forget(self.tx);
        // A plugin's own changes lead to others that must still be known as its own, or it could go round in circles.
        if !self.causes().is_empty() && is_asked_for(self.tx.principal()) {
            self.tx.go_on_as(SYSTEM);
        }
        self.recompute();
    }

    /// Recomputes the availability of everything that depends on what came, went or changed its own. Every transaction ends with
    /// it; in between it is for one that puts what others of it need.
    pub(crate) fn recompute(&mut self) {
        let causes = self.causes();
        if causes.is_empty() {
            return;
        }
        let files = self.files;
        let touched =
            availability::dependants(&*self.tx, causes, &|object| housekeeping::faults(files, object));
        for object in touched {
            self.tx.put(object);
        }
    }

    /// Returns what came, went or changed its availability so far.
    fn causes(&self) -> Vec<(&'static str, String)> {
        let changes = self.tx.changes();
        let causes = changes.iter().filter(|change| {
            change.action != Action::Updated
                || change.prefix == "plugin_providers"
                || change.before.as_ref().map(|object| object.header().available)
                    != change.after.as_ref().map(|object| object.header().available)
        });
        causes.map(|change| (change.prefix, change.key.to_string())).collect()
    }
}

/// Who the server is when it changes something by itself.
const SYSTEM: &str = "system";

/// Tells whether a user or an agent asked for what happens.
pub(crate) fn is_asked_for(principal: &str) -> bool {
    principal.starts_with("user:") || principal.starts_with("runner:")
}

/// Decides and commits. `decide` may run several times; it must depend on nothing but the transaction, the
/// answers and the time.
pub(crate) async fn commit<T, D>(endpoint: &Arc<Endpoint>, principal: &str, decide: D) -> Result<T, ApiError>
where
    T: Send + 'static,
    D: Fn(&mut Work<'_>) -> Result<T, Stop> + Clone + Send + 'static,
{
    commit_at(endpoint, principal, decide).await.map(|committed| committed.value)
}

/// Decides and commits, and tells the revision that the commit made.
pub(crate) async fn commit_at<T, D>(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    decide: D,
) -> Result<Committed<T>, ApiError>
where
    T: Send + 'static,
    D: Fn(&mut Work<'_>) -> Result<T, Stop> + Clone + Send + 'static,
{
    attempt(endpoint, principal, decide, |_, value| value).await?.ok_or_else(untried)
}

/// Decides about an object and commits. Returns it as it is at the revision that the commit made, with the availability
/// that the changes to others gave it.
pub(crate) async fn commit_object<D>(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    decide: D,
) -> Result<Committed<Arc<dyn Object>>, ApiError>
where
    D: Fn(&mut Work<'_>) -> Result<Arc<dyn Object>, Stop> + Clone + Send + 'static,
{
    let settled = |work: &Work<'_>, object: Arc<dyn Object>| {
        work.tx.find(object.kind().prefix, &object.key()).unwrap_or(object)
    };
    attempt(endpoint, principal, decide, settled).await?.ok_or_else(untried)
}

fn untried() -> ApiError {
    ApiError::new(500, "INTERNAL", "a transaction was tried that was to be committed")
}

/// Decides and commits; nothing comes back of a transaction that was only tried. `settled` looks at what was decided once
/// everything that depends on it has followed.
async fn attempt<T, D>(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    decide: D,
    settled: fn(&Work<'_>, T) -> T,
) -> Result<Option<Committed<T>>, ApiError>
where
    T: Send + 'static,
    D: Fn(&mut Work<'_>) -> Result<T, Stop> + Clone + Send + 'static,
{
    let mut answers = Answers::default();
    for _ in 0..ATTEMPTS {
        let (decide, given, files, now) =
            (decide.clone(), answers.clone(), endpoint.files.clone(), endpoint.now());
        let vault = Arc::clone(&endpoint.vault);
        let written = endpoint.store.write(principal, move |tx: &mut Transaction| {
            let mut work = Work { tx, answers: &given, now, files: &files, vault: &vault };
            let value = decide(&mut work)?;
            kinds::follow_workflows(&mut work)?;
            kinds::follow_declarations(work.tx)?;
            work.settle();
            Ok::<T, Stop>(settled(&work, value))
        });
        match written.await {
            Ok(committed) => return Ok(Some(committed)),
            Err(WriteError::Refused(Stop::Tried)) => return Ok(None),
            Err(WriteError::Refused(Stop::Fail(error))) => return Err(*error),
            Err(WriteError::Refused(Stop::Plan(requests))) => {
                for request in requests {
                    let tasks = ask_plan(endpoint, &request).await?;
                    answers.plans.entry(request.uuid.clone()).or_default().push((request, tasks));
                }
            }
            Err(WriteError::Refused(Stop::Decide(report))) => {
                let decision = ask_decision(endpoint, &report).await;
                answers.decision = Some((*report, decision));
            }
            Err(WriteError::Unwritable { prefix, key, reason }) => {
                return Err(ApiError::invalid(prefix, &key, vec![format!("{key}: {reason}")]));
            }
            Err(error) => return Err(internal(&error)),
        }
    }
    Err(ApiError::new(
        409,
        "Conflict",
        "the objects changed again and again while the workflow was planned\nhint: try again",
    ))
}

/// Decides as [`commit`] does, and changes nothing: what would be refused is refused.
pub(crate) async fn rehearse<D>(endpoint: &Arc<Endpoint>, principal: &str, decide: D) -> Result<(), ApiError>
where
    D: Fn(&mut Work<'_>) -> Result<(), Stop> + Clone + Send + 'static,
{
    let tried = move |work: &mut Work<'_>| {
        decide(work)?;
        Err::<(), Stop>(Stop::Tried)
    };
    attempt(endpoint, principal, tried, |_, ()| ()).await.map(drop)
}

/// Logs an error with all that is below it, and answers without the detail.
pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> ApiError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    tracing::error!(error = %text, "failed");
    ApiError::new(500, "INTERNAL", error.to_string())
}

async fn ask_plan(endpoint: &Arc<Endpoint>, request: &PlanRequest) -> Result<Vec<String>, ApiError> {
    let digest = component(endpoint, &request.component).await?;
    let question = sandbox::PlanRequest {
        machine: sandbox::PlanMachine {
            uuid: request.uuid.clone(),
            name: request.machine.clone(),
            stage: request.stage.clone(),
            bootenv: request.boot_env.clone(),
            workflow: request.workflow.clone(),
        },
        workflow: (!request.workflow.is_empty()).then(|| request.workflow.clone()),
        stages: request
            .stages
            .iter()
            .map(|stage| sandbox::StageInfo {
                name: stage.name.clone(),
                bootenv: stage.boot_env.clone(),
                tasks: stage.tasks.clone(),
            })
            .collect(),
        tasks: request
            .tasks
            .iter()
            .map(|task| sandbox::TaskInfo {
                name: task.name.clone(),
                prerequisites: task.prerequisites.clone(),
            })
            .collect(),
    };
    let invocation = sandbox::Invocation::new(&request.component, &request.uuid);
    endpoint.sandbox.asking(&digest, invocation).plan(&question).await.map_err(|error| {
        let message = format!("the workflow component {} gave no task list: {error}", request.component);
        ApiError::invalid("machines", &request.uuid, vec![message])
    })
}

/// Asks what happens after a failure. A component that gives no answer leaves the machine to an operator.
async fn ask_decision(endpoint: &Arc<Endpoint>, report: &FailureReport) -> Decision {
    let question = sandbox::JobReport {
        task: report.task.clone(),
        state: sandbox::JobState::Failed,
        attempt: report.attempt,
        retries: report.retries,
        handlers: report.handlers.clone(),
        error_depth: report.error_depth,
    };
    let answer = match component(endpoint, &report.component).await {
        Ok(digest) => endpoint
            .sandbox
            .asking(&digest, sandbox::Invocation::new(&report.component, ""))
            .after_job(&question)
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match answer {
        Ok(sandbox::Decision::Advance) => Decision::Advance,
        Ok(sandbox::Decision::RetryAfterMs(millis)) => Decision::RetryAfterMillis(millis),
        Ok(sandbox::Decision::Divert(tasks)) => Decision::Divert(tasks),
        Ok(sandbox::Decision::Stop(reason)) => Decision::Stop(reason),
        Err(error) => {
            tracing::error!(component = %report.component, %error, "no decision after a failure");
            Decision::Stop(format!("the workflow component {} gave no decision: {error}", report.component))
        }
    }
}

/// Returns the digest of a component that is compiled and ready.
async fn component(endpoint: &Arc<Endpoint>, name: &str) -> Result<sandbox::Digest, ApiError> {
    let missing =
        |why: String| ApiError::invalid("contents", name, vec![format!("component `{name}` {why}")]);
    let snapshot = endpoint.snapshot();
    let record = endpoint
        .library
        .component(&snapshot, name)
        .ok_or_else(|| missing(String::from("is not installed")))?;
    content::prepared(endpoint, &record.digest).await.map_err(missing)
}

#[cfg(test)]
mod tests;
