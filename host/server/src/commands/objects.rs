//! Creating, changing and deleting objects of any type (drp-api.md 5).

use std::sync::Arc;

use axum::http::Method;
use formwork_api::ApiError;
use formwork_core::availability;
use formwork_model::{Header, Kind, Object, Objects, Values};
use json_patch::Patch;
use serde_json::Value;

use super::{jobs, machines, patch, users};
use crate::{
    auth::Caller,
    commit::{Stop, Work, commit},
    content::BUILT_IN,
    endpoint::Endpoint,
    plugins,
};

/// How an object is to be changed.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// All writable members are replaced.
    Put(Value),
    /// RFC 6902 over the object.
    Patch(Patch),
    /// RFC 6902 over the meta map.
    PatchMeta(Patch),
    /// RFC 6902 over the params.
    PatchParams(Patch),
    /// All params are replaced.
    PutParams(Values),
    /// One param is set, or removed.
    Param(String, Option<Value>),
}

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

/// Stores a new object and returns it.
pub(crate) async fn create(
    endpoint: &Arc<Endpoint>,
    request: Request,
    body: Value,
) -> Result<Arc<dyn Object>, ApiError> {
    request.caller.require(request.kind.prefix, "create", "")?;
    let wanted = decode(request.kind, without_read_only(request.kind, body))?;
    let principal = request.caller.principal.clone();
    commit(endpoint, &principal, move |work| {
        let object = complete(work, wanted.boxed())?;
        let (prefix, key) = (object.kind().prefix, object.key());
        if work.tx.find(prefix, &key).is_some_and(|other| other.header().bundle != BUILT_IN) {
            return Err(ApiError::new(409, "CREATE", "already exists").about(prefix, &key).into());
        }
        work.put(object)
    })
    .await
}

/// Fills in what a new object lacks.
fn complete(work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
    match object.kind().prefix {
        "machines" => machines::complete(work, object),
        "users" => Ok(users::complete(object)),
        "jobs" => Err(ApiError::new(405, "POST", "jobs are made by asking for the next one").into()),
        "plugin_providers" => {
            let message = "a plugin provider comes with the pack of its component\nhint: install the pack";
            Err(ApiError::new(405, "POST", message).about("plugin_providers", &object.key()).into())
        }
        _ => Ok(object),
    }
}

/// Changes an object and returns it.
pub(crate) async fn update(
    endpoint: &Arc<Endpoint>,
    request: Request,
    key: String,
    change: Change,
) -> Result<Arc<dyn Object>, ApiError> {
    let principal = request.caller.principal.clone();
    commit(endpoint, &principal, move |work| {
        let (prefix, kind, method) = (request.kind.prefix, request.kind, request.method.as_str());
        let old = work.tx.find(prefix, &key).ok_or_else(|| ApiError::not_found(method, prefix, &key))?;
        if old.header().read_only {
            return Err(ApiError::new(409, method, format!("readonly: {key}")).about(prefix, &key).into());
        }
        let before = old.to_json();
        let mut after = changed(&before, &change, kind, &key)?;
        keep_read_only(kind, &before, &mut after);
        require_members(&request.caller, kind, &old, &before, &after)?;
        let new = decode(kind, after)?;
        if new.key() != key {
            let message = format!("{key}: {} cannot change", kind.key);
            return Err(ApiError::invalid(prefix, &key, vec![message]).into());
        }
        match prefix {
            "machines" => machines::change(work, &request, &old, new.as_ref()),
            "jobs" => jobs::change(work, &old, new.as_ref()),
            "users" => {
                let user = users::change(&old, new.boxed());
                work.put(user)
            }
            _ => work.put(new.boxed()),
        }
    })
    .await
}

/// Returns the JSON that a change makes of an object.
fn changed(before: &Value, change: &Change, kind: &'static Kind, key: &str) -> Result<Value, ApiError> {
    let mut after = before.clone();
    match change {
        Change::Put(body) => {
            let mut body = body.clone();
            let keyless = body.get(kind.key).and_then(Value::as_str).is_none_or(str::is_empty);
            if let (Some(members), true) = (body.as_object_mut(), keyless) {
                members.insert(kind.key.to_owned(), before.get(kind.key).cloned().unwrap_or_default());
            }
            return Ok(body);
        }
        Change::Patch(operations) => patch::apply(&mut after, operations, kind.prefix, key)?,
        Change::PatchMeta(operations) => {
            patch::apply(member(&mut after, "Meta"), operations, kind.prefix, key)?
        }
        Change::PatchParams(operations) => {
            patch::apply(member(&mut after, "Params"), operations, kind.prefix, key)?
        }
        Change::PutParams(values) => {
            *member(&mut after, "Params") = serde_json::to_value(values).unwrap_or_default();
        }
        Change::Param(name, value) => {
            if let Some(params) = member(&mut after, "Params").as_object_mut() {
                match value {
                    Some(value) => params.insert(name.clone(), value.clone()),
                    None => params.remove(name),
                };
            }
        }
    }
    Ok(after)
}

