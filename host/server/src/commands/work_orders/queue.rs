//! The work orders that wait for any machine of their filter, by what a machine looks for: their context, then their age.
//!
//! Many orders have the same filter, as those of one trigger. So a filter is asked about a machine once, however many orders
//! wait behind it. The queue is read from the store's feed when somebody looks at it, and holds nothing that the store does not.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use formwork_core::work_orders::{self, workflow};
use formwork_model::{Object, Objects as _, Record, SortKey, Span, Timestamp, WorkOrder};
use formwork_store::{Feed, FeedError, Snapshot, Store};

/// The queues of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Queue(Mutex<Option<Followed>>);

/// Orders that every machine is asked the same question about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    /// True for orders whose machines go through a workflow: the endpoint begins these; agents pick the others.
    in_workflow: bool,
    /// The context whose agent runs them; that of an order in workflow mode does not matter.
    context: String,
    filter: String,
}

/// The first order behind a filter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Head {
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Its key.
    pub(crate) uuid: Arc<str>,
    /// What machines are asked about.
    pub(crate) filter: String,
}

/// When an order was made, and its key: the order in which they come.
pub(crate) type Place = (Timestamp, Arc<str>);

/// What waits, as of the place in the feed.
#[derive(Debug)]
struct Followed {
    feed: Feed,
    waiting: Waiting,
}

#[derive(Debug, Default)]
struct Waiting {
    groups: BTreeMap<Group, BTreeSet<Place>>,
    /// Where each order is.
    places: HashMap<Arc<str>, (Group, Timestamp)>,
}

impl Queue {
    /// Returns the first order behind each filter that the agent of a context may pick, oldest first.
    pub(crate) fn heads(&self, store: &Store, context: &str) -> Vec<Head> {
        self.with(store, |waiting| {
            let first = Group { in_workflow: false, context: context.to_owned(), filter: String::new() };
            let own = waiting
                .groups
                .range(first..)
                .take_while(|(group, _)| !group.in_workflow && group.context == context);
            let mut heads: Vec<Head> = own.filter_map(|(group, orders)| head(group, orders)).collect();
            heads.sort_unstable();
            heads
        })
    }

    /// Returns the filters with the orders in workflow mode behind each, oldest first, and at most so many of each.
    pub(crate) fn in_workflow(&self, store: &Store, at_most: usize) -> Vec<(String, Vec<Place>)> {
        self.with(store, |waiting| {
            let all = waiting.groups.iter().filter(|(group, _)| group.in_workflow);
            let first = |orders: &BTreeSet<Place>| orders.iter().take(at_most).cloned().collect();
            all.map(|(group, orders)| (group.filter.clone(), first(orders))).collect()
        })
    }

    fn with<T>(&self, store: &Store, look: impl FnOnce(&Waiting) -> T) -> T {
        let mut followed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let followed = followed.get_or_insert_with(|| Followed::new(store));
        followed.follow(store);
        look(&followed.waiting)
    }
}

impl Followed {
    fn new(store: &Store) -> Self {
        let (snapshot, feed) = store.snapshot_and_feed();
        Self { feed, waiting: Waiting::of(&snapshot) }
    }

    fn follow(&mut self, store: &Store) {
        loop {
            match self.feed.try_next() {
                Ok(Some(entry)) => {
                    for change in
                        entry.changes.iter().filter(|change| change.prefix == WorkOrder::KIND.prefix)
                    {
                        self.waiting.note(&change.key, change.after.as_deref());
                    }
                }
                Err(FeedError::Lagged { .. }) => *self = Self::new(store),
                Ok(None) | Err(FeedError::Closed) => return,
            }
        }
    }
}

impl Waiting {
    fn of(snapshot: &Snapshot) -> Self {
        let mut waiting = Self::default();
        let nobody = SortKey::of("Machine", &"".into());
        snapshot.range(&Span::equal(WorkOrder::KIND.prefix, "Machine", nobody), &mut |object| {
            waiting.note(&object.key().into(), Some(object.as_ref()));
            true
        });
        waiting
    }

    fn note(&mut self, key: &Arc<str>, order: Option<&dyn Object>) {
        if let Some((group, created)) = self.places.remove(key)
            && let Some(orders) = self.groups.get_mut(&group)
        {
            orders.remove(&(created, Arc::clone(key)));
            if orders.is_empty() {
                self.groups.remove(&group);
            }
        }
        let order = order.and_then(|order| order.as_any().downcast_ref::<WorkOrder>());
        if let Some(order) = order.filter(|order| is_queued(order)) {
            let in_workflow = workflow::is_waiting(order);
            let context = if in_workflow { String::new() } else { order.context.clone() };
            let group = Group { in_workflow, context, filter: order.filter.clone() };
            self.places.insert(Arc::clone(key), (group.clone(), order.create_time));
            self.groups.entry(group).or_default().insert((order.create_time, Arc::clone(key)));
        }
    }
}

/// Tells whether a work order waits for any machine of its filter.
pub(crate) fn is_queued(order: &WorkOrder) -> bool {
    order.machine.is_empty() && (workflow::is_waiting(order) || work_orders::is_waiting(order))
}

fn head(group: &Group, orders: &BTreeSet<Place>) -> Option<Head> {
    let (created, uuid) = orders.first()?;
    Some(Head { created: *created, uuid: Arc::clone(uuid), filter: group.filter.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(filter: &str, second: i64) -> WorkOrder {
        let mut order = WorkOrder {
            filter: filter.into(),
            create_time: Timestamp::from_millis(second * 1000),
            ..WorkOrder::default()
        };
        order.header.available = true;
        order
    }

    fn heads(waiting: &Waiting) -> Vec<&str> {
        waiting.groups.values().filter_map(|orders| orders.first()).map(|(_, uuid)| &**uuid).collect()
    }

    #[test]
    fn each_filter_has_one_head_its_oldest_order() {
        let mut waiting = Waiting::default();
        for (key, order) in [("a2", order("A=1", 2)), ("a1", order("A=1", 1)), ("b3", order("B=1", 3))] {
            waiting.note(&key.into(), Some(&order));
        }
        assert_eq!(heads(&waiting), ["a1", "b3"]);
        waiting.note(&"a1".into(), None);
        assert_eq!(heads(&waiting), ["a2", "b3"]);
    }

    #[test]
    fn order_leaves_the_queue_with_its_machine_and_comes_back_when_it_waits_again() {
        let mut waiting = Waiting::default();
        let key: Arc<str> = "a".into();
        let queued = order("A=1", 1);
        let others = [
            WorkOrder { machine: "m".into(), ..queued.clone() },
            WorkOrder { state: "cancelled".into(), ..queued.clone() },
            WorkOrder { scheduling_hold: true, ..queued.clone() },
            WorkOrder { runnable: false, ..queued.clone() },
        ];
        for other in others {
            waiting.note(&key, Some(&queued));
            assert_eq!(heads(&waiting), ["a"]);
            waiting.note(&key, Some(&other));
            assert!(waiting.groups.is_empty() && waiting.places.is_empty(), "{other:?}");
        }
    }

    #[test]
    fn orders_of_another_context_or_mode_wait_apart() {
        let mut waiting = Waiting::default();
        let plain = order("A=1", 2);
        let apart = WorkOrder { context: "shelf".into(), ..order("A=1", 1) };
        let workflow = WorkOrder { mode: "workflow".into(), ..order("A=1", 1) };
        for (key, order) in [("plain", plain), ("apart", apart), ("workflow", workflow)] {
            waiting.note(&key.into(), Some(&order));
        }
        assert_eq!(heads(&waiting), ["plain", "apart", "workflow"]);
    }
}
