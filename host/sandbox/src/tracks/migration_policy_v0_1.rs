//! Migration policies, track 0.1.

use wasmtime::Store;

use super::failures;
use crate::migration::{
    Choice, Conflict, Resolution, Subject, SubjectKind, SwitchCheck, SwitchDecision, SwitchReport,
    SyncDecision, SyncReport, Target,
};
use crate::state::CallState;
use crate::{Answer, Question};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package formwork:host; world guest { export formwork:migration-policy/policy@0.1.0; }",
        path: ["../../wit/log-0.1", "../../wit/migration-policy-0.1"],
        world: "formwork:host/guest",
        exports: { default: async },
    });
}

use bindings::exports::formwork::migration_policy::policy as guest;

pub(crate) use bindings::{Guest, GuestPre};

/// Puts a question to a policy.
pub(crate) async fn ask(
    policy: &Guest,
    store: &mut Store<CallState>,
    question: &Question,
) -> wasmtime::Result<Option<Answer>> {
    let policy = policy.formwork_migration_policy_policy();
    Ok(Some(match question {
        Question::Admit(subject) => {
            Answer::Admission(policy.call_admit(store, &subject.into()).await?.map_err(Into::into))
        }
        Question::Rank(subject, targets) => {
            let targets: Vec<_> = targets.iter().map(Into::into).collect();
            let choices = policy.call_rank(store, &subject.into(), &targets).await?;
            let choice = |guest::Choice { target, reason }| Choice { target, reason };
            Answer::Choices(choices.map(|list| list.into_iter().map(choice).collect()).map_err(Into::into))
        }
        Question::Resolve(subject, conflict) => {
            Answer::Resolution(policy.call_resolve(store, &subject.into(), &conflict.into()).await?.into())
        }
        Question::Transform { subject, prefix, object } => {
            let object = policy.call_transform(store, &subject.into(), prefix, object).await?;
            Answer::Object(object.map_err(Into::into))
        }
        Question::AfterSync(subject, report) => {
            Answer::AfterSync(policy.call_after_sync(store, &subject.into(), (*report).into()).await?.into())
        }
        Question::AfterSwitch(subject, report) => Answer::AfterSwitch(
            policy.call_after_switch(store, &subject.into(), &report.into()).await?.into(),
        ),
        _ => return Ok(None),
    }))
}

failures!(guest::Failure);

impl From<&Subject> for guest::Subject {
    fn from(subject: &Subject) -> Self {
        let Subject { kind, uuid, name, object, source, principal, is_operator, now_ms } = subject.clone();
        let kind = match kind {
            SubjectKind::Machine => guest::Kind::Machine,
            SubjectKind::Instance => guest::Kind::Instance,
        };
        Self { kind, uuid, name, object, source, principal, is_operator, now_ms }
    }
}

impl From<&Target> for guest::Target {
    fn from(target: &Target) -> Self {
        Self {
            name: target.name.clone(),
            memory_free_bytes: target.memory_free_bytes,
            memory_total_bytes: target.memory_total_bytes,
            disk_free_bytes: target.disk_free_bytes,
            disk_total_bytes: target.disk_total_bytes,
            instances: target.instances,
            facts: target.facts.clone(),
        }
    }
}

impl From<&Conflict> for guest::Conflict {
    fn from(conflict: &Conflict) -> Self {
        let Conflict { prefix, key, at_source, at_target } = conflict.clone();
        Self { prefix, key, at_source, at_target }
    }
}

impl From<SyncReport> for guest::SyncReport {
    fn from(report: SyncReport) -> Self {
        let SyncReport { round, bytes_copied, duration_ms, bytes_changed } = report;
        Self { round, bytes_copied, duration_ms, bytes_changed }
    }
}

impl From<&SwitchReport> for guest::SwitchReport {
    fn from(report: &SwitchReport) -> Self {
        let check = |SwitchCheck { name, passed, message }| guest::Check { name, passed, message };
        Self {
            elapsed_ms: report.elapsed_ms,
            downtime_ms: report.downtime_ms,
            running: report.running,
            checks: report.checks.iter().cloned().map(check).collect(),
        }
    }
}

impl From<guest::Resolution> for Resolution {
    fn from(resolution: guest::Resolution) -> Self {
        match resolution {
            guest::Resolution::KeepTarget => Self::KeepTarget,
            guest::Resolution::TakeSource => Self::TakeSource,
            guest::Resolution::Merge(object) => Self::Merge(object),
            guest::Resolution::Refuse(failure) => Self::Refuse(failure.into()),
        }
    }
}

impl From<guest::SyncDecision> for SyncDecision {
    fn from(decision: guest::SyncDecision) -> Self {
        match decision {
            guest::SyncDecision::SyncAgain(after_ms) => Self::SyncAgain(after_ms),
            guest::SyncDecision::Switch => Self::Switch,
            guest::SyncDecision::Pause(reason) => Self::Pause(reason),
            guest::SyncDecision::Abort(failure) => Self::Abort(failure.into()),
        }
    }
}

impl From<guest::SwitchDecision> for SwitchDecision {
    fn from(decision: guest::SwitchDecision) -> Self {
        match decision {
            guest::SwitchDecision::Accept => Self::Accept,
            guest::SwitchDecision::Wait(after_ms) => Self::Wait(after_ms),
            guest::SwitchDecision::RollBack(failure) => Self::RollBack(failure.into()),
        }
    }
}
