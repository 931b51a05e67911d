//! Machines, and what goes through tasks as a machine does: planning and locking around the rules of `core` (drp-api.md
//! 7.8, 7A.5, 7A.6).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::{
    jobs,
    machine::{self, Fresh, Rules},
};
use formwork_model::{Kind, Lease, Machine, Object, Objects, ObjectsExt};

use super::Behaviour;
use crate::{
    auth::Caller,
    commands::objects::Request,
    commit::{Stop, Work, refused},
    random,
};

/// How machines, clusters and resource brokers behave.
pub(super) struct Machines;

impl Behaviour for Machines {
    /// Completes a new machine with defaults and its task list.
    fn complete(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let kind = object.kind();
        let Some(mut machine) = Machine::of(object.as_ref()).cloned() else { return Ok(object) };
        if machine.address.is_empty() {
            machine.address = leased_address(&*work.tx, &machine.hardware_addrs);
        }
        let fresh = Fresh { uuid: machine.uuid.clone(), secret: random::secret() };
        let decided = machine::create(&*work.tx, machine, fresh);
        Ok(planned(work, kind, decided)?.into_kind(kind))
    }

    fn change(
        &self,
        work: &mut Work<'_>,
        request: &Request,
        old: &Arc<dyn Object>,
        new: &dyn Object,
    ) -> Result<Arc<dyn Object>, Stop> {
        let (Some(before), Some(wanted)) = (Machine::of(old.as_ref()), Machine::of(new)) else {
            return work.put(new.boxed());
        };
        let rules =
            Rules { force: request.force, by_user: request.caller.is_user(), fresh_secret: random::secret() };
        let kind = old.kind();
        let decided = machine::change(&*work.tx, before, wanted.clone(), &rules)
            .map_err(|refusal| refused(kind.prefix, &before.uuid, refusal))?;
        let machine = planned(work, kind, decided)?;
        if machine.tasks != before.tasks && (machine.current_task <= 0 || machine.workflow != before.workflow)
        {
            end_job(work, before)?;
        }
        work.put(machine.into_kind(kind))
    }

    /// Unlocking is always told (drp-api.md 5.6).
    fn audited(&self, old: &dyn Object, new: &dyn Object) -> Option<(&'static str, &'static str)> {
        let locked = |object| Machine::of(object).is_some_and(|machine| machine.locked);
        (locked(old) && !locked(new)).then_some(("unlock", "the machine was unlocked"))
    }

    /// The job that ran on it ends with it; what it was stays to be read (drp-api.md 5.4).
    fn delete_with(&self, work: &mut Work<'_>, object: &dyn Object) -> Result<(), Stop> {
        match Machine::of(object) {
            Some(machine) => end_job(work, machine),
            None => Ok(()),
        }
    }

    /// A user who wants to delete a locked machine unlocks it first.
    fn may_delete(&self, _work: &Work<'_>, caller: &Caller, object: &dyn Object) -> Result<(), Stop> {
        let locked = Machine::of(object).is_some_and(|machine| machine.locked);
        if locked && caller.is_user() {
            let message = format!("{}: the machine is locked\nhint: set Locked to false first", object.key());
            return Err(ApiError::invalid(object.kind().prefix, &object.key(), vec![message]).into());
        }
        Ok(())
    }
}

/// Returns the address that DHCP gave to one of a machine's network cards before the machine was known.
fn leased_address(objects: &(impl Objects + ?Sized), cards: &[String]) -> String {
    objects
        .find_by::<Lease>(|lease| lease.state == "ACK" && cards.contains(&lease.token))
        .map(|lease| lease.addr.clone())
        .unwrap_or_default()
}

/// Has a component complete a machine that needs a task list.
fn planned(work: &Work<'_>, kind: &Kind, change: machine::Change) -> Result<Machine, Stop> {
    match change {
        machine::Change::Ready(machine) => Ok(*machine),
        machine::Change::Plan(machine, request) => {
            let tasks = work.answers.plan(*request)?;
            let key = machine.uuid.clone();
            machine::apply_plan(*machine, tasks).map_err(|refusal| refused(kind.prefix, &key, refusal).into())
        }
    }
}

/// Fails the job of a machine whose task list was replaced under it.
fn end_job(work: &mut Work<'_>, machine: &Machine) -> Result<(), Stop> {
    match jobs::fail_unfinished(&*work.tx, machine, work.now) {
        Some(job) => work.put_unchecked(Box::new(job)).map(|_| ()),
        None => Ok(()),
    }
}
