//! Tasks: what goes into a call and what comes out, the same for all tracks.

use std::sync::Arc;
use std::time::Duration;

use crate::{Grants, Limits, TaskHost};

/// One call of a task.
#[derive(Clone)]
pub struct TaskCall {
    /// The component's name, for errors and spans.
    pub component_name: String,
    /// What it may do.
    pub grants: Grants,
    /// What it may use, capped by the site's limits.
    pub limits: Limits,
    /// The machine that it works for.
    pub machine: MachineInfo,
    /// The time, in milliseconds since 1970-01-01 00:00 UTC. The only clock that the guest has.
    pub now_ms: u64,
    /// What the host does for it.
    pub host: Arc<dyn TaskHost>,
}

/// The machine that a task works for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineInfo {
    /// Lower-case UUID.
    pub uuid: String,
    /// The machine's name.
    pub name: String,
    /// Where the task runs: empty for the machine itself, else the name of a context.
    pub context: String,
    /// Empty when there is none.
    pub workflow: String,
    /// The machine's stage.
    pub stage: String,
    /// The machine's boot environment.
    pub bootenv: String,
    /// The entry of the task list that runs.
    pub task: String,
    /// UUID of the job.
    pub job: String,
}

/// What a call of a task came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskReport {
    /// What the host does next.
    pub outcome: Outcome,
    /// Units of fuel that the call used.
    pub fuel_used: u64,
    /// How long the call took.
    pub elapsed: Duration,
    /// The most bytes of memory that the guest held.
    pub memory_peak: usize,
}

/// What the host does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The step is complete.
    Done,
    /// Call again at or after this time, in milliseconds since 1970-01-01 00:00 UTC.
    RetryAt(u64),
    /// The job fails: the task refused, or met an error that it did not expect.
    Failed(Failure),
    /// Complete; reboot the machine before the next step.
    Reboot,
    /// Complete; power the machine off.
    Poweroff,
    /// Complete; the agent ends.
    Stop,
}

/// Why a component did not do its work, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default())]
pub struct Failure {
    /// Kebab-case, for programs.
    pub code: String,
    /// One sentence for the operator.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}
