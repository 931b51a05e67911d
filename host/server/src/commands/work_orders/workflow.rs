//! Work orders in workflow mode: having a machine begin the next one, and running one again (drp-api.md 14.5).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::{
    machine::{Change, pipeline},
    triggers,
    work_orders::{
        self,
        workflow::{self, Restart},
    },
};
use formwork_model::{Kind, Machine, Objects, ObjectsExt, Record, WorkOrder};
use formwork_store::Snapshot;

use super::{super::claims::require_given, bound};
use crate::{
    auth::Caller,
    commit::{Stop, Work, commit, refused},
    endpoint::Endpoint,
    kinds, random, search,
};

/// Has a machine begin the oldest work order that waits for it and is in workflow mode, if it has nothing else to do; `free`
/// is one that waits for any machine of its filter. An order that cannot be begun has failed.
pub(crate) async fn begin_next(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    machine: &str,
    free: Option<&str>,
) -> Result<(), ApiError> {
    let chosen = |objects: &dyn Objects, machine: &Machine, free: Option<&str>| {
        let mut waiting = bound(&objects, &machine.uuid);
        if machine.work_order_mode {
            // Filters choose among the machines that take work orders.
            waiting.extend(free.and_then(|free| objects.get::<WorkOrder>(free)));
            waiting
                .retain(|order| workflow::is_waiting(order) || formwork_core::work_orders::is_waiting(order));
        } else {
            waiting.retain(|order| workflow::is_waiting(order));
        }
        waiting.retain(|order| order.machine.is_empty() || order.machine == machine.uuid);
        waiting.into_iter().min_by_key(|order| order.create_time).filter(|order| workflow::is_waiting(order))
    };
    let (uuid, free) = (machine.to_owned(), free.map(str::to_owned));
    let choose = move |objects: &dyn Objects| {
        let (kind, machine) = Machine::with_uuid(objects, &uuid)?;
        let order = chosen(objects, &machine, free.as_deref()).filter(|_| workflow::is_idle(&machine))?;
        Some((kind, machine, order))
    };
    let chooses = choose.clone();
    let begun = commit(endpoint, principal, move |work| match chooses(&*work.tx) {
        Some((kind, machine, order)) => {
            let order = begin(work, kind, &machine, &order)?;
            kinds::put_order(work, order).map(drop)
        }
        None => Ok(()),
    });
    let Err(error) = begun.await else { return Ok(()) };
    if error.code >= 500 {
        return Err(error);
    }
    let status = format!("it could not begin: {}", error.messages.join("; "));
    commit(endpoint, principal, move |work| {
        let Some((_, _, order)) = choose(&*work.tx) else { return Ok(()) };
        let failed = WorkOrder {
            state: String::from("failed"),
            status: status.clone(),
            end_time: work.now,
            ..order.as_ref().clone()
        };
        kinds::put_order(work, failed).map(drop)
    })
    .await
}

/// Returns the machines of a filter that can begin a work order in workflow mode: they take orders and have nothing to do.
pub(crate) fn may_begin(endpoint: &Endpoint, filter: &str) -> Vec<String> {
    selected(&endpoint.snapshot(), filter, |machine| machine.work_order_mode && workflow::is_idle(machine))
}

/// Returns the machines of a filter whose agent of a context gets a work order in task mode when it asks for one: they take
/// orders, and none of that context runs there. Those of other contexts have agents of their own.
pub(crate) fn may_pick(endpoint: &Endpoint, filter: &str, context: &str) -> Vec<String> {
    let snapshot = endpoint.snapshot();
    selected(&snapshot, filter, |machine| {
        let runs = |order: &Arc<WorkOrder>| order.state == "running" && order.context == context;
        work_orders::may_take(machine).is_ok()
            && (machine.running_work_orders == 0 || !bound(&snapshot, &machine.uuid).iter().any(runs))
    })
}

/// Returns the machines of a filter that pass a test, by their UUIDs.
fn selected(snapshot: &Snapshot, filter: &str, test: impl Fn(&Machine) -> bool) -> Vec<String> {
    let found = search::keys(Machine::KIND, snapshot, triggers::conditions(filter), None);
    let mut found = found.unwrap_or_default();
    found.retain(|uuid| snapshot.get::<Machine>(uuid).is_some_and(|machine| test(&machine)));
    found
}

/// Has a machine begin a work order, and returns the order as it is to be stored then.
fn begin(
    work: &mut Work<'_>,
    kind: &'static Kind,
    machine: &Machine,
    order: &WorkOrder,
) -> Result<WorkOrder, Stop> {
    let change = workflow::begin(&*work.tx, order, machine)
        .map_err(|refusal| refused(WorkOrder::KIND.prefix, &order.uuid, refusal))?;
    let mut planned = kinds::settled(work, kind, machine, change, false)?;
    if planned.workflow == machine.workflow {
        // The same workflow once more is another run of its pipeline all the same.
        pipeline::note_run(&*work.tx, &mut planned, false, random::uuid);
    }
    let (order, machine) = workflow::begun(&*work.tx, order, (machine, planned), work.now);
    work.put(machine.into_kind(kind))?;
    Ok(order)
}

/// Runs a work order in workflow mode again, and returns the order that does.
pub(crate) async fn restart(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    uuid: &str,
    how: Restart,
) -> Result<WorkOrder, ApiError> {
    let (uuid, asking) = (uuid.to_owned(), caller.clone());
    commit(endpoint, &caller.principal, move |work| {
        let prefix = WorkOrder::KIND.prefix;
        let old = work.tx.get::<WorkOrder>(&uuid);
        let old = old.ok_or_else(|| ApiError::not_found("POST", prefix, &uuid))?;
        let stop = |refusal| Stop::from(refused(prefix, &uuid, refusal));
        let mut next = workflow::successor(&old, random::uuid(), work.now).map_err(stop)?;
        next.params = work.params_in_the_clear(old.as_ref()).into();
        require_given(&asking, &*work.tx, None, &next)?;
        let Some((kind, was)) = Machine::with_uuid(&*work.tx, &old.machine) else {
            let message = format!("Machine {} does not exist any more", old.machine);
            return Err(ApiError::new(409, "POST", message).about(prefix, &uuid).into());
        };
        let machine = workflow::resumed(&*work.tx, &was, &old, how).map_err(stop)?;
        let begun = match how {
            Restart::FromStart => {
                kinds::end_job(work, &was)?;
                begin(work, kind, &machine, &next)?
            }
            Restart::Retry | Restart::Continue => {
                let ready = kinds::settled(work, kind, &was, Change::Ready(Box::new(machine)), true)?;
                let (order, machine) = workflow::begun(&*work.tx, &next, (&was, ready), work.now);
                work.put(machine.into_kind(kind))?;
                order
            }
        };
        // The machine counts its orders, so these come after it.
        if !old.is_final() {
            kinds::put_order(work, workflow::superseded(&old, &begun.uuid, work.now))?;
        }
        let stored = kinds::put_new_order(work, begun)?;
        Ok(stored.as_any().downcast_ref::<WorkOrder>().cloned().unwrap_or_default())
    })
    .await
}
