//! Migration policies: what goes into a decision and what comes out, the same for all tracks.
//!
//! The words of each stand in `wit/migration-policy-0.1`.

use serde::{Deserialize, Serialize};

use crate::Failure;

/// What kind of thing moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectKind {
    /// A machine object with its jobs and profiles, between endpoints.
    #[default]
    Machine,
    /// A running instance with its disks, between compute nodes.
    Instance,
}

/// What moves, and for whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Subject {
    /// What kind of thing it is.
    pub kind: SubjectKind,
    /// Lower-case UUID; the same before and after.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// The object as JSON text, without secrets.
    pub object: String,
    /// The endpoint or the node that it is on.
    pub source: String,
    /// Who asked.
    pub principal: String,
    /// Whether they have the rights of an operator.
    pub is_operator: bool,
    /// When they asked, in milliseconds since 1970-01-01 00:00 UTC.
    pub now_ms: u64,
}

/// A place to move to. Sizes are in bytes, and 0 where they are not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Target {
    /// The endpoint or the node.
    pub name: String,
    /// Memory that is free.
    pub memory_free_bytes: u64,
    /// Memory altogether.
    pub memory_total_bytes: u64,
    /// Disk space that is free.
    pub disk_free_bytes: u64,
    /// Disk space altogether.
    pub disk_total_bytes: u64,
    /// How many instances or machines are there, those on their way counted.
    pub instances: u32,
    /// What else is known of it, as a JSON object.
    pub facts: String,
}

/// A place that a policy would take, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Choice {
    /// The target, one of those that were listed.
    pub target: String,
    /// One sentence for the operator.
    pub reason: String,
}

/// An object that exists on both sides and differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Conflict {
    /// Prefix of its type.
    pub prefix: String,
    /// Its key.
    pub key: String,
    /// As JSON text.
    pub at_source: String,
    /// As JSON text.
    pub at_target: String,
}

/// Which of two objects is kept at the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// The one that is there.
    KeepTarget,
    /// The one that comes.
    TakeSource,
    /// This one, as JSON text.
    Merge(String),
    /// None: the migration is refused.
    Refuse(Failure),
}

/// How one copy of the disks went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SyncReport {
    /// 1 for the first copy.
    pub round: u32,
    /// What went over the network.
    pub bytes_copied: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// How much has changed meanwhile.
    pub bytes_changed: u64,
}

/// What follows a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncDecision {
    /// Copy again after so many milliseconds.
    SyncAgain(u64),
    /// Stop it, copy the rest, start it at the target.
    Switch,
    /// Leave it to the operator; the text says why.
    Pause(String),
    /// Undo everything at the target.
    Abort(Failure),
}

/// How it looks at the target after the switch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SwitchReport {
    /// Milliseconds since the switch was complete.
    pub elapsed_ms: u64,
    /// Milliseconds for which nobody answered.
    pub downtime_ms: u64,
    /// Whether it runs there as it did at the source.
    pub running: bool,
    /// What the host checked.
    #[serde(default)]
    pub checks: Vec<SwitchCheck>,
}

/// One thing that was checked after a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SwitchCheck {
    /// Its name.
    pub name: String,
    /// False when it failed or could not be checked.
    pub passed: bool,
    /// One sentence.
    pub message: String,
}

/// What follows the switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwitchDecision {
    /// It stays; the source is cleared.
    Accept,
    /// Ask again after so many milliseconds.
    Wait(u64),
    /// Back to the source.
    RollBack(Failure),
}
