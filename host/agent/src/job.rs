//! One job, from its start to its end (drp-api.md 9.3 to 9.6).

use std::{sync::Arc, time::Duration};

use formwork_model::{ExitState, Job, JobAction, JobState, Machine, Task};
use tokio::time::{sleep, timeout};

use crate::{
    ActionEnd, AgentError, JobPlace, Step, Verdict, World,
    log::JobLog,
    outcome::{Course, ExitCodes},
    session::Session,
};

/// The operating system that this agent is for, as Go names it.
const OS: &str = "linux";

/// The member of a job's meta with the seconds that a run of it may take.
const LIMIT: &str = "timeout";

/// How long after its time is over an action may take to end.
const AFTERMATH: Duration = Duration::from_secs(10);

/// How a job came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobEnd {
    /// It ended, and the endpoint knows.
    Ended(JobState, ExitState),
    /// It is not this agent's any more.
    Lost,
}

/// Tells whether a machine must not go on after a job. A work order that fails or is left incomplete is nothing to the others
/// of its machine, unless that goes down.
fn stops_the_machine(job: &Job, state: JobState, exit: ExitState) -> bool {
    let goes_down = !matches!(exit, ExitState::None | ExitState::Complete | ExitState::Failed);
    goes_down || (state != JobState::Finished && job.work_order.is_empty())
}

/// How the actions of a job came out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ending {
    State(JobState, ExitState),
    /// It failed, for a reason that is told.
    Failed(String),
    /// Nobody wants to know.
    Lost,
}

/// Runs jobs.
pub(crate) struct JobRunner {
    pub(crate) session: Arc<Session>,
    pub(crate) world: Arc<dyn World>,
}

impl JobRunner {
    /// Runs a job that was handed out, which is not ended.
    ///
    /// # Errors
    ///
    /// Those of the session.
    pub(crate) async fn run(&self, machine: &Machine, job: &Job) -> Result<JobEnd, AgentError> {
        let started = (job.state, JobState::Running);
        // One of an endpoint that knows what was asked for is running.
        if job.state != JobState::Running
            && !self.session.move_job(&job.uuid, started, ExitState::None, &[]).await?
        {
            tracing::info!(job.id = job.uuid, "the job was taken back before it began");
            return Ok(JobEnd::Lost);
        }
        tracing::info!(job.id = job.uuid, task.name = job.task, "job begins");
        let log = JobLog::open(Arc::clone(&self.session), &job.uuid);
        let place = JobPlace {
            session: Arc::clone(&self.session),
            machine: machine.clone(),
            job: job.clone(),
            log: log.writer(),
        };
        let ending = self.actions(&place).await;
        if let Ok(Ending::Failed(reason)) = &ending {
            place.log.line(&format!("error: {reason}")).await;
        }
        if let Ok(Some((state, exit))) = ending.as_ref().map(Ending::outcome) {
            place.log.line(&closing_line(job, state, exit)).await;
        }
        drop(place);
        log.close().await;
        let ending = ending?;
        let Some((state, exit)) = ending.outcome() else {
            self.world.close(job, None);
            return Ok(JobEnd::Lost);
        };
        let errors = if let Ending::Failed(reason) = ending { vec![reason] } else { Vec::new() };
        let ended = self.end(job, (state, exit), &errors).await?;
        self.world.close(job, matches!(ended, JobEnd::Ended(..)).then_some((state, exit)));
        Ok(ended)
    }

    /// Tells the endpoint how a job ended. Whatever keeps the machine from going on makes it not runnable first, so
    /// that nobody else goes on in between.
    async fn end(
        &self,
        job: &Job,
        (state, exit): (JobState, ExitState),
        errors: &[String],
    ) -> Result<JobEnd, AgentError> {
        if stops_the_machine(job, state, exit) {
            self.session.pause_machine().await?;
        }
        let kept = self.session.move_job(&job.uuid, (JobState::Running, state), exit, errors).await?;
        tracing::info!(
            job.id = job.uuid,
            task.name = job.task,
            state = state.as_str(),
            exit_state = exit.as_str(),
            "job ends"
        );
        Ok(if kept { JobEnd::Ended(state, exit) } else { JobEnd::Lost })
    }

    async fn actions(&self, place: &JobPlace) -> Result<Ending, AgentError> {
        let uuid = &place.job.uuid;
        place.log.line(&format!("task `{}` on machine `{}`", place.job.task, place.machine.name)).await;
        let rendered = self
            .session
            .ask("read the actions", |client| async move { client.job_actions(uuid, OS).await })
            .await;
        let actions = match rendered {
            Ok(actions) => actions,
            Err(AgentError::Shutdown) => return Ok(Ending::STOPPED),
            Err(AgentError::Refused { source, .. }) => {
                return Ok(Ending::Failed(format!("the task does not render: {source}")));
            }
            Err(error) => return Err(error),
        };
        if let Err(words) = self.world.open(place) {
            return Ok(Ending::Failed(words));
        }
        self.perform(&actions, place).await
    }

