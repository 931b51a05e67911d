//! Work orders: how they are made of blueprints, what may change about them, and which one a machine runs next
//! (drp-api.md 14.5, drp-behaviour.md 3.12).

use formwork_model::{Blueprint, Machine, Objects, ObjectsExt, Task, Timestamp, Values, WorkOrder};

mod retention;
pub mod workflow;

pub use self::retention::expired;
use crate::{Refusal, plan::MAX_ENTRIES};

/// How long a chain of prerequisites is followed.
const MAX_DEPTH: usize = 100;

/// The mode of orders that have tasks of their own.
const TASK_MODE: &str = "task";

/// Completes a new work order out of its blueprint: what the order says itself goes before. `params` are those of the
/// blueprint in the clear: sealed for it, they would be nothing to the order.
///
/// # Errors
///
/// It is for a machine and a filter at once or for neither, or its machine or its blueprint is not there, or it has too many
/// tasks.
pub fn create(
    objects: &(impl Objects + ?Sized),
    mut order: WorkOrder,
    mut params: Values,
    now: Timestamp,
) -> Result<WorkOrder, Refusal> {
    let Some(blueprint) = objects.get::<Blueprint>(&order.blueprint) else {
        return wrong(&order, &format!("Blueprint {} does not exist", order.blueprint));
    };
    if order.mode == TASK_MODE && order.tasks.is_empty() {
        order.tasks.clone_from(&blueprint.tasks);
    }
    order.tasks = expanded(objects, &order.tasks);
    fits(objects, &order)?;
    if order.mode != TASK_MODE && order.context.is_empty() {
        order.context.clone_from(&blueprint.context);
    }
    for profile in &blueprint.profiles {
        if !order.profiles.contains(profile) {
            order.profiles.push(profile.clone());
        }
    }
    params.extend(order.params.values());
    order.params = params.into();
    order.state = String::from("created");
    order.current_task = -1;
    order.create_time = now;
    (order.start_time, order.end_time) = (Timestamp::default(), Timestamp::default());
    Ok(order)
}

/// Refuses a work order that could not run as it stands: as a new one, and as one that waits and is changed.
fn fits(objects: &(impl Objects + ?Sized), order: &WorkOrder) -> Result<(), Refusal> {
    if order.machine.is_empty() == order.filter.is_empty() {
        return wrong(order, "Machine or Filter must be set, and not both");
    }
    if !order.machine.is_empty() && Machine::find(objects, &order.machine).is_none() {
        return wrong(order, &format!("Machine {} does not exist", order.machine));
    }
    if order.tasks.len() > MAX_ENTRIES {
        return wrong(order, &format!("it has {} tasks, more than {MAX_ENTRIES}", order.tasks.len()));
    }
    if order.mode == TASK_MODE {
        return Ok(());
    }
    if !order.tasks.is_empty() {
        return wrong(order, "Tasks are of task mode; in workflow mode the blueprint's Workflow runs");
    }
    let blueprint = objects.get::<Blueprint>(&order.blueprint);
    match blueprint.and_then(|blueprint| workflow::missing(objects, &blueprint)) {
        Some(missing) => wrong(order, &missing),
        None => Ok(()),
    }
}

fn wrong<T>(order: &WorkOrder, what: &str) -> Result<T, Refusal> {
    Err(Refusal::invalid(format!("{}: {what}", order.uuid)))
}

/// Puts before each task those that it needs, each once. A task that needs itself comes where it was met first.
fn expanded(objects: &(impl Objects + ?Sized), tasks: &[String]) -> Vec<String> {
    fn before(
        objects: &(impl Objects + ?Sized),
        (name, depth): (&str, usize),
        met: &mut Vec<String>,
        list: &mut Vec<String>,
    ) {
        let Some(task) = objects.get::<Task>(name).filter(|_| depth < MAX_DEPTH) else { return };
        for needed in &task.prerequisites {
            if met.len() <= MAX_ENTRIES && !met.contains(needed) {
                met.push(needed.clone());
                before(objects, (needed, depth + 1), met, list);
                list.push(needed.clone());
            }
        }
    }
    let (mut met, mut list) = (Vec::new(), Vec::new());
    for name in tasks {
        met.push(name.clone());
        before(objects, (name, 0), &mut met, &mut list);
        list.push(name.clone());
    }
    list
}

