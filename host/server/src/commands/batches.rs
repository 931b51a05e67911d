//! Batches: bringing one on as its work orders end, and running again what failed (drp-api.md 14.5).

use std::{collections::BTreeMap, sync::Arc};

use formwork_api::ApiError;
use formwork_core::batches::{self, Orders, Step};
use formwork_model::{Batch, Objects as _, ObjectsExt, Record, WorkOrder};
use formwork_store::Snapshot;
use tokio::task::spawn_blocking;

use super::claims::require_given;
use crate::{
    auth::Caller,
    commit::{Stop, Work, commit, internal, refused},
    endpoint::Endpoint,
    kinds::{self, cancel_order},
    random,
};

/// Who the server is when it brings a batch on; the key follows.
const PRINCIPAL: &str = "batch:";

/// Most work orders that one transaction makes or cancels.
const AT_ONCE: usize = 500;

/// Most members that one restart makes, which is one transaction.
const MAX_MEMBERS: usize = 2_000;

/// Brings a batch on as far as its work orders let it, and cancels what is left of one that was cancelled.
pub(crate) async fn advance(endpoint: &Arc<Endpoint>, uuid: &str) -> Result<(), ApiError> {
    let principal = format!("{PRINCIPAL}{uuid}");
    loop {
        let snapshot = endpoint.snapshot();
        let Some(batch) = snapshot.get::<Batch>(uuid) else { return Ok(()) };
        let seen = Arc::clone(&batch);
        if batch.state == "cancelled" {
            let open = spawn_blocking(move || members(&snapshot, &seen, |order| !order.is_final())).await;
            return cancel(endpoint, &principal, &open.map_err(|error| internal(&error))?).await;
        }
        let orders =
            spawn_blocking(move || orders(&snapshot, &seen)).await.map_err(|error| internal(&error))?;
        let Some(step) = batches::advance(&batch, &orders, endpoint.now(), random::uuid) else {
            return Ok(());
        };
        let made = put_if_same(endpoint, &principal, &batch, step).await;
        match made {
            Err(error) if error.code < 500 => {
                let status = error.messages.join("; ");
                let failed = Batch {
                    state: String::from("failed"),
                    status,
                    end_time: endpoint.now(),
                    ..batch.as_ref().clone()
                };
                put_if_same(endpoint, &principal, &batch, Step { batch: failed, order: None }).await?;
            }
            made => made?,
        }
    }
}

/// Saves a step of a batch that nobody has changed meanwhile; else it is looked at again.
async fn put_if_same(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    before: &Arc<Batch>,
    step: Step,
) -> Result<(), ApiError> {
    let before = Arc::clone(before);
    commit(endpoint, principal, move |work| {
        if work.tx.get::<Batch>(&before.uuid).is_some_and(|now| *now == *before) {
            if let Some(order) = step.order.clone() {
                make(work, order)?;
            }
            work.put_unchecked(Box::new(step.batch.clone()))?;
        }
        Ok(())
    })
    .await
}

/// Makes a batch of the members of another that failed, and returns it. Its caller needs what he would need to make all that.
pub(crate) async fn restart(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    uuid: &str,
) -> Result<Batch, ApiError> {
    let snapshot = endpoint.snapshot();
    let batch = snapshot.get::<Batch>(uuid);
    let old = batch.ok_or_else(|| ApiError::not_found("POST", Batch::KIND.prefix, uuid))?;
    let wanted = Arc::clone(&old);
    let failed = spawn_blocking(move || members(&snapshot, &wanted, |order| order.state == "failed")).await;
    let failed = failed.map_err(|error| internal(&error))?;
    if failed.len() > MAX_MEMBERS {
        let message =
            format!("Batch {uuid} has {} members that failed, more than {MAX_MEMBERS}", failed.len());
        return Err(ApiError::new(409, "POST", message).about(Batch::KIND.prefix, uuid));
    }
    let (principal, caller) = (caller.principal.clone(), caller.clone());
    commit(endpoint, &principal, move |work| {
        let clear =
            |order: &WorkOrder| WorkOrder { params: work.params_in_the_clear(order).into(), ..order.clone() };
        let failed: Vec<WorkOrder> = failed.iter().map(clear).collect();
        let (batch, members) = batches::restarted(&old, &failed, work.now, random::uuid)
            .map_err(|refusal| refused(Batch::KIND.prefix, &old.uuid, refusal))?;
        require_given(&caller, &*work.tx, None, &batch)?;
        let stored = work.put(Box::new(batch))?;
        for member in members {
            require_given(&caller, &*work.tx, None, &member)?;
            make(work, member)?;
        }
        Ok(stored.as_any().downcast_ref::<Batch>().cloned().unwrap_or_default())
    })
    .await
}

fn make(work: &mut Work<'_>, order: WorkOrder) -> Result<(), Stop> {
    let order = kinds::of(WorkOrder::KIND).complete(work, Box::new(order))?;
    work.put(order).map(drop)
}

async fn cancel(endpoint: &Arc<Endpoint>, principal: &str, open: &[WorkOrder]) -> Result<(), ApiError> {
    for part in open.chunks(AT_ONCE) {
        let part: Vec<String> = part.iter().map(|order| order.uuid.clone()).collect();
        commit(endpoint, principal, move |work| part.iter().try_for_each(|uuid| cancel_order(work, uuid)))
            .await?;
    }
    Ok(())
}

/// Calls `visit` for the members of a batch, which refer to it.
fn visit_members(snapshot: &Snapshot, batch: &Batch, mut visit: impl FnMut(&WorkOrder)) {
    snapshot.users_of(Batch::KIND.prefix, &batch.uuid, &mut |object| {
        let order = object.as_any().downcast_ref::<WorkOrder>();
        let is_member =
            |order: &&WorkOrder| order.uuid != batch.setup_work_order && order.uuid != batch.post_work_order;
        order.filter(is_member).into_iter().for_each(&mut visit);
        true
    });
}

fn orders(snapshot: &Snapshot, batch: &Batch) -> Orders {
    let order = |uuid: &str| snapshot.get::<WorkOrder>(uuid).map(|order| order.as_ref().clone());
    let mut members = BTreeMap::new();
    visit_members(snapshot, batch, |order| *members.entry(order.state.clone()).or_insert(0) += 1);
    Orders { setup: order(&batch.setup_work_order), members, post: order(&batch.post_work_order) }
}

/// Returns the members of a batch that pass a test.
fn members(snapshot: &Snapshot, batch: &Batch, test: impl Fn(&WorkOrder) -> bool) -> Vec<WorkOrder> {
    let mut found = Vec::new();
    visit_members(snapshot, batch, |order| {
        if test(order) {
            found.push(order.clone());
        }
    });
    found
}
