//! Machines, and what goes through tasks as a machine does: planning and locking around the rules of `core` (drp-api.md
//! 7.8, 7A.5, 7A.6).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::{
    Refusal, availability, jobs,
    machine::{self, Fresh, Rules, pipeline},
    pools,
    work_orders::workflow,
};
use formwork_model::{
    Job, Kind, Lease, Machine, Object, Objects, ObjectsExt, Record, SortKey, Span, is_uuid,
};

use super::Behaviour;
use crate::{
    auth::Caller,
    commands::{
        machines::{GOES_AFTER, remove_if_over, stay},
        objects::Request,
    },
    commit::{Stop, Work, refused},
    random,
};

/// The members of the meta that only the endpoint writes: what will become of a machine, whether it is the endpoint's own
/// host, and for which work order it goes through a workflow.
const OWN_META: &[&str] =
    &[GOES_AFTER, pools::DESTINATION, Machine::ROLE, workflow::ORDER, workflow::RETURNS];

/// Returns a new machine whose UUID can be its own, without what only the endpoint writes of it. It may have none yet.
fn identified(work: &Work<'_>, object: &dyn Object) -> Result<Option<Machine>, Stop> {
    let kind = object.kind();
    let Some(mut machine) = Machine::of(object).cloned() else { return Ok(None) };
    machine.uuid.make_ascii_lowercase();
    if !machine.uuid.is_empty() && !is_uuid(&machine.uuid) {
        let uuid = &machine.uuid;
        let message = format!("{uuid}: Invalid Uuid `{uuid}`\nhint: leave it out to have one made");
        return Err(ApiError::invalid(kind.prefix, uuid, vec![message]).into());
    }
    // A token names no more than a UUID, so none of the three types may have one of another.
    if let Some(other) = Machine::find(&*work.tx, &machine.uuid)
        && other.kind().prefix != kind.prefix
    {
        let message = format!("{} has the Uuid already", other.kind().prefix);
        return Err(ApiError::new(409, "CREATE", message).about(kind.prefix, &machine.uuid).into());
    }
    OWN_META.iter().for_each(|name| {
        machine.header.meta.remove(*name);
    });
    Ok(Some(machine))
}

/// Adds what else is wrong with a machine to why its change is refused: all of it is told at once (drp-api.md 5.5).
fn with_others(work: &Work<'_>, new: &dyn Object, refusal: Refusal) -> Refusal {
    let Refusal::Invalid(mut messages) = refusal else { return refusal };
    if let Err(Refusal::Invalid(more)) = availability::admit(&*work.tx, new.boxed().as_mut(), Vec::new()) {
        messages.extend(more);
    }
    Refusal::Invalid(messages)
}

/// How machines, clusters and resource brokers behave.
pub(super) struct Machines;

impl Behaviour for Machines {
    /// Completes a new machine with defaults and its task list.
    fn complete(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let kind = object.kind();
        let Some(mut machine) = identified(work, object.as_ref())? else { return Ok(object) };
        if machine.address.is_empty() {
            machine.address = leased_address(&*work.tx, &machine.hardware_addrs);
        }
        let fresh = Fresh { uuid: machine.uuid.clone(), secret: random::secret() };
        let decided = machine::create(&*work.tx, machine, fresh);
        let mut machine = planned(work, kind, decided)?;
        if !machine.workflow.is_empty() {
            pipeline::note_run(&*work.tx, &mut machine, false, random::uuid);
        }
        Ok(machine.into_kind(kind))
    }

    /// It stays at its place of its task list: what it has done is not done again.
    fn restore(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let Some(mut machine) = identified(work, object.as_ref())? else { return Ok(object) };
        machine.secret = random::secret();
        machine.pool_status = String::from("Free");
        Ok(machine.into_kind(object.kind()))
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
        let mut wanted = wanted.clone();
        for name in OWN_META {
            match before.header.meta.get(*name) {
                Some(text) => wanted.header.meta.insert((*name).to_owned(), text.clone()),
                None => wanted.header.meta.remove(*name),
            };
        }
        let rules =
            Rules { force: request.force, by_user: request.caller.is_user(), fresh_secret: random::secret() };
        let kind = old.kind();
        let decided = machine::change(&*work.tx, before, wanted, &rules)
            .map_err(|refusal| refused(kind.prefix, &before.uuid, with_others(work, new, refusal)))?;
        let mut machine = settled(work, kind, before, decided, !request.caller.is_user())?;
        stay(&mut machine);
        if machine::ends_job(before, &machine) {
            end_job(work, before)?;
        }
        let stored = work.put(machine.into_kind(kind))?;
        remove_if_over(work, stored.as_ref())?;
        Ok(stored)
    }

