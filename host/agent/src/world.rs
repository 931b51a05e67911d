//! What surrounds an agent: the machine with its hardware, programs and power.
//!
//! The loop of the agent, its jobs and its requests are the same in every world. [`LocalMachine`](crate::local::LocalMachine) is
//! the computer that the agent runs on; a simulated fleet brings worlds of its own.

use std::{fmt, future::Future, io, path::Path, pin::Pin, sync::Arc};

use formwork_api::Whoami;
use formwork_model::{ExitState, Job, JobAction, JobState, Machine};
use tokio_util::sync::CancellationToken;

use crate::{AgentError, AgentExit, KernelPlan, Verdict, log::LogWriter, session::Session};

/// What a world does that takes time.
pub type WorldFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A machine as its agent sees it.
pub trait World: fmt::Debug + Send + Sync {
    /// Returns what the hardware tells of itself, as an agent asks an endpoint which machine object this is.
    fn whoami(&self) -> Whoami;

    /// Returns names for a machine object that has to be made, best first; `uuid` will be its key.
    fn names(&self, uuid: &str) -> Vec<String>;

    /// Returns the address from which the machine reaches an endpoint, if it has one that others could use.
    fn address(&self, endpoint: &str) -> Option<String>;

    /// Is told which machine object this is, each time that an agent has found or made it by the hardware.
    fn identified<'a>(&'a self, uuid: &'a str) -> WorldFuture<'a, ()>;

    /// Returns the boot environment that is running: what was noted since the machine was booted, else `present`, which is
    /// noted then.
    fn running_boot_env(&self, present: &str) -> String;

    /// Forgets which boot environment is running: another will be.
    fn forget_boot_env(&self);

    /// Is told in which folder the operator wants jobs to be run, where he does.
    fn run_jobs_in(&self, folder: Option<&Path>);

    /// Makes ready what a job needs. It is closed again by [`World::close`], or by a next one of the same job.
    ///
    /// # Errors
    ///
    /// Words for the job's log; the job has failed.
    fn open(&self, place: &JobPlace) -> Result<(), String>;

    /// Does one action of a job.
    ///
    /// # Errors
    ///
    /// Only those of requests that the agent cannot go on without; all else is in the job's log.
    fn act<'a>(&'a self, step: Step<'a>) -> WorldFuture<'a, Result<ActionEnd, AgentError>>;

    /// Tells whether a job has said by a file of its own how exit codes are meant (drp-api.md 9.6).
    fn has_sane_codes(&self, place: &JobPlace) -> bool;

    /// Is told how a job ended that was opened, once the endpoint knows; nothing for one that was taken away.
    fn close(&self, job: &Job, end: Option<(JobState, ExitState)>);

    /// Is told that the agent waits, and the machine object as it was read before that.
    fn waits(&self, machine: &Machine);

    /// Makes a folder the root of what comes next, for the entry `chroot:` of a task list.
    ///
    /// # Errors
    ///
    /// There is no other root, or the operating system refuses.
    fn change_root(&self, folder: &str) -> io::Result<()>;

    /// Returns the network card that the running system was booted from, as boot loaders tell it: `01-` and the address
    /// with dashes. `None` when nobody told.
    fn boot_card(&self) -> Option<String>;

    /// Fetches the kernel of another boot environment and makes it ready; [`World::switch`] with [`AgentExit::Kexec`]
    /// jumps into it. May take as long as the files need, and may be given up half way.
    ///
    /// # Errors
    ///
    /// Why that cannot be, in words for the log; nothing has changed, and the machine can be rebooted.
    fn load_kernel<'a>(&'a self, plan: &'a KernelPlan) -> WorldFuture<'a, Result<(), String>>;

    /// Does to the power of the machine what the end of its agent asks for.
    ///
    /// # Errors
    ///
    /// [`AgentError::Power`].
    fn switch(&self, exit: AgentExit) -> Result<(), AgentError>;
}

/// A job that is being run.
#[derive(Clone, Debug)]
pub struct JobPlace {
    /// The machine's session.
    pub(crate) session: Arc<Session>,
    /// The machine as it was last read before the job began.
    pub machine: Machine,
    /// The job.
    pub job: Job,
    /// The job's log.
    pub log: LogWriter,
}

/// One action of a job, and when to give it up.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The job.
    pub place: &'a JobPlace,
    /// The action.
    pub action: &'a JobAction,
    /// The number of the action, from 0.
    pub index: usize,
    /// True for the last action of the job.
    pub last: bool,
    /// Cancelled when the agent is to end.
    pub stop: &'a CancellationToken,
}

/// How an action came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionEnd {
    /// A program ended by itself, with an exit code; `None` by a signal.
    Code(Option<i32>),
    /// What it comes to, whatever the task says of exit codes.
    Verdict(Verdict),
    /// It was broken off: the agent was told to end, or the job is not this agent's any more.
    Stopped,
}
