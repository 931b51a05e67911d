//! How an agent is run.

use std::{path::PathBuf, sync::Arc};

use formwork_client::{Client, Endpoint};
use formwork_sandbox::WorkerCommand;

use crate::SharedEvents;

/// How an agent is run on this computer.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The endpoint, and the credentials to begin with: a user's, a machine's or those of discovery.
    pub endpoint: Endpoint,
    /// The UNIX socket of a local proxy, which all requests go through; scripts know it as `RS_LOCAL_PROXY`. None by default.
    pub socket: Option<PathBuf>,
    /// The context whose jobs are run; empty for the machine's own.
    pub context: String,
    /// The folder for job files, compiled components and what a restart should know. Not shared with another agent.
    pub state_dir: PathBuf,
    /// The folder in which each job gets its own; below the state folder by default, or where the param `runner-tmpdir`
    /// says. Scripts know theirs as `RS_TASK_DIR`.
    pub task_dir: Option<PathBuf>,
    /// The folder that all jobs share; beside that of the jobs by default. Scripts know it as `RS_RUNNER_DIR`.
    pub runner_dir: Option<PathBuf>,
    /// What a reboot or a power-off means.
    pub power: PowerMode,
    /// Which machine this is.
    pub identity: Identity,
    /// True to end when there is nothing left to do, or nothing without an operator, instead of waiting for more.
    pub once: bool,
    /// The program that compiles components.
    pub compile_worker: WorkerCommand,
    /// The folder that keeps recordings of all calls of components; none by default.
    pub record_calls: Option<PathBuf>,
}

/// How an agent is run in any world.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The client of the caller to begin with. Agents that are given clones of one share its connections.
    pub client: Client,
    /// The context whose jobs are run; empty for the machine's own.
    pub context: String,
    /// The UUID of the machine object, when it is known already.
    pub machine: Option<String>,
    /// True to end when there is nothing left to do, or nothing without an operator, instead of waiting for more.
    pub once: bool,
    /// What wakes the agent.
    pub events: EventSource,
}

/// Where an agent hears that its machine has changed.
#[derive(Clone, Debug)]
pub enum EventSource {
    /// An event stream of its own.
    Own,
    /// One that it shares with others.
    Shared(Arc<SharedEvents>),
}

/// What a reboot or a power-off means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerMode {
    /// The machine that the agent runs on does it. Needs root.
    Machine,
    /// The agent ends and says so by its exit.
    Exit,
}

/// Which machine this is, where that is not to be found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The UUID of the machine object, when it is known already.
    pub machine: Option<String>,
    /// The name of a machine object that has to be made; the host name by default.
    pub name: Option<String>,
    /// What to say instead of what this computer's hardware says.
    pub simulation: Option<Simulation>,
}

/// Invented hardware, so that several agents can run on one computer as different machines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// MAC addresses.
    pub macs: Vec<String>,
    /// The UUID that its firmware would tell.
    pub uuid: Option<String>,
}
