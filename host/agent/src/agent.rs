//! The agent's loop: look at the machine, decide, do it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use formwork_client::{Client, JobCreation, PatchOp};
use formwork_model::{ExitState, Job, JobState, Machine, MachineFingerprint, WorkOrder};
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    AgentError, AgentExit, AgentOptions, EventSource, Setup, World,
    identify::identify,
    job::{JobEnd, JobRunner},
    kexec,
    local::LocalMachine,
    session::{Session, Stop},
    step::{After, Next, Stepper, is_dead_end, is_orphan},
    wakeups,
};

/// After this time the machine is looked at even without an event.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A work order that waits, as for another try of its task, is looked at again after this time.
const LOOK_AT_ORDER: Duration = Duration::from_secs(2);

/// Who asks for work orders of the machine itself.
const AGENT: &str = "agent";

/// Runs the jobs of the machine that this program is on, until a task, a signal or an error ends that.
///
/// # Errors
///
/// See [`AgentError`]. An endpoint that does not answer is none: the agent waits for it.
pub async fn run(options: AgentOptions, shutdown: CancellationToken) -> Result<AgentExit, AgentError> {
    let client = Client::connect(options.endpoint.clone()).map_err(AgentError::Endpoint)?;
    let client = match &options.socket {
        Some(socket) => client.through_socket(socket).map_err(AgentError::Endpoint)?,
        None => client,
    };
    let setup = Setup {
        client,
        context: options.context.clone(),
        machine: options.identity.machine.clone(),
        once: options.once,
        events: EventSource::Own,
    };
    run_in(Arc::new(LocalMachine::new(options)?), setup, shutdown).await
}

/// Runs the jobs of a machine in any world.
///
/// # Errors
///
/// As [`run`].
pub async fn run_in(
    world: Arc<dyn World>,
    setup: Setup,
    shutdown: CancellationToken,
) -> Result<AgentExit, AgentError> {
    let exit = match live(Arc::clone(&world), setup, Stop::after(shutdown)).await {
        Err(AgentError::Shutdown) => AgentExit::Signal,
        exit => exit?,
    };
    tracing::info!(?exit, "agent ends");
    world.switch(exit)?;
    Ok(exit)
}

async fn live(world: Arc<dyn World>, setup: Setup, stop: Stop) -> Result<AgentExit, AgentError> {
    let machine = setup.machine.as_deref();
    let session = identify(setup.client.clone(), &*world, machine, &stop.soon).await?;
    let session = session.stopping(stop);
    // Only who was told the key may have been told that of a group.
    let session = if machine.is_some() { session.settled().await? } else { session };
    let session = Arc::new(session);
    // A machine without a token of its own gets one, if the endpoint lets it; else it goes on with what it has.
    if machine.is_some() {
        session.renew(&session.stop.soon).await;
    }
    let mut helpers = JoinSet::new();
    let (changed, changes) = watch::channel(0);
    let _listening = match &setup.events {
        EventSource::Own => {
            helpers.spawn(wakeups::follow(Arc::clone(&session), changed));
            None
        }
        EventSource::Shared(events) => Some(events.listen(&session.machine, changed)),
    };
    let keeper = Arc::clone(&session);
    helpers.spawn(async move { keeper.keep_token_fresh().await });
    let agent = Agent::start(world, setup, session).await?;
    agent.go_on(changes).await
}

/// What a running agent knows.
struct Agent {
    session: Arc<Session>,
    world: Arc<dyn World>,
    runner: JobRunner,
    stepper: Stepper,
    context: String,
    once: bool,
    /// After this time the machine is looked at even without an event.
    look_again: Duration,
}

impl Agent {
    /// Does what comes first: makes the machine runnable after a reboot, and fails the job of an agent that was killed.
    async fn start(world: Arc<dyn World>, setup: Setup, session: Arc<Session>) -> Result<Self, AgentError> {
        let machine = session.read_machine().await?;
        tracing::info!(machine.id = machine.uuid, machine.name = machine.name, "agent starts");
        let boot_env = world.running_boot_env(&machine.boot_env);
        if setup.context.is_empty() {
            remember_fingerprint(&session, &machine).await?;
            if !machine.runnable && boot_env == machine.boot_env {
                let operations = [PatchOp::test("/Runnable", false), PatchOp::replace("/Runnable", true)];
                session.patch_machine(&operations).await?;
            }
        }
        fail_orphan(&session, &machine.current_job, &setup.context).await?;
        if machine.work_order_mode
            && let Some(order) = pick(&session, &setup.context).await?
        {
            fail_orphan(&session, &order.current_job, &setup.context).await?;
        }
        world.run_jobs_in(runner_folder(&session).await?.as_deref());
        let runner = JobRunner { session: Arc::clone(&session), world: Arc::clone(&world) };
        let stepper = Stepper::new(&setup.context, &boot_env);
        let (context, once) = (setup.context, setup.once);
        Ok(Self { session, world, runner, stepper, context, once, look_again: LOOK_AGAIN })
    }

