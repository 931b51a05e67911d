//! Batches: what begins and ends with them (drp-api.md 14.5).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::batches;
use formwork_model::{Batch, Object, ObjectsExt, Record, WorkOrder};

use super::{Behaviour, pair, put_order};
use crate::{
    commands::objects::Request,
    commit::{Stop, Work, refused},
    random,
};

/// How batches behave.
pub(super) struct Batches;

impl Behaviour for Batches {
    fn complete(&self, _work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let Some(batch) = object.as_any().downcast_ref::<Batch>() else { return Ok(object) };
        let mut batch = Batch { state: String::from("created"), ..batch.clone() };
        if batch.uuid.is_empty() {
            batch.uuid = random::uuid();
        }
        Ok(Box::new(batch))
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
        let batch = batches::change(before, wanted.clone(), work.now)
            .map_err(|refusal| refused(Batch::KIND.prefix, &before.uuid, refusal))?;
        if batch.is_final() && !before.is_final() {
            for uuid in [&batch.setup_work_order, &batch.post_work_order] {
                cancel(work, uuid)?;
            }
        }
        work.put(Box::new(batch))
    }

    fn may_delete(&self, _work: &Work<'_>, _: &crate::auth::Caller, object: &dyn Object) -> Result<(), Stop> {
        let Some(batch) = object.as_any().downcast_ref::<Batch>().filter(|batch| !batch.is_final()) else {
            return Ok(());
        };
        let message = format!("batch {} is {}\nhint: set State to cancelled first", batch.uuid, batch.state);
        Err(ApiError::new(409, "DELETE", message).about(Batch::KIND.prefix, &batch.uuid).into())
    }
}

/// Cancels a work order that is not over.
pub(crate) fn cancel(work: &mut Work<'_>, uuid: &str) -> Result<(), Stop> {
    let Some(order) = work.tx.get::<WorkOrder>(uuid).filter(|order| !order.is_final()) else { return Ok(()) };
    super::work_orders::end_job(work, &order)?;
    let cancelled = WorkOrder {
        state: String::from("cancelled"),
        status: String::from("its batch was cancelled"),
        end_time: work.now,
        ..order.as_ref().clone()
    };
    put_order(work, cancelled).map(drop)
}
