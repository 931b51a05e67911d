//! Work orders in workflow mode follow their machines, however those changed (drp-api.md 14.5).

use formwork_core::work_orders::workflow;
use formwork_model::{Machine, Object, ObjectsExt, WorkOrder};

use super::{machines::end_job, work_orders::put_order};
use crate::commit::{Stop, Work};

/// Brings the work orders on whose machines a transaction moved along their workflows, and lets go of those that something
/// else was done with.
pub(crate) fn follow_workflows(work: &mut Work<'_>) -> Result<(), Stop> {
    let named = |object: &dyn Object| Machine::of(object)?.header.meta.get(workflow::ORDER).cloned();
    let moved: Vec<_> = work
        .tx
        .changes()
        .into_iter()
        .filter(|change| Machine::PREFIXES.contains(&change.prefix))
        .map(|change| (change.before.as_deref().and_then(named), change.key, change.after))
        .filter(|(before, _, after)| before.is_some() || after.as_deref().and_then(named).is_some())
        .collect();
    for (before, key, _) in moved {
        let found = Machine::with_uuid(&*work.tx, &key);
        let now_named = found.as_ref().and_then(|(_, machine)| machine.header.meta.get(workflow::ORDER));
        if let Some(left) = before.filter(|before| Some(before) != now_named)
            && let Some(order) = running(work, &left)
        {
            put_order(work, workflow::abandoned(&order, work.now))?;
        }
        let (Some((kind, machine)), Some(uuid)) = (&found, now_named) else { continue };
        let order = running(work, uuid).filter(|order| order.machine == machine.uuid);
        let followed = workflow::follow(&*work.tx, machine, order.as_ref(), work.now);
        if let Some(machine) = followed.machine {
            work.put_unchecked(machine.into_kind(kind))?;
        }
        if let Some(order) = followed.order {
            put_order(work, order)?;
        }
    }
    Ok(())
}

fn running(work: &Work<'_>, uuid: &str) -> Option<WorkOrder> {
    let order = work.tx.get::<WorkOrder>(uuid)?;
    (order.mode == workflow::MODE && order.state == "running").then(|| order.as_ref().clone())
}

/// Ends the workflow that a machine goes through for a work order that is over.
pub(super) fn stop_workflow(work: &mut Work<'_>, order: &WorkOrder) -> Result<(), Stop> {
    let Some((kind, machine)) = Machine::with_uuid(&*work.tx, &order.machine) else { return Ok(()) };
    if machine.header.meta.get(workflow::ORDER) != Some(&order.uuid) {
        return Ok(());
    }
    end_job(work, &machine)?;
    let stopped = workflow::stopped(&*work.tx, &machine);
    work.put_unchecked(stopped.into_kind(kind)).map(drop)
}

/// Has the machine of a running work order stand or go as somebody says of the order.
pub(super) fn hold_workflow(work: &mut Work<'_>, order: &WorkOrder) -> Result<(), Stop> {
    let Some((kind, machine)) = Machine::with_uuid(&*work.tx, &order.machine) else { return Ok(()) };
    if machine.header.meta.get(workflow::ORDER) != Some(&order.uuid) || machine.runnable == order.runnable {
        return Ok(());
    }
    let held = Machine { runnable: order.runnable, ..machine.as_ref().clone() };
    work.put_unchecked(held.into_kind(kind)).map(drop)
}
