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
//! | `job`, `outcome` | one job from its start to its end |
//! | `script`, `component`, `log` | what a job runs, and where its words go |
//! | `power` | the machine's power |
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

pub use agent::run;
pub use error::AgentError;
pub use exit::AgentExit;
pub use identify::this_machine;
pub use inventory::inventory;
pub use options::{AgentOptions, Identity, PowerMode, Simulation};
