//! Dead letters: events that a plugin did not take in, and gaps in its events.

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{DeadLetter, Objects, ObjectsExt, Plugin, PluginCursor, Timestamp};

use super::{event::Incoming, record};
use crate::{commit::Work, endpoint::Endpoint};

/// The most letters of one plugin; the oldest one goes when another comes.
const MAX_LETTERS: u64 = 1000;

/// The most bytes that their objects may have together.
const MAX_BYTES: u64 = 16 << 20;

/// Returns the letters of a plugin, the oldest first.
pub(super) fn of(objects: &(impl Objects + ?Sized), plugin: &str) -> Vec<Arc<DeadLetter>> {
    let begin = format!("{plugin}/");
    let mut found = Vec::new();
    objects.visit("dead_letters", &mut |object| {
        let own = object.key();
        if own.starts_with(&begin) {
            found.extend(Arc::clone(object).into_any().downcast::<DeadLetter>());
        }
        own < begin || own.starts_with(&begin)
    });
    found
}

/// Makes the letter of an event that was given up.
pub(super) fn of_event(event: &Incoming, reason: &str, tries: u32, now: Timestamp) -> DeadLetter {
    DeadLetter {
        reason: reason.to_owned(),
        tries,
        time: now,
        r#type: event.kind.clone(),
        action: event.action.clone(),
        key: event.key.clone(),
        revision: event.revision,
        event_time: event.time,
        bytes: event.object.to_string().len() as u64,
        object: event.object.clone(),
        ..DeadLetter::default()
    }
}

/// Adds a letter to the list of its plugin and drops the oldest ones that there is no room for.
pub(super) fn add(work: &mut Work<'_>, cursor: &mut PluginCursor, letter: DeadLetter) {
    cursor.letters += 1;
    let letter = DeadLetter {
        id: DeadLetter::id(&cursor.name, cursor.letters),
        plugin: cursor.name.clone(),
        number: cursor.letters,
        ..letter
    };
    cursor.kept += 1;
    cursor.bytes += letter.bytes;
    work.tx.put(Arc::new(letter));
    if cursor.kept <= MAX_LETTERS && cursor.bytes <= MAX_BYTES {
        return;
    }
    for oldest in of(&*work.tx, &cursor.name) {
        if (cursor.kept <= MAX_LETTERS && cursor.bytes <= MAX_BYTES) || oldest.number == cursor.letters {
            break;
        }
        take(work, cursor, &oldest);
        cursor.dropped += 1;
    }
}

/// Notes that the events of some revisions are lost. A gap right behind the newest letter, when that is one, becomes part
/// of it.
pub(super) fn add_gap(
    work: &mut Work<'_>,
    cursor: &mut PluginCursor,
    (from, to): (u64, u64),
    now: Timestamp,
) {
    let newest = work.tx.get::<DeadLetter>(&DeadLetter::id(&cursor.name, cursor.letters));
    let before = newest.filter(|letter| letter.is_gap() && letter.lost_to.saturating_add(1) == from);
    let from = before.as_ref().map_or(from, |letter| letter.lost_from);
    let words = format!("events of the revisions {from} to {to} are lost: they are not kept any more");
    cursor.lost.clone_from(&words);
    match before {
        Some(letter) => {
            let longer = DeadLetter { reason: words, time: now, lost_to: to, ..letter.as_ref().clone() };
            work.tx.put(Arc::new(longer));
        }
        None => {
            let gap = DeadLetter {
                reason: words,
                time: now,
                lost_from: from,
                lost_to: to,
                ..DeadLetter::default()
            };
            add(work, cursor, gap);
        }
    }
}

/// Takes a letter out of the list.
pub(super) fn take(work: &mut Work<'_>, cursor: &mut PluginCursor, letter: &DeadLetter) {
    if work.tx.delete("dead_letters", &letter.id).is_some() {
        cursor.kept = cursor.kept.saturating_sub(1);
        cursor.bytes = cursor.bytes.saturating_sub(letter.bytes);
    }
}

/// Returns the letters of a plugin, the oldest first, and how many older ones were dropped; of one number when given.
///
/// # Errors
///
/// There is no such plugin or no letter with the number.
pub(crate) fn letters(
    objects: &impl Objects,
    plugin: &str,
    number: Option<u64>,
) -> Result<(Vec<Arc<DeadLetter>>, u64), ApiError> {
    if objects.get::<Plugin>(plugin).is_none() {
        return Err(ApiError::not_found("GET", "plugins", plugin));
    }
    let dropped = objects.get::<PluginCursor>(plugin).map_or(0, |cursor| cursor.dropped);
    let mut found = of(objects, plugin);
    if let Some(number) = number {
        found.retain(|letter| letter.number == number);
        if found.is_empty() {
            return Err(missing("GET", plugin, number));
        }
    }
    Ok((found, dropped))
}

fn missing(method: &str, plugin: &str, number: u64) -> ApiError {
    ApiError::not_found(method, "dead_letters", &format!("{plugin}/{number}"))
}

/// Removes the letters of a plugin, or the one with a number; returns how many went.
///
/// # Errors
///
/// There is no such plugin or letter, or the commit failed.
pub(crate) async fn drop_letters(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    plugin: &str,
    number: Option<u64>,
) -> Result<usize, ApiError> {
    let (found, _) = letters(&endpoint.snapshot(), plugin, number)?;
    let count = found.len();
    let all = number.is_none();
    record::update(endpoint, principal, plugin, move |work, cursor| {
        for letter in &found {
            take(work, cursor, letter);
        }
        if all {
            cursor.dropped = 0;
        }
        if !of(&*work.tx, &cursor.name).iter().any(|letter| letter.is_gap()) {
            cursor.lost.clear();
        }
        Ok(())
    })
    .await?;
    Ok(count)
}

/// Has the letters of a plugin, or the one with a number, delivered again: once each, in their order, before what is new.
/// Gaps stay, for there is nothing to deliver. Returns how many are to be delivered.
///
/// # Errors
///
/// There is no such plugin or letter, the letter is a gap (409), or the commit failed.
pub(crate) async fn retry_letters(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    plugin: &str,
    number: Option<u64>,
) -> Result<usize, ApiError> {
    let (mut found, _) = letters(&endpoint.snapshot(), plugin, number)?;
    found.retain(|letter| !letter.is_gap());
    if let (Some(number), true) = (number, found.is_empty()) {
        let message = String::from("this stands for events that are lost: there is nothing to deliver");
        return Err(
            ApiError::new(409, "Conflict", message).about("dead_letters", &format!("{plugin}/{number}"))
        );
    }
    let count = found.len();
    record::update(endpoint, principal, plugin, move |work, _| {
        for letter in &found {
            // It may have been removed meanwhile.
            if let Some(letter) = work.tx.get::<DeadLetter>(&letter.id) {
                work.tx.put(Arc::new(DeadLetter { retry: true, ..letter.as_ref().clone() }));
            }
        }
        Ok(())
    })
    .await?;
    Ok(count)
}
