//! Creating, changing and deleting objects of any type (drp-api.md 5).

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::Method;
use formwork_api::ApiError;
use formwork_core::{availability, params, preferences};
use formwork_model::{
    DecodeError, Header, Kind, Object, Objects, Param, Record as _, canonical_numbers, overlaid,
};
use formwork_store::Committed;
use serde_json::{Map, Value};

pub(crate) use super::change::Change;
use super::{
    change::{changed, complete_text},
    claims, tenants,
};
use crate::{
    auth::Caller,
    commit::{Stop, Work, commit, commit_at, commit_object},
    content::is_brought_along,
    endpoint::Endpoint,
    kinds, random, secure,
};

/// The name of the key of objects that a UUID identifies.
const UUID: &str = "Uuid";

/// Who changes something, and with what waived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The type.
    pub(crate) kind: &'static Kind,
    /// Who asks.
    pub(crate) caller: Caller,
    /// The method, which errors name.
    pub(crate) method: Method,
    /// True when soft checks are waived.
    pub(crate) force: bool,
}

/// Stores a new object, and returns it as it is after the commit. One whose key is a UUID gets one if it has none.
pub(crate) async fn create(
    endpoint: &Arc<Endpoint>,
    request: Request,
    body: Value,
) -> Result<Committed<Arc<dyn Object>>, ApiError> {
    request.caller.require(request.kind.prefix, "create", "")?;
    let mut body = without(read_only(request.kind), body);
    if request.kind.key == UUID {
        complete_text(&mut body, UUID, random::uuid);
    }
    let wanted = decode(request.kind, "POST", "", body)?;
    let principal = request.caller.principal.clone();
    commit_object(endpoint, &principal, move |work| {
        let object = kinds::of(request.kind).complete(work, wanted.boxed())?;
        if secure::holds_any(&*work.tx, object.as_ref()) {
            claims::require_secure(&request.caller, object.as_ref())?;
        }
        if let Some(stored) = kinds::of(request.kind).instead(work, object.as_ref()) {
            return work.put(stored);
        }
        put_new(work, &request.caller, object)
    })
    .await
}

/// Puts an object that is not there inside of a transaction, as it was when it was there.
pub(super) fn restore_in(
    work: &mut Work<'_>,
    request: &Request,
    body: Value,
) -> Result<Arc<dyn Object>, Stop> {
    request.caller.require(request.kind.prefix, "create", "")?;
    let behaviour = kinds::of(request.kind);
    let body = match behaviour.is_record() {
        true => without(Header::READ_ONLY.iter().copied(), body),
        false => without(read_only(request.kind), body),
    };
    let wanted = decode(request.kind, request.method.as_str(), "", body)?;
    let object = behaviour.restore(work, wanted.boxed())?;
    if secure::holds_any(&*work.tx, object.as_ref()) {
        claims::require_secure(&request.caller, object.as_ref())?;
    }
    let stored = put_new(work, &request.caller, object)?;
    behaviour.restored(work, stored.as_ref())?;
    Ok(stored)
}

fn put_new(work: &mut Work<'_>, caller: &Caller, object: Box<dyn Object>) -> Result<Arc<dyn Object>, Stop> {
    let (prefix, key) = (object.kind().prefix, object.key());
    let other = work.tx.find(prefix, &key);
    if other.is_some_and(|other| !is_brought_along(&*work.tx, other.as_ref())) {
        return Err(ApiError::new(409, "CREATE", "already exists").about(prefix, &key).into());
    }
    claims::require_given(caller, &*work.tx, None, object.as_ref())?;
    let stored = work.put(object)?;
    tenants::adopt(work, caller, stored.as_ref())?;
    Ok(stored)
}

/// Most users of an object that an error names.
const MAX_USERS_TOLD: usize = 20;

