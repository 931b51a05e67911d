//! Machines: planning, locking and tokens around the rules of `core` (drp-api.md 7.8).

use std::sync::Arc;

use formwork_api::{ApiError, Whoami, WhoamiResult};
use formwork_core::{
    jobs,
    machine::{self, Fresh, Rules},
};
use formwork_model::{Lease, Machine, Object, Objects, ObjectsExt};

use super::objects::Request;
use crate::{
    auth::{self, Caller},
    commit::{Stop, Work, commit, refused},
    endpoint::Endpoint,
    random,
};

/// Completes a new machine with defaults and its task list.
pub(crate) fn complete(work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
    let Some(machine) = object.as_any().downcast_ref::<Machine>() else { return Ok(object) };
    let fresh = Fresh { uuid: new_uuid(machine), secret: random::secret() };
    let mut machine = machine.clone();
    if machine.address.is_empty() {
        machine.address = leased_address(&*work.tx, &machine.hardware_addrs);
    }
    let decided = machine::create(&*work.tx, machine, fresh);
    Ok(Box::new(planned(work, decided)?))
}

/// Returns the address that DHCP gave to one of a machine's network cards before the machine was known.
fn leased_address(objects: &(impl Objects + ?Sized), cards: &[String]) -> String {
    objects
        .find_by::<Lease>(|lease| lease.state == "ACK" && cards.contains(&lease.token))
        .map(|lease| lease.addr.clone())
        .unwrap_or_default()
}

/// Returns a UUID for a machine that has none. It is the same each time that the creation is decided anew, so
/// that a plan which names the machine stays the answer to the same question.
fn new_uuid(machine: &Machine) -> String {
    let text = format!("{}\0{}", machine.name, machine.hardware_addrs.join(","));
    let salt = process_salt();
    uuid::Uuid::new_v5(&uuid::Uuid::from_bytes(salt), text.as_bytes()).to_string()
}

/// Returns random bytes that stay the same for as long as the process runs.
fn process_salt() -> [u8; 16] {
    static SALT: std::sync::OnceLock<[u8; 16]> = std::sync::OnceLock::new();
    *SALT.get_or_init(random::bytes)
}

/// Has a component complete a machine that needs a task list.
fn planned(work: &mut Work<'_>, change: machine::Change) -> Result<Machine, Stop> {
    match change {
        machine::Change::Ready(machine) => Ok(*machine),
        machine::Change::Plan(machine, request) => {
            let tasks = work.answers.plan(*request)?;
            let key = machine.uuid.clone();
            machine::apply_plan(*machine, tasks).map_err(|refusal| refused("machines", &key, refusal).into())
        }
    }
}

/// Decides and stores a change of a machine that a client asked for.
pub(crate) fn change(
    work: &mut Work<'_>,
    request: &Request,
    old: &Arc<dyn Object>,
    new: &dyn Object,
) -> Result<Arc<dyn Object>, Stop> {
    let pair = (old.as_any().downcast_ref::<Machine>(), new.as_any().downcast_ref::<Machine>());
    let (Some(before), Some(wanted)) = pair else { return work.put(new.boxed()) };
    let rules =
        Rules { force: request.force, by_user: request.caller.is_user(), fresh_secret: random::secret() };
    if before.locked && !wanted.locked {
        tracing::warn!(machine.id = %before.uuid, principal = %request.caller.principal, "unlocked");
    }
    let decided = machine::change(&*work.tx, before, wanted.clone(), &rules)
        .map_err(|refusal| refused("machines", &before.uuid, refusal))?;
    let machine = planned(work, decided)?;
    if machine.tasks != before.tasks && (machine.current_task <= 0 || machine.workflow != before.workflow) {
        end_job(work, before)?;
    }
    work.put(Box::new(machine))
}

/// Fails the job of a machine whose task list was replaced under it.
fn end_job(work: &mut Work<'_>, machine: &Machine) -> Result<(), Stop> {
    match jobs::fail_unfinished(&*work.tx, machine, work.now) {
        Some(job) => work.put_unchecked(Box::new(job)).map(|_| ()),
        None => Ok(()),
    }
}

/// Refuses the deletion of a locked machine.
pub(crate) fn may_delete(caller: &Caller, object: &dyn Object) -> Result<(), Stop> {
    let locked = object.as_any().downcast_ref::<Machine>().is_some_and(|machine| machine.locked);
    if locked && caller.is_user() {
        let message = format!("{}: the machine is locked\nhint: set Locked to false first", object.key());
        return Err(ApiError::invalid("machines", &object.key(), vec![message]).into());
    }
    Ok(())
}

/// Changes a machine on the server's own account.
pub(crate) async fn update_machine(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    uuid: &str,
    change: impl Fn(&mut Machine) + Clone + Send + Sync + 'static,
) -> Result<Arc<Machine>, ApiError> {
    let uuid = uuid.to_owned();
    commit(endpoint, principal, move |work| {
        let old =
            work.tx.get::<Machine>(&uuid).ok_or_else(|| ApiError::not_found("PATCH", "machines", &uuid))?;
        let mut machine = old.as_ref().clone();
        change(&mut machine);
        if machine == *old {
            return Ok(old);
        }
        work.put_unchecked(Box::new(machine.clone()))?;
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
