//! Which work orders may go: those that are over, by age like jobs (drp-behaviour.md 3.12).

use std::sync::Arc;

use formwork_model::{Batch, Objects, ObjectsExt, Timestamp, WorkOrder};

use crate::{batches::BATCH, jobs::Retention};

/// Returns the work orders that may go. Those of a batch stay until it is over, for it counts them. How many jobs of a machine
/// stay says nothing about orders: without an age they stay.
pub fn expired(objects: &(impl Objects + ?Sized), rules: Retention, now: Timestamp) -> Vec<Arc<WorkOrder>> {
    if rules.complete_after.or(rules.failed_after).is_none() {
        return Vec::new();
    }
    let mut gone = objects.list::<WorkOrder>();
    gone.retain(|order| may_go(objects, order, rules, now));
    gone
}

fn may_go(objects: &(impl Objects + ?Sized), order: &WorkOrder, rules: Retention, now: Timestamp) -> bool {
    let is_old = || rules.is_old(order.state == "finished", order.end_time, now) == Some(true);
    let batch = || objects.get::<Batch>(order.header.meta.get(BATCH)?);
    order.is_final() && is_old() && batch().is_none_or(|batch| batch.is_final())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::machine::tests::Shelf;

    fn gone(shelf: &Shelf, rules: Retention) -> Vec<String> {
        expired(shelf, rules, Timestamp::from_millis(10_000)).iter().map(|order| order.uuid.clone()).collect()
    }

    fn order(uuid: &str, state: &str, ended: i64) -> WorkOrder {
        let end_time = Timestamp::from_millis(ended);
        WorkOrder { uuid: uuid.into(), state: state.into(), end_time, ..WorkOrder::default() }
    }

    #[test]
    fn orders_that_are_over_go_by_the_ages_of_jobs() {
        let shelf = Shelf::default()
            .with(order("w1", "finished", 1_000))
            .with(order("w2", "failed", 1_000))
            .with(order("w3", "cancelled", 9_000))
            .with(order("w4", "running", 1_000));
        let after = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(gone(&shelf, Retention { complete_after: after(9), ..Retention::default() }), ["w1"]);
        assert_eq!(gone(&shelf, Retention { failed_after: after(9), ..Retention::default() }), ["w2"]);
        assert_eq!(gone(&shelf, Retention { failed_after: after(1), ..Retention::default() }), ["w2", "w3"]);
        assert!(gone(&shelf, Retention { keep: Some(0), ..Retention::default() }).is_empty());
    }

    #[test]
    fn orders_of_a_batch_stay_until_it_is_over() {
        let site = |state: &str| {
            let mut member = order("w1", "finished", 1_000);
            member.header.meta.insert(BATCH.into(), "b1".into());
            Shelf::default().with(member).with(Batch {
                uuid: "b1".into(),
                state: state.into(),
                ..Batch::default()
            })
        };
        let rules = Retention { complete_after: Some(Duration::ZERO), ..Retention::default() };
        assert!(gone(&site("running"), rules).is_empty());
        assert_eq!(gone(&site("finished"), rules), ["w1"]);
    }
}
