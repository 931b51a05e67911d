//! The one reader of the store's feed for all listeners: it brings each event to those who want it.
//!
//! A listener gets what is committed after the revision at which it was added, or at which its replay has come to where the
//! router is; both are looked at under one lock, so that nothing is lost or doubled in between. Whoever changes what a
//! listener wants first lets the router come up to now, so that a change of filters has its place between two commits.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use formwork_model::{Machine, Object};
use formwork_store::{Change, Entry, Feed, FeedError, Revision, Snapshot, Store};
use tokio::sync::{Notify, watch};

use super::{
    index::Index,
    queue::{End, Piece, Queue},
    told::{self, Told},
};
use crate::auth::Caller;

/// Entries that are brought to listeners before these get their turn: far fewer than may wait for one of them.
const ENTRIES_A_TURN: usize = 64;

/// Events that are not stored and wait for the router before whoever tells one more has to route them.
const MAX_PASSING: usize = 4096;

/// What the latest entries tell is kept for listeners that replay them: of so many entries.
const RECENT_ENTRIES: usize = 256;

/// What the latest entries tell is kept up to so many events.
const RECENT_EVENTS: usize = 1024;

/// What brings events to listeners.
pub(crate) struct Router {
    store: Store,
    state: Mutex<State>,
    /// Events that are not stored, each with the revision after which it was told.
    passing: Mutex<VecDeque<(Revision, Arc<Told>)>>,
    recent: Mutex<Recent>,
    /// Rung when an event that is not stored waits, and at the end.
    bell: Arc<Notify>,
    /// How many listeners there are.
    pub(super) listeners: watch::Sender<usize>,
}

/// What the latest entries tell.
#[derive(Default)]
struct Recent {
    entries: VecDeque<(Revision, Arc<[Arc<Told>]>)>,
    events: usize,
}

/// Whose rights an entry may take.
enum Doubted<'a> {
    Everybody,
    /// Those of the agents of these machines.
    Agents(HashSet<&'a str>),
}

impl<'a> Doubted<'a> {
    fn by(changes: &'a [Change]) -> Self {
        let mut machines = HashSet::new();
        for change in changes {
            if matches!(change.prefix, "users" | "roles" | "tenants" | "preferences") {
                return Self::Everybody;
            }
            if change.before.is_some() && secret(change.before.as_ref()) != secret(change.after.as_ref()) {
                machines.insert(&*change.key);
            }
        }
        Self::Agents(machines)
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Agents(machines) if machines.is_empty())
    }

    fn has(&self, caller: &Caller) -> bool {
        match self {
            Self::Everybody => true,
            Self::Agents(machines) => {
                caller.principal.strip_prefix("runner:").is_some_and(|machine| machines.contains(machine))
            }
        }
    }
}

/// Returns what the tokens of a machine, or of what goes through tasks as one, are good with.
fn secret(object: Option<&Arc<dyn Object>>) -> Option<&str> {
    object.and_then(|object| Machine::of(object.as_ref())).map(|machine| machine.secret.as_str())
}

/// Where the router is, and whom it serves.
pub(super) struct State {
    feed: Feed,
    pub(super) index: Index,
    subscribers: HashMap<u64, Subscriber>,
    next: u64,
    /// True when the store is closed and all entries were routed.
    is_over: bool,
}

/// One listener, as the router knows it.
pub(super) struct Subscriber {
    pub(super) queue: Arc<Queue>,
    /// Rung when it is to be asked again who listens.
    pub(super) doubt: Arc<Notify>,
    pub(super) caller: Caller,
    /// True when its events carry revisions.
    pub(super) resumes: bool,
    /// False while it replays entries by itself: it gets none from here then.
    pub(super) is_live: bool,
    /// The places of the events that it gets of the entry that is being routed.
    places: Vec<usize>,
}

impl Subscriber {
    pub(super) fn new(caller: Caller, resumes: bool) -> Self {
        Self {
            queue: Arc::default(),
            doubt: Arc::default(),
            caller,
            resumes,
            is_live: !resumes,
            places: Vec::new(),
        }
    }

