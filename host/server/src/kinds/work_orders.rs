//! Work orders: made of blueprints, counted by their machines, and gone only when they are over (drp-api.md 14.5).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::{
    jobs, triggers,
    work_orders::{self, workflow},
};
use formwork_model::{Blueprint, Claim, Machine, Object, Objects, ObjectsExt, Record, Values, WorkOrder};

use super::{
    Behaviour,
    followed::{hold_workflow, stop_workflow},
    pair,
};
use crate::{
    commands::objects::Request,
    commit::{Stop, Work, refused},
    random, search,
};

/// How work orders behave.
pub(super) struct WorkOrders;

impl Behaviour for WorkOrders {
    fn complete(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let Some(order) = object.as_any().downcast_ref::<WorkOrder>() else { return Ok(object) };
        let mut order = order.clone();
        if order.uuid.is_empty() {
            order.uuid = random::uuid();
        }
        check_filter(work, &order)?;
        let blueprint = work.tx.get::<Blueprint>(&order.blueprint);
        let params: Values =
            blueprint.map(|found| work.params_in_the_clear(found.as_ref())).unwrap_or_default();
        let order = work_orders::create(&*work.tx, order, params, work.now)
            .map_err(|refusal| refused(WorkOrder::KIND.prefix, &object.key(), refusal))?;
        count(work, None, Some(&order))?;
        Ok(Box::new(order))
    }

    fn is_record(&self) -> bool {
        true
    }

    fn restore(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let Some(order) = object.as_any().downcast_ref::<WorkOrder>() else { return Ok(object) };
        check_filter(work, order)?;
        let order = work_orders::put_back(&*work.tx, order, work.now)
            .map_err(|refusal| refused(WorkOrder::KIND.prefix, &order.uuid, refusal))?;
        Ok(Box::new(order))
    }

    fn restored(&self, work: &mut Work<'_>, object: &dyn Object) -> Result<(), Stop> {
        count(work, None, object.as_any().downcast_ref::<WorkOrder>())
    }

    fn change(
        &self,
        work: &mut Work<'_>,
        _request: &Request,
        old: &Arc<dyn Object>,
        new: &dyn Object,
    ) -> Result<Arc<dyn Object>, Stop> {
        let Some((before, wanted)) = pair::<WorkOrder>(old.as_ref(), new) else {
            return work.put(new.boxed());
        };
        check_filter(work, wanted)?;
        let order = work_orders::change(&*work.tx, before, wanted.clone(), work.now)
            .map_err(|refusal| refused(WorkOrder::KIND.prefix, &before.uuid, refusal))?;
        count(work, Some(before), Some(&order))?;
        if order.is_final() && !before.is_final() {
            end_run(work, &order)?;
        } else if order.state == "running" && order.runnable != before.runnable {
            hold_workflow(work, &order)?;
        }
        work.put(Box::new(order))
    }

    /// Whoever has an order run does on its machine what the tasks do: what he could do by writing the machine's own list.
    fn given(&self, objects: &dyn Objects, old: Option<&dyn Object>, new: &dyn Object) -> Vec<Claim> {
        let Some(order) = new.as_any().downcast_ref::<WorkOrder>() else { return Vec::new() };
        let before = old.and_then(|old| old.as_any().downcast_ref::<WorkOrder>());
        let is_same = before.is_some_and(|before| {
            (&before.machine, &before.filter, &before.mode, &before.tasks)
                == (&order.machine, &order.filter, &order.mode, &order.tasks)
        });
        if is_same { Vec::new() } else { vec![machine_right(objects, order)] }
    }

    fn delete_with(&self, work: &mut Work<'_>, object: &dyn Object, force: bool) -> Result<(), Stop> {
        let Some(order) = object.as_any().downcast_ref::<WorkOrder>() else { return Ok(()) };
        if !order.is_final() && !force {
            let message =
                format!("work order {} is {}\nhint: set State to cancelled first", order.uuid, order.state);
            return Err(ApiError::new(409, "DELETE", message)
                .about(WorkOrder::KIND.prefix, &order.uuid)
                .into());
        }
        count(work, Some(order), None)?;
        end_run(work, order)
    }
}

/// Returns the right to the machine of a work order that goes with having it run; to all machines where a filter chooses.
pub(super) fn machine_right(objects: &dyn Objects, order: &WorkOrder) -> Claim {
    let found = Machine::find(objects, &order.machine);
    let prefix = found.map_or(Machine::KIND, |found| found.kind()).prefix;
    let specific = if order.machine.is_empty() { "*" } else { order.machine.as_str() };
    Claim::new(prefix, "update", specific)
}

/// Cancels a work order with its batch, unless it is over.
pub(crate) fn cancel_order(work: &mut Work<'_>, uuid: &str) -> Result<(), Stop> {
    let Some(order) = work.tx.get::<WorkOrder>(uuid).filter(|order| !order.is_final()) else { return Ok(()) };
    end_run(work, &order)?;
    let cancelled = WorkOrder {
        state: String::from("cancelled"),
        status: String::from("its batch was cancelled"),
        end_time: work.now,
        ..order.as_ref().clone()
    };
    put_order(work, cancelled).map(drop)
}

/// Stores a work order that its jobs or its machine moved on, or that was picked.
pub(crate) fn put_order(work: &mut Work<'_>, order: WorkOrder) -> Result<Arc<dyn Object>, Stop> {
    let before = work.tx.get::<WorkOrder>(&order.uuid);
    count(work, before.as_deref(), Some(&order))?;
    work.put_unchecked(Box::new(order))
}

/// Stores a work order that is new and runs already, with its secure params sealed for it.
pub(crate) fn put_new_order(work: &mut Work<'_>, order: WorkOrder) -> Result<Arc<dyn Object>, Stop> {
    count(work, None, Some(&order))?;
    work.put(Box::new(order))
}

/// Refuses a filter that finds nothing because nobody can read it.
fn check_filter(work: &Work<'_>, order: &WorkOrder) -> Result<(), Stop> {
    let filters = triggers::conditions(&order.filter);
    match search::check(Machine::KIND, &*work.tx, filters) {
        Ok(()) => Ok(()),
        Err(error) => {
            let message = format!("{}: Filter `{}`: {error}", order.uuid, order.filter);
            Err(ApiError::invalid(WorkOrder::KIND.prefix, &order.uuid, vec![message]).into())
        }
    }
}

/// Counts a work order at its machine, and at the one that it had before.
fn count(work: &mut Work<'_>, before: Option<&WorkOrder>, after: Option<&WorkOrder>) -> Result<(), Stop> {
    let mut keys: Vec<&str> =
        [before, after].into_iter().flatten().map(|order| order.machine.as_str()).collect();
    keys.dedup();
    for key in keys {
        let Some((kind, machine)) = Machine::with_uuid(&*work.tx, key) else { continue };
        if let Some(counted) = work_orders::counted(&machine, before, after) {
            work.put_unchecked(counted.into_kind(kind))?;
        }
    }
    Ok(())
}

/// Ends what a work order has running that is over: its job, or the workflow of its machine.
fn end_run(work: &mut Work<'_>, order: &WorkOrder) -> Result<(), Stop> {
    if order.mode == workflow::MODE {
        return stop_workflow(work, order);
    }
    match jobs::fail_unfinished(&*work.tx, &order.current_job, work.now) {
        Some(job) if job.work_order == order.uuid => work.put_unchecked(Box::new(job)).map(drop),
        _ => Ok(()),
    }
}
