//! Runs components that nobody here wrote.
//!
//! A component is looked at ([`inspect`]) before anything is compiled, compiled by a short-lived child process
//! ([`Sandbox::prepare`]), and called with only what was granted, under limits ([`Sandbox::ask`], or by the names and
//! types of the exports: [`Sandbox::run_task`] and the others). A hostile component can be useless, never harmful.
//!
//! There are two seams, both of plain data: each call of a component is a [`Question`] that comes to an [`Answer`], and
//! each call of a component to its host is a [`HostCall`] that comes to a [`HostAnswer`].
//!
//! The server and the agent use this crate in the same way. Each keeps its own cache folder: what is in it is signed with
//! a key that never leaves it, and nothing else is loaded.
//!
//! | module | holds |
//! |---|---|
//! | `inspect`, `prescan`, `world` | what a component is and asks for, and whether it is fit to be compiled |
//! | `prepare`, `compile`, `cache` | the child process that compiles, and its signed results |
//! | `engine` | the engines that run the code of each tier, and their pools |
//! | `queue` | whose call is next |
//! | `record` | calls written down with all that decided them, and replayed |
//! | `grants`, `usage`, `capabilities` | what a component may do, what of that it uses, and what it asks of its host |
//! | `host`, `native` | who answers it, and ready-made answers |
//! | `state`, `limits` | what one call may use, and has used |
//! | `question`, `entries`, `rules` | what a component is asked, and what its answers must keep |
//! | `tracks` | one adapter per compatibility track of the WIT packages |

mod cache;
mod call;
mod capabilities;
mod compile;
mod digest;
mod engine;
mod entries;
mod error;
mod grants;
mod host;
mod inspect;
mod limits;
mod lru;
mod migration;
pub mod native;
mod plugin;
mod prepare;
mod prescan;
mod question;
mod queue;
mod record;
mod recordings;
mod rules;
mod sandbox;
mod state;
mod task;
mod tracks;
mod upgrade;
mod usage;
mod workflow;
mod world;

pub use call::{Invocation, Report, Used};
pub use capabilities::http::HttpGrant;
pub use capabilities::{
    Blob, Capability, EntryKind, ExecCommand, ExecOutput, ExecStatus, FileEntry, FilesCall, HttpMethod,
    HttpRequest, HttpResponse, KvCall, Level, LogLine, ParamsCall, ProgressReport, RandomCall, SecretsCall,
};
pub use compile::{PrepareError, WorkerCommand, compile_worker};
pub use digest::{Digest, ParseDigestError};
pub use engine::Tier;
pub use entries::Asking;
pub use error::CallError;
pub use grants::{Access, FilesGrant, GrantError, Grants};
pub use host::{Host, HostAnswer, HostCall, HostError, HostFuture, Refusal};
pub use inspect::{ComponentInfo, Excess, InspectError, Kind, inspect};
pub use limits::{LimitError, LimitName, Limits};
pub use migration::{
    Choice, Conflict, Resolution, Subject, SubjectKind, SwitchCheck, SwitchDecision, SwitchReport,
    SyncDecision, SyncReport, Target,
};
pub use plugin::{ActionCall, EventCall, PluginAction, PluginDescription, PluginEvent};
pub use prepare::Optimise;
pub use question::{Answer, Question};
pub use queue::{QueueFull, Turn};
pub use record::{Difference, End, Exchange, RECORDING_FORMAT, Recorder, Recording, Replay, ReplayError};
pub use sandbox::{Sandbox, SandboxConfig, SandboxError};
pub use task::{Failure, MachineInfo, Outcome, TaskCall};
pub use upgrade::{Census, Change, Finding, Upgrade};
pub use usage::GrantCounter;
pub use workflow::{Decision, JobReport, JobState, PlanMachine, PlanRequest, StageInfo, TaskInfo};
pub use world::{WIT_PACKAGES, WitPackage};
