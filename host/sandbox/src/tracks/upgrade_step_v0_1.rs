//! Upgrade steps, track 0.1.

use wasmtime::Store;

use super::failures;
use crate::state::CallState;
use crate::upgrade::{Census, Change, Finding, Upgrade};
use crate::{Answer, Question};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package formwork:host; world guest { export formwork:upgrade-step/step@0.1.0; }",
        path: ["../../wit/log-0.1", "../../wit/upgrade-step-0.1"],
        world: "formwork:host/guest",
        exports: { default: async },
    });
}

use bindings::exports::formwork::upgrade_step::step as guest;

pub(crate) use bindings::{Guest, GuestPre};

/// Puts a question to a step.
pub(crate) async fn ask(
    step: &Guest,
    store: &mut Store<CallState>,
    question: &Question,
) -> wasmtime::Result<Option<Answer>> {
    let step = step.formwork_upgrade_step_step();
    let changed = |change: Result<guest::Change, guest::Failure>| {
        Answer::Change(change.map(Into::into).map_err(Into::into))
    };
    Ok(Some(match question {
        Question::Applies(upgrade) => Answer::Scope(step.call_applies(store, &upgrade.into()).await?),
        Question::Check(upgrade, census) => {
            let census: Vec<_> = census.iter().map(Into::into).collect();
            let findings = step.call_check(store, &upgrade.into(), &census).await?;
            Answer::Findings(findings.into_iter().map(Into::into).collect())
        }
        Question::Forward { prefix, object } => changed(step.call_forward(store, prefix, object).await?),
        Question::Backward { prefix, object } => changed(step.call_backward(store, prefix, object).await?),
        _ => return Ok(None),
    }))
}

failures!(guest::Failure);

impl From<&Upgrade> for guest::Upgrade {
    fn from(upgrade: &Upgrade) -> Self {
        let Upgrade { from_version, to_version } = upgrade.clone();
        Self { from_version, to_version }
    }
}

impl From<&Census> for guest::Census {
    fn from(census: &Census) -> Self {
        Self { prefix: census.prefix.clone(), objects: census.objects }
    }
}

impl From<guest::Finding> for Finding {
    fn from(finding: guest::Finding) -> Self {
        let guest::Finding { is_fatal, code, message, hint } = finding;
        Self { is_fatal, code, message, hint }
    }
}

impl From<guest::Change> for Change {
    fn from(change: guest::Change) -> Self {
        match change {
            guest::Change::Keep => Self::Keep,
            guest::Change::Replace(object) => Self::Replace(object),
            guest::Change::Remove => Self::Remove,
        }
    }
}
