//! Runs the jobs of a machine, on the machine itself.
//!
//! | module | holds |
//! |---|---|
//! | `options`, `exit` | how an agent is run, and how it ends |
//! | `hardware`, `identify` | by what the machine is known, and which object it is |
//! | `inventory` | what else there is to tell of it |
//! | `step` | what to do next: pure, a function of the machine and of what was seen before |
//! | `agent` | the loop that does it |
//! | `session`, `retry`, `wakeups` | requests that outlive a restart of the endpoint, and the event stream |
//! | `job`, `outcome`, `log` | one job from its start to its end, and where its words go |
//! | `kexec` | how a machine gets into another boot environment without its firmware |
//! | `world` | all that is not the endpoint: hardware, programs, power |
//! | `local` | the world that is this computer |
//! | `helper.sh` | functions for scripts |
//! | `script`, `component`, `power`, `loader` | what a job runs here, the power of this computer, and the kernels that it loads |
//!
//! Every request is tried again while the endpoint does not answer, and each is safe to repeat: a job is asked for under
//! a key of the agent's own choice, and a refused patch is followed by a look at what is there.

mod agent;
mod clock;
mod component;
mod error;
mod exit;
mod hardware;
mod identify;
mod inventory;
mod job;
mod kexec;
mod loader;
mod local;
mod log;
mod memory;
mod options;
mod outcome;
mod power;
mod retry;
mod script;
mod session;
mod step;
mod wakeups;
mod world;

pub use agent::{run, run_in};
pub use error::AgentError;
pub use exit::AgentExit;
pub use identify::this_machine;
pub use inventory::inventory;
pub use kexec::KernelPlan;
pub use log::LogWriter;
pub use options::{AgentOptions, EventSource, Identity, PowerMode, Setup, Simulation};
pub use outcome::Verdict;
pub use step::is_dead_end;
pub use wakeups::SharedEvents;
pub use world::{ActionEnd, JobPlace, Step, World, WorldFuture};