/// Returns a member of an object's JSON for a change.
fn member<'a>(object: &'a mut Value, name: &str) -> &'a mut Value {
    if !object.is_object() {
        *object = Value::Object(serde_json::Map::new());
    }
    match object {
        Value::Object(members) => members.entry(name.to_owned()).or_insert(Value::Null),
        other => other,
    }
}

/// Removes an object and returns it as it was.
pub(crate) async fn delete(
    endpoint: &Arc<Endpoint>,
    request: Request,
    key: String,
) -> Result<Arc<dyn Object>, ApiError> {
    request.caller.require(request.kind.prefix, "delete", &claim_key(endpoint, request.kind, &key))?;
    let principal = request.caller.principal.clone();
    let removed = commit(endpoint, &principal, move |work| {
        let prefix = request.kind.prefix;
        let old = work.tx.find(prefix, &key).ok_or_else(|| ApiError::not_found("DELETE", prefix, &key))?;
        let refused = |code, r#type: &str, message: String| {
            Err(Stop::from(ApiError::new(code, r#type, message).about(prefix, &key)))
        };
        if old.header().read_only {
            return refused(409, "DELETE", format!("readonly: {key}"));
        }
        if prefix == "profiles" && key == "global" {
            return refused(409, "DELETE", String::from("the profile global cannot be deleted"));
        }
        let users = availability::users(&*work.tx, prefix, &key);
        if !users.is_empty() {
            return refused(409, "StillInUseError", format!("{key} is still in use by {}", users.join(", ")));
        }
        if prefix == "machines" {
            machines::may_delete(&request.caller, old.as_ref())?;
        }
        if prefix == "jobs" {
            jobs::may_delete(work.tx, old.as_ref())?;
        }
        work.tx.delete(prefix, &key);
        if prefix == "plugins" {
            plugins::forget(work.tx, &key);
        }
        Ok(old)
    })
    .await?;
    if removed.kind().prefix == "jobs" {
        endpoint.logs.remove(&removed.key()).await;
    }
    if removed.kind().prefix == "plugins" {
        endpoint.plugins.lines.forget(&removed.key());
    }
    Ok(removed)
}

/// Sets one parameter of an object.
pub(crate) async fn set_param(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    prefix: &str,
    key: &str,
    name: &str,
    value: Value,
) -> Result<(), ApiError> {
    let (prefix, key, name) = (prefix.to_owned(), key.to_owned(), name.to_owned());
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

/// Decodes a body into an object of a type.
pub(crate) fn decode(kind: &'static Kind, body: Value) -> Result<Arc<dyn Object>, ApiError> {
    (kind.decode)(body).map_err(|error| ApiError::new(400, "POST", error.message).about(kind.prefix, ""))
}

fn read_only(kind: &Kind) -> impl Iterator<Item = &'static str> {
    Header::READ_ONLY.iter().chain(kind.read_only).copied()
}

fn without_read_only(kind: &Kind, mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        read_only(kind).for_each(|name| {
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

/// Returns the key that claims about an object name: a job is covered by claims for its machine.
pub(crate) fn claim_key(endpoint: &Endpoint, kind: &Kind, key: &str) -> String {
    match kind.prefix {
        "jobs" => endpoint.snapshot().find("jobs", key).map_or_else(String::new, |job| claim_key_of(&job)),
        _ => key.to_owned(),
    }
}

fn claim_key_of(object: &Arc<dyn Object>) -> String {
    match object.as_any().downcast_ref::<formwork_model::Job>() {
        Some(job) => job.machine.clone(),
        None => object.key(),
    }
}

/// A caller needs the claim for each member that he changes.
fn require_members(
    caller: &Caller,
    kind: &Kind,
    old: &Arc<dyn Object>,
    before: &Value,
    after: &Value,
) -> Result<(), ApiError> {
    let key = claim_key_of(old);
    if caller.may(kind.prefix, "update", &key) {
        return Ok(());
    }
    let names =
        |value: &Value| value.as_object().map(|m| m.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mut members = names(before);
    members.extend(names(after));
    let mut touched =
        members.iter().filter(|name| before.get(name.as_str()) != after.get(name.as_str())).peekable();
    if touched.peek().is_none() {
        return caller.require(kind.prefix, "update", &key);
    }
    touched.try_for_each(|name| caller.require(kind.prefix, &format!("update:/{name}"), &key))
}
