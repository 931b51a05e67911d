//! Batches: what begins and ends with them (drp-api.md 14.5).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::batches;
use formwork_model::{Batch, Claim, Object, Objects, ObjectsExt, Record, WorkOrder};

use super::{
    Behaviour, pair,
    work_orders::{cancel_order, machine_right},
};
use crate::{
    auth::Caller,
    commands::objects::Request,
    commit::{Stop, Work, refused},
    random,
};

/// How batches behave.
pub(super) struct Batches;

impl Behaviour for Batches {
    fn complete(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let Some(batch) = object.as_any().downcast_ref::<Batch>() else { return Ok(object) };
        batches::without_secrets(&*work.tx, batch)
            .map_err(|refusal| refused(Batch::KIND.prefix, &batch.uuid, refusal))?;
        let mut batch = Batch { state: String::from("created"), ..batch.clone() };
        if batch.uuid.is_empty() {
            batch.uuid = random::uuid();
        }
        Ok(Box::new(batch))
    }

    fn is_record(&self) -> bool {
        true
    }

    fn restore(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let Some(batch) = object.as_any().downcast_ref::<Batch>() else { return Ok(object) };
        batches::without_secrets(&*work.tx, batch)
            .map_err(|refusal| refused(Batch::KIND.prefix, &batch.uuid, refusal))?;
        Ok(Box::new(batches::put_back(batch, work.now)))
    }

    /// The orders before and after the members end with it at once, the members soon.
    fn change(
        &self,
        work: &mut Work<'_>,
        _request: &Request,
        old: &Arc<dyn Object>,
        new: &dyn Object,
    ) -> Result<Arc<dyn Object>, Stop> {
        let Some((before, wanted)) = pair::<Batch>(old.as_ref(), new) else { return work.put(new.boxed()) };
        let refused = |refusal| refused(Batch::KIND.prefix, &before.uuid, refusal);
        let batch = batches::change(before, wanted.clone(), work.now).map_err(refused)?;
        if !batches::has_same_templates(before, &batch) {
            batches::without_secrets(&*work.tx, &batch).map_err(refused)?;
        }
        if batch.is_final() && !before.is_final() {
            for uuid in [&batch.setup_work_order, &batch.post_work_order] {
                cancel_order(work, uuid)?;
            }
        }
        work.put(Box::new(batch))
    }

    /// Whoever writes a batch has its work orders made.
    fn given(&self, objects: &dyn Objects, old: Option<&dyn Object>, new: &dyn Object) -> Vec<Claim> {
        let Some(batch) = new.as_any().downcast_ref::<Batch>() else { return Vec::new() };
        let before = old.and_then(|old| old.as_any().downcast_ref::<Batch>());
        if before.is_some_and(|before| batches::has_same_templates(before, batch)) {
            return Vec::new();
        }
        let setup = std::iter::once(&batch.setup_work_order_template);
        let orders = setup.chain(&batch.work_order_template).chain(&batch.post_work_order_template);
        let create = Claim::new(WorkOrder::KIND.prefix, "create", "*");
        orders.map(|order| machine_right(objects, order)).chain([create]).collect()
    }

    fn may_delete(&self, work: &Work<'_>, _caller: &Caller, object: &dyn Object) -> Result<(), Stop> {
        let Some(batch) = object.as_any().downcast_ref::<Batch>() else { return Ok(()) };
        let message = match batch.is_final() {
            false => format!("batch {} is {}\nhint: set State to cancelled first", batch.uuid, batch.state),
            // Without it nobody would end them.
            true if batch.state == "cancelled" && has_open(&*work.tx, &batch.uuid) => {
                format!(
                    "batch {} still has work orders that are being cancelled\nhint: try again soon",
                    batch.uuid
                )
            }
            true => return Ok(()),
        };
        Err(ApiError::new(409, "DELETE", message).about(Batch::KIND.prefix, &batch.uuid).into())
    }
}

/// Tells whether a batch has work orders that are not over.
fn has_open(objects: &impl Objects, batch: &str) -> bool {
    let is_open = |order: &WorkOrder| {
        !order.is_final() && order.header.meta.get(batches::BATCH).is_some_and(|of| of == batch)
    };
    objects.find_by::<WorkOrder>(is_open).is_some()
}
