//! Plugins: components of the world `plugin`, known to clients as plugin providers and plugins (drp-api.md 6.5, 7.19,
//! 7.20, 11.5; drp-behaviour.md 7.5).
//!
//! | module | holds |
//! |---|---|
//! | `providers` | which providers there are: what the plugin components of the installed packs say of themselves |
//! | `actions` | an action that somebody asked for |
//! | `jobs` | the entries `action:` of task lists |
//! | `delivery`, `letters`, `record` | events in order, at least once; what was given up; what is remembered of both |
//! | `at_once` | an event that a simulation delivers |
//! | `event` | a change as a plugin sees it |
//! | `host`, `kv`, `lines` | what a component may ask of the endpoint, its small store and its log |
//! | `call` | the calls themselves |
//!
//! # Events that plugins cause
//!
//! A change that a plugin makes comes back as an event, also to itself: one that ignores it would miss what others of its
//! kind do. That must not go on for ever, so a change carries how many plugins it has come through: one that a plugin makes
//! because of an event is one hop further than that event. What is [`event::MAX_HOPS`] hops away from a user, a machine or
//! the endpoint itself is not delivered any more; a line in the plugin's log says so. Writing the value that is there
//! already is no change and makes no event. Changes that a plugin causes by asking the API over the network count as those
//! of the user whose credentials it has; they are bounded only by the pace of one event after the other.

mod actions;
mod at_once;
mod call;
mod delivery;
mod event;
mod host;
mod jobs;
pub(crate) mod kv;
mod letters;
mod lines;
mod providers;
mod record;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use formwork_model::{ObjectsExt, Plugin, PluginProvider};
use formwork_sandbox::native;
use formwork_store::{Entry, FeedError, Snapshot};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

pub use self::at_once::Happening;
pub(crate) use self::{
    actions::{Asked, act, available},
    at_once::deliver,
    delivery::Patience,
    event::principal_shown,
    jobs::{acted, resumed},
    letters::{drop_letters, letters, retry_letters},
    providers::problems_of,
    record::forget,
};
use self::{delivery::Worker, jobs::Running, lines::Lines, providers::Ask};
use crate::{boot::ended, endpoint::Endpoint};

/// How often it is looked whether a worker ended though it should not.
const ROUND: Duration = Duration::from_secs(5);

/// What plugins have in memory; nothing of it is missed after a restart.
#[derive(Debug, Default)]
pub(crate) struct Plugins {
    /// The last lines of each plugin's log.
    pub(crate) lines: Lines,
    /// The actions of task lists that are under way.
    pub(crate) running: Running,
    /// What sends the requests of components.
    pub(crate) http: native::Http,
}

/// Keeps the providers in step with the packs and delivers events, until the shutdown.
pub(crate) fn start(
    endpoint: Arc<Endpoint>,
    patience: Patience,
    shutdown: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(run(endpoint, patience, shutdown))
}

async fn run(endpoint: Arc<Endpoint>, patience: Patience, shutdown: watch::Receiver<bool>) {
    let over = ended(shutdown);
    tokio::pin!(over);
    let (snapshot, mut feed) = endpoint.store.snapshot_and_feed();
    drop(snapshot);
    let mut workers = Workers { endpoint: Arc::clone(&endpoint), patience, running: HashMap::new() };
    let mut owed = Some(Ask::Everybody);
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut over => break,
            _ = rounds.tick() => {
                if let Some(ask) = owed.take() {
                    owed = synchronise(&endpoint, ask).await;
                }
                workers.arrange().await;
            }
            entry = feed.next() => match entry {
                Ok(entry) => {
                    if touches(&entry, &["contents"]) {
                        owed = synchronise(&endpoint, owed.unwrap_or(Ask::Changed)).await;
                    }
                    workers.nudge(&entry);
                    if touches(&entry, &["plugins", "plugin_providers"]) {
                        workers.arrange().await;
                    }
                }
                Err(FeedError::Lagged { .. }) => {
                    feed = endpoint.store.feed();
                    owed = synchronise(&endpoint, Ask::Changed).await;
                    workers.arrange().await;
                }
                Err(FeedError::Closed) => break,
            }
        }
    }
    workers.stop_all().await;
}