    async fn go_on(mut self, mut changes: watch::Receiver<u64>) -> Result<AgentExit, AgentError> {
        loop {
            // Before the machine is read: what changes after that is seen as a change.
            changes.borrow_and_update();
            let machine = self.session.read_machine().await?;
            let exit = match self.stepper.next(&machine) {
                Next::Wait { idle: true } if self.once => Some(AgentExit::Idle),
                Next::Wait { .. } => {
                    if self.once {
                        self.refuse_to_wait(&machine).await?;
                    }
                    self.world.waits(&machine);
                    self.wait(&mut changes).await?;
                    None
                }
                Next::AskForJob => self.work(&machine).await?,
                Next::ChangeStage(stage) => {
                    self.change_stage(&machine, stage).await?;
                    self.wait(&mut changes).await?;
                    None
                }
                Next::Reboot => Some(self.change_boot_env().await?),
                Next::Exit => Some(AgentExit::Stop),
            };
            if let Some(exit) = exit {
                return self.leave(exit).await;
            }
        }
    }

    /// Fails when a job keeps the machine from going on, whoever ran it, and nobody but an operator can change that.
    async fn refuse_to_wait(&self, machine: &Machine) -> Result<(), AgentError> {
        if machine.runnable || machine.current_job.is_empty() {
            return Ok(());
        }
        match self.session.read_job(&machine.current_job).await? {
            Some(job) if is_dead_end(&job) => {
                Err(AgentError::JobStopped { job: job.uuid, task: job.task, state: job.state })
            }
            _ => Ok(()),
        }
    }

    async fn wait(&self, changes: &mut watch::Receiver<u64>) -> Result<(), AgentError> {
        tokio::select! {
            () = self.session.stop.soon.cancelled() => Err(AgentError::Shutdown),
            changed = changes.changed() => {
                // The sender lives as long as this loop.
                changed.map_err(|_| AgentError::Shutdown)
            }
            () = tokio::time::sleep(self.look_again) => Ok(()),
        }
    }

    /// Asks for jobs and runs them, as long as one follows the other.
    ///
    /// After a job that went well the next one is asked for at once: the endpoint hands out none to a machine that must not go
    /// on, and then the machine is looked at.
    async fn work(&mut self, machine: &Machine) -> Result<Option<AgentExit>, AgentError> {
        let order = match machine.work_order_mode {
            true => pick(&self.session, &self.context).await?,
            false => None,
        };
        self.look_again = LOOK_AGAIN;
        let asks = order.is_some() || !machine.work_order_mode;
        let mut is_first = true;
        loop {
            let job = if asks { self.ask_for_job(machine, order.as_ref()).await? } else { None };
            let Some(job) = job else {
                if is_first {
                    self.stepper.nothing_for(machine);
                }
                if order.is_some() {
                    self.look_again = LOOK_AT_ORDER;
                }
                return Ok(None);
            };
            if job.state.is_final() {
                self.record(&job);
                return Ok(None);
            }
            let end = self.runner.run(machine, &job).await?;
            if self.session.stop.soon.is_cancelled() {
                return Ok(Some(AgentExit::Signal));
            }
            let JobEnd::Ended(state, exit) = end else { return Ok(None) };
            let next = match self.stepper.after(exit) {
                After::GoOn if state == JobState::Finished && order.is_none() => {
                    is_first = false;
                    continue;
                }
                After::GoOn => None,
                After::Stop => Some(AgentExit::Stop),
                After::Reboot => Some(AgentExit::Reboot),
                After::Poweroff => Some(AgentExit::Poweroff),
            };
            return Ok(next);
        }
    }

