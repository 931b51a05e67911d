//! Work orders: giving a machine the next one, and removing those that nothing waits for (drp-api.md 14.5).

mod queue;
mod workflow;

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::{
    jobs::Retention,
    triggers,
    work_orders::{self, workflow::is_waiting as awaits_its_workflow},
};
use formwork_model::{Context, Machine, Objects, ObjectsExt, Record, SortKey, Span, WorkOrder};
use formwork_store::{Snapshot, Transaction};
use tokio::task::spawn_blocking;

use super::objects::remove;
use crate::{
    commit::{commit, internal, refused},
    endpoint::Endpoint,
    kinds::put_order,
    search,
};

pub(crate) use self::{
    queue::{Queue, is_queued},
    workflow::{begin_next, may_begin, may_pick, restart},
};

/// Most work orders that one transaction removes.
const AT_ONCE: usize = 500;

/// How often another order is looked for when somebody else was faster.
const TRIES: usize = 100;

/// Returns the work order that a machine runs next, and begins it; nothing when none waits for it.
///
/// `key` is a work order of the machine, a context whose orders are wanted, or anything else for the machine's own agent. An
/// order that runs already is answered again, so that nothing is lost with an answer.
pub(crate) async fn pick(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    machine: &str,
    key: &str,
) -> Result<Option<WorkOrder>, ApiError> {
    for _ in 0..TRIES {
        let (asked, uuid, wanted) = (Arc::clone(endpoint), machine.to_owned(), key.to_owned());
        let found = spawn_blocking(move || next(&asked, &uuid, &wanted)).await;
        let Some(order) = found.map_err(|error| internal(&error))?? else { return Ok(None) };
        if order.state == "running" && order.machine == machine {
            return Ok(Some(order.as_ref().clone()));
        }
        let (uuid, machine) = (order.uuid.clone(), machine.to_owned());
        let begun = commit(endpoint, principal, move |work| {
            let object = able(&*work.tx, &machine)?;
            let order = work.tx.get::<WorkOrder>(&uuid);
            let Some(order) = order.filter(|order| {
                work_orders::is_waiting(order) && (order.machine.is_empty() || order.machine == machine)
            }) else {
                return Ok(None);
            };
            let begun = work_orders::begun(&order, &object, work.now);
            Ok(put_order(work, begun)?.as_any().downcast_ref::<WorkOrder>().cloned())
        });
        if let Some(begun) = begun.await? {
            return Ok(Some(begun));
        }
    }
    let message = format!("Machine {machine}: too many others take work orders at once; ask again");
    Err(ApiError::new(409, "POST", message).about(Machine::KIND.prefix, machine))
}

/// Returns a machine that takes work orders now.
fn able(objects: &impl Objects, uuid: &str) -> Result<Arc<Machine>, ApiError> {
    let (kind, machine) = Machine::with_uuid(objects, uuid)
        .ok_or_else(|| ApiError::not_found("POST", Machine::KIND.prefix, uuid))?;
    work_orders::may_take(&machine).map_err(|refusal| refused(kind.prefix, uuid, refusal))?;
    Ok(machine)
}

