//! Jobs: one run of one task on one machine (drp-api.md 7.10, 9).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{
    Claim, Header, Kind, Layers, Meta, Timestamp, names::other_problem, object::object, stage::entry_problem,
    word::Word,
};

/// The zero UUID: what the predecessor of a machine's first job is called.
pub const NO_JOB: &str = "00000000-0000-0000-0000-000000000000";

/// Where a job stands (drp-api.md 9.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Handed out, not begun.
    #[default]
    Created,
    /// Being executed.
    Running,
    /// Ended badly; final.
    Failed,
    /// Ended well; final.
    Finished,
    /// To be run again from its beginning.
    Incomplete,
}

impl JobState {
    const ALL: [Self; 5] = [Self::Created, Self::Running, Self::Failed, Self::Finished, Self::Incomplete];

    /// Returns the word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Finished => "finished",
            Self::Incomplete => "incomplete",
        }
    }

    /// Tells whether the job cannot change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Finished)
    }
}

/// What happens to the machine after a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExitState {
    /// Not ended.
    #[default]
    #[serde(rename = "")]
    None,
    /// The machine reboots.
    Reboot,
    /// The machine powers off.
    Poweroff,
    /// The agent ends.
    Stop,
    /// The agent goes on.
    Complete,
    /// The job failed.
    Failed,
}

impl ExitState {
    const ALL: [Self; 6] =
        [Self::None, Self::Reboot, Self::Poweroff, Self::Stop, Self::Complete, Self::Failed];

    /// Returns the word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Reboot => "reboot",
            Self::Poweroff => "poweroff",
            Self::Stop => "stop",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }
}

/// A client that says nothing of a state may say so by an empty word.
impl<'de> Deserialize<'de> for JobState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |word: &str| match word {
            "" => Some(Self::default()),
            word => Self::ALL.into_iter().find(|state| state.as_str() == word),
        };
        deserializer.deserialize_str(Word { member: "State", read })
    }
}

impl<'de> Deserialize<'de> for ExitState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |word: &str| Self::ALL.into_iter().find(|state| state.as_str() == word);
        deserializer.deserialize_str(Word { member: "ExitState", read })
    }
}

/// One attempt of one task on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Job {
    /// The key, a UUID.
    pub uuid: String,
    /// The UUID of the machine.
    pub machine: String,
    /// The machine's job before this one; the zero UUID for the first.
    pub previous: String,
    /// The task or the special entry of the list.
    pub task: String,
    /// The machine's stage when the job was made.
    pub stage: String,
    /// The machine's workflow when the job was made.
    pub workflow: String,
    /// The machine's boot environment when the job was made.
    pub boot_env: String,
    /// The context in which the job runs; empty for the machine itself.
    pub context: String,
    /// Where the job stands.
    pub state: JobState,
    /// What happens to the machine afterwards.
    pub exit_state: ExitState,
    /// When it was begun.
    pub start_time: Timestamp,
    /// When it ended.
    pub end_time: Timestamp,
    /// True when the log cannot be fetched any more.
    pub archived: bool,
    /// True for the machine's latest job.
    pub current: bool,
    /// The index in the machine's task list that the job is for.
    pub current_index: i64,
    /// The index to go on with.
    pub next_index: i64,
    /// Claims that the job's token has beyond the machine's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_claims: Vec<Claim>,
    /// The job's own token.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// True when the job tracks something else than a task of a machine.
    pub independent: bool,
    /// The type of object of an independent job.
    pub target_prefix: String,
    /// The key of the object of an independent job.
    pub target_key: String,
    /// The plugin action that is tracked.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub action: Value,
    /// The work order that the job belongs to.
    pub work_order: String,
    /// The machine's pipeline when the job was made.
    pub pipeline: String,
    /// When the server makes the machine runnable again after a failure; absent when it does not.
    /// An extension of ours: clients that do not know it ignore it.
    #[serde(skip_serializing_if = "Timestamp::is_unset")]
    pub retry_at: Timestamp,
    /// The component that the task was when the job was made, as `PACK/COMPONENT`; empty for scripts. The job keeps to
    /// it to its end, whatever happens to the pack meanwhile. This and the three below are extensions of ours.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub component: String,
    /// The BLAKE3 digest of the component's bytes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub component_digest: String,
    /// What the component was allowed then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub component_grants: Vec<String>,
    /// The limits that it asked for then.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub component_limits: BTreeMap<String, u64>,
    /// What the task says went wrong.
    pub result_errors: Vec<String>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            uuid: String::new(),
            machine: String::new(),
            previous: NO_JOB.to_owned(),
            task: String::new(),
            stage: String::new(),
            workflow: String::new(),
            boot_env: String::new(),
            context: String::new(),
            state: JobState::default(),
            exit_state: ExitState::default(),
            start_time: Timestamp::default(),
            end_time: Timestamp::default(),
            archived: false,
            current: false,
            current_index: 0,
            next_index: 0,
            extra_claims: Vec::new(),
            token: String::new(),
            independent: false,
            target_prefix: String::new(),
            target_key: String::new(),
            action: Value::Null,
            work_order: String::new(),
            pipeline: String::new(),
            retry_at: Timestamp::default(),
            component: String::new(),
            component_digest: String::new(),
            component_grants: Vec::new(),
            component_limits: BTreeMap::new(),
            result_errors: Vec::new(),
            header: Header::default(),
        }
    }
}

