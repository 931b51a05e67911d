//! Work orders in workflow mode begin as soon as their machines have nothing else to do. Agents that have nothing to do
//! are told of orders in task mode that any machine of a filter may take.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use formwork_api::Event;
use formwork_core::work_orders::workflow;
use formwork_model::{Machine, Object, Objects, Record, SortKey, Span, WorkOrder};
use formwork_store::{Entry, Snapshot};
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::{
    PRINCIPAL,
    news::{self, News},
    report,
};
use crate::{
    commands::work_orders::{begin_next, is_queued, may_begin, may_pick},
    endpoint::Endpoint,
    random,
};

/// Most orders of one filter that are begun before the next look.
const MAX_FREE: usize = 1_000;

/// Machines that are told for each order that waits: some of them may have no agent, and all of them will ask at once.
const TOLD: usize = 32;

/// Most filters and contexts whose machines are told at a time; agents ask from time to time also when they hear nothing.
const MAX_FILTERS: usize = 100;

/// What an agent is told of its machine when an order waits that the machine may take.
const WAITS: &str = "work_order";

/// What is to be looked at.
#[derive(Default)]
struct Waiting {
    /// Machines for which orders in workflow mode wait.
    machines: BTreeSet<String>,
    /// True when an order in workflow mode may have come that any machine of its filter may take, or such a machine.
    is_news: bool,
    /// How many orders in task mode have come that any machine of their filter may take, by the filter and the context.
    queued: BTreeMap<(String, String), usize>,
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
        let created = SortKey::of("State", &"created".into());
        snapshot.range(&Span::equal(WorkOrder::KIND.prefix, "State", created), &mut |object| {
            self.note_order(object.as_ref());
            true
        });
    }

    fn note(&mut self, entry: &Entry) {
        for change in entry.changes.iter() {
            if change.prefix == WorkOrder::KIND.prefix {
                change.after.iter().for_each(|order| self.note_order(order.as_ref()));
            } else if let Some(machine) = change.after.as_deref().and_then(Machine::of)
                && workflow::is_idle(machine)
            {
                self.is_news |= machine.work_order_mode;
                if machine.pending_work_orders > 0 {
                    self.machines.insert(machine.uuid.clone());
                }
            }
        }
    }

    fn note_order(&mut self, object: &dyn Object) {
        let Some(order) = object.as_any().downcast_ref::<WorkOrder>() else { return };
        match (workflow::is_waiting(order), is_queued(order)) {
            (true, true) => self.is_news = true,
            (true, false) => drop(self.machines.insert(order.machine.clone())),
            (false, true) => {
                *self.queued.entry((order.filter.clone(), order.context.clone())).or_default() += 1;
            }
            (false, false) => {}
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
        let troubled = std::mem::take(&mut self.is_news) && begin_queued(endpoint).await;
        let queued = std::mem::take(&mut self.queued);
        if endpoint.hub.has_listeners() && !queued.is_empty() {
            apart(endpoint, move |endpoint| {
                queued.iter().take(MAX_FILTERS).for_each(|(group, count)| tell(endpoint, group, *count));
            })
            .await;
        }
        self.is_news = troubled;
        self.machines = again;
        troubled || !self.machines.is_empty()
    }
}

/// Looks for machines where nobody waits for it: each filter is a search of its own.
async fn apart<T: Default + Send + 'static>(
    endpoint: &Arc<Endpoint>,
    look: impl FnOnce(&Arc<Endpoint>) -> T + Send + 'static,
) -> T {
    let endpoint = Arc::clone(endpoint);
    let found = spawn_blocking(move || look(&endpoint)).await;
    found
        .inspect_err(|error| tracing::error!(%error, "failed to look for machines of work orders"))
        .unwrap_or_default()
}

/// Has machines begin the orders in workflow mode that any machine of their filter may take, oldest first. Returns true when
/// that is to be tried again.
async fn begin_queued(endpoint: &Arc<Endpoint>) -> bool {
    let (mut orders, mut machines, mut again) = (Vec::new(), HashMap::new(), false);
    let found = apart(endpoint, |endpoint| {
        let waiting = endpoint.queue.in_workflow(&endpoint.store, MAX_FREE).into_iter();
        let with_free = waiting.map(|(filter, waiting)| (may_begin(endpoint, &filter), filter, waiting));
        with_free.collect::<Vec<_>>()
    });
    for (free, filter, waiting) in found.await {
        again |= waiting.len() == MAX_FREE && free.len() > MAX_FREE;
        orders.extend(waiting.into_iter().take(free.len()).map(|place| (place, filter.clone())));
        machines.insert(filter, free.into_iter());
    }
    orders.sort_unstable();
    let mut busy = HashSet::new();
    for ((_, order), filter) in orders {
        let free = machines.get_mut(&filter);
        let Some(machine) = free.and_then(|free| free.find(|machine| !busy.contains(machine))) else {
            continue;
        };
        let begun = begin_next(endpoint, PRINCIPAL, &machine, Some(&order)).await;
        busy.insert(machine);
        again |= begun.is_err();
        report("work order", begun);
    }
    again
}

/// Tells agents of machines that may take them of so many orders in task mode of one filter and context. Which machines of many
/// are told changes from one time to the next, so that those without an agent keep no order from the others.
fn tell(endpoint: &Arc<Endpoint>, (filter, context): &(String, String), orders: usize) {
    let mut machines = may_pick(endpoint, filter, context);
    let wanted = orders.saturating_mul(TOLD).min(machines.len());
    if wanted < machines.len() {
        let first = random::below(machines.len());
        machines.rotate_left(first);
    }
    for machine in machines.into_iter().take(wanted) {
        endpoint.hub.tell(Event {
            time: endpoint.now(),
            r#type: String::from(Machine::KIND.prefix),
            action: String::from(WAITS),
            key: machine,
            principal: String::from(PRINCIPAL),
            object: Value::Null,
            original: Value::Null,
            revision: None,
        });
    }
}
