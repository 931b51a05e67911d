//! Triggers that fire by themselves: at certain times, and on events (drp-api.md 14.7).
//!
//! A time that passes while the endpoint is down is left out, as are events that come faster than work orders can be made of
//! them. What triggers make themselves fires none, or two could keep each other busy for ever.

use std::{collections::HashMap, sync::Arc};

use formwork_api::EventFilter;
use formwork_core::{
    params,
    triggers::{CRON, EVENT, EVENT_MATCH, SCHEDULE, Schedule},
};
use formwork_model::{Objects, Profile, Record, Timestamp, Trigger};
use formwork_store::{Entry, FeedError, Snapshot};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use tokio::time::sleep;

use super::pause_until;
use crate::{
    commands::triggers::{PRINCIPAL, fire},
    endpoint::Endpoint,
    hub,
};

/// Fires triggers until the store is closed.
pub(super) async fn run(endpoint: &Arc<Endpoint>) {
    let (snapshot, mut feed) = endpoint.store.snapshot_and_feed();
    let mut watched = Watched::new(TimeZone::system());
    watched.scan(&snapshot, endpoint.now());
    drop(snapshot);
    loop {
        let next = watched.next();
        tokio::select! {
            () = sleep(pause_until(next, endpoint.now())), if next.is_some() => watched.fire_due(endpoint).await,
            entry = feed.next() => match entry {
                Ok(entry) => watched.follow(endpoint, &entry).await,
                Err(FeedError::Lagged { .. }) => {
                    tracing::warn!("events came faster than triggers could fire on them; some are left out");
                    let (snapshot, fresh) = endpoint.store.snapshot_and_feed();
                    feed = fresh;
                    watched.scan(&snapshot, endpoint.now());
                }
                Err(FeedError::Closed) => return,
            },
        }
    }
}

/// Fires what is due by now, and on what has happened since a place in the feed.
#[cfg(test)]
pub(crate) struct Follower(Watched, formwork_store::Feed);

#[cfg(test)]
impl Follower {
    pub(crate) fn new(endpoint: &Arc<Endpoint>) -> Self {
        let (snapshot, feed) = endpoint.store.snapshot_and_feed();
        let mut watched = Watched::new(TimeZone::UTC);
        watched.scan(&snapshot, endpoint.now());
        Self(watched, feed)
    }

    pub(crate) async fn turn(&mut self, endpoint: &Arc<Endpoint>) {
        while let Some(entry) = self.1.try_next().unwrap() {
            self.0.follow(endpoint, &entry).await;
        }
        self.0.fire_due(endpoint).await;
    }
}

/// The triggers that fire by themselves.
struct Watched {
    zone: TimeZone,
    /// With the next time of each.
    scheduled: HashMap<String, (Schedule, Timestamp)>,
    on_events: Vec<(String, EventFilter)>,
}

impl Watched {
    fn new(zone: TimeZone) -> Self {
        Self { zone, scheduled: HashMap::new(), on_events: Vec::new() }
    }

    /// Finds all triggers. The times of those that were there stay.
    fn scan(&mut self, snapshot: &Snapshot, now: Timestamp) {
        let mut before = std::mem::take(&mut self.scheduled);
        self.on_events.clear();
        snapshot.visit(Trigger::KIND.prefix, &mut |object| {
            let Some(trigger) = object.as_any().downcast_ref::<Trigger>().filter(|trigger| trigger.enabled)
            else {
                return true;
            };
            let text = |name: &str| match params::resolve(snapshot, trigger, name) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            };
            let name = trigger.name.clone();
            match trigger.trigger_provider.as_str() {
                CRON => {
                    let Some(schedule) = text(SCHEDULE).and_then(|text| Schedule::parse(&text).ok()) else {
                        return true;
                    };
                    let known = before.remove(&name).filter(|(known, _)| known.is_as(&schedule));
                    let next = known.map(|(_, next)| next).or_else(|| schedule.next(now, &self.zone));
                    if let Some(next) = next {
                        self.scheduled.insert(name, (schedule, next));
                    }
                }
                EVENT => {
                    let filter = text(EVENT_MATCH).and_then(|text| EventFilter::parse(&text).ok());
                    self.on_events.extend(filter.map(|filter| (name, filter)));
                }
                _ => {}
            }
            true
        });
    }

    fn next(&self) -> Option<Timestamp> {
        self.scheduled.values().map(|(_, next)| *next).min()
    }

    async fn fire_due(&mut self, endpoint: &Arc<Endpoint>) {
        let now = endpoint.now();
        let due: Vec<String> = self
            .scheduled
            .iter()
            .filter(|(_, (_, next))| *next <= now)
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            // One that was late by several times fires once.
            if let Some((schedule, _)) = self.scheduled.remove(&name)
                && let Some(next) = schedule.next(now, &self.zone)
            {
                self.scheduled.insert(name.clone(), (schedule, next));
            }
            report(endpoint, &name, Map::new()).await;
        }
    }

    /// Fires on what an entry tells, and takes over which triggers there are after it.
    async fn follow(&mut self, endpoint: &Arc<Endpoint>, entry: &Entry) {
        for change in entry.changes.iter() {
            if self.on_events.is_empty() || change.principal.starts_with(PRINCIPAL) {
                continue;
            }
            let Some(event) = hub::event_of(change) else { continue };
            let fires = |filter: &EventFilter| filter.matches(&event.r#type, &event.action, &event.key);
            let named = self.on_events.iter().filter(|(_, filter)| fires(filter));
            let named: Vec<String> = named.map(|(name, _)| name.clone()).collect();
            for name in named {
                if let Ok(Value::Object(data)) = serde_json::to_value(&event) {
                    report(endpoint, &name, data).await;
                }
            }
        }
        let concerns = [Trigger::KIND.prefix, Profile::KIND.prefix];
        let has_triggers = endpoint.snapshot().count(Trigger::KIND.prefix) > 0 || self.next().is_some();
        if has_triggers && entry.changes.iter().any(|change| concerns.contains(&change.prefix)) {
            self.scan(&endpoint.snapshot(), endpoint.now());
        }
    }
}

async fn report(endpoint: &Arc<Endpoint>, name: &str, data: Map<String, Value>) {
    if let Err(error) = fire(endpoint, name, data).await {
        tracing::warn!(trigger = name, %error, "a trigger could not fire");
    }
}