    /// Returns the texts of some events of an entry, in order.
    pub(super) fn pieces(&self, revision: Revision, events: &[&Arc<Told>]) -> Vec<Piece> {
        let last = events.len().saturating_sub(1);
        let texts = events.iter().enumerate().map(|(place, told)| match self.resumes {
            true => told.text_to_resume(place == last),
            false => told.text(),
        });
        texts.map(|text| Piece { text, entry: Some(revision) }).collect()
    }
}

impl Router {
    pub(super) fn new(store: Store) -> Self {
        let state = State {
            feed: store.feed(),
            index: Index::default(),
            subscribers: HashMap::new(),
            next: 0,
            is_over: false,
        };
        Self {
            store,
            state: Mutex::new(state),
            passing: Mutex::default(),
            recent: Mutex::default(),
            bell: Arc::default(),
            listeners: watch::channel(0).0,
        }
    }

    /// Routes until the store is closed or the router is gone.
    pub(super) fn run(self: &Arc<Self>) -> impl Future<Output = ()> + use<> {
        let (bell, mut news) = (Arc::clone(&self.bell), self.store.news());
        let router = Arc::downgrade(self);
        async move {
            loop {
                let is_closed = tokio::select! {
                    changed = news.changed() => changed.is_err(),
                    () = bell.notified() => false,
                };
                while Weak::upgrade(&router).is_some_and(|router| router.route_some()) {
                    tokio::task::yield_now().await;
                }
                match Weak::upgrade(&router) {
                    Some(router) if is_closed => return router.finish(),
                    Some(_) => {}
                    None => return,
                }
            }
        }
    }

    /// Tells an event that is not stored.
    ///
    /// It comes after what was committed before, and before what is committed later.
    pub(super) fn tell(&self, told: Arc<Told>) {
        if *self.listeners.borrow() == 0 {
            return;
        }
        let mut passing = self.lock_passing();
        passing.push_back((self.store.snapshot().revision(), told));
        let is_full = passing.len() > MAX_PASSING;
        drop(passing);
        if is_full {
            // None is lost, and none waits without bound: who tells so much pays for it.
            drop(self.at_present());
        } else {
            self.bell.notify_one();
        }
    }

    /// Returns the objects as they are now.
    pub(super) fn objects(&self) -> Snapshot {
        self.store.snapshot()
    }

    /// Returns what an entry of the store tells.
    pub(super) fn of(&self, entry: &Entry) -> Arc<[Arc<Told>]> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, told)) = recent.entries.iter().rev().find(|(revision, _)| *revision == entry.revision)
        {
            return Arc::clone(told);
        }
        let told = told::of_entry(entry, &self.objects());
        recent.events += told.len();
        recent.entries.push_back((entry.revision, Arc::clone(&told)));
        while recent.entries.len() > RECENT_ENTRIES || recent.events > RECENT_EVENTS {
            let Some((_, oldest)) = recent.entries.pop_front() else { break };
            recent.events -= oldest.len();
        }
        told
    }

    /// Adds a listener, and returns its number.
    pub(super) fn add(&self, subscriber: Subscriber) -> u64 {
        let mut state = self.at_present();
        if state.is_over {
            subscriber.queue.end(End::Down);
        }
        let id = state.next;
        state.next += 1;
        state.subscribers.insert(id, subscriber);
        self.listeners.send_modify(|count| *count += 1);
        id
    }

    /// Removes a listener.
    pub(super) fn remove(&self, id: u64) {
        self.lock().subscribers.remove(&id);
        self.listeners.send_modify(|count| *count -= 1);
    }

    /// Returns where the router is, after it has routed all that there is.
    pub(super) fn at_present(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while self.route_next(&mut state) {}
        state
    }

    /// Returns where the router is.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_passing(&self) -> MutexGuard<'_, VecDeque<(Revision, Arc<Told>)>> {
        self.passing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Routes as much as it should at once; tells whether there may be more.
    fn route_some(&self) -> bool {
        // One lock for each entry: a listener that comes or goes does not wait for all of them.
        (0..ENTRIES_A_TURN).all(|_| self.route_next(&mut self.lock()))
    }

    /// Routes the next entry and the events before it; tells whether there may be more.
    fn route_next(&self, state: &mut State) -> bool {
        if state.subscribers.is_empty() {
            state.feed = self.store.feed();
            self.lock_passing().clear();
            return false;
        }
        match state.feed.try_next() {
            Ok(Some(entry)) => {
                self.route_passing(state, entry.revision.previous());
                state.doubt(&entry);
                state.route(&entry, &self.of(&entry));
                true
            }
            Ok(None) => {
                let at = state.feed.position();
                self.route_passing(state, at);
                // More was told after a commit that came in between.
                !self.lock_passing().is_empty()
            }
            Err(error) => {
                let FeedError::Lagged { position, .. } = error else { return false };
                tracing::warn!(%error, "no listener of events can keep up");
                state.subscribers.retain(|_, subscriber| {
                    if subscriber.is_live {
                        let waits = subscriber.queue.first().map(Revision::previous);
                        subscriber.queue.end(End::Slow(waits.unwrap_or(position)));
                    }
                    !subscriber.is_live
                });
                state.feed = self.store.feed();
                true
            }
        }
    }

    /// Routes the events that were told up to a revision.
    fn route_passing(&self, state: &mut State, up_to: Revision) {
        let due = |(told_at, _): &mut (Revision, Arc<Told>)| *told_at <= up_to;
        loop {
            let next = self.lock_passing().pop_front_if(due);
            let Some((_, told)) = next else { return };
            state.route_passing(&told);
        }
    }

    fn finish(&self) {
        let mut state = self.at_present();
        state.is_over = true;
        for subscriber in state.subscribers.values() {
            subscriber.queue.end(End::Down);
        }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.bell.notify_one();
    }
}