pub(crate) static KIND: Kind = Kind {
    indexed: &["Machine", "State", "Current", "Task", "Workflow", "WorkOrder", "StartTime", "EndTime"],
    hidden: &["Token"],
    read_only: &[
        "Current",
        "Archived",
        "Previous",
        "ExtraClaims",
        "Token",
        "Independent",
        "RetryAt",
        "Component",
        "ComponentDigest",
        "ComponentGrants",
        "ComponentLimits",
    ],
    opaque: &["Action", "ComponentLimits"],
    columns: &["Uuid", "Task", "Stage", "State", "ExitState", "StartTime", "EndTime"],
    layers: Layers::None,
    own_create: true,
    plugin_actions: Some("plugin_actions"),
    more_actions: &["log"],
    ..Kind::of::<Job>("jobs", "Uuid", "job")
};

object!(Job, KIND, key = |job| job.uuid.clone(), problems = problems);

fn problems(job: &Job) -> Vec<String> {
    let key = job.uuid.as_str();
    let task = Some(job.task.as_str()).filter(|task| !task.is_empty());
    let mut found: Vec<String> = task.and_then(|task| entry_problem(key, task, false)).into_iter().collect();
    found.extend(other_problem(key, "Stage", &job.stage));
    found
}

/// One thing that an agent does for a job, in order (drp-api.md 9.4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobAction {
    /// The template entry's name.
    pub name: String,
    /// Where to write the content; empty means execute it.
    pub path: String,
    /// The rendered text.
    pub content: String,
    /// The entry's meta map. For a component task `component`, `digest` and `grants` say what to run.
    pub meta: Meta,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn job_keeps_all_members() {
        let uuid = "3c5e7a91-2b4d-4f60-8172-93a4b5c6d7e8";
        let members = json!({
            "Uuid": uuid, "Machine": uuid, "Previous": uuid, "Task": "stress", "Stage": "burn-in",
            "Workflow": "commission", "BootEnv": "local", "Context": "shelf", "State": "incomplete",
            "ExitState": "reboot", "StartTime": "2031-01-01T00:00:00Z", "EndTime": "2031-01-01T00:00:09.5Z",
            "Archived": true, "Current": true, "CurrentIndex": 3, "NextIndex": 4,
            "ExtraClaims": [{"scope": "jobs", "action": "get", "specific": "*"}], "Token": "t0", "Independent": true,
            "TargetPrefix": "profiles", "TargetKey": "careful", "Action": {"Command": "run", "Params": {"a": null}},
            "WorkOrder": uuid, "Pipeline": "edge", "ResultErrors": ["hot"],
        });
        round_trip("jobs", members);
    }

    #[test]
    fn unknown_word_of_a_job_is_told_as_such_and_a_number_is_none() {
        for (member, value, message, is_unknown_word) in [
            ("State", json!("bogus"), "Invalid State `bogus`", true),
            ("ExitState", json!("Reboot"), "Invalid ExitState `Reboot`", true),
            ("State", json!(3), "invalid type: integer `3`, expected a word", false),
        ] {
            let error = (KIND.decode)(json!({member: value})).unwrap_err();
            assert_eq!((error.message.as_str(), error.is_unknown_word), (message, is_unknown_word));
            let old = (KIND.decode)(json!({})).unwrap();
            let error = crate::overlaid(old.as_ref(), &[member], json!({member: value})).unwrap_err();
            assert_eq!((error.message.as_str(), error.is_unknown_word), (message, is_unknown_word));
        }
        for (member, value) in [("State", json!("")), ("State", json!(null)), ("ExitState", json!(null))] {
            let job = (KIND.decode)(json!({member: value})).unwrap().to_json();
            assert_eq!((&job["State"], &job["ExitState"]), (&json!("created"), &json!("")));
        }
    }

    #[test]
    fn job_is_for_an_entry_of_a_task_list() {
        let job = Job { uuid: "j".into(), task: "sing:song".into(), stage: "1".into(), ..Job::default() };
        assert_eq!(problems(&job), ["j: Invalid Task: sing:song", "j: Invalid Stage `1`"]);
        assert!(problems(&Job::default()).is_empty());
    }
}