    async fn perform(&self, actions: &[JobAction], place: &JobPlace) -> Result<Ending, AgentError> {
        let limit = limit_of(&place.job);
        let mut is_over = std::pin::pin!(over(limit));
        for (index, action) in actions.iter().enumerate() {
            let last = index + 1 == actions.len();
            let stop = self.session.stop.soon.child_token();
            let step = Step { place, action, index, last, stop: &stop };
            let mut act = self.world.act(step);
            let end = tokio::select! {
                end = &mut act => end?,
                () = is_over.as_mut() => {
                    stop.cancel();
                    // What does not end then is left behind.
                    timeout(AFTERMATH, act).await.ok();
                    let seconds = limit.unwrap_or_default().as_secs();
                    return Ok(Ending::Failed(format!(
                        "`{}` was ended: this run of the task took longer than {seconds} s\nhint: param task-timeout",
                        action.name
                    )));
                }
            };
            let verdict = match end {
                ActionEnd::Code(code) => Verdict::of_code(code, self.exit_codes(code, place).await?),
                ActionEnd::Verdict(verdict) => verdict,
                ActionEnd::Stopped => return self.stopped(),
            };
            if let Course::End(state, exit) = verdict.course(last) {
                return Ok(match end {
                    ActionEnd::Code(code) if state == JobState::Failed => {
                        Ending::Failed(failure(action, code))
                    }
                    _ => Ending::State(state, exit),
                });
            }
        }
        Ok(Ending::State(JobState::Finished, ExitState::Complete))
    }

    /// Says how a job ends that was broken off: to be resumed when the agent ends, else it is somebody else's.
    fn stopped(&self) -> Result<Ending, AgentError> {
        Ok(if self.session.stop.soon.is_cancelled() { Ending::STOPPED } else { Ending::Lost })
    }

    /// Returns how an exit code is meant: as the task's feature flags say, else as a file in the job's folder does. Most
    /// programs end with 0, which means the same in both ways, and nobody is asked.
    async fn exit_codes(&self, code: Option<i32>, place: &JobPlace) -> Result<ExitCodes, AgentError> {
        if matches!(code, Some(0) | None) {
            return Ok(ExitCodes::Sane);
        }
        let task = &place.job.task;
        let read =
            self.session.ask("read the task", |client| async move { client.get::<Task>(task).await }).await;
        match read {
            Ok(task) if task.header.has_feature("sane-exit-codes") => Ok(ExitCodes::Sane),
            Ok(task) if task.header.has_feature("original-exit-codes") => Ok(ExitCodes::Original),
            Ok(_) | Err(AgentError::Refused { .. } | AgentError::Shutdown) => {
                Ok(if self.world.has_sane_codes(place) { ExitCodes::Sane } else { ExitCodes::Original })
            }
            Err(error) => Err(error),
        }
    }
}

impl Ending {
    /// The agent ends, the job is run again from its first action by the next one.
    const STOPPED: Self = Self::State(JobState::Incomplete, ExitState::Complete);

    /// Returns what is told the endpoint; nothing when nobody wants to know.
    fn outcome(&self) -> Option<(JobState, ExitState)> {
        match self {
            Self::State(state, exit) => Some((*state, *exit)),
            Self::Failed(_) => Some((JobState::Failed, ExitState::Failed)),
            Self::Lost => None,
        }
    }
}

/// Returns how long a run of a job may take, as the endpoint noted it; nothing where it may take as long as it wants.
fn limit_of(job: &Job) -> Option<Duration> {
    job.header.meta.get(LIMIT).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs)
}

/// Waits until a time is over; for ever where there is none.
async fn over(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}

fn failure(action: &JobAction, code: Option<i32>) -> String {
    match code {
        Some(code) => format!("script `{}` ended with exit code {code}", action.name),
        None => format!("script `{}` was ended by a signal, or did not start", action.name),
    }
}

fn closing_line(job: &Job, state: JobState, exit: ExitState) -> String {
    let (task, state) = (&job.task, state.as_str());
    match exit {
        ExitState::Complete | ExitState::Failed | ExitState::None => format!("task `{task}` {state}"),
        exit => format!("task `{task}` {state}, then {}", exit.as_str()),
    }
}