fn touches(entry: &Entry, prefixes: &[&str]) -> bool {
    entry.changes.iter().any(|change| prefixes.contains(&change.prefix))
}

/// Makes the providers those of the installed packs; returns what is to be tried again.
async fn synchronise(endpoint: &Arc<Endpoint>, ask: Ask) -> Option<Ask> {
    match providers::synchronise(endpoint, ask).await {
        Ok(()) => None,
        Err(error) => {
            tracing::error!(%error, "plugin providers are not up to date; it is tried again");
            Some(ask)
        }
    }
}

/// Makes the providers those of the installed packs before it returns: for those who answer that a pack is installed.
pub(crate) async fn settle(endpoint: &Arc<Endpoint>) {
    synchronise(endpoint, Ask::Changed).await;
}

/// What a worker was started with. When that changes another one takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setup {
    component: String,
    digest: String,
    events: Vec<String>,
}

/// The workers, one for each plugin that gets events now.
struct Workers {
    endpoint: Arc<Endpoint>,
    patience: Patience,
    running: HashMap<String, Delivering>,
}

/// One worker.
struct Delivering {
    setup: Setup,
    nudge: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Workers {
    /// Starts the workers that are missing and ends those that are too many.
    async fn arrange(&mut self) {
        let wanted = wanted(&self.endpoint.snapshot());
        let stale: Vec<String> = self
            .running
            .iter()
            .filter(|(name, worker)| wanted.get(*name) != Some(&worker.setup) || worker.task.is_finished())
            .map(|(name, _)| name.clone())
            .collect();
        for name in stale {
            self.stop(&name).await;
        }
        for (name, setup) in wanted {
            if self.running.contains_key(&name) {
                continue;
            }
            let nudge = Arc::new(Notify::new());
            let worker = Worker::new(
                Arc::clone(&self.endpoint),
                name.clone(),
                &setup.events,
                self.patience.clone(),
                Arc::clone(&nudge),
            );
            let task = tokio::spawn(worker.run());
            self.running.insert(name, Delivering { setup, nudge, task });
        }
    }

    /// Tells workers whose plugin has other params now: what failed may succeed.
    fn nudge(&self, entry: &Entry) {
        for change in entry.changes.iter().filter(|change| change.prefix == "plugins") {
            let params = |object: &Option<Arc<dyn formwork_model::Object>>| {
                object.as_ref().and_then(|object| object.params().cloned())
            };
            if params(&change.before) != params(&change.after)
                && let Some(worker) = self.running.get(&*change.key)
            {
                worker.nudge.notify_one();
            }
        }
    }

    async fn stop(&mut self, name: &str) {
        if let Some(worker) = self.running.remove(name) {
            worker.task.abort();
            // Its end is waited for, so that two of them never deliver at once.
            let _ = worker.task.await;
        }
    }

    async fn stop_all(&mut self) {
        for name in self.running.keys().cloned().collect::<Vec<_>>() {
            self.stop(&name).await;
        }
    }
}

/// Returns the plugins that get events now.
fn wanted(snapshot: &Snapshot) -> HashMap<String, Setup> {
    let mut found = HashMap::new();
    for plugin in snapshot.list::<Plugin>().into_iter().filter(|plugin| plugin.header.available) {
        let provider = snapshot.get::<PluginProvider>(&plugin.provider);
        if let Some(provider) = provider.filter(|provider| !provider.events.is_empty()) {
            let setup = Setup {
                component: provider.component.clone(),
                digest: provider.component_digest.clone(),
                events: provider.events.clone(),
            };
            found.insert(plugin.name.clone(), setup);
        }
    }
    found
}
