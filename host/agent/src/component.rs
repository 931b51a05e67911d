//! Component tasks: a job action that names a component is run in the sandbox.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use formwork_client::ClientError;
use formwork_model::{ExitState, JobAction, JobState};
use formwork_sandbox::{
    CallError, Digest, GrantCounter, Grants, Host, HostError, Invocation, Limits, MachineInfo, Optimise,
    Outcome, Sandbox, SandboxConfig, TaskCall, Turn, native,
};
use tokio::sync::OnceCell;
use tracing::Instrument as _;

mod host;

use crate::{ActionEnd, AgentError, JobPlace, clock::now_ms, outcome::Verdict};

/// Time of one call. Far more than a task needs by itself: a param that is written while the endpoint restarts waits for
/// it, and that must not fail the job. What a guest itself can use up is bounded by its fuel.
const WALL_TIME: Duration = Duration::from_secs(600);

/// Calls at once: an agent runs one job at a time.
const CALLS: u32 = 4;

/// Calls after which a task is worth the compiler that optimises. Most run once or a few times, and on a slow or an emulated
/// machine that compiler takes far longer than it can save; one that is asked again and again gets there.
const OFTEN: u32 = 200;

/// The sandbox, made when the first component comes.
pub(crate) struct Components {
    config: SandboxConfig,
    sandbox: OnceCell<Sandbox>,
    http: native::Http,
}

/// A component that a job action names.
#[derive(Clone, Debug)]
struct Call {
    name: String,
    digest: Digest,
    grants: Arc<Grants>,
    /// The grants as they were written, by which their use is counted.
    lines: Vec<String>,
    limits: Limits,
}

impl Components {
    /// Prepares to run components; nothing is made yet.
    pub(crate) fn new(config: SandboxConfig) -> Self {
        let config =
            SandboxConfig { concurrent_calls: CALLS, optimise: Optimise::AfterCalls(OFTEN), ..config };
        Self { config, sandbox: OnceCell::new(), http: native::Http::new() }
    }

    /// Runs the component of an action until it does not want to be called again.
    ///
    /// # Errors
    ///
    /// Only those of the session: what is wrong with the component is in the log, and the verdict is "failed".
    pub(crate) async fn run(&self, action: &JobAction, place: &JobPlace) -> Result<ActionEnd, AgentError> {
        let failed = Ok(ActionEnd::Verdict(Verdict::FAILED));
        let call = match call(action) {
            Ok(call) => call,
            Err(words) => {
                place.log.line(&format!("error: {words}")).await;
                return failed;
            }
        };
        for attempt in 0.. {
            let outcome = match self.call_once(&call, place, attempt).await {
                Ok(outcome) => outcome,
                Err(Failed::Agent(AgentError::Shutdown)) => return Ok(ActionEnd::Stopped),
                Err(Failed::Agent(error)) => return Err(error),
                // It was prepared, and somebody emptied the folder at once.
                Err(Failed::NotPrepared) => {
                    place.log.line("error: the compiled component is gone").await;
                    return failed;
                }
                Err(Failed::Component(words)) => {
                    place.log.line(&format!("error: {words}")).await;
                    return failed;
                }
            };
            let verdict = match outcome {
                Outcome::RetryAt(time_ms) => {
                    if self.wait(time_ms, place).await? {
                        continue;
                    }
                    return Ok(ActionEnd::Stopped);
                }
                Outcome::Failed(failure) => {
                    place.log.line(&format!("error: {}: {failure}", failure.code)).await;
                    Verdict::FAILED
                }
                Outcome::Done => Verdict::DONE,
                Outcome::Reboot => Verdict::done_and(ExitState::Reboot),
                Outcome::Poweroff => Verdict::done_and(ExitState::Poweroff),
                Outcome::Stop => Verdict::done_and(ExitState::Stop),
            };
            return Ok(ActionEnd::Verdict(verdict));
        }
        failed
    }

    /// Waits until a component wants to be called again. Returns false when it is not to be called again.
    async fn wait(&self, time_ms: u64, place: &JobPlace) -> Result<bool, AgentError> {
        let pause = Duration::from_millis(time_ms.saturating_sub(now_ms()));
        place.log.line(&format!("to be called again in {} ms", pause.as_millis())).await;
        tokio::select! {
            () = place.session.stop.soon.cancelled() => return Ok(false),
            () = tokio::time::sleep(pause) => {}
        }
        // Meanwhile the machine may have been given other work.
        Ok(place.session.job_state(&place.job.uuid).await? == Some(JobState::Running))
    }