/// Changes an object, one change after the other in one commit, and returns it as it is after that.
///
/// A change is of what clients see of the object (drp-api.md 5.3); what they do not see or cannot write is put back.
pub(crate) async fn update(
    endpoint: &Arc<Endpoint>,
    request: Request,
    key: String,
    changes: Vec<Change>,
) -> Result<Committed<Arc<dyn Object>>, ApiError> {
    let caller = request.caller.clone();
    let prefix = request.kind.prefix;
    if changes.iter().all(Change::is_nothing) {
        let stored = endpoint.snapshot().stored(prefix, &key);
        let stored = stored.ok_or_else(|| ApiError::not_found(request.method.as_str(), prefix, &key))?;
        claims::require_some(&caller, prefix, &kinds::claim_key(stored.object.as_ref()))?;
        return Ok(Committed { value: stored.object, revision: stored.revision });
    }
    let audited = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&audited);
    let committed = commit_object(endpoint, &caller.principal, move |work| {
        // The transaction may run again; the last time counts.
        *noted.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut stored = None;
        for change in &changes {
            stored = Some(updated(work, &request, &key, change, &noted)?);
        }
        let missing = || ApiError::not_found(request.method.as_str(), request.kind.prefix, &key);
        stored.or_else(|| work.tx.find(request.kind.prefix, &key)).ok_or_else(|| missing().into())
    })
    .await?;
    if let Some((what, words)) = *audited.lock().unwrap_or_else(PoisonError::into_inner) {
        let key = kinds::claim_key(committed.value.as_ref());
        caller.audit(what, (committed.value.kind().prefix, &key), words);
    }
    Ok(committed)
}

/// Changes an object inside of a transaction that is about more.
pub(crate) fn update_in(
    work: &mut Work<'_>,
    request: &Request,
    key: &str,
    change: &Change,
) -> Result<Arc<dyn Object>, Stop> {
    updated(work, request, key, change, &Noted::default())
}

/// What is noted for auditors of a change, in one word, and in a sentence.
type Noted = Mutex<Option<(&'static str, &'static str)>>;

/// Changes an object inside of a transaction.
fn updated(
    work: &mut Work<'_>,
    request: &Request,
    key: &str,
    change: &Change,
    noted: &Noted,
) -> Result<Arc<dyn Object>, Stop> {
    let (prefix, kind, method) = (request.kind.prefix, request.kind, request.method.as_str());
    let old = work.tx.find(prefix, key).ok_or_else(|| ApiError::not_found(method, prefix, key))?;
    let behaviour = kinds::of(kind);
    let claimed = behaviour.claim_key(old.as_ref());
    let new = match change.touched().filter(|_| is_plain(request, &claimed)) {
        Some(touched) => overlaid_with(work, request, old.as_ref(), (&claimed, &touched), change)?,
        None => replaced(work, request, old.as_ref(), &claimed, change)?,
    };
    if new.key() != key {
        let message = format!("{key}: {} cannot change", kind.key);
        return Err(ApiError::invalid(prefix, key, vec![message]).into());
    }
    claims::require_given(&request.caller, &*work.tx, Some(old.as_ref()), new.as_ref())?;
    let stored = behaviour.change(work, request, &old, new.as_ref())?;
    if let Some(audited) = behaviour.audited(old.as_ref(), stored.as_ref()) {
        *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(audited);
    }
    Ok(stored)
}

fn read_only_refusal(method: &str, prefix: &str, key: &str) -> ApiError {
    ApiError::new(409, method, format!("readonly: {key}")).about(prefix, key)
}

/// Tells whether a change of a few members can do without a look at the others: whoever may change all needs no look at each
/// place, and all that clients write of such a type they see.
fn is_plain(request: &Request, claimed: &str) -> bool {
    let kind = request.kind;
    kind.private.is_empty() && !kind.is_declared() && request.caller.may(kind.prefix, "update", claimed)
}