    /// Unlocking is always told (drp-api.md 5.6).
    fn audited(&self, old: &dyn Object, new: &dyn Object) -> Option<(&'static str, &'static str)> {
        let locked = |object| Machine::of(object).is_some_and(|machine| machine.locked);
        (locked(old) && !locked(new)).then_some(("unlock", "the machine was unlocked"))
    }

    /// The job that ran on it ends with it; what it was stays to be read (drp-api.md 5.4).
    fn delete_with(&self, work: &mut Work<'_>, object: &dyn Object, _force: bool) -> Result<(), Stop> {
        let Some(machine) = Machine::of(object) else { return Ok(()) };
        end_job(work, machine)?;
        archive_jobs(work, &machine.uuid)
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

/// Completes a change of a machine: with its task list, with what its pool makes of a workflow that is over, and with the run of
/// its pipeline that a workflow belongs to which begins.
pub(crate) fn settled(
    work: &Work<'_>,
    kind: &Kind,
    before: &Machine,
    mut change: machine::Change,
    by_own_task: bool,
) -> Result<Machine, Stop> {
    loop {
        let machine = planned(work, kind, change)?;
        let key = machine.uuid.clone();
        change = pools::settle(&*work.tx, before, machine)
            .map_err(|refusal| refused(kind.prefix, &key, refusal))?;
        if let machine::Change::Ready(mut machine) = change {
            if machine.workflow != before.workflow && !by_own_task {
                workflow::release(&mut machine);
            }
            if machine.workflow != before.workflow && !machine.workflow.is_empty() {
                pipeline::note_run(&*work.tx, &mut machine, by_own_task, random::uuid);
            }
            return Ok(*machine);
        }
    }
}

/// Stores a machine, or what goes through tasks as one, as a job left it. Where its pool cannot do with it what it should, it is held; when it was its last
/// workflow, it goes.
pub(crate) fn put_after_job(work: &mut Work<'_>, kind: &Kind, machine: Machine) -> Result<(), Stop> {
    let stored = match pools::is_under_way(&machine.pool_status) {
        true => moved_on(work, kind, machine)?,
        false => work.put_unchecked(machine.into_kind(kind))?,
    };
    remove_if_over(work, stored.as_ref())
}

fn moved_on(work: &mut Work<'_>, kind: &Kind, machine: Machine) -> Result<Arc<dyn Object>, Stop> {
    let before = Machine::with_uuid(&*work.tx, &machine.uuid).map(|(_, before)| before).unwrap_or_default();
    let change = machine::Change::Ready(Box::new(machine.clone()));
    match settled(work, kind, &before, change, false).and_then(|moved| work.put(moved.into_kind(kind))) {
        Err(Stop::Fail(error)) => {
            tracing::warn!(machine = %machine.uuid, pool = %machine.pool, %error, "held in its pool");
            work.put_unchecked(pools::hold(machine).into_kind(kind))
        }
        moved => moved,
    }
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

/// Marks the jobs of a machine that is gone: their logs are read by `archive` only (drp-behaviour.md 3.11).
fn archive_jobs(work: &mut Work<'_>, machine: &str) -> Result<(), Stop> {
    let mut jobs = Vec::new();
    let span = Span::equal(Job::KIND.prefix, "Machine", SortKey::of("Machine", &machine.into()));
    work.tx.range(&span, &mut |object| {
        jobs.extend(object.as_any().downcast_ref::<Job>().filter(|job| !job.archived).cloned());
        true
    });
    for job in jobs {
        work.put_unchecked(Box::new(Job { archived: true, ..job }))?;
    }
    Ok(())
}

/// Fails the job of a machine whose task list was replaced under it.
pub(crate) fn end_job(work: &mut Work<'_>, machine: &Machine) -> Result<(), Stop> {
    match jobs::fail_unfinished(&*work.tx, &machine.current_job, work.now) {
        Some(job) => work.put_unchecked(Box::new(job)).map(|_| ()),
        None => Ok(()),
    }
}