    /// Asks for a job under a key of the agent's choice: when the answer is lost, the job is there all the same.
    async fn ask_for_job(
        &self,
        machine: &Machine,
        order: Option<&WorkOrder>,
    ) -> Result<Option<Job>, AgentError> {
        // Those of one time lie together where jobs are stored.
        let uuid = uuid::Uuid::now_v7().to_string();
        let (context, order) = (&self.context, order.map(|order| order.uuid.as_str()));
        let (machine, job) = (&machine.uuid, &uuid);
        let asked =
            self.session
                .ask("ask for a job", |client| async move {
                    client.job_begin((machine, order), context, job).await
                })
                .await;
        match asked {
            Ok(JobCreation::Created(job) | JobCreation::Resumed(job)) => Ok(Some(job)),
            Ok(JobCreation::Nothing) => Ok(None),
            Err(error) if error.status() == Some(409) => {
                let made = self.session.read_job(job).await?;
                if made.is_none() {
                    tracing::info!(machine.id = machine, "no job for now: {error:?}");
                }
                Ok(made.filter(|job| matches!(job.state, JobState::Created | JobState::Running)))
            }
            Err(error @ AgentError::Refused { .. }) => {
                tracing::warn!(machine.id = machine, "no job: {error:?}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Does what an entry of the task list wants that the endpoint itself dealt with.
    fn record(&self, job: &Job) {
        let Some(folder) = job.task.strip_prefix("chroot:") else { return };
        match self.world.change_root(folder) {
            Ok(()) => tracing::info!(folder, "new root"),
            Err(error) => tracing::error!(folder, %error, "failed to change the root"),
        }
    }

    /// Moves a machine without a workflow to another stage (drp-api.md 9.8). The boot environment changes with it.
    async fn change_stage(&self, machine: &Machine, stage: &str) -> Result<(), AgentError> {
        self.session.pause_machine().await?;
        let operations = [PatchOp::test("/Stage", machine.stage.as_str()), PatchOp::replace("/Stage", stage)];
        if !self.session.patch_machine(&operations).await? {
            tracing::warn!(machine.id = machine.uuid, stage, "the stage could not be changed");
        }
        Ok(())
    }

    /// Brings the machine into its new boot environment: into the kernel of that where the operator allows it and it can be
    /// done, else through a reboot (drp-behaviour.md 3.10).
    async fn change_boot_env(&self) -> Result<AgentExit, AgentError> {
        if !kexec::is_allowed(&self.session).await? {
            return Ok(AgentExit::Reboot);
        }
        let loaded = tokio::select! {
            () = self.session.stop.soon.cancelled() => return Err(AgentError::Shutdown),
            loaded = kexec::load(&self.session, &*self.world) => loaded?,
        };
        let machine = self.session.machine.as_str();
        match loaded {
            Ok(()) => {
                tracing::info!(machine.id = machine, "kernel of the new boot environment loaded");
                Ok(AgentExit::Kexec)
            }
            Err(reason) => {
                tracing::warn!(
                    machine.id = machine,
                    reason,
                    "no kernel loaded, the machine is rebooted instead"
                );
                Ok(AgentExit::Reboot)
            }
        }
    }

    /// Ends. Before a reboot the machine is made not runnable, so that nothing begins that the reboot would break off.
    async fn leave(&self, exit: AgentExit) -> Result<AgentExit, AgentError> {
        if matches!(exit, AgentExit::Reboot | AgentExit::Kexec | AgentExit::Poweroff) {
            let operations = [PatchOp::test("/Context", ""), PatchOp::replace("/Runnable", false)];
            self.session.patch_machine(&operations).await?;
            self.world.forget_boot_env();
        }
        Ok(exit)
    }
}

/// Stores by what the machine is known again, if it has nothing of that yet.
async fn remember_fingerprint(session: &Session, machine: &Machine) -> Result<(), AgentError> {
    let (found, stored) = (session.fingerprint(), &machine.fingerprint);
    if *stored != MachineFingerprint::default() || *found == MachineFingerprint::default() {
        return Ok(());
    }
    let value = serde_json::to_value(found).unwrap_or(Value::Null);
    session.patch_machine(&[PatchOp::replace("/Fingerprint", value)]).await.map(drop)
}

/// Returns the work order that the machine runs next or already; nothing when none waits or it takes none now.
async fn pick(session: &Session, context: &str) -> Result<Option<WorkOrder>, AgentError> {
    let (machine, key) = (&session.machine, if context.is_empty() { AGENT } else { context });
    let picked = session
        .ask("pick a work order", |client| async move { client.work_order_pick(machine, key).await })
        .await;
    match picked {
        Err(error @ AgentError::Refused { .. }) => {
            tracing::info!(machine.id = machine, "no work order for now: {error:?}");
            Ok(None)
        }
        picked => picked,
    }
}

/// Fails the job that an agent of this context left behind when it was killed.
async fn fail_orphan(session: &Session, current_job: &str, context: &str) -> Result<(), AgentError> {
    if current_job.is_empty() {
        return Ok(());
    }
    let Some(job) = session.read_job(current_job).await? else { return Ok(()) };
    if !is_orphan(&job.context, job.state, context) {
        return Ok(());
    }
    let uuid = &job.uuid;
    let line = format!("the agent began anew while this job was {}", job.state.as_str());
    let words = format!("{line}\n");
    let words = words.as_bytes();
    let noted = session
        .ask("append to the log", |client| async move { client.job_log_append(uuid, words).await })
        .await;
    if let Err(error @ AgentError::Shutdown) = noted {
        return Err(error);
    }
    tracing::warn!(job.id = job.uuid, "job of an agent that was killed");
    session.move_job(&job.uuid, (job.state, JobState::Failed), ExitState::Failed, &[line]).await.map(drop)
}

/// Returns the folder that the operator wants job files in.
async fn runner_folder(session: &Session) -> Result<Option<PathBuf>, AgentError> {
    match session.param("runner-tmpdir").await? {
        Some(Value::String(folder)) if folder.starts_with('/') => Ok(Some(folder.into())),
        _ => Ok(None),
    }
}
