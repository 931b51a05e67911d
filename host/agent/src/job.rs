//! One job, from its start to its end (drp-api.md 9.3 to 9.6).

use std::{ffi::OsString, fs, path::Path, sync::Arc};

use formwork_model::{ExitState, Job, JobAction, JobState, Machine, Task};

use crate::{
    AgentError,
    component::{ComponentEnd, Components, JobPlace},
    log::{JobLog, LogWriter},
    outcome::{Course, ExitCodes, Verdict},
    script::{ScriptEnd, Workshop},
    session::Session,
};

/// A file of this name in the folder of a job has the meaning of the task's feature flag (drp-api.md 9.6).
const SANE_FILE: &str = ".sane-exit-codes";

/// The operating system that this agent is for, as Go names it.
const OS: &str = "linux";

/// How a job came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobEnd {
    /// It ended, and the endpoint knows.
    Ended(ExitState),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    State(JobState, ExitState),
    /// Nobody wants to know.
    Lost,
}

/// Runs jobs.
pub(crate) struct JobRunner {
    pub(crate) session: Arc<Session>,
    pub(crate) components: Components,
    /// The folder in which each job gets its own.
    pub(crate) jobs_dir: std::path::PathBuf,
    /// The folder that all jobs share.
    pub(crate) runner_dir: std::path::PathBuf,
}

