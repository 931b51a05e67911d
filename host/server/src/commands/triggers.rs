//! Firing triggers: the work orders that an occasion makes (drp-api.md 14.7, drp-behaviour.md 3.12).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::triggers;
use formwork_model::{Machine, ObjectsExt, Record, Trigger, WorkOrder};
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;

use crate::{
    commit::{commit, internal},
    endpoint::Endpoint,
    kinds, random, search,
};

/// How principals begin that are triggers.
pub(crate) const PRINCIPAL: &str = "trigger:";

/// Most bytes of the data of an occasion, and of all the copies of it that one occasion makes.
pub(crate) const MAX_DATA_BYTES: usize = 64 << 10;
const MAX_COPIED_BYTES: usize = 16 << 20;

/// Most work orders that one transaction makes.
const AT_ONCE: usize = 200;

/// Makes the work orders of a trigger, and returns their UUIDs.
///
/// # Errors
///
/// There is no such trigger, it is not enabled or not available, its filter cannot be read, or the data are too large for the
/// machines that it finds.
pub(crate) async fn fire(
    endpoint: &Arc<Endpoint>,
    name: &str,
    data: Map<String, Value>,
) -> Result<Vec<String>, ApiError> {
    let about =
        |code: u16, message: String| ApiError::new(code, "POST", message).about(Trigger::KIND.prefix, name);
    let snapshot = endpoint.snapshot();
    let trigger = snapshot.get::<Trigger>(name);
    let trigger = trigger.ok_or_else(|| ApiError::not_found("POST", Trigger::KIND.prefix, name))?;
    if !trigger.enabled {
        return Err(about(409, String::from("the trigger is not enabled")));
    }
    if !trigger.header.available {
        let why = trigger.header.errors.join(", ");
        return Err(about(409, format!("the trigger is not available: {why}")));
    }
    let wanted = Arc::clone(&trigger);
    let found = spawn_blocking(move || {
        let ready = [("WorkOrderMode", "true"), ("Runnable", "true")];
        let filters = triggers::conditions(&wanted.filter).chain(ready);
        search::keys(Machine::KIND, &snapshot, filters, None)
    });
    let found = found.await.map_err(|error| internal(&error))?;
    let found = found.map_err(|error| about(409, format!("the filter of the trigger: {error}")))?;
    let mut machines: Vec<Option<String>> =
        triggers::chosen(&trigger, found, random::below).into_iter().map(Some).collect();
    if machines.is_empty() && trigger.queue_mode {
        machines.push(None);
    }
    let bytes = Value::Object(data.clone()).to_string().len();
    if bytes > MAX_DATA_BYTES || bytes.saturating_mul(machines.len()) > MAX_COPIED_BYTES {
        let count = machines.len();
        return Err(about(413, format!("{bytes} bytes of data are too many for {count} work orders")));
    }
    let mut made = Vec::with_capacity(machines.len());
    for machines in machines.chunks(AT_ONCE) {
        let orders: Vec<_> = machines.iter().map(|machine| (random::uuid(), machine.clone())).collect();
        let (trigger, data) = (Arc::clone(&trigger), data.clone());
        let principal = format!("{PRINCIPAL}{name}");
        let part = commit(endpoint, &principal, move |work| {
            let mut part = Vec::with_capacity(orders.len());
            for (uuid, machine) in &orders {
                let is_ready = |key: &String| {
                    let machine = work.tx.get::<Machine>(key);
                    machine.is_some_and(|machine| machine.work_order_mode && machine.runnable)
                };
                if machine.as_ref().is_some_and(|key| !is_ready(key)) {
                    continue;
                }
                let order = triggers::work_order(&trigger, machine.as_deref(), &data, work.now);
                let order = Box::new(WorkOrder { uuid: uuid.clone(), ..order });
                let order = kinds::of(WorkOrder::KIND).complete(work, order)?;
                work.put(order)?;
                part.push(uuid.clone());
            }
            Ok(part)
        });
        made.extend(part.await?);
    }
    tracing::info!(trigger = name, work_orders = made.len(), "a trigger fired");
    Ok(made)
}
