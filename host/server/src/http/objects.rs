//! The standard routes of every object type (drp-api.md 7).

use std::sync::Arc;

use axum::{
    Extension, Router,
    http::{HeaderName, HeaderValue, StatusCode},
    routing::get,
};
use formwork_api::{
    ApiError, LIST_COUNT, LIST_FILTER_COUNT, LIST_TOTAL_COUNT, ListQuery, Projection, QueryError, select,
};
use formwork_core::params;
use formwork_model::{Kind, Object, Objects};
use formwork_store::{Revision, Snapshot};
use json_patch::Patch;
use serde_json::Value;

use super::{
    answer::{self, Handled},
    params as param_routes,
    request::{Json, Target},
};
use crate::{
    commands::{
        objects::{self, Change},
        patch,
    },
    endpoint::Endpoint,
};

/// Returns the routes of one type.
pub(super) fn routes(kind: &'static Kind) -> Router<Arc<Endpoint>> {
    let prefix = kind.prefix;
    let item = get(show).put(replace).patch(change).delete(remove);
    let mut router = Router::new().route(&format!("/{prefix}"), get(list).post(create));
    if prefix == "params" {
        // The names of params have slashes in them, which arrive encoded or not.
        router = router.route(&format!("/{prefix}/{{*key}}"), item);
    } else {
        router = router.route(&format!("/{prefix}/{{key}}"), item);
    }
    router = router.route(&format!("/meta/{prefix}/{{*key}}"), get(meta).patch(change_meta));
    if param_routes::bears(kind) {
        router = router.merge(param_routes::routes(kind));
    }
    router.layer(Extension(kind))
}

/// Finds the object that a request names by its key or by `INDEX:VALUE` of a unique index (drp-api.md 3.3).
pub(super) fn find(target: &Target, snapshot: &Snapshot) -> Result<(Arc<dyn Object>, Revision), ApiError> {
    let stored = native_key(snapshot, target.kind, &target.id)
        .and_then(|key| snapshot.stored(target.kind.prefix, &key))
        .ok_or_else(|| target.not_found())?;
    Ok((stored.object, stored.revision))
}

/// Finds the object that a request names, for a caller who may read it.
pub(super) fn readable(
    target: &Target,
    snapshot: &Snapshot,
) -> Result<(Arc<dyn Object>, Revision), ApiError> {
    let (object, revision) = find(target, snapshot)?;
    target.require("get", &objects::claim_key(&target.endpoint, target.kind, &object.key()))?;
    Ok((object, revision))
}

/// Changes the object that a request names, and returns it.
pub(super) async fn update(target: &Target, change: Change) -> Result<Arc<dyn Object>, ApiError> {
    let key = find(target, &target.endpoint.snapshot())?.0.key();
    objects::update(&target.endpoint, target.request(), key, change).await
}

/// Changes a part of the object that a request names by a JSON Patch, and returns the object.
pub(super) async fn patched(
    target: &Target,
    body: &Json,
    part: fn(Patch) -> Change,
) -> Result<Arc<dyn Object>, ApiError> {
    let operations = patch::parse(&body.value, target.kind.prefix, &target.id)?;
    update(target, part(operations)).await
}

/// Answers with an object that was just written.
pub(super) fn written(target: &Target, status: StatusCode, object: &Arc<dyn Object>) -> Handled {
    let stored = target.endpoint.snapshot().stored(object.kind().prefix, &object.key());
    let revision = stored.map(|stored| stored.revision).unwrap_or_default();
    answer::tagged(status, &answer::view(object.as_ref()), revision)
}

fn native_key(snapshot: &Snapshot, kind: &'static Kind, id: &str) -> Option<String> {
    let id = if kind.prefix == "leases" { hex(id) } else { id.to_owned() };
    if snapshot.stored(kind.prefix, &id).is_some() {
        return Some(id);
    }
    let (index, value) = id.split_once(':')?;
    if index == "Key" || index == kind.key {
        return Some(value.to_owned());
    }
    if !kind.unique.contains(&index) {
        return None;
    }
    let mut found = None;
    snapshot.visit(kind.prefix, &mut |object| {
        if object.to_json().get(index).is_some_and(|own| own == value) {
            found = Some(object.key());
        }
        found.is_none()
    });
    found
}

fn hex(id: &str) -> String {
    match id.parse::<std::net::Ipv4Addr>() {
        Ok(address) => address.octets().iter().map(|octet| format!("{octet:02X}")).collect(),
        Err(_) => id.to_uppercase(),
    }
}