/// Returns an object with a change of some members, of a caller who may change all.
fn overlaid_with(
    work: &Work<'_>,
    request: &Request,
    old: &dyn Object,
    (claimed, touched): (&str, &[String]),
    change: &Change,
) -> Result<Arc<dyn Object>, Stop> {
    let (kind, method, key) = (request.kind, request.method.as_str(), old.key());
    let names: Vec<&str> = touched.iter().map(String::as_str).collect();
    if old.header().read_only {
        return Err(read_only_refusal(method, kind.prefix, &key).into());
    }
    let mut shown = Map::new();
    old.members(&names, &mut |place, value| {
        shown.extend(touched.get(place).map(|name| (name.clone(), value)));
    });
    let after = changed(&*work.tx, Value::Object(shown), change, kind, &key)?;
    // What clients cannot write stays as it is.
    let written: Vec<&str> =
        names.into_iter().filter(|name| !read_only(kind).any(|own| own == *name)).collect();
    let new = overlaid(old, &written, after).map_err(|error| undecodable(kind, method, &key, error));
    let is_secure = new.as_ref().is_ok_and(|new| secure::changed(&*work.tx, old, new.as_ref()));
    claims::require_members(&request.caller, (kind, claimed), None, is_secure)?;
    Ok(new?)
}

/// Returns an object with a change, of which every place is looked at.
fn replaced(
    work: &Work<'_>,
    request: &Request,
    old: &dyn Object,
    claimed: &str,
    change: &Change,
) -> Result<Arc<dyn Object>, Stop> {
    let (prefix, kind, method, key) = (request.kind.prefix, request.kind, request.method.as_str(), old.key());
    let before = old.to_json();
    let shown = kinds::without_private(kind, before.clone());
    let mut after = claims::tried(request, claimed, change, || {
        if old.header().read_only {
            return Err(read_only_refusal(method, prefix, &key));
        }
        changed(&*work.tx, shown, change, kind, &key)
    })?;
    keep_read_only(kind, &before, &mut after);
    keep_private(kind, &before, &mut after);
    // What a caller changes who may change all needs no look at each member.
    let raw = (!request.caller.may(prefix, "update", claimed)).then(|| after.clone());
    let decoded = decode(kind, method, &key, after);
    let is_secure = decoded.as_ref().is_ok_and(|new| secure::changed(&*work.tx, old, new.as_ref()));
    let result = raw.map(|raw| decoded.as_ref().map_or(raw, |new| new.to_json()));
    let places = result.as_ref().map(|result| (&before, result));
    claims::require_members(&request.caller, (kind, claimed), places, is_secure)?;
    Ok(decoded?)
}

/// Removes an object and returns it as it was.
pub(crate) async fn delete(
    endpoint: &Arc<Endpoint>,
    request: Request,
    key: String,
) -> Result<Committed<Arc<dyn Object>>, ApiError> {
    let (prefix, behaviour) = (request.kind.prefix, kinds::of(request.kind));
    let missing = || ApiError::not_found("DELETE", request.kind.prefix, &key);
    let known = endpoint.snapshot().find(prefix, &key).ok_or_else(missing)?;
    request.caller.require(prefix, "delete", &behaviour.claim_key(known.as_ref()))?;
    let caller = request.caller.clone();
    let whole = behaviour.delete_whole(endpoint, &caller, known.as_ref());
    if let Some(whole) = whole {
        let revision = whole.await?;
        return Ok(Committed { value: Arc::clone(&known), revision });
    }
    let principal = request.caller.principal.clone();
    let removed = commit_at(endpoint, &principal, move |work| {
        let old = work.tx.find(prefix, &key).ok_or_else(|| ApiError::not_found("DELETE", prefix, &key))?;
        if old.header().read_only {
            return Err(ApiError::new(409, "DELETE", format!("readonly: {key}")).about(prefix, &key).into());
        }
        behaviour.may_delete(work, &request.caller, old.as_ref())?;
        remove(work, old.as_ref(), request.force)?;
        Ok(old)
    })
    .await?;
    behaviour.deleted(endpoint, removed.value.as_ref()).await;
    Ok(removed)
}