/// Returns the order that runs on a machine already, or else the oldest that waits for it. One out of the queue may have been
/// taken by another machine a moment ago.
fn next(endpoint: &Endpoint, machine: &str, key: &str) -> Result<Option<Arc<WorkOrder>>, ApiError> {
    let snapshot = &endpoint.snapshot();
    able(snapshot, machine)?;
    let context = snapshot.get::<Context>(key).map(|context| context.name.clone()).unwrap_or_default();
    let named = snapshot.get::<WorkOrder>(key);
    let fits = |order: &WorkOrder| match &named {
        Some(named) => order.uuid == named.uuid,
        None => order.context == context,
    };
    let mut own = bound(snapshot, machine);
    let is_beside = |order: &WorkOrder, named: &WorkOrder| {
        order.state == "running" && order.uuid != named.uuid && order.context == named.context
    };
    if let Some(named) = &named
        && own.iter().any(|order| is_beside(order, named))
    {
        return Ok(None);
    }
    own.retain(|order| fits(order));
    if let Some(running) = own.iter().find(|order| order.state == "running") {
        return Ok(Some(Arc::clone(running)));
    }
    let first_workflow =
        own.iter().filter(|order| awaits_its_workflow(order)).map(|order| order.create_time).min();
    own.retain(|order| work_orders::is_waiting(order));
    own.extend(match &named {
        Some(named) => {
            let is_free = is_queued(named) && work_orders::is_waiting(named);
            (is_free && selects(snapshot, &named.filter, machine)).then(|| Arc::clone(named))
        }
        None => {
            let heads = endpoint.queue.heads(&endpoint.store, &context);
            let mut fitting = heads.into_iter().filter(|head| selects(snapshot, &head.filter, machine));
            // The queue may be ahead of the snapshot, and an order may just have gone.
            fitting.find_map(|head| endpoint.snapshot().get::<WorkOrder>(&head.uuid))
        }
    });
    let oldest = own.into_iter().min_by_key(|order| order.create_time);
    // An order in workflow mode has its turn: the endpoint begins it as soon as nothing else runs.
    Ok(oldest.filter(|order| first_workflow.is_none_or(|first| order.create_time <= first)))
}

/// Tells whether a filter is one of which a machine is.
fn selects(snapshot: &Snapshot, filter: &str, machine: &str) -> bool {
    let among = Some(vec![Arc::from(machine)]);
    let found = search::keys(Machine::KIND, snapshot, triggers::conditions(filter), among);
    found.is_ok_and(|found| !found.is_empty())
}

/// Returns the orders of a machine that are not over.
fn bound(objects: &impl Objects, machine: &str) -> Vec<Arc<WorkOrder>> {
    let mut found = Vec::new();
    let span = Span::equal(WorkOrder::KIND.prefix, "Machine", SortKey::of("Machine", &machine.into()));
    objects.range(&span, &mut |object| {
        let order = Arc::clone(object).into_any().downcast::<WorkOrder>();
        found.extend(order.ok().filter(|order| !order.is_final()));
        true
    });
    found
}

/// Removes the work orders whose machines are gone, as far as `may` lets them go, and returns them.
pub(crate) async fn purge(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    may: impl Fn(&WorkOrder) -> bool,
) -> Result<Vec<Arc<WorkOrder>>, ApiError> {
    let snapshot = endpoint.snapshot();
    let mut gone = snapshot.list::<WorkOrder>();
    gone.retain(|order| is_lost(&snapshot, order) && may(order));
    remove_those(endpoint, principal, gone, is_lost).await
}

/// Removes the work orders that are over and old enough, and returns them.
pub(crate) async fn purge_old(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    rules: Retention,
) -> Result<Vec<Arc<WorkOrder>>, ApiError> {
    let (snapshot, now) = (endpoint.snapshot(), endpoint.now());
    let found = spawn_blocking(move || work_orders::expired(&snapshot, rules, now)).await;
    let gone = found.map_err(|error| internal(&error))?;
    remove_those(endpoint, principal, gone, |_, order| order.is_final()).await
}

/// Removes work orders of which each is `still` to go at that time: somebody may have been first.
async fn remove_those(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    gone: Vec<Arc<WorkOrder>>,
    still: fn(&Transaction, &WorkOrder) -> bool,
) -> Result<Vec<Arc<WorkOrder>>, ApiError> {
    let mut removed = Vec::with_capacity(gone.len());
    for orders in gone.chunks(AT_ONCE) {
        let keys: Vec<String> = orders.iter().map(|order| order.uuid.clone()).collect();
        let taken = commit(endpoint, principal, move |work| {
            let mut taken = Vec::with_capacity(keys.len());
            for key in &keys {
                let Some(order) = work.tx.get::<WorkOrder>(key) else { continue };
                if still(work.tx, &order) {
                    remove(work, order.as_ref(), true)?;
                    taken.push(key.clone());
                }
            }
            Ok(taken)
        });
        let taken = taken.await?;
        removed.extend(orders.iter().filter(|order| taken.contains(&order.uuid)).cloned());
    }
    Ok(removed)
}

fn is_lost(objects: &impl Objects, order: &WorkOrder) -> bool {
    !order.machine.is_empty() && Machine::find(objects, &order.machine).is_none()
}