pub(super) async fn list(target: Target) -> Handled {
    let kind = target.kind;
    target.require("list", "")?;
    let parsed = ListQuery::parse(target.query.pairs())
        .and_then(|parsed| known_indexes(parsed, kind))
        .map_err(|error| unacceptable(&target, &error))?;
    let snapshot = target.endpoint.snapshot();
    let aggregate = parsed.projection.aggregate || looks_at_params(&parsed, kind);
    let mut objects = Vec::with_capacity(snapshot.count(kind.prefix));
    snapshot.visit(kind.prefix, &mut |object| {
        objects.push(Arc::clone(object));
        true
    });
    let total = objects.len();
    let found = select(objects.iter().map(|object| shown(&snapshot, object.as_ref(), aggregate)), &parsed);
    let page: Vec<Value> =
        found.page.into_iter().map(|value| projected(value, &parsed.projection, kind)).collect();
    let mut response = answer::json(StatusCode::OK, &page)?;
    for (name, count) in
        [(LIST_COUNT, page.len()), (LIST_FILTER_COUNT, found.matched), (LIST_TOTAL_COUNT, total)]
    {
        if let Ok(name) = HeaderName::try_from(name) {
            response.headers_mut().insert(name, HeaderValue::from(count));
        }
    }
    Ok(response)
}

/// Says that a query cannot be answered (drp-api.md 1.5).
fn unacceptable(target: &Target, error: &QueryError) -> ApiError {
    ApiError::new(406, target.method.as_str(), error.to_string()).about(target.kind.prefix, &target.id)
}

/// Refuses filters and sorts by members that the type does not have.
fn known_indexes(query: ListQuery, kind: &'static Kind) -> Result<ListQuery, QueryError> {
    let blank = (kind.decode)(Value::Object(serde_json::Map::new())).map(|object| object.to_json());
    let known = |name: &str| {
        let member = blank.as_ref().is_ok_and(|blank| blank.get(name).is_some());
        (member || param_routes::bears(kind)) && !kind.hidden.contains(&name)
    };
    let named = query.filters.iter().map(|filter| &filter.index).chain(&query.sort);
    match named.into_iter().find(|name| !known(name)) {
        Some(name) => Err(QueryError::UnknownIndex(name.clone())),
        None => Ok(query),
    }
}

/// A name that is no member is a parameter, which is looked up in all sources.
fn looks_at_params(query: &ListQuery, kind: &'static Kind) -> bool {
    let blank = (kind.decode)(Value::Object(serde_json::Map::new())).map(|object| object.to_json());
    query.filters.iter().any(|filter| blank.as_ref().is_ok_and(|blank| blank.get(&filter.index).is_none()))
}

/// Returns an object as clients see it, with the params of all sources in the place of its own if asked for.
fn shown(snapshot: &Snapshot, object: &dyn Object, aggregate: bool) -> Value {
    let mut value = answer::view(object);
    if let (true, Some(members), Some(_)) = (aggregate, value.as_object_mut(), object.params()) {
        let merged = serde_json::to_value(params::aggregate(snapshot, object)).unwrap_or_default();
        members.insert(String::from("Params"), merged);
    }
    value
}

fn projected(mut value: Value, projection: &Projection, kind: &'static Kind) -> Value {
    if let Some(members) = value.as_object_mut() {
        projection.apply(members, param_routes::bears(kind));
    }
    value
}

pub(super) async fn show(target: Target) -> Handled {
    let snapshot = target.endpoint.snapshot();
    let (object, revision) = readable(&target, &snapshot)?;
    let parsed = ListQuery::parse(target.query.pairs()).map_err(|error| unacceptable(&target, &error))?;
    let value = shown(&snapshot, object.as_ref(), parsed.projection.aggregate);
    answer::tagged(StatusCode::OK, &projected(value, &parsed.projection, target.kind), revision)
}

async fn create(target: Target, body: Json) -> Handled {
    if target.kind.prefix == "jobs" {
        return super::jobs::create(&target, body.value).await;
    }
    let object = objects::create(&target.endpoint, target.request(), body.value).await?;
    written(&target, StatusCode::CREATED, &object)
}

async fn replace(target: Target, body: Json) -> Handled {
    let object = update(&target, Change::Put(body.value)).await?;
    written(&target, StatusCode::OK, &object)
}

async fn change(target: Target, body: Json) -> Handled {
    let object = patched(&target, &body, Change::Patch).await?;
    written(&target, StatusCode::OK, &object)
}

async fn remove(target: Target) -> Handled {
    let key = find(&target, &target.endpoint.snapshot())?.0.key();
    let object = objects::delete(&target.endpoint, target.request(), key).await?;
    written(&target, StatusCode::OK, &object)
}

async fn meta(target: Target) -> Handled {
    let (object, _) = readable(&target, &target.endpoint.snapshot())?;
    answer::json(StatusCode::OK, &object.header().meta)
}

async fn change_meta(target: Target, body: Json) -> Handled {
    let object = patched(&target, &body, Change::PatchMeta).await?;
    answer::json(StatusCode::OK, &object.header().meta)
}
