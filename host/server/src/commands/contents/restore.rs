//! The writable layer, put back from what `GET /contents/BackingStore` answered (drp-api.md 11.4).
//!
//! Each object takes its place again, created or replaced, all of them in one commit; what the bundle does not have stays as
//! it is. Whoever puts them back needs the rights that each by itself would take. Nothing begins by that: of what ran, what is
//! over comes back as it was, a work order that is not over is held, and a batch that is not over is cancelled with its orders.
//! What ran and does not fit any more is left out with a warning, lest an old record keep all else from coming back.

use std::{collections::BTreeMap, sync::Arc};

use axum::http::Method;
use formwork_api::ApiError;
use formwork_model::{Content, ContentSummary, Kind, Objects as _, Preference, Record as _, kind_of};
use serde_json::Value;

use super::writable_summary;
use crate::{
    auth::Caller,
    commands::{
        change::{Change, complete_text},
        objects::{self, Request},
        preferences,
    },
    commit::{Stop, Work, commit},
    content::{WRITABLE, is_brought_along},
    endpoint::Endpoint,
    kinds,
};

/// How often those are tried again that needed others; more is no order of needs, but a circle.
const PASSES: usize = 16;

/// An object as the bundle has it.
struct Wanted {
    kind: &'static Kind,
    key: String,
    body: Value,
}

/// Puts back what a bundle of the writable layer has.
pub(super) async fn restore(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    mut content: Content,
) -> Result<ContentSummary, ApiError> {
    let values = settings(content.sections.remove(Preference::KIND.prefix).unwrap_or_default())?;
    // What ran is of machines that are there by then, or are there no more.
    let parts: (Vec<_>, Vec<_>) =
        read(content)?.into_iter().partition(|one| !kinds::of(one.kind).is_record());
    let (by, parts) = (caller.clone(), Arc::new(parts));
    let warnings = commit(endpoint, &caller.principal, move |work| {
        let (others, records) = &*parts;
        let faults = put_all(work, &by, others)?;
        if !faults.is_empty() {
            return Err(refused(faults).into());
        }
        work.recompute();
        let warnings = put_all(work, &by, records)?;
        if !values.is_empty() {
            preferences::put(work, &by, &values)?;
        }
        Ok(warnings)
    })
    .await?;
    Ok(ContentSummary { warnings, ..writable_summary(&endpoint.snapshot()) })
}

fn refused(messages: Vec<String>) -> ApiError {
    ApiError { messages, ..ApiError::new(422, "PUT", "") }.about("contents", WRITABLE)
}

/// Returns the preferences of a bundle by their names.
fn settings(section: BTreeMap<String, Value>) -> Result<BTreeMap<String, String>, ApiError> {
    let value = |(name, preference): (String, Value)| match preference.get("Val") {
        None | Some(Value::Null) => Ok((name, String::new())),
        Some(Value::String(value)) => Ok((name, value.clone())),
        Some(_) => Err(refused(vec![format!("preferences:{name}: `Val` is no string")])),
    };
    section.into_iter().map(value).collect()
}

/// Returns the objects of a bundle.
fn read(content: Content) -> Result<Vec<Wanted>, ApiError> {
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for (prefix, section) in content.sections.into_iter().filter(|(_, section)| !section.is_empty()) {
        let Some(kind) = kind_of(&prefix).filter(|kind| kind.layers.in_contents()) else {
            faults.push(format!("sections.{prefix}: the writable layer has no objects of this type"));
            continue;
        };
        for (key, mut body) in section {
            complete_text(&mut body, kind.key, || key.clone());
            match body.get(kind.key) {
                Some(Value::String(own)) if *own == key => found.push(Wanted { kind, key, body }),
                _ => faults.push(format!("{prefix}:{key}: its {} is not its place in the section", kind.key)),
            }
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(refused(faults)) }
}

/// Puts all objects back. Those that need others are tried again when these are there. Returns what is wrong with those that
/// cannot be put back.
fn put_all(work: &mut Work<'_>, caller: &Caller, wanted: &[Wanted]) -> Result<Vec<String>, Stop> {
    let mut waiting: Vec<&Wanted> = wanted.iter().collect();
    let mut messages = Vec::new();
    for _ in 0..PASSES {
        messages.clear();
        let before = waiting.len();
        let mut left = Vec::new();
        for wanted in waiting {
            match put(work, caller, wanted) {
                Ok(()) => {}
                Err(Stop::Fail(error)) if error.code != 403 => {
                    let name = format!("{}:{}", wanted.kind.prefix, wanted.key);
                    messages.extend(error.messages.iter().map(|message| format!("{name}: {message}")));
                    left.push(wanted);
                }
                Err(other) => return Err(other),
            }
        }
        waiting = left;
        if waiting.is_empty() || waiting.len() == before {
            break;
        }
        // What some of them need may be usable only now that what it needs itself is there.
        work.recompute();
    }
    Ok(messages)
}

fn put(work: &mut Work<'_>, caller: &Caller, wanted: &Wanted) -> Result<(), Stop> {
    let Wanted { kind, key, body } = wanted;
    let request = Request { kind, caller: caller.clone(), method: Method::PUT, force: true };
    let is_there =
        work.tx.find(kind.prefix, key).is_some_and(|old| !is_brought_along(&*work.tx, old.as_ref()));
    match is_there {
        true if !caller.sees(kind.prefix, key) => Err(ApiError::not_found("PUT", kind.prefix, key).into()),
        true if kinds::of(kind).is_record() => Ok(()),
        true => objects::update_in(work, &request, key, &Change::Put(body.clone())).map(drop),
        false => objects::restore_in(work, &request, body.clone()).map(drop),
    }
}
