//! The seam on the other side: every call of a component's export is one [`Question`], and comes to one [`Answer`].
//!
//! Both are plain data with a JSON form, so that a call can be made by hand, recorded and repeated.

use serde::{Deserialize, Serialize};

use crate::{
    ActionCall, Census, Change, Choice, Conflict, Decision, EventCall, Failure, Finding, JobReport, Kind,
    Outcome, PlanRequest, PluginDescription, Resolution, Subject, SwitchDecision, SwitchReport, SyncDecision,
    SyncReport, Target, TaskCall, Upgrade,
};

/// One call of one export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Question {
    /// Task: advance the step. Answered by [`Answer::Outcome`].
    Run(TaskCall),
    /// Workflow: which task list? Answered by [`Answer::Plan`].
    Plan(PlanRequest),
    /// Workflow: what follows a job? Answered by [`Answer::Decision`].
    AfterJob(JobReport),
    /// Migration policy: may it move? Answered by [`Answer::Admission`].
    Admit(Subject),
    /// Migration policy: where to? Answered by [`Answer::Choices`].
    Rank(Subject, Vec<Target>),
    /// Migration policy: which of two objects? Answered by [`Answer::Resolution`].
    Resolve(Subject, Conflict),
    /// Migration policy: how is an object stored at the target? Answered by [`Answer::Object`].
    Transform {
        /// What moves.
        subject: Subject,
        /// Prefix of the object's type.
        prefix: String,
        /// The object as JSON text.
        object: String,
    },
    /// Migration policy: what follows a copy? Answered by [`Answer::AfterSync`].
    AfterSync(Subject, SyncReport),
    /// Migration policy: was the switch good? Answered by [`Answer::AfterSwitch`].
    AfterSwitch(Subject, SwitchReport),
    /// Upgrade step: which types does it change? Answered by [`Answer::Scope`].
    Applies(Upgrade),
    /// Upgrade step: what stands in the way? Answered by [`Answer::Findings`].
    Check(Upgrade, Vec<Census>),
    /// Upgrade step: change an object for the later release. Answered by [`Answer::Change`].
    Forward {
        /// Prefix of the object's type.
        prefix: String,
        /// The object as JSON text.
        object: String,
    },
    /// Upgrade step: change an object back. Answered by [`Answer::Change`].
    Backward {
        /// Prefix of the object's type.
        prefix: String,
        /// The object as JSON text.
        object: String,
    },
    /// Plugin: what are you? Answered by [`Answer::Description`].
    Describe,
    /// Plugin: do an action. Answered by [`Answer::Acted`].
    Act(ActionCall),
    /// Plugin: take in an event. Answered by [`Answer::Delivered`].
    OnEvent(EventCall),
}

/// What a call came to. A `Result` has the component's own refusal on its other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answer {
    /// What the host does after a task.
    Outcome(Outcome),
    /// A task list.
    Plan(Result<Vec<String>, Failure>),
    /// What follows a job.
    Decision(Decision),
    /// Whether it may move.
    Admission(Result<(), Failure>),
    /// Where to, the best first.
    Choices(Result<Vec<Choice>, Failure>),
    /// Which of two objects is kept.
    Resolution(Resolution),
    /// An object for the target; none leaves it behind.
    Object(Result<Option<String>, Failure>),
    /// What follows a copy.
    AfterSync(SyncDecision),
    /// What follows the switch.
    AfterSwitch(SwitchDecision),
    /// The prefixes of the types that a step changes; none when it does not apply.
    Scope(Option<Vec<String>>),
    /// What an upgrade step found.
    Findings(Vec<Finding>),
    /// What becomes of an object.
    Change(Result<Change, Failure>),
    /// What a plugin is.
    Description(PluginDescription),
    /// The result of an action, as JSON text.
    Acted(Result<String, Failure>),
    /// An event was taken in.
    Delivered(Result<(), Failure>),
}

impl Question {
    /// The kind of component that it can be put to.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Run(_) => Kind::Task,
            Self::Plan(_) | Self::AfterJob(_) => Kind::Workflow,
            Self::Admit(_)
            | Self::Rank(..)
            | Self::Resolve(..)
            | Self::Transform { .. }
            | Self::AfterSync(..)
            | Self::AfterSwitch(..) => Kind::MigrationPolicy,
            Self::Applies(_) | Self::Check(..) | Self::Forward { .. } | Self::Backward { .. } => {
                Kind::UpgradeStep
            }
            Self::Describe | Self::Act(_) | Self::OnEvent(_) => Kind::Plugin,
        }
    }

    /// The name of the export that it calls.
    pub fn export(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Plan(_) => "plan",
            Self::AfterJob(_) => "after-job",
            Self::Admit(_) => "admit",
            Self::Rank(..) => "rank",
            Self::Resolve(..) => "resolve",
            Self::Transform { .. } => "transform",
            Self::AfterSync(..) => "after-sync",
            Self::AfterSwitch(..) => "after-switch",
            Self::Applies(_) => "applies",
            Self::Check(..) => "check",
            Self::Forward { .. } => "forward",
            Self::Backward { .. } => "backward",
            Self::Describe => "describe",
            Self::Act(_) => "act",
            Self::OnEvent(_) => "on-event",
        }
    }

    /// The machine or the thing that it is about, for traces and for fair turns; empty when there is none.
    pub fn subject(&self) -> &str {
        match self {
            Self::Run(call) => &call.machine.uuid,
            Self::Plan(request) => &request.machine.uuid,
            Self::Admit(subject)
            | Self::Rank(subject, _)
            | Self::Resolve(subject, _)
            | Self::Transform { subject, .. }
            | Self::AfterSync(subject, _)
            | Self::AfterSwitch(subject, _) => &subject.uuid,
            Self::Act(call) => &call.key,
            Self::OnEvent(call) => &call.event.key,
            _ => "",
        }
    }
}