impl JobRunner {
    /// Runs a job that is created or incomplete.
    ///
    /// # Errors
    ///
    /// Those of the session.
    pub(crate) async fn run(&self, machine: &Machine, job: &Job) -> Result<JobEnd, AgentError> {
        let started = (job.state, JobState::Running);
        if !self.session.move_job(&job.uuid, started, ExitState::None).await? {
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
        if let Ok(Ending::State(state, exit)) = &ending {
            place.log.line(&closing_line(job, *state, *exit)).await;
        }
        drop(place);
        log.close().await;
        match ending? {
            Ending::State(state, exit) => self.end(job, state, exit).await,
            Ending::Lost => Ok(JobEnd::Lost),
        }
    }

    /// Tells the endpoint how a job ended. Whatever keeps the machine from going on makes it not runnable first, so
    /// that nobody else goes on in between.
    async fn end(&self, job: &Job, state: JobState, exit: ExitState) -> Result<JobEnd, AgentError> {
        if stops_the_machine(job, state, exit) {
            self.session.pause_machine().await?;
        }
        let kept = self.session.move_job(&job.uuid, (JobState::Running, state), exit).await?;
        tracing::info!(
            job.id = job.uuid,
            task.name = job.task,
            state = state.as_str(),
            exit_state = exit.as_str(),
            "job ends"
        );
        Ok(if kept { JobEnd::Ended(exit) } else { JobEnd::Lost })
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
                place.log.line(&format!("error: the task does not render: {source}")).await;
                return Ok(Ending::FAILED);
            }
            Err(error) => return Err(error),
        };
        let folder = self.jobs_dir.join(uuid);
        let workshop = match self.workshop(place, &folder) {
            Ok(workshop) => workshop,
            Err(error) => {
                place.log.line(&format!("error: failed to use `{}`: {error}", folder.display())).await;
                return Ok(Ending::FAILED);
            }
        };
        let ending = self.perform(&actions, place, &workshop).await;
        if matches!(ending, Ok(Ending::State(JobState::Finished | JobState::Incomplete, _))) {
            // What a failed job left is for whoever looks for the reason.
            fs::remove_dir_all(&folder).ok();
        }
        ending
    }

    /// Makes the folder of a job. One that is run again starts from an empty folder.
    fn workshop(&self, place: &JobPlace, folder: &Path) -> std::io::Result<Workshop> {
        fs::remove_dir_all(folder).ok();
        fs::create_dir_all(folder)?;
        fs::create_dir_all(&self.runner_dir)?;
        let client = self.session.client();
        let token = if place.job.token.is_empty() { client.token().unwrap_or("") } else { &place.job.token };
        let home = std::env::var_os("HOME").unwrap_or_else(|| OsString::from("/root"));
        let mut variables = vec![
            ("RS_UUID", OsString::from(&place.machine.uuid)),
            ("RS_ENDPOINT", OsString::from(client.endpoint())),
            ("RS_TOKEN", OsString::from(token)),
            ("RS_TASK_DIR", folder.into()),
            ("RS_RUNNER_DIR", self.runner_dir.clone().into()),
            ("TMPDIR", folder.into()),
            ("TMP", folder.into()),
            ("HOME", home),
        ];
        variables.extend(client.socket().map(|socket| ("RS_LOCAL_PROXY", socket.into())));
        Ok(Workshop { folder: folder.to_owned(), variables })
    }

    async fn perform(
        &self,
        actions: &[JobAction],
        place: &JobPlace,
        workshop: &Workshop,
    ) -> Result<Ending, AgentError> {
        let flagged = if actions.iter().any(is_script) { self.flag(&place.job.task).await? } else { None };
        for (index, action) in actions.iter().enumerate() {
            let verdict = if is_component(action) {
                match self.components.run(action, place).await? {
                    ComponentEnd::Verdict(verdict) => verdict,
                    ComponentEnd::Stopped => return self.stopped(),
                }
            } else if action.path.is_empty() {
                let codes = flagged.unwrap_or_else(|| codes_of_folder(&workshop.folder));
                match self.script(index, action, place, workshop).await {
                    ScriptEnd::Code(code) => Verdict::of_code(code, codes),
                    ScriptEnd::Stopped => return self.stopped(),
                }
            } else {
                file(action, &place.log, workshop).await
            };
            if let Course::End(state, exit) = verdict.course(index + 1 == actions.len()) {
                return Ok(Ending::State(state, exit));
            }
        }
        Ok(Ending::State(JobState::Finished, ExitState::Complete))
    }

    /// Says how a job ends that was broken off: to be resumed when the agent ends, else it is somebody else's.
    fn stopped(&self) -> Result<Ending, AgentError> {
        Ok(if self.session.stop.soon.is_cancelled() { Ending::STOPPED } else { Ending::Lost })
    }

    async fn script(
        &self,
        index: usize,
        action: &JobAction,
        place: &JobPlace,
        workshop: &Workshop,
    ) -> ScriptEnd {
        place.log.line(&format!("script `{}`", action.name)).await;
        let ended = workshop.run(index, action, &place.log, &self.session.stop.soon).await;
        match ended {
            Ok(end) => end,
            Err(error) => {
                place.log.line(&format!("error: script `{}` did not start: {error}", action.name)).await;
                ScriptEnd::Code(None)
            }
        }
    }

    /// Returns how the task's feature flags say that exit codes are read; `None` leaves it to a file in the folder.
    async fn flag(&self, task: &str) -> Result<Option<ExitCodes>, AgentError> {
        let read =
            self.session.ask("read the task", |client| async move { client.get::<Task>(task).await }).await;
        match read {
            Ok(task) if task.header.has_feature("sane-exit-codes") => Ok(Some(ExitCodes::Sane)),
            Ok(task) if task.header.has_feature("original-exit-codes") => Ok(Some(ExitCodes::Original)),
            Ok(_) | Err(AgentError::Refused { .. } | AgentError::Shutdown) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Ending {
    /// The agent ends, the job is run again from its first action by the next one.
    const STOPPED: Self = Self::State(JobState::Incomplete, ExitState::Complete);
    const FAILED: Self = Self::State(JobState::Failed, ExitState::Failed);
}

fn is_component(action: &JobAction) -> bool {
    action.meta.contains_key("component")
}

fn is_script(action: &JobAction) -> bool {
    action.path.is_empty() && !is_component(action)
}

fn codes_of_folder(folder: &Path) -> ExitCodes {
    if folder.join(SANE_FILE).exists() { ExitCodes::Sane } else { ExitCodes::Original }
}

async fn file(action: &JobAction, log: &LogWriter, workshop: &Workshop) -> Verdict {
    match workshop.write_file(action) {
        Ok(path) => {
            log.line(&format!("file `{}`", path.display())).await;
            Verdict::DONE
        }
        Err(error) => {
            log.line(&format!("error: failed to write `{}`: {error}", action.path)).await;
            Verdict::FAILED
        }
    }
}

fn closing_line(job: &Job, state: JobState, exit: ExitState) -> String {
    let (task, state) = (&job.task, state.as_str());
    match exit {
        ExitState::Complete | ExitState::Failed | ExitState::None => format!("task `{task}` {state}"),
        exit => format!("task `{task}` {state}, then {}", exit.as_str()),
    }
}
