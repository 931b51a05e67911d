//! Work orders in workflow mode begin as soon as their machines have nothing else to do.

use std::{collections::BTreeSet, sync::Arc};

use formwork_core::work_orders::workflow;
use formwork_model::{Machine, Object, Objects, ObjectsExt, Record, WorkOrder};
use formwork_store::{Entry, Snapshot};

use super::{
    PRINCIPAL,
    news::{self, News},
    report,
};
use crate::{
    commands::work_orders::{begin_next, may_take},
    endpoint::Endpoint,
};

/// Most orders without a machine for which one is looked for at a time.
const MAX_FREE: usize = 1_000;

/// What is to be looked at.
#[derive(Default)]
struct Waiting {
    /// Machines for which orders wait.
    machines: BTreeSet<String>,
    /// Orders for which any machine of their filter will do.
    free: BTreeSet<String>,
    /// True when a machine may have become free for one of those.
    is_news: bool,
}

/// Has machines begin their work orders until the store is closed.
pub(super) async fn run(endpoint: &Arc<Endpoint>) {
    let (snapshot, mut feed) = endpoint.store.snapshot_and_feed();
    let mut waiting = Waiting::default();
    waiting.scan(&snapshot);
    drop(snapshot);
    loop {
        let again = waiting.begin(endpoint).await;
        match news::next(endpoint, &mut feed, again).await {
            Some(News::Entries(entries)) => entries.iter().for_each(|entry| waiting.note(entry)),
            Some(News::All(snapshot)) => waiting.scan(&snapshot),
            None => return,
        }
    }
}

impl Waiting {
    fn scan(&mut self, snapshot: &Snapshot) {
        *self = Self { is_news: true, ..Self::default() };
        snapshot.visit(WorkOrder::KIND.prefix, &mut |object| {
            self.note_order(object.as_ref());
            true
        });
    }

    fn note(&mut self, entry: &Entry) {
        for change in entry.changes.iter() {
            if change.prefix == WorkOrder::KIND.prefix {
                match &change.after {
                    Some(order) => self.note_order(order.as_ref()),
                    None => drop(self.free.remove(&*change.key)),
                }
            } else if let Some(machine) = change.after.as_deref().and_then(Machine::of)
                && workflow::is_idle(machine)
            {
                self.is_news |= machine.work_order_mode && !self.free.is_empty();
                if machine.pending_work_orders > 0 {
                    self.machines.insert(machine.uuid.clone());
                }
            }
        }
    }

    fn note_order(&mut self, object: &dyn Object) {
        let Some(order) = object.as_any().downcast_ref::<WorkOrder>() else { return };
        match (workflow::is_waiting(order), order.machine.is_empty()) {
            (true, true) => self.is_news |= self.free.insert(order.uuid.clone()),
            (true, false) => drop(self.machines.insert(order.machine.clone())),
            (false, _) => drop(self.free.remove(&order.uuid)),
        }
    }

    /// Begins what can be begun; tells whether something is to be tried again.
    async fn begin(&mut self, endpoint: &Arc<Endpoint>) -> bool {
        let mut again = BTreeSet::new();
        for machine in std::mem::take(&mut self.machines) {
            let begun = begin_next(endpoint, PRINCIPAL, &machine, None).await;
            if begun.is_err() {
                again.insert(machine);
            }
            report("work order", begun);
        }
        let mut troubled = false;
        if std::mem::take(&mut self.is_news) {
            for order in self.free.iter().take(MAX_FREE) {
                let Some(order) = endpoint.snapshot().get::<WorkOrder>(order) else { continue };
                let Some(machine) = may_take(endpoint, &order) else { continue };
                let begun = begin_next(endpoint, PRINCIPAL, &machine, Some(&order.uuid)).await;
                troubled |= begun.is_err();
                report("work order", begun);
            }
        }
        self.is_news = troubled;
        self.machines = again;
        troubled || !self.machines.is_empty()
    }
}