    async fn call_once(&self, call: &Call, place: &JobPlace, attempt: u32) -> Result<Outcome, Failed> {
        let sandbox = self.sandbox().await?;
        let report = match self.start(&sandbox, call, place, attempt).await {
            Err(Failed::NotPrepared) => {
                self.fetch(&sandbox, call, place).await?;
                self.start(&sandbox, call, place, attempt).await?
            }
            report => report?,
        };
        Ok(report)
    }

    async fn start(
        &self,
        sandbox: &Sandbox,
        call: &Call,
        place: &JobPlace,
        attempt: u32,
    ) -> Result<Outcome, Failed> {
        let host = Arc::new(host::AgentHost::new(place.clone(), self.http.clone()));
        let counter = Arc::new(GrantCounter::new(&call.lines, host));
        let invocation = Invocation {
            component: call.name.clone(),
            turn: Turn::of(&call.name, &place.machine.uuid),
            grants: Arc::clone(&call.grants),
            limits: call.limits.clone(),
            host: Some(Arc::clone(&counter) as Arc<dyn Host>),
        };
        let task = TaskCall { machine: place.info(), attempt, now_ms: now_ms() };
        let span = tracing::info_span!("job", uuid = place.job.uuid, digest = %call.digest);
        let report = tokio::select! {
            () = place.session.stop.soon.cancelled() => None,
            report = sandbox.asking(&call.digest, invocation).run_task(task).instrument(span) => Some(report),
        };
        place.tell_used(&counter.take()).await;
        match report.ok_or(Failed::Agent(AgentError::Shutdown))? {
            Ok(report) => Ok(report.answer),
            Err(CallError::NotPrepared { .. }) => Err(Failed::NotPrepared),
            Err(error) => Err(Failed::Component(words(&error))),
        }
    }

    /// Fetches a component, checks that it is the one that the job names, and compiles it.
    async fn fetch(&self, sandbox: &Sandbox, call: &Call, place: &JobPlace) -> Result<(), Failed> {
        let digest = &call.digest.to_string();
        let fetched = place
            .session
            .ask("fetch a component", |client| async move { client.component(digest).await })
            .await;
        let bytes = match fetched {
            Ok(bytes) => bytes,
            Err(AgentError::Refused { source, .. }) => {
                return Err(Failed::Component(format!("component `{}` ({digest}): {source}", call.name)));
            }
            Err(error) => return Err(Failed::Agent(error)),
        };
        let found = Digest::of(&bytes);
        if found != call.digest {
            let words = format!("component `{}` came with digest {found}, not {digest}", call.name);
            return Err(Failed::Component(words));
        }
        let prepared = tokio::select! {
            () = place.session.stop.soon.cancelled() => return Err(Failed::Agent(AgentError::Shutdown)),
            prepared = sandbox.prepare(&bytes) => prepared,
        };
        prepared
            .map(drop)
            .map_err(|error| Failed::Component(format!("component `{}`: {}", call.name, words(&error))))
    }

    async fn sandbox(&self) -> Result<Sandbox, Failed> {
        let make =
            || async { Sandbox::new(self.config.clone()).map_err(|error| Failed::Component(words(&error))) };
        self.sandbox.get_or_try_init(make).await.cloned()
    }
}

/// Why a call did not come to an outcome.
#[derive(Debug)]
enum Failed {
    /// The component has to be fetched first.
    NotPrepared,
    /// Something is wrong with the component, in words for the log.
    Component(String),
    /// The session failed.
    Agent(AgentError),
}

/// Reads which component an action names and what it may do.
fn call(action: &JobAction) -> Result<Call, String> {
    let member = |name: &str| action.meta.get(name).map(String::as_str).unwrap_or_default();
    let digest = member("digest").parse().map_err(|error| words(&error))?;
    let lines: Vec<String> = member("grants").lines().map(str::to_owned).collect();
    let grants = Grants::parse(&lines).map_err(|error| words(&error))?.into();
    let limits = asked_limits(member("limits"))?;
    Ok(Call { name: member("component").to_owned(), digest, grants, lines, limits })
}

