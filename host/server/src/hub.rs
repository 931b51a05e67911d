//! What the endpoint tells its listeners: changes of the store and events that are not stored (drp-api.md 8).
//!
//! The store's feed is one bounded log, and every listener is a place in it. What an entry tells is worked out once for all
//! listeners, and its text is written once, when the first of them wants it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use axum::extract::ws::Utf8Bytes;
use formwork_api::Event;
use formwork_model::{Job, Object, is_internal};
use formwork_store::{Action, Change, Entry, Revision};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::{clock::now, commit::is_asked_for, kinds, plugins::principal_shown};

/// Events that are not stored and wait for a slow listener before it loses some.
const WAITING: usize = 4096;

/// Entries whose events are kept for listeners that are not there yet.
const RECENT: usize = 256;

/// The type of events about the jobs of one machine: their changes and their logs (features.md row 55).
const MACHINE_JOBS: &str = "machine_jobs";

/// Most bytes of a log that one event tells: events wait in memory for slow listeners.
const MAX_TOLD_LOG: usize = 64 << 10;

/// The type of events about lines of the log.
const LOG: &str = "log";

/// One event on its way to listeners.
#[derive(Debug)]
pub(crate) struct Told {
    /// The event's type.
    pub(crate) r#type: String,
    /// What happened.
    pub(crate) action: String,
    /// The key that filters look at.
    pub(crate) key: String,
    /// The scope and the key that a listener must be able to get; none for what everybody may see.
    pub(crate) needs: Option<(&'static str, String)>,
    /// The types and keys of the objects that it tells of, all of which a listener must see.
    pub(crate) about: Vec<(String, String)>,
    source: Source,
    text: OnceLock<Utf8Bytes>,
}

/// What the text of an event is made of.
#[derive(Debug)]
enum Source {
    Change(Change),
    Event(Event),
}

impl Told {
    /// Returns the event as it is sent.
    pub(crate) fn text(&self) -> Utf8Bytes {
        let written = || {
            // An event is made of strings and of what was JSON before.
            match &self.source {
                Source::Change(change) => serde_json::to_string(&self.of_change(change)),
                Source::Event(event) => serde_json::to_string(event),
            }
            .unwrap_or_default()
            .into()
        };
        self.text.get_or_init(written).clone()
    }

    /// Returns the event with the revision that a listener can resume from.
    pub(crate) fn text_at(&self, revision: Revision) -> Utf8Bytes {
        let text = self.text();
        match text.as_str().strip_suffix('}') {
            Some(open) => format!("{open},\"Revision\":{}}}", revision.0).into(),
            None => text,
        }
    }

    /// Returns the event if it is one that is not stored and that plugins get. A line of the log is none: what a plugin
    /// logs about one would come to it again.
    pub(crate) fn passing(&self) -> Option<&Event> {
        match &self.source {
            Source::Event(event) if event.r#type != LOG => Some(event),
            _ => None,
        }
    }

    fn of_change(&self, change: &Change) -> Event {
        let shown = |object: &Option<Arc<dyn Object>>| {
            object.as_ref().map_or(Value::Null, |object| kinds::shown(object.as_ref()))
        };
        let (object, original) = match change.action {
            Action::Deleted => (shown(&change.before), Value::Null),
            Action::Created => (shown(&change.after), Value::Null),
            Action::Updated => (shown(&change.after), shown(&change.before)),
        };
        Event {
            time: now(),
            r#type: self.r#type.clone(),
            action: self.action.clone(),
            key: self.key.clone(),
            principal: principal_shown(&change.principal).to_owned(),
            object,
            original,
            revision: None,
        }
    }
}

/// Where listeners get events from.
pub(crate) struct Hub {
    /// Events that are not stored.
    passing: broadcast::Sender<Arc<Told>>,
    /// What the latest entries tell.
    recent: Mutex<VecDeque<(Revision, Arc<[Told]>)>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { passing: broadcast::channel(WAITING).0, recent: Mutex::default() }
    }
}

impl Hub {
    /// Listens to events that are not stored.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Told>> {
        self.passing.subscribe()
    }

    /// Tells whether anybody listens.
    pub(crate) fn has_listeners(&self) -> bool {
        self.passing.receiver_count() > 0
    }

    /// Tells an event that is not stored. Without a listener there is nobody to tell, which is no failure.
    pub(crate) fn tell(&self, event: Event) {
        let needs = match event.r#type.as_str() {
            "audit" => Some(("events", event.key.clone())),
            "files" => Some(("files", event.key.clone())),
            "isos" => Some(("isos", event.key.clone())),
            LOG => Some(("logs", event.key.clone())),
            MACHINE_JOBS => Some(("jobs", event.key.clone())),
            _ => None,
        };
        let about = match event.r#type.as_str() {
            MACHINE_JOBS => ("machines", &event.key),
            own => (own, &event.key),
        };
        let about = vec![(about.0.to_owned(), about.1.clone())];
        let told = Told {
            r#type: event.r#type.clone(),
            action: event.action.clone(),
            key: event.key.clone(),
            needs,
            about,
            source: Source::Event(event),
            text: OnceLock::new(),
        };
        let _ = self.passing.send(Arc::new(told));
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

    /// Returns what an entry of the store tells.
    pub(crate) fn of(&self, entry: &Entry) -> Arc<[Told]> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, told)) = recent.iter().rev().find(|(revision, _)| *revision == entry.revision) {
            return Arc::clone(told);
        }
        let told: Arc<[Told]> = entry.changes.iter().flat_map(of_change).collect();
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back((entry.revision, Arc::clone(&told)));
        told
    }
}

/// Returns the events of one change: its own, and for a job that of its machine's jobs.
fn of_change(change: &Change) -> Vec<Told> {
    if is_internal(change.prefix) {
        return Vec::new();
    }
    let object = change.after.as_ref().or(change.before.as_ref());
    let claimed = object.map_or_else(|| change.key.to_string(), |object| kinds::claim_key(object.as_ref()));
    let job = object.and_then(|object| object.as_any().downcast_ref::<Job>());
    let mut about = vec![(change.prefix.to_owned(), change.key.to_string())];
    about.extend(job.map(|job| (String::from("machines"), job.machine.clone())));
    let told = |r#type: &str, key: &str| Told {
        r#type: r#type.to_owned(),
        action: word(change).to_owned(),
        key: key.to_owned(),
        needs: Some((change.prefix, claimed.clone())),
        about: about.clone(),
        source: Source::Change(change.clone()),
        text: OnceLock::new(),
    };
    let mut events = vec![told(change.prefix, &change.key)];
    if let Some(job) = job {
        events.push(told(MACHINE_JOBS, &job.machine));
    }
    events
}

/// A change that a user or an agent asked for is an `update`; what the server does by itself is a `save`.
pub(crate) fn word(change: &Change) -> &'static str {
    match change.action {
        Action::Created => "create",
        Action::Deleted => "delete",
        Action::Updated if is_asked_for(&change.principal) => "update",
        Action::Updated => "save",
    }
}
