//! Batches: a work order that makes others, these, and one after them (drp-api.md 14.5).

use std::collections::BTreeMap;

use formwork_model::{Batch, Objects, Timestamp, WorkOrder};

use crate::{Refusal, plugins};

/// The member of a work order's meta that names its batch.
pub const BATCH: &str = WorkOrder::BATCH;

/// The work orders of a batch, as they are at one revision.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// The one that makes the members.
    pub setup: Option<WorkOrder>,
    /// How many members there are in each state.
    pub members: BTreeMap<String, i64>,
    /// The one after the members.
    pub post: Option<WorkOrder>,
}

/// What is to be saved together.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The batch.
    pub batch: Batch,
    /// A work order to make.
    pub order: Option<WorkOrder>,
}

/// Decides how a batch goes on; nothing while it waits. `fresh` makes random UUIDs.
#[must_use]
pub fn advance(
    batch: &Batch,
    orders: &Orders,
    now: Timestamp,
    mut fresh: impl FnMut() -> String,
) -> Option<Step> {
    if batch.is_final() {
        return None;
    }
    let mut next = Batch { work_order_counts: orders.members.clone(), ..batch.clone() };
    let mut made = None;
    let mut order = |template: &WorkOrder| {
        let order = order_of(batch, template, fresh());
        let uuid = order.uuid.clone();
        made = Some(order);
        uuid
    };
    match batch.state.as_str() {
        "created" => {
            next.setup_work_order = order(&batch.setup_work_order_template);
            next.state = String::from("setup");
            next.start_time = now;
        }
        "setup" => match orders.setup.as_ref().map(|setup| setup.state.as_str()) {
            Some("finished") => next.state = String::from("running"),
            Some("created" | "running") => {}
            Some(state) => end(&mut next, "failed", format!("its setup is {state}"), now),
            None => end(&mut next, "failed", String::from("its setup was deleted"), now),
        },
        "running" if count(orders, &["created", "running"]) > 0 => {}
        "running" => match &batch.post_work_order_template {
            Some(template) => {
                next.post_work_order = order(template);
                next.state = String::from("post");
            }
            None => end_by_members(&mut next, orders, now),
        },
        _ => match orders.post.as_ref().map(|post| post.state.as_str()) {
            Some("finished") => end_by_members(&mut next, orders, now),
            Some("created" | "running") => {}
            Some(state) => end(&mut next, "failed", format!("its last work order is {state}"), now),
            None => end(&mut next, "failed", String::from("its last work order was deleted"), now),
        },
    }
    (next != *batch || made.is_some()).then_some(Step { batch: next, order: made })
}

/// Decides what becomes of a change of a batch that a client wants.
///
/// # Errors
///
/// A state that only its work orders can bring, or other templates once it has begun.
pub fn change(old: &Batch, mut new: Batch, now: Timestamp) -> Result<Batch, Refusal> {
    let refused = |what: &str| Err(Refusal::invalid(format!("{}: {what}", old.uuid)));
    (new.start_time, new.end_time) = (old.start_time, old.end_time);
    // A new batch's state is what a client sends who means none.
    if new.state == "created" {
        new.state.clone_from(&old.state);
    }
    if new.state != old.state {
        if old.is_final() || new.state != "cancelled" {
            return refused("State can only become cancelled, and only before the batch is over");
        }
        new.end_time = now;
    }
    if old.state != "created" && !has_same_templates(&new, old) {
        return refused("its templates stay once it has begun\nhint: make a new batch");
    }
    Ok(new)
}

/// Returns a batch as it is put back from a backup. One that is over stays as it was. One that is not is cancelled: what it had
/// begun may run elsewhere, and nothing begins by putting it back.
#[must_use]
pub fn put_back(batch: &Batch, now: Timestamp) -> Batch {
    let mut batch = batch.clone();
    if !batch.is_final() {
        let status = format!("it was {} when it was kept\nhint: make a new batch", batch.state);
        end(&mut batch, "cancelled", status, now);
    }
    batch
}

