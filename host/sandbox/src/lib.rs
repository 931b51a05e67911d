//! Runs components that nobody here wrote.
//!
//! A component is looked at ([`inspect`]) before anything is compiled, compiled by a short-lived child process
//! ([`Sandbox::prepare`]), and called with only what was granted, under limits ([`Sandbox::run_task`],
//! [`Sandbox::plan`], [`Sandbox::after_job`]). A hostile component can be useless, never harmful.
//!
//! The server and the agent use this crate in the same way. Each keeps its own cache folder: what is in it is signed with
//! a key that never leaves it, and nothing else is loaded.
//!
//! | module | holds |
//! |---|---|
//! | `inspect`, `prescan` | what a component is and asks for, and whether it is fit to be compiled |
//! | `compile`, `cache` | the child process, and its signed results |
//! | `grants`, `files` | what a component may do |
//! | `state`, `limits` | what one call may use, and has used |
//! | `tracks` | one adapter per compatibility track of the WIT packages |

mod cache;
mod call;
mod compile;
mod digest;
mod engine;
mod error;
mod files;
mod grant_lines;
mod grants;
mod host;
mod inspect;
mod limits;
mod lru;
mod prescan;
mod sandbox;
mod state;
mod task;
mod tracks;
mod workflow;

pub use compile::{PrepareError, WorkerCommand, compile_worker};
pub use digest::{Digest, ParseDigestError};
pub use error::CallError;
pub use grant_lines::GrantError;
pub use grants::{FolderGrant, Grants};
pub use host::{HostError, HostFuture, Level, TaskHost};
pub use inspect::{Capability, ComponentInfo, Excess, InspectError, Kind, inspect};
pub use limits::{LimitName, Limits};
pub use sandbox::{Sandbox, SandboxConfig, SandboxError};
pub use task::{Failure, MachineInfo, Outcome, TaskCall, TaskReport};
pub use workflow::{Decision, JobReport, JobState, PlanMachine, PlanRequest, StageInfo, TaskInfo};
