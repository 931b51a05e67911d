//! Tasks: what goes into a call and what comes out, the same for all tracks.

use serde::{Deserialize, Serialize};

/// What one call of a task is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TaskCall {
    /// The machine that it works for.
    pub machine: MachineInfo,
    /// How often this step was called for the same job before; 0 at first. Guests of track 0.1 are not told.
    #[serde(default)]
    pub attempt: u32,
    /// The time, in milliseconds since 1970-01-01 00:00 UTC.
    pub now_ms: u64,
}

/// The machine that a task works for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
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

/// What the host does next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[error("{message}{}", hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default())]
pub struct Failure {
    /// Kebab-case, for programs.
    pub code: String,
    /// One sentence for the operator.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
}