/// Decides what becomes of a change of a work order that a client wants.
///
/// # Errors
///
/// It has ended, or begun and another machine, blueprint or list is wanted, or a state that only its tasks can bring; or it
/// waits and could not run as it is wanted.
pub fn change(
    objects: &(impl Objects + ?Sized),
    old: &WorkOrder,
    mut new: WorkOrder,
    now: Timestamp,
) -> Result<WorkOrder, Refusal> {
    let refused = |what: &str| wrong(old, what);
    // What only the endpoint writes; a new order's state is what a client sends who means none.
    (new.current_task, new.start_time, new.end_time) = (old.current_task, old.start_time, old.end_time);
    new.stage.clone_from(&old.stage);
    if new.state == WorkOrder::default().state {
        new.state.clone_from(&old.state);
    }
    let unheaded = |order: &WorkOrder| WorkOrder { header: old.header.clone(), ..order.clone() };
    if old.is_final() && unheaded(&new) != *old {
        return refused(&format!("the work order is {}\nhint: make a new one", old.state));
    }
    if new.state != old.state {
        if new.state != "cancelled" {
            return refused(&format!("State cannot become {}\nhint: only cancelled can be set", new.state));
        }
        new.end_time = now;
    }
    if new.blueprint != old.blueprint {
        return refused("Blueprint cannot change\nhint: make a new work order");
    }
    let is_moved = (&new.machine, &new.filter, &new.mode, &new.tasks, &new.context)
        != (&old.machine, &old.filter, &old.mode, &old.tasks, &old.context);
    if old.state != "created" && is_moved {
        return refused("Machine, Filter, Mode, Tasks and Context stay once it has begun");
    }
    if is_moved {
        fits(objects, &new)?;
    }
    if old.state == "running" && new.runnable && !old.runnable && new.status == old.status {
        // It said why the order was held.
        new.status.clear();
    }
    Ok(new)
}

/// What is said of a work order that waits on hold since it was put back.
const PUT_BACK: &str = "it was put back\nhint: set SchedulingHold to false to have it run";

/// Returns a work order as it is put back from a backup. One that is over stays as it was. One that is not waits from its beginning,
/// held until somebody lets it run: its job is in no backup, and it may run elsewhere. One that a machine had taken by its filter
/// is for any of these again. It is cancelled where its machine is gone, and where it is of a batch, which is cancelled too.
///
/// # Errors
///
/// It is not over and could not run as it stands.
pub fn put_back(
    objects: &(impl Objects + ?Sized),
    order: &WorkOrder,
    now: Timestamp,
) -> Result<WorkOrder, Refusal> {
    if order.is_final() {
        return Ok(order.clone());
    }
    let mut order = order.clone();
    if order.state != "created" && !order.filter.is_empty() {
        order.machine.clear();
    }
    let lost = if order.header.meta.contains_key(WorkOrder::BATCH) {
        Some(String::from("its batch was not over when it was kept"))
    } else {
        let is_gone = !order.machine.is_empty() && Machine::find(objects, &order.machine).is_none();
        is_gone.then(|| format!("Machine {} does not exist", order.machine))
    };
    if let Some(status) = lost {
        return Ok(WorkOrder { state: String::from("cancelled"), status, end_time: now, ..order });
    }
    fits(objects, &order)?;
    let tasks = order.task_error_stacks.first().map_or(&order.tasks, |stack| &stack.task_list);
    Ok(WorkOrder {
        uuid: order.uuid.clone(),
        machine: order.machine.clone(),
        filter: order.filter.clone(),
        blueprint: order.blueprint.clone(),
        status: String::from(PUT_BACK),
        mode: order.mode.clone(),
        on_failure: order.on_failure.clone(),
        runnable: order.runnable || order.state != "created",
        scheduling_hold: true,
        context: order.context.clone(),
        tasks: tasks.clone(),
        params: order.params.clone(),
        profiles: order.profiles.clone(),
        predecessor: order.predecessor.clone(),
        create_time: order.create_time,
        header: order.header.clone(),
        ..WorkOrder::default()
    })
}

/// Tells whether a work order waits for an agent to run its tasks.
#[must_use]
pub fn is_waiting(order: &WorkOrder) -> bool {
    order.mode == TASK_MODE && waits(order)
}

fn waits(order: &WorkOrder) -> bool {
    order.state == "created" && order.runnable && !order.scheduling_hold && order.header.available
}

/// Refuses work orders to a machine that takes none now.
///
/// # Errors
///
/// It is not in work order mode, not runnable or not available.
pub fn may_take(machine: &Machine) -> Result<(), Refusal> {
    let why = match machine {
        _ if !machine.work_order_mode => "in work order mode",
        _ if !machine.runnable => "runnable",
        _ if !machine.header.available => "available",
        _ => return Ok(()),
    };
    Err(Refusal::Conflict(format!("Machine {} is not {why}", machine.uuid)))
}

/// Begins a work order on a machine.
#[must_use]
pub fn begun(order: &WorkOrder, machine: &Machine, now: Timestamp) -> WorkOrder {
    let mut order = order.clone();
    if order.status == PUT_BACK {
        order.status.clear();
    }
    WorkOrder { machine: machine.uuid.clone(), state: String::from("running"), start_time: now, ..order }
}

/// Returns a machine whose work order was made, changed or deleted, with its counts; nothing when they stay.
#[must_use]
pub fn counted(machine: &Machine, before: Option<&WorkOrder>, after: Option<&WorkOrder>) -> Option<Machine> {
    let count = |order: Option<&WorkOrder>, state: &str| {
        let here = order.filter(|order| order.machine == machine.uuid && order.state == state);
        i64::from(here.is_some())
    };
    let change = |state: &str| count(after, state) - count(before, state);
    let (pending, running) = (change("created"), change("running"));
    (pending != 0 || running != 0).then(|| Machine {
        pending_work_orders: (machine.pending_work_orders + pending).max(0),
        running_work_orders: (machine.running_work_orders + running).max(0),
        ..machine.clone()
    })
}

#[cfg(test)]
mod tests;
