//! What the endpoint tells its listeners: changes of the store and events that are not stored (drp-api.md 8).
//!
//! One reader follows the store's feed for all listeners ([`Router`]). What an entry tells is worked out once, its text is
//! written once, and only listeners one of whose filters matches are woken. Each has a queue with bounds; who does not keep
//! up is told where to go on. All of it happens on threads that come after those that answer ([`threads`]).

mod index;
mod queue;
mod router;
mod subscription;
mod threads;
mod told;

use std::{sync::Arc, time::Duration};

use formwork_api::Event;
use formwork_model::Job;
use formwork_store::Store;
use serde_json::{Value, json};
use tokio::{sync::broadcast, task::JoinHandle};

pub(crate) use self::{
    queue::{End, Piece},
    subscription::{MAX_FILTERS, Subscription},
    told::{Told, event_of, word},
};
use self::{router::Router, threads::Threads};
use crate::{auth::Caller, clock::now};

/// Events that are not stored and wait for a slow plugin before it loses some.
const WAITING: usize = 4096;

/// The type of events about the jobs of one machine, cluster or resource broker: their changes and their logs (features.md
/// row 55). A job names each of the three in its `Machine`, and so does the type.
const MACHINE_JOBS: &str = "machine_jobs";

/// Most bytes of a log that one event tells: events wait in memory for slow listeners.
const MAX_TOLD_LOG: usize = 64 << 10;

/// The type of events about lines of the log.
const LOG: &str = "log";

/// Where listeners get events from.
pub(crate) struct Hub {
    router: Arc<Router>,
    /// Events that are not stored, for plugins: they read the store's feed each from a place that outlives the endpoint, and
    /// are to hear of the rest on the threads that they run on.
    passing: broadcast::Sender<Arc<Told>>,
    threads: Threads,
}

impl Hub {
    /// Makes the hub of a store.
    pub(crate) fn new(store: &Store) -> Arc<Self> {
        Arc::new(Self {
            router: Arc::new(Router::new(store.clone())),
            passing: broadcast::channel(WAITING).0,
            threads: Threads::default(),
        })
    }

    /// Listens to events that are not stored, as plugins do.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Told>> {
        self.passing.subscribe()
    }

    /// Adds a listener, who wants nothing yet. One that resumes gets no entries of the store before it goes live.
    ///
    /// Waits for whoever routes; to be called where listeners are served.
    pub(crate) fn subscribe(&self, caller: Caller, resumes: bool) -> Subscription {
        Subscription::new(Arc::clone(&self.router), caller, resumes)
    }

    /// Runs something on the threads that listeners are served on.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.threads.start(|| self.router.run());
        self.threads.spawn(future)
    }

    /// Waits until all listeners are gone, after the store was closed, but no longer than they may take.
    pub(crate) async fn farewell(&self, longest: Duration) {
        let mut listeners = self.router.listeners.subscribe();
        let _ = tokio::time::timeout(longest, listeners.wait_for(|count| *count == 0)).await;
    }

    /// Tells whether anybody listens.
    pub(crate) fn has_listeners(&self) -> bool {
        self.passing.receiver_count() > 0 || *self.router.listeners.borrow() > 0
    }

    /// Tells an event that is not stored. Without a listener there is nobody to tell, which is no failure.
    pub(crate) fn tell(&self, event: Event) {
        let told = Arc::new(Told::passing_by(event, &self.router.objects()));
        self.router.tell(Arc::clone(&told));
        let _ = self.passing.send(told);
    }

    /// Tells those who watch the jobs of a machine what was added to the log of one.
    ///
    /// Of more than 64 KiB at once the rest is to be read from the log itself.
    pub(crate) fn tell_log(&self, job: &Job, bytes: &[u8]) {
        let told = bytes.get(..MAX_TOLD_LOG).unwrap_or(bytes);
        self.tell(Event {
            time: now(),
            r#type: String::from(MACHINE_JOBS),
            action: String::from("log"),
            key: job.machine.clone(),
            principal: format!("runner:{}", job.machine),
            object: json!({"Job": job.uuid, "Log": String::from_utf8_lossy(told)}),
            original: Value::Null,
            revision: None,
        });
    }
}

#[cfg(test)]
impl Hub {
    /// Returns what an entry of the store tells.
    pub(crate) fn of(&self, entry: &formwork_store::Entry) -> Arc<[Arc<Told>]> {
        self.router.of(entry)
    }

    /// Returns how many listeners are not given up.
    pub(crate) fn served(&self) -> usize {
        self.router.lock().served()
    }
}

#[cfg(test)]
mod tests;
