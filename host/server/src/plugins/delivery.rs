//! Events for one plugin: one by one, in the order of their revisions, each at least once.
//!
//! A worker reads the feed of the store from the place that it has saved. It moves that place after an event was taken in
//! or given up, in the same transaction as what came of it; so a crash in between delivers the event again. Changes that
//! the plugin does not want move the place too, but are saved in batches. A slow plugin delays nobody but itself: its
//! worker is only a place in the store's own log. When the log does not reach back to it any more, the gap is told.

use std::{sync::Arc, time::Duration};

use formwork_api::{ApiError, Event, EventFilter};
use formwork_model::{DeadLetter, ObjectsExt, PluginCursor, is_internal};
use formwork_store::{Change, Entry, Feed, FeedError, Revision};
use tokio::{
    sync::{Notify, broadcast},
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    call,
    event::{Incoming, MAX_HOPS, principal},
    letters,
    lines::Line,
    record,
};
use crate::{endpoint::Endpoint, hub::word as change_word};

/// How far the saved place may be behind the real one, in revisions: well within what the store's log holds.
const MAX_UNSAVED: u64 = 2000;

/// Revisions that are skipped together with a gap. The log is full when there is a gap, so the note of it and every other
/// change push the oldest entry out: a worker that went on right there would find the next gap at once.
const ROOM: u64 = 64;

/// How often a place that moved is saved when nothing else saves it.
const SAVE: Duration = Duration::from_secs(5);

/// The pause after the endpoint itself could not do its part.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);

/// How often an event is tried, and how long the pauses in between are. Each pause is twice the one before.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    /// The tries of one event before it goes into the dead-letter list.
    pub(crate) tries: u32,
    /// The first pause.
    pub(crate) first: Duration,
    /// The longest pause.
    pub(crate) longest: Duration,
}

impl Default for Patience {
    /// Eight tries in about two minutes: a service that restarts loses nothing, and one that is gone for good does not hold
    /// up the rest for long.
    fn default() -> Self {
        Self { tries: 8, first: Duration::from_secs(1), longest: Duration::from_secs(60) }
    }
}

impl Patience {
    /// Returns the pause after a number of tries that failed.
    fn pause(&self, failed: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failed.saturating_sub(1));
        self.first.saturating_mul(doubled).min(self.longest)
    }
}

/// What delivers the events of one plugin.
pub(super) struct Worker {
    endpoint: Arc<Endpoint>,
    plugin: String,
    filters: Vec<EventFilter>,
    patience: Patience,
    /// Told when the plugin's params changed, so that what failed is tried at once.
    nudge: Arc<Notify>,
    place: Place,
    /// The revision of the place that was saved last.
    saved: u64,
    /// True when the place moved over something that is not the endpoint's own since it was saved.
    moved: bool,
    /// True when letters may wait to be delivered again.
    look: bool,
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    /// The last revision all of whose changes are done with.
    revision: u64,
    /// The changes of the next revision that are done with.
    done: usize,
}

/// How the delivery of an event ended.
#[derive(Clone, Debug)]
enum End {
    /// The plugin has taken it in.
    Taken,
    /// It was tried as often as it may be.
    GivenUp { reason: String, tries: u32 },
}

