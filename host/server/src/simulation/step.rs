//! What happened in a simulation, entry by entry.

use formwork_model::Timestamp;
use serde::Serialize;

/// One entry of a task list that was gone through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Step {
    /// When it began, by the invented clock.
    pub time: Timestamp,
    /// The machine's stage.
    pub stage: String,
    /// The entry: a task, or something like `bootenv:local`.
    pub task: String,
    /// Where it runs: empty for the machine itself.
    pub context: String,
    /// What became of its job: `finished`, `failed`, `incomplete`.
    pub state: String,
    /// How it ended: `complete`, `reboot`, ...
    pub exit_state: String,
    /// Why it failed.
    pub errors: Vec<String>,
    /// What an agent would do, or what was waited for, a line each.
    pub does: Vec<String>,
    /// The log of the job.
    pub log: String,
}
