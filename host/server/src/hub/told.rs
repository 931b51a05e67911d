//! What one entry of the store, or one event that is not stored, tells.

use std::sync::{Arc, OnceLock};

use axum::extract::ws::Utf8Bytes;
use formwork_api::Event;
use formwork_model::{Job, Machine, Object, Objects, Preference, Record as _, is_internal};
use formwork_store::{Action, Change, Entry, Revision};
use serde_json::Value;

use super::{LOG, MACHINE_JOBS};
use crate::{auth::Caller, clock::now, commit::is_asked_for, kinds, plugins::principal_shown};

/// One event on its way to listeners. Its texts are written when the first listener wants them, and shared by all.
#[derive(Debug)]
pub(crate) struct Told {
    /// The event's type.
    pub(crate) r#type: String,
    /// What happened.
    pub(crate) action: String,
    /// The key that filters look at.
    pub(crate) key: String,
    /// The scope and the key that a listener must be able to get; none for what everybody may see.
    needs: Option<(&'static str, String)>,
    /// The types and keys of the objects that it tells of, all of which a listener must see.
    about: Vec<(String, String)>,
    source: Source,
    plain: OnceLock<Utf8Bytes>,
    /// With the revision to go on from when it is the last of its entry that a listener gets.
    last: OnceLock<Utf8Bytes>,
    /// The same when the listener gets more of the entry.
    more: OnceLock<Utf8Bytes>,
}

/// What the text of an event is made of.
#[derive(Debug)]
enum Source {
    Change(Change),
    Event(Event),
}

impl Told {
    /// Returns what an event that is not stored tells, when the objects are as given.
    pub(super) fn passing_by(event: Event, objects: &impl Objects) -> Self {
        let needs = match event.r#type.as_str() {
            "audit" => Some(("events", event.key.clone())),
            "files" => Some(("files", event.key.clone())),
            "isos" => Some(("isos", event.key.clone())),
            LOG => Some(("logs", event.key.clone())),
            MACHINE_JOBS => Some(("jobs", event.key.clone())),
            own => Machine::PREFIXES
                .iter()
                .find(|prefix| **prefix == own)
                .map(|prefix| (*prefix, event.key.clone())),
        };
        let about = match event.r#type.as_str() {
            MACHINE_JOBS => subjects(&event.key, &[], objects),
            own => vec![(own.to_owned(), event.key.clone())],
        };
        let (action, key) = (event.action.clone(), event.key.clone());
        Self::new((event.r#type.clone(), action, key), needs, about, Source::Event(event))
    }

    fn new(
        (r#type, action, key): (String, String, String),
        needs: Option<(&'static str, String)>,
        about: Vec<(String, String)>,
        source: Source,
    ) -> Self {
        let (plain, last, more) = Default::default();
        Self { r#type, action, key, needs, about, source, plain, last, more }
    }

    /// Returns the event as it is sent.
    pub(crate) fn text(&self) -> Utf8Bytes {
        let written = || {
            match &self.source {
                Source::Change(change) => self.text_of_change(change),
                Source::Event(event) => written(event),
            }
            .into()
        };
        self.plain.get_or_init(written).clone()
    }

    /// Returns the event with the revision that a listener can resume from. Who resumes after one of several events of an
    /// entry gets them all again rather than not at all.
    pub(super) fn text_to_resume(&self, is_last: bool) -> Utf8Bytes {
        let Source::Change(change) = &self.source else { return self.text() };
        let (kept, revision) = match is_last {
            true => (&self.last, change.revision),
            false => (&self.more, change.revision.previous()),
        };
        kept.get_or_init(|| with_revision(self.text(), revision)).clone()
    }

    /// Tells whether somebody may see it.
    pub(super) fn is_for(&self, caller: &Caller) -> bool {
        self.about.iter().all(|(prefix, key)| caller.sees(prefix, key))
            && self.needs.as_ref().is_none_or(|(scope, key)| caller.may(scope, "get", key))
    }

    /// Returns the event if it is one that is not stored and that plugins get. A line of the log is none: what a plugin
    /// logs about one would come to it again.
    pub(crate) fn passing(&self) -> Option<&Event> {
        match &self.source {
            Source::Event(event) if event.r#type != LOG => Some(event),
            _ => None,
        }
    }

    /// Writes the event of a change. Its objects are most of it, and written as they are.
    fn text_of_change(&self, change: &Change) -> String {
        let head = written(&self.event(change, Value::Null, Value::Null));
        let Some(open) = head.strip_suffix(NO_OBJECTS) else { return written(&self.of_change(change)) };
        let mut text = open.as_bytes().to_vec();
        let [object, original] = objects(change);
        for (name, object) in [("\"Object\":", object), (",\"Original\":", original)] {
            text.extend_from_slice(name.as_bytes());
            match object {
                Some(object) => kinds::write_shown(object.as_ref(), &mut text),
                None => text.extend_from_slice(b"null"),
            }
        }
        text.push(b'}');
        // Objects are written as text.
        String::from_utf8(text).unwrap_or_default()
    }

    fn of_change(&self, change: &Change) -> Event {
        let [object, original] = objects(change);
        let shown = |object: Option<&Arc<dyn Object>>| {
            object.map_or(Value::Null, |object| kinds::shown(object.as_ref()))
        };
        self.event(change, shown(object), shown(original))
    }

    fn event(&self, change: &Change, object: Value, original: Value) -> Event {
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

/// How the text of an event ends that has no objects.
const NO_OBJECTS: &str = r#""Object":null,"Original":null}"#;

/// Returns the objects that the event of a change has: as it is now, and as it was.
fn objects(change: &Change) -> [Option<&Arc<dyn Object>>; 2] {
    match change.action {
        Action::Deleted => [change.before.as_ref(), None],
        Action::Created => [change.after.as_ref(), None],
        Action::Updated => [change.after.as_ref(), change.before.as_ref()],
    }
}

/// Writes an event, which is made of strings and of what was JSON before.
fn written(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

/// Adds a revision to the text of an event.
fn with_revision(text: Utf8Bytes, revision: Revision) -> Utf8Bytes {
    match text.as_str().strip_suffix('}') {
        Some(open) => format!("{open},\"Revision\":{}}}", revision.0).into(),
        None => text,
    }
}

/// Returns what an entry of the store tells, when the objects are as given, at the entry's revision or later.
pub(super) fn of_entry(entry: &Entry, objects: &impl Objects) -> Arc<[Arc<Told>]> {
    let told = |change| of_change(change, |uuid| subjects(uuid, &entry.changes, objects));
    entry.changes.iter().flat_map(told).map(Arc::new).collect()
}

/// Returns the type and the key of what a job is about, a machine, a cluster or a resource broker that is among the objects
/// or went with the same entry. Of one that is gone
/// the type is not known any more: only who could see it whatever it was is told.
fn subjects(uuid: &str, changes: &[Change], objects: &impl Objects) -> Vec<(String, String)> {
    let there = || Machine::find(objects, uuid).map(|object| object.kind().prefix);
    let gone = changes.iter().map(|change| (change.prefix, &*change.key));
    let gone = gone.filter(|(prefix, key)| *key == uuid && Machine::PREFIXES.contains(prefix));
    let known = gone.map(|(prefix, _)| prefix).next().or_else(there);
    let pair = |prefix: &str| (prefix.to_owned(), uuid.to_owned());
    known.map_or_else(|| Machine::PREFIXES.map(pair).to_vec(), |prefix| vec![pair(prefix)])
}

/// Returns the event of a change, as somebody gets it who may see everything.
pub(crate) fn event_of(change: &Change) -> Option<Event> {
    // The event of the change itself is about the object alone.
    of_change(change, |_| Vec::new()).first().map(|told| told.of_change(change))
}

/// Returns the events of one change: its own, and for a job that of its machine's jobs. `subjects` tells by a UUID what a job
/// is about.
fn of_change(change: &Change, subjects: impl Fn(&str) -> Vec<(String, String)>) -> Vec<Told> {
    if is_internal(change.prefix) {
        return Vec::new();
    }
    let object = change.after.as_ref().or(change.before.as_ref());
    let claimed = object.map_or_else(|| change.key.to_string(), |object| kinds::claim_key(object.as_ref()));
    let job = object.and_then(|object| object.as_any().downcast_ref::<Job>());
    let mut about = vec![(change.prefix.to_owned(), change.key.to_string())];
    about.extend(job.map(|job| subjects(&job.machine)).unwrap_or_default());
    let told = |r#type: &str, key: &str| {
        let words = (r#type.to_owned(), word(change).to_owned(), key.to_owned());
        let needs = Some((change.prefix, claimed.clone()));
        Told::new(words, needs, about.clone(), Source::Change(change.clone()))
    };
    let mut events = vec![told(change.prefix, &change.key)];
    if let Some(job) = job {
        events.push(told(MACHINE_JOBS, &job.machine));
    }
    events
}

/// A change that a user or an agent asked for is an `update`; what the server does by itself is a `save`. A preference has
/// always been there, and setting it is a `save` (drp-api.md 8.4).
pub(crate) fn word(change: &Change) -> &'static str {
    match change.action {
        Action::Created | Action::Updated if change.prefix == Preference::KIND.prefix => "save",
        Action::Created => "create",
        Action::Deleted => "delete",
        Action::Updated if is_asked_for(&change.principal) => "update",
        Action::Updated => "save",
    }
}

#[cfg(test)]
mod tests {
    use formwork_model::User;

    use super::*;

    #[test]
    fn text_of_a_change_is_that_of_its_event_without_what_is_private() {
        let user = |description: &str| -> Option<Arc<dyn Object>> {
            Some(Arc::new(User {
                name: "anna".into(),
                description: description.into(),
                password_hash: "sealed-word".into(),
                ..User::default()
            }))
        };
        for (action, before, after) in [
            (Action::Created, None, user("new")),
            (Action::Updated, user("old"), user("new \"\u{e4}\"")),
            (Action::Deleted, user("old"), None),
        ] {
            let change = Change {
                revision: Revision(7),
                principal: "user:rocketskates".into(),
                prefix: "users",
                key: "anna".into(),
                action,
                before,
                after,
            };
            let told = of_change(&change, |_| Vec::new()).remove(0);
            let text = told.text();
            assert!(!text.contains("sealed-word"), "{text}");
            let mut event: Event = serde_json::from_str(&text).unwrap();
            event.time = told.of_change(&change).time;
            assert_eq!(event, Event { time: event.time, ..told.of_change(&change) });
        }
    }
}
