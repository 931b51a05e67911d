//! Machines: what the server does to them on its own account, and who they are (drp-api.md 7.8, 12.6).

use std::sync::Arc;

use formwork_api::{ApiError, Whoami, WhoamiResult};
use formwork_core::{machine, params};
use formwork_model::{Machine, Object, Objects, ObjectsExt};
use formwork_store::Committed;

use super::objects::{self, Request};
use crate::{
    auth::{self, Caller},
    commit::{Stop, Work, commit, commit_object},
    endpoint::Endpoint,
    kinds,
};

/// Changes a machine, or what goes through tasks as one, on the server's own account.
pub(crate) async fn update_machine(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    uuid: &str,
    change: impl Fn(&mut Machine) + Clone + Send + Sync + 'static,
) -> Result<Arc<Machine>, ApiError> {
    let uuid = uuid.to_owned();
    commit(endpoint, principal, move |work| {
        let (kind, old) = Machine::with_uuid(&*work.tx, &uuid)
            .ok_or_else(|| ApiError::not_found("PATCH", "machines", &uuid))?;
        let mut machine = old.as_ref().clone();
        change(&mut machine);
        if machine == *old {
            return Ok(old);
        }
        work.put_unchecked(machine.clone().into_kind(kind))?;
        Ok(Arc::new(machine))
    })
    .await
}

/// Tells a machine which object it is, and remembers a fingerprint that it did not have (drp-api.md 12.6).
pub(crate) async fn whoami(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    mut whoami: Whoami,
) -> Result<Whoami, ApiError> {
    caller.require("machines", "whoami", "")?;
    whoami.result = WhoamiResult::default();
    let snapshot = endpoint.snapshot();
    let machines = snapshot.list::<Machine>();
    let Some((machine, score)) = whoami.best(machines.iter().map(AsRef::as_ref)) else { return Ok(whoami) };
    if let Some(learned) = machine::learn_fingerprint(machine, &whoami.fingerprint) {
        let found = learned.fingerprint;
        update_machine(endpoint, &caller.principal, &machine.uuid, move |machine| {
            machine.fingerprint = found.clone();
        })
        .await?;
    }
    whoami.result = WhoamiResult {
        score,
        uuid: machine.uuid.clone(),
        token: auth::machine_token(endpoint, &snapshot, machine, None),
    };
    Ok(whoami)
}

/// The param that names the workflow of the last things that are done with a machine (drp-api.md 14.9).
const LAST_WORKFLOW: &str = "on-delete-workflow";

/// The member of the meta that says with the end of which workflow a machine goes.
pub(crate) const GOES_AFTER: &str = "delete-after-workflow";

/// What became of an object that was to be cleaned up.
pub(crate) enum Cleaned {
    /// It is gone.
    Removed(Committed<Arc<dyn Object>>),
    /// It goes through its last workflow, and is removed at the end.
    Begun(Committed<Arc<dyn Object>>),
}

/// Removes an object, or begins its last workflow if it has one.
pub(crate) async fn cleaned_up(
    endpoint: &Arc<Endpoint>,
    request: Request,
    key: String,
) -> Result<Cleaned, ApiError> {
    let kind = request.kind;
    let missing = || ApiError::not_found("DELETE", kind.prefix, &key);
    let object = endpoint.snapshot().find(kind.prefix, &key).ok_or_else(missing)?;
    let last = params::resolve(&endpoint.snapshot(), object.as_ref(), LAST_WORKFLOW);
    let Some(workflow) =
        last.and_then(|last| last.as_str().map(str::to_owned)).filter(|name| !name.is_empty())
    else {
        return objects::delete(endpoint, request, key).await.map(Cleaned::Removed);
    };
    request.caller.require(kind.prefix, "delete", &key)?;
    let principal = request.caller.principal.clone();
    let begun = commit_object(endpoint, &principal, move |work| {
        let found = work.tx.find(kind.prefix, &key);
        let old = found.ok_or_else(|| ApiError::not_found("DELETE", kind.prefix, &key))?;
        kinds::of(kind).may_delete(work, &request.caller, old.as_ref())?;
        let before = Machine::of(old.as_ref()).cloned().unwrap_or_default();
        let mut last = before.clone();
        last.workflow.clone_from(&workflow);
        last.runnable = true;
        last.header.meta.insert(GOES_AFTER.to_owned(), workflow.clone());
        let last = kinds::settled(work, kind, &before, machine::begin_workflow(&*work.tx, last), false)?;
        kinds::end_job(work, &before)?;
        let stored = work.put(last.into_kind(kind))?;
        remove_if_over(work, stored.as_ref())?;
        Ok(stored)
    });
    begun.await.map(Cleaned::Begun)
}

/// Removes a machine whose last workflow is over.
pub(crate) fn remove_if_over(work: &mut Work<'_>, object: &dyn Object) -> Result<(), Stop> {
    let over = Machine::of(object).is_some_and(|machine| {
        machine.workflow_complete && machine.header.meta.get(GOES_AFTER) == Some(&machine.workflow)
    });
    if over { objects::remove(work, object, true) } else { Ok(()) }
}

/// Forgets that a machine goes after a workflow when it is given another.
pub(crate) fn stay(machine: &mut Machine) {
    if machine.header.meta.get(GOES_AFTER).is_some_and(|workflow| *workflow != machine.workflow) {
        machine.header.meta.remove(GOES_AFTER);
    }
}