/// Reads the limits that a component asks for, one a line as `fuel: 1000`. Its time is that of an agent unless it says.
fn asked_limits(lines: &str) -> Result<Limits, String> {
    let mut asked = BTreeMap::new();
    for line in lines.lines() {
        let pair =
            line.split_once(':').and_then(|(name, value)| Some((name.trim(), value.trim().parse().ok()?)));
        let (name, value) = pair.ok_or_else(|| format!("limit `{line}` is not of the form NAME: NUMBER"))?;
        asked.insert(name.to_owned(), value);
    }
    let read = Limits::from_manifest(&asked).map_err(|error| words(&error))?;
    let wall_time = if asked.contains_key("wall-time-ms") { read.wall_time } else { WALL_TIME };
    Ok(Limits { wall_time, ..read })
}

/// Returns an error with its causes in one line.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl JobPlace {
    fn info(&self) -> MachineInfo {
        MachineInfo {
            uuid: self.machine.uuid.clone(),
            name: self.machine.name.clone(),
            context: self.job.context.clone(),
            workflow: self.job.workflow.clone(),
            stage: self.job.stage.clone(),
            bootenv: self.job.boot_env.clone(),
            task: self.job.task.clone(),
            job: self.job.uuid.clone(),
        }
    }

    /// Tells the endpoint which grants a call used. It is only a count: whatever keeps it from being told, the job goes on.
    async fn tell_used(&self, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let job = &self.job.uuid;
        let told = self
            .session
            .finish("count used grants", |client| async move { client.job_grants_used(job, lines).await })
            .await;
        if let Err(error) = told {
            tracing::debug!(job.id = job, error = words(&error), "uses of grants are not counted");
        }
    }

    /// Asks as the job: with its own token where it has one (drp-behaviour.md 3.7).
    async fn ask<T, F>(
        &self,
        what: &str,
        request: impl Fn(formwork_client::Client) -> F,
    ) -> Result<T, HostError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let asked = self.session.ask(what, |client| request(self.job_client(client))).await;
        asked.map_err(|error| match (&error, error.status()) {
            (AgentError::Shutdown, _) => HostError::Unavailable(error.to_string()),
            (_, Some(422)) => HostError::Invalid(words(&error)),
            _ => HostError::Other(words(&error)),
        })
    }

    fn job_client(&self, client: formwork_client::Client) -> formwork_client::Client {
        if self.job.token.is_empty() {
            return client;
        }
        client.with_credentials(formwork_client::Credentials::Token(self.job.token.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(digest: &str, grants: &str) -> JobAction {
        let meta = [("component", "core/inventory"), ("digest", digest), ("grants", grants)];
        let meta = meta.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        JobAction { meta, ..JobAction::default() }
    }

    #[test]
    fn action_names_a_component_and_its_grants() {
        let digest = Digest::of(b"x").to_string();
        let call = call(&action(&digest, "params: write inventory/*\nfiles: /proc ro")).unwrap();
        assert_eq!(call.name, "core/inventory");
        assert!(call.grants.may_write("inventory/cpu") && !call.grants.may_read("inventory/cpu"));
        assert_eq!(call.grants.files.len(), 1);
        assert_eq!(call.lines, ["params: write inventory/*", "files: /proc ro"]);
    }

    #[test]
    fn limits_are_those_of_the_action_and_the_time_is_that_of_an_agent() {
        let read = asked_limits("fuel: 5\nmemory-bytes: 65536").unwrap();
        assert_eq!((read.fuel, read.memory_bytes, read.wall_time), (5, 65536, WALL_TIME));
        assert_eq!(asked_limits("wall-time-ms: 7").unwrap().wall_time, Duration::from_millis(7));
        assert_eq!(asked_limits("").unwrap(), Limits { wall_time: WALL_TIME, ..Limits::default() });
        for lines in ["fuel", "fuel: much", "speed: 5", "fuel: 0"] {
            assert!(asked_limits(lines).is_err(), "{lines}");
        }
    }

    #[test]
    fn digest_or_grant_that_is_not_understood_is_refused() {
        let digest = Digest::of(b"x").to_string();
        assert!(call(&action("abc", "")).unwrap_err().contains("digest"));
        assert!(call(&action(&digest, "network: all")).unwrap_err().contains("network: all"));
    }
}