impl Worker {
    /// Makes a worker; event patterns that are malformed want nothing.
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        plugin: String,
        events: &[String],
        patience: Patience,
        nudge: Arc<Notify>,
    ) -> Self {
        Self {
            endpoint,
            plugin,
            filters: filters_of(events),
            patience,
            nudge,
            place: Place::default(),
            saved: 0,
            moved: false,
            look: true,
        }
    }

    /// Delivers until the store is closed. Whatever the endpoint itself cannot do is tried again.
    pub(super) async fn run(mut self) {
        while let Err(error) = self.deliver().await {
            self.say("error", format!("events are not delivered now: {error}"));
            sleep(TROUBLE_PAUSE).await;
        }
    }

    async fn deliver(&mut self) -> Result<(), ApiError> {
        let mut injected = self.endpoint.hub.listen();
        let mut feed = self.begin().await?;
        let mut rounds = interval(SAVE);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.look {
                self.deliver_letters().await?;
            }
            tokio::select! {
                entry = feed.next() => match entry {
                    Ok(entry) => self.take_in(&entry).await?,
                    Err(FeedError::Lagged { oldest, .. }) => {
                        self.skip_gap(oldest).await?;
                        feed = self.begin().await?;
                    }
                    Err(FeedError::Closed) => return Ok(()),
                },
                event = injected.recv() => match event {
                    Ok(told) => {
                        if let Some(event) = told.passing() {
                            self.take_in_injected(event).await?;
                        }
                    }
                    Err(broadcast::error::RecvError::Lagged(count)) => {
                        self.say("warn", format!("{count} injected events are lost: the plugin was too slow"));
                    }
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
                _ = rounds.tick(), if self.moved => self.save().await?,
            }
        }
    }

    /// Goes to the saved place; a new plugin begins with what comes after it was made.
    async fn begin(&mut self) -> Result<Feed, ApiError> {
        loop {
            let snapshot = self.endpoint.snapshot();
            if let Some(cursor) = snapshot.get::<PluginCursor>(&self.plugin) {
                self.place = Place { revision: cursor.revision, done: cursor.done };
            } else {
                let made = snapshot.stored("plugins", &self.plugin).map(|stored| stored.revision);
                self.place = Place { revision: made.unwrap_or(snapshot.revision()).0, done: 0 };
                self.save().await?;
            }
            self.saved = self.place.revision;
            match self.endpoint.store.feed_since(Revision(self.place.revision)) {
                Ok(feed) => return Ok(feed),
                Err(gone) if gone.asked > gone.newest => {
                    // The store is an older one than the place was saved in.
                    self.place = Place { revision: gone.newest.0, done: 0 };
                    self.save().await?;
                }
                Err(gone) => self.skip_gap(gone.oldest).await?,
            }
        }
    }

    /// Notes that the events up to a revision, and some more, are lost, and goes on after them.
    async fn skip_gap(&mut self, oldest: Revision) -> Result<(), ApiError> {
        let newest = self.endpoint.snapshot().revision().0;
        let (from, to) = (self.place.revision + 1, oldest.0.saturating_add(ROOM).min(newest));
        self.say(
            "error",
            format!("events of the revisions {from} to {to} are lost: they are not kept any more"),
        );
        let now = self.endpoint.now();
        let place = Place { revision: to, done: 0 };
        self.update(0, move |work, cursor| {
            letters::add_gap(work, cursor, (from, to), now);
            (cursor.revision, cursor.done) = (place.revision, place.done);
        })
        .await?;
        self.settle(place);
        Ok(())
    }

    /// Delivers what the plugin wants of one transaction.
    async fn take_in(&mut self, entry: &Entry) -> Result<(), ApiError> {
        let own_letters = format!("{}/", self.plugin);
        let wanted: Vec<(usize, &Change)> = entry
            .changes
            .iter()
            .enumerate()
            .skip(self.place.done)
            .filter(|(_, change)| self.wants(change.prefix, change_word(change), &change.key))
            .collect();
        for (number, (index, change)) in wanted.iter().enumerate() {
            let event = Incoming::of_change(&self.endpoint.snapshot(), change, self.endpoint.now());
            let Some(event) = event.filter(|event| !self.is_too_far(event)) else { continue };
            let end = self.attempt(&event, self.patience.tries).await?;
            let after = if number + 1 == wanted.len() {
                Place { revision: entry.revision.0, done: 0 }
            } else {
                Place { revision: entry.revision.previous().0, done: index + 1 }
            };
            self.finish(&event, end, Some(after)).await?;
        }
        self.place = Place { revision: entry.revision.0, done: 0 };
        self.look |= entry
            .changes
            .iter()
            .any(|change| change.prefix == "dead_letters" && change.key.starts_with(&own_letters));
        self.moved |= entry.changes.iter().any(|change| !is_internal(change.prefix));
        if self.place.revision.saturating_sub(self.saved) >= MAX_UNSAVED {
            self.save().await?;
        }
        Ok(())
    }

    /// Delivers an event that a client injected. It is not stored, so it does not outlive the endpoint.
    async fn take_in_injected(&self, event: &Event) -> Result<(), ApiError> {
        if !self.wants(&event.r#type, &event.action, &event.key) {
            return Ok(());
        }
        let event = Incoming::of_injected(event, self.endpoint.snapshot().revision());
        if self.is_too_far(&event) {
            return Ok(());
        }
        let end = self.attempt(&event, self.patience.tries).await?;
        self.record(&event, end, None).await
    }

    /// Delivers the letters that wait for it, once each.
    async fn deliver_letters(&mut self) -> Result<(), ApiError> {
        self.look = false;
        let waiting = letters::of(&self.endpoint.snapshot(), &self.plugin);
        for letter in waiting.into_iter().filter(|letter| letter.retry) {
            let event = Incoming {
                kind: letter.r#type.clone(),
                action: letter.action.clone(),
                key: letter.key.clone(),
                object: letter.object.clone(),
                time: letter.event_time,
                revision: letter.revision,
                hops: 0,
            };
            let end = self.attempt(&event, 1).await?;
            let now = self.endpoint.now();
            self.update(0, move |work, cursor| {
                let Some(kept) = work.tx.get::<DeadLetter>(&letter.id) else { return };
                match &end {
                    End::Taken => letters::take(work, cursor, &kept),
                    End::GivenUp { reason, tries } => work.tx.put(Arc::new(DeadLetter {
                        retry: false,
                        reason: reason.clone(),
                        tries: kept.tries + tries,
                        time: now,
                        ..kept.as_ref().clone()
                    })),
                }
            })
            .await?;
        }
        Ok(())
    }

    fn wants(&self, kind: &str, action: &str, key: &str) -> bool {
        passes(&self.filters, kind, action, key)
    }

    /// Tells whether an event has come through too many plugins, and says so.
    fn is_too_far(&self, event: &Incoming) -> bool {
        let far = event.hops >= MAX_HOPS;
        if far {
            let Incoming { kind, action, key, revision, hops, .. } = event;
            self.say(
                "warn",
                format!(
                    "{kind}.{action}.{key} at revision {revision} is not delivered: it came through {hops} plugins, \
                     which seem to answer each other"
                ),
            );
        }
        far
    }

    /// Tries to deliver an event. Fails only when the endpoint cannot note what is wrong.
    async fn attempt(&self, event: &Incoming, tries: u32) -> Result<End, ApiError> {
        let mut failed = 0;
        loop {
            let Err(reason) = call::on_event(&self.endpoint, &self.plugin, event).await else {
                return Ok(End::Taken);
            };
            failed += 1;
            let Incoming { kind, action, key, revision, .. } = event;
            let words = format!("{kind}.{action}.{key} at revision {revision}: {reason}");
            self.say("warn", format!("try {failed} of {tries} failed: {words}"));
            if failed >= tries {
                return Ok(End::GivenUp { reason, tries: failed });
            }
            if failed == 1 {
                self.update(event.hops, move |_, cursor| {
                    cursor.trouble = format!("{words}; it is tried again");
                })
                .await?;
            }
            tokio::select! {
                () = sleep(self.patience.pause(failed)) => {}
                () = self.nudge.notified() => {}
            }
        }
    }

    /// Saves what came of an event, and the place after it.
    async fn finish(&mut self, event: &Incoming, end: End, after: Option<Place>) -> Result<(), ApiError> {
        self.record(event, end, after).await?;
        if let Some(place) = after {
            self.settle(place);
        }
        Ok(())
    }

    async fn record(&self, event: &Incoming, end: End, after: Option<Place>) -> Result<(), ApiError> {
        let letter = match end {
            End::Taken => None,
            End::GivenUp { reason, tries } => {
                Some(letters::of_event(event, &reason, tries, self.endpoint.now()))
            }
        };
        self.update(event.hops, move |work, cursor| {
            cursor.trouble.clear();
            if let Some(place) = after {
                (cursor.revision, cursor.done) = (place.revision, place.done);
            }
            if let Some(letter) = &letter {
                letters::add(work, cursor, letter.clone());
            }
        })
        .await
    }

    async fn save(&mut self) -> Result<(), ApiError> {
        let place = self.place;
        self.update(0, move |_, cursor| (cursor.revision, cursor.done) = (place.revision, place.done))
            .await?;
        self.settle(place);
        Ok(())
    }

    fn settle(&mut self, place: Place) {
        self.place = place;
        self.saved = place.revision;
        self.moved = false;
    }

    /// Changes what is remembered of the plugin, on account of an event that came through `hops` plugins.
    async fn update(
        &self,
        hops: u32,
        change: impl Fn(&mut crate::commit::Work<'_>, &mut PluginCursor) + Clone + Send + Sync + 'static,
    ) -> Result<(), ApiError> {
        record::update(&self.endpoint, &principal(&self.plugin, hops), &self.plugin, move |work, cursor| {
            change(work, cursor);
            Ok(())
        })
        .await
    }

    fn say(&self, level: &'static str, message: String) {
        self.endpoint.plugins.lines.push(&self.plugin, Line { time: self.endpoint.now(), level, message });
    }
}

/// Reads event patterns; those that are malformed want nothing.
pub(super) fn filters_of(events: &[String]) -> Vec<EventFilter> {
    events.iter().filter_map(|text| EventFilter::parse(text).ok()).collect()
}

/// Tells whether a plugin with these patterns gets an event.
pub(super) fn passes(filters: &[EventFilter], kind: &str, action: &str, key: &str) -> bool {
    !is_internal(kind) && filters.iter().any(|filter| filter.matches(kind, action, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let patience = Patience::default();
        let pauses: Vec<u64> = (1..patience.tries).map(|failed| patience.pause(failed).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60]);
        assert_eq!(patience.pause(u32::MAX).as_secs(), 60);
    }
}