/// Removes an object inside of a transaction, and what belongs to it. What others use stays unless it is forced.
pub(crate) fn remove(work: &mut Work<'_>, old: &dyn Object, force: bool) -> Result<(), Stop> {
    let (kind, key) = (old.kind(), old.key());
    work.tx.delete(kind.prefix, &key);
    // What it hid takes its place, for those who use it too.
    if work.tx.find(kind.prefix, &key).is_none() {
        let users = if force { Vec::new() } else { users(work, kind.prefix, &key) };
        if !users.is_empty() {
            let (shown, more) =
                (users.iter().take(MAX_USERS_TOLD), users.len().saturating_sub(MAX_USERS_TOLD));
            let mut told = shown.map(String::as_str).collect::<Vec<_>>().join(", ");
            if more > 0 {
                told.push_str(&format!(" and {more} more"));
            }
            let message = format!("{key} is still in use by {told}");
            return Err(ApiError::new(409, "StillInUseError", message).about(kind.prefix, &key).into());
        }
        tenants::forget(work, kind.prefix, &key)?;
    }
    kinds::of(kind).delete_with(work, old, force)
}

/// Returns what needs an object that was deleted just now.
fn users(work: &Work<'_>, prefix: &str, key: &str) -> Vec<String> {
    let mut users = availability::users(&*work.tx, prefix, key);
    users.extend(preferences::users(&*work.tx, prefix, key));
    if prefix == Param::KIND.prefix {
        users.extend(params::holders(&*work.tx, key));
    }
    users
}

/// Sets one parameter of an object.
pub(crate) async fn set_param(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    prefix: &str,
    key: &str,
    name: &str,
    mut value: Value,
) -> Result<(), ApiError> {
    let (prefix, key, name) = (prefix.to_owned(), key.to_owned(), name.to_owned());
    canonical_numbers(&mut value);
    commit(endpoint, principal, move |work| {
        let object = work.tx.find(&prefix, &key).ok_or_else(|| ApiError::not_found("POST", &prefix, &key))?;
        let mut object = object.boxed();
        if let Some(params) = object.params_mut() {
            params.insert(name.clone(), value.clone());
        }
        work.put(object).map(|_| ())
    })
    .await
}

/// Decodes a body into an object of a type. What is wrong with it is an error about the key, which is empty for a new object.
pub(crate) fn decode(
    kind: &'static Kind,
    method: &str,
    key: &str,
    body: Value,
) -> Result<Arc<dyn Object>, ApiError> {
    kind.read(body).map_err(|error| undecodable(kind, method, key, error))
}

fn undecodable(kind: &Kind, method: &str, key: &str, error: DecodeError) -> ApiError {
    if error.is_unknown_word {
        return ApiError::invalid(kind.prefix, key, vec![format!("{key}: {}", error.message)]);
    }
    ApiError::new(400, method, error.message).about(kind.prefix, key)
}

fn read_only(kind: &Kind) -> impl Iterator<Item = &'static str> {
    Header::READ_ONLY.iter().chain(kind.read_only).copied()
}

fn without<'a>(names: impl Iterator<Item = &'a str>, mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        names.for_each(|name| {
            members.remove(name);
        });
    }
    body
}

/// Puts back what clients cannot write.
fn keep_read_only(kind: &Kind, before: &Value, after: &mut Value) {
    let Some(members) = after.as_object_mut() else { return };
    for name in read_only(kind) {
        match before.get(name) {
            Some(value) => members.insert(name.to_owned(), value.clone()),
            None => members.remove(name),
        };
    }
}

/// Puts back what clients do not see and a change leaves out or empty.
fn keep_private(kind: &Kind, before: &Value, after: &mut Value) {
    for name in kind.private {
        complete_text(after, name, || {
            before.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        });
    }
}
