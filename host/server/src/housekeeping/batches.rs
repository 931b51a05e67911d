//! Batches go on as their work orders end.

use std::{collections::BTreeSet, sync::Arc};

use formwork_core::batches::BATCH;
use formwork_model::{Batch, Object, Objects as _, Record, SortKey, Span, WorkOrder};
use formwork_store::{Entry, Snapshot};

use super::{
    news::{self, News},
    report,
};
use crate::{commands::batches::advance, endpoint::Endpoint};

/// Brings batches on until the store is closed.
pub(super) async fn run(endpoint: &Arc<Endpoint>) {
    let (snapshot, mut feed) = endpoint.store.snapshot_and_feed();
    let mut moved = all(&snapshot);
    drop(snapshot);
    loop {
        let mut again = BTreeSet::new();
        for uuid in std::mem::take(&mut moved) {
            let advanced = advance(endpoint, &uuid).await;
            if advanced.is_err() {
                again.insert(uuid);
            }
            report("batch", advanced);
        }
        let is_troubled = !again.is_empty();
        moved = again;
        match news::next(endpoint, &mut feed, is_troubled).await {
            Some(News::Entries(entries)) => entries.iter().for_each(|entry| note(entry, &mut moved)),
            Some(News::All(snapshot)) => moved.extend(all(&snapshot)),
            None => return,
        }
    }
}

/// Returns the batches that may have something to do: those that are not over, and those of which work orders are left.
fn all(snapshot: &Snapshot) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (prefix, open) in [(Batch::KIND.prefix, Batch::OPEN), (WorkOrder::KIND.prefix, WorkOrder::OPEN)] {
        for state in open.iter().map(|state| SortKey::of("State", &(*state).into())) {
            snapshot.range(&Span::equal(prefix, "State", state), &mut |object| {
                found.extend(of(object.as_ref()));
                true
            });
        }
    }
    found
}

fn note(entry: &Entry, moved: &mut BTreeSet<String>) {
    for change in entry.changes.iter() {
        let objects = [&change.before, &change.after].into_iter().flatten();
        moved.extend(objects.filter_map(|object| of(object.as_ref())));
    }
}

/// Returns the batch that an object is or belongs to.
fn of(object: &dyn Object) -> Option<String> {
    let any = object.as_any();
    if let Some(batch) = any.downcast_ref::<Batch>() {
        return Some(batch.uuid.clone());
    }
    any.downcast_ref::<WorkOrder>()?.header.meta.get(BATCH).cloned()
}
