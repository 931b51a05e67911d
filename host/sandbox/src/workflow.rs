//! Workflows: what goes into a decision and what comes out, the same for all tracks.

use serde::{Deserialize, Serialize};

/// The longest task list that is taken from a component.
pub(crate) const MAX_PLAN_ENTRIES: usize = 10_000;

/// Which task list does this machine get?
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct PlanRequest {
    /// The machine before the change.
    pub machine: PlanMachine,
    /// The workflow; none plans the one stage in `stages` by itself.
    pub workflow: Option<String>,
    /// The stages in their order.
    pub stages: Vec<StageInfo>,
    /// At least the tasks that are reachable from the stages.
    pub tasks: Vec<TaskInfo>,
}

/// The machine that is planned for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct PlanMachine {
    /// Lower-case UUID.
    pub uuid: String,
    /// The machine's name.
    pub name: String,
    /// Its stage before the change.
    pub stage: String,
    /// Its boot environment before the change.
    pub bootenv: String,
    /// Its workflow before the change.
    pub workflow: String,
}

/// A stage, as the operator wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct StageInfo {
    /// The stage's name.
    pub name: String,
    /// Empty when the stage has none.
    pub bootenv: String,
    /// Task names and special entries.
    pub tasks: Vec<String>,
}

/// What must have run before a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct TaskInfo {
    /// The task's name.
    pub name: String,
    /// Names of tasks.
    pub prerequisites: Vec<String>,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// With success.
    Finished,
    /// Without.
    Failed,
    /// To be run again.
    Incomplete,
}

/// A job of the machine's current task ended: what now?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct JobReport {
    /// The task.
    pub task: String,
    /// How it ended.
    pub state: JobState,
    /// How often this task was retried already; 0 after its first run.
    #[serde(default)]
    pub attempt: u32,
    /// How many retries param `task-retry` allows for this task.
    #[serde(default)]
    pub retries: Option<u32>,
    /// What param `task-error-handlers` lists for this task.
    #[serde(default)]
    pub handlers: Vec<String>,
    /// How many error handlers are under way.
    #[serde(default)]
    pub error_depth: u32,
}

/// What the host does about a job that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Go on to the next entry.
    Advance,
    /// Run the same task again after so many milliseconds.
    RetryAfterMs(u64),
    /// Put the list aside, run these tasks, then come back to this task.
    Divert(Vec<String>),
    /// The machine stays not runnable; the text says why.
    Stop(String),
}