/// Refuses templates that would keep a secret for everybody to read: nothing seals what is inside of a template.
///
/// # Errors
///
/// A template has a param that is secure.
pub fn without_secrets(objects: &(impl Objects + ?Sized), batch: &Batch) -> Result<(), Refusal> {
    let setup = std::iter::once(&batch.setup_work_order_template);
    let templates = setup.chain(&batch.work_order_template).chain(&batch.post_work_order_template);
    let secure = |order: &WorkOrder| order.params.keys().find(|name| plugins::is_secure(objects, name));
    match templates.filter_map(secure).next() {
        None => Ok(()),
        Some(name) => Err(Refusal::invalid(format!(
            "{}: Param {name} is secure and cannot be in a template\nhint: put it into the blueprint or a profile",
            batch.uuid
        ))),
    }
}

/// Tells whether two batches make the same work orders.
#[must_use]
pub fn has_same_templates(one: &Batch, other: &Batch) -> bool {
    one.setup_work_order_template == other.setup_work_order_template
        && one.work_order_template == other.work_order_template
        && one.post_work_order_template == other.post_work_order_template
}

/// Makes the batch that runs the members of another again that failed, with these members. They begin at once.
///
/// # Errors
///
/// The other is not over, or none of its members failed.
pub fn restarted(
    old: &Batch,
    failed: &[WorkOrder],
    now: Timestamp,
    mut fresh: impl FnMut() -> String,
) -> Result<(Batch, Vec<WorkOrder>), Refusal> {
    let refused = |why: &str| Err(Refusal::Conflict(format!("Batch {} {why}", old.uuid)));
    if !old.is_final() {
        return refused(&format!("is {}: only one that is over can be run again", old.state));
    }
    if failed.is_empty() {
        return refused("has no members that failed");
    }
    let batch = Batch {
        uuid: fresh(),
        description: old.description.clone(),
        state: String::from("running"),
        setup_work_order_template: old.setup_work_order_template.clone(),
        work_order_template: old.work_order_template.clone(),
        post_work_order_template: old.post_work_order_template.clone(),
        predecessor: old.uuid.clone(),
        start_time: now,
        ..Batch::default()
    };
    let again = |order: &WorkOrder| WorkOrder {
        machine: if order.filter.is_empty() { order.machine.clone() } else { String::new() },
        filter: order.filter.clone(),
        params: order.params.clone(),
        profiles: order.profiles.clone(),
        context: order.context.clone(),
        tasks: order.task_error_stacks.first().map_or(&order.tasks, |stack| &stack.task_list).clone(),
        predecessor: order.uuid.clone(),
        blueprint: order.blueprint.clone(),
        mode: order.mode.clone(),
        on_failure: order.on_failure.clone(),
        ..WorkOrder::default()
    };
    let members = failed.iter().map(|order| order_of(&batch, &again(order), fresh())).collect();
    Ok((batch, members))
}

/// Makes a work order of a template, of which only what a client may write counts.
fn order_of(batch: &Batch, template: &WorkOrder, uuid: String) -> WorkOrder {
    let mut order = WorkOrder {
        uuid,
        machine: template.machine.clone(),
        filter: template.filter.clone(),
        blueprint: template.blueprint.clone(),
        mode: template.mode.clone(),
        on_failure: template.on_failure.clone(),
        runnable: template.runnable,
        scheduling_hold: template.scheduling_hold,
        context: template.context.clone(),
        tasks: template.tasks.clone(),
        params: template.params.clone(),
        profiles: template.profiles.clone(),
        predecessor: template.predecessor.clone(),
        ..WorkOrder::default()
    };
    order.header.meta.clone_from(&template.header.meta);
    order.header.meta.insert(BATCH.to_owned(), batch.uuid.clone());
    order
}

fn count(orders: &Orders, states: &[&str]) -> i64 {
    states.iter().filter_map(|state| orders.members.get(*state)).sum()
}

fn end_by_members(batch: &mut Batch, orders: &Orders, now: Timestamp) {
    match count(orders, &["failed", "cancelled"]) {
        0 => end(batch, "finished", String::new(), now),
        1 => end(batch, "failed", String::from("1 work order did not finish"), now),
        lost => end(batch, "failed", format!("{lost} work orders did not finish"), now),
    }
}

fn end(batch: &mut Batch, state: &str, status: String, now: Timestamp) {
    state.clone_into(&mut batch.state);
    batch.status = status;
    batch.end_time = now;
}

#[cfg(test)]
mod tests;
