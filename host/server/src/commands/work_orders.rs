//! Work orders: removing those that nothing waits for (drp-api.md 14.5).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{Machine, Objects, ObjectsExt, Record, WorkOrder};

use super::objects::remove;
use crate::{commit::commit, endpoint::Endpoint};

/// Most work orders that one transaction removes.
const AT_ONCE: usize = 500;

/// Removes the work orders whose machines are gone, as far as `may` lets them go, and returns them.
pub(crate) async fn purge(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    may: impl Fn(&WorkOrder) -> bool,
) -> Result<Vec<Arc<WorkOrder>>, ApiError> {
    let snapshot = endpoint.snapshot();
    let mut gone = snapshot.list::<WorkOrder>();
    gone.retain(|order| is_lost(&snapshot, order) && may(order));
    let mut removed = Vec::with_capacity(gone.len());
    for orders in gone.chunks(AT_ONCE) {
        let keys: Vec<String> = orders.iter().map(|order| order.uuid.clone()).collect();
        let taken = commit(endpoint, principal, move |work| {
            let mut taken = Vec::with_capacity(keys.len());
            for key in &keys {
                // Somebody may have been first, and a machine may be back.
                let Some(order) = work.tx.get::<WorkOrder>(key) else { continue };
                if is_lost(&*work.tx, &order) {
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

fn is_lost(objects: &(impl Objects + ?Sized), order: &WorkOrder) -> bool {
    !order.machine.is_empty() && objects.find(Machine::KIND.prefix, &order.machine).is_none()
}