impl State {
    /// Returns the revision up to which all is routed.
    pub(super) fn position(&self) -> Revision {
        self.feed.position()
    }

    /// Returns one listener; none when it was given up.
    pub(super) fn subscriber(&mut self, id: u64) -> Option<&mut Subscriber> {
        self.subscribers.get_mut(&id)
    }

    /// Returns how many listeners are not given up.
    #[cfg(test)]
    pub(super) fn served(&self) -> usize {
        self.subscribers.len()
    }

    /// Rings for those from whom an entry may take rights.
    fn doubt(&self, entry: &Entry) {
        let doubted = Doubted::by(&entry.changes);
        if doubted.is_empty() {
            return;
        }
        let doubted = self.subscribers.values().filter(|subscriber| doubted.has(&subscriber.caller));
        doubted.for_each(|subscriber| subscriber.doubt.notify_one());
    }

    fn route(&mut self, entry: &Entry, events: &[Arc<Told>]) {
        let mut touched = Vec::new();
        for (place, told) in events.iter().enumerate() {
            for id in self.index.wanting(&told.r#type, &told.action, &told.key) {
                let Some(subscriber) = self.subscribers.get_mut(&id).filter(|one| one.is_live) else {
                    continue;
                };
                if subscriber.places.last() == Some(&place) || !told.is_for(&subscriber.caller) {
                    continue;
                }
                if subscriber.places.is_empty() {
                    touched.push(id);
                }
                subscriber.places.push(place);
            }
        }
        for id in touched {
            let Some(subscriber) = self.subscribers.get_mut(&id) else { continue };
            let places = std::mem::take(&mut subscriber.places);
            let told: Vec<_> = places.iter().filter_map(|place| events.get(*place)).collect();
            let pieces = subscriber.pieces(entry.revision, &told);
            self.put(id, pieces, entry.revision);
        }
    }

    fn route_passing(&mut self, told: &Told) {
        let mut wanting: Vec<u64> = self.index.wanting(&told.r#type, &told.action, &told.key).collect();
        wanting.sort_unstable();
        wanting.dedup();
        for id in wanting {
            if self.subscribers.get(&id).is_some_and(|one| told.is_for(&one.caller)) {
                self.put(id, vec![Piece { text: told.text(), entry: None }], self.position());
            }
        }
    }

    /// Gives texts to a listener, which is given up when it does not keep up.
    pub(super) fn put(&mut self, id: u64, pieces: Vec<Piece>, at: Revision) {
        if self.subscribers.get(&id).is_some_and(|one| !one.queue.put(pieces, at)) {
            self.subscribers.remove(&id);
        }
    }
}
