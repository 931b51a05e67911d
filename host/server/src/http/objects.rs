//! The standard routes of every object type (drp-api.md 7).

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, Method, Response, StatusCode},
    routing::get,
};
use formwork_api::{
    ApiError, LIST_COUNT, LIST_FILTER_COUNT, LIST_TOTAL_COUNT, ListQuery, Projection, QueryError, select,
};
use formwork_core::params;
use formwork_model::{Kind, Object, Objects};
use formwork_store::{Revision, Snapshot};
use serde_json::Value;

use super::{
    answer, params as param_routes,
    request::{Authenticated, Json, Query},
};
use crate::{
    commands::{
        objects::{self, Change, Request},
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

/// Finds an object by its key or by `INDEX:VALUE` of a unique index (drp-api.md 3.3).
pub(super) fn find(
    snapshot: &Snapshot,
    kind: &'static Kind,
    id: &str,
    method: &Method,
) -> Result<(Arc<dyn Object>, Revision), ApiError> {
    let key = native_key(snapshot, kind, id);
    match key.and_then(|key| snapshot.stored(kind.prefix, &key)) {
        Some(stored) => Ok((stored.object, stored.revision)),
        None => Err(ApiError::not_found(method.as_str(), kind.prefix, id)),
    }
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

async fn list(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Response<Body> {
    if let Err(error) = caller.require(kind.prefix, "list", "") {
        return answer::error(&error);
    }
    let parsed = match ListQuery::parse(query.pairs()).and_then(|parsed| known_indexes(parsed, kind)) {
        Ok(parsed) => parsed,
        Err(error) => {
            return answer::error(&ApiError::new(406, "GET", error.to_string()).about(kind.prefix, ""));
        }
    };
    let snapshot = endpoint.snapshot();
    let aggregate = parsed.projection.aggregate || looks_at_params(&parsed, kind);
    let mut objects = Vec::with_capacity(snapshot.count(kind.prefix));
    snapshot.visit(kind.prefix, &mut |object| {
        objects.push(Arc::clone(object));
        true
    });
    let total = objects.len();
    let values = objects.iter().map(|object| {
        let mut value = answer::view(object.as_ref());
        if aggregate {
            merge_params(&mut value, &snapshot, object.as_ref());
        }
        value
    });
    let found = select(values, &parsed);
    let page: Vec<Value> =
        found.page.into_iter().map(|value| projected(value, &parsed.projection, kind)).collect();
    let mut response = answer::json(StatusCode::OK, &page);
    for (name, count) in
        [(LIST_COUNT, page.len()), (LIST_FILTER_COUNT, found.matched), (LIST_TOTAL_COUNT, total)]
    {
        if let Ok(name) = HeaderName::try_from(name) {
            response.headers_mut().insert(name, HeaderValue::from(count));
        }
    }
    response
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

/// Replaces the params of an object that has some by those of all sources.
fn merge_params(value: &mut Value, snapshot: &Snapshot, object: &dyn Object) {
    if let (Some(members), Some(_)) = (value.as_object_mut(), object.params()) {
        let merged = serde_json::to_value(params::aggregate(snapshot, object)).unwrap_or_default();
        members.insert(String::from("Params"), merged);
    }
}

fn projected(mut value: Value, projection: &Projection, kind: &'static Kind) -> Value {
    if let Some(members) = value.as_object_mut() {
        projection.apply(members, param_routes::bears(kind));
    }
    value
}

async fn show(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    method: Method,
    Path(id): Path<String>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Response<Body> {
    let snapshot = endpoint.snapshot();
    let answered = (|| {
        let (object, revision) = find(&snapshot, kind, &id, &method)?;
        caller.require(kind.prefix, "get", &objects::claim_key(&endpoint, kind, &object.key()))?;
        let parsed = ListQuery::parse(query.pairs()).map_err(|error| {
            ApiError::new(406, method.as_str(), error.to_string()).about(kind.prefix, &id)
        })?;
        let mut response = answer::object(StatusCode::OK, &object, revision);
        if parsed.projection != Projection::default() {
            let mut value = answer::view(object.as_ref());
            if parsed.projection.aggregate {
                merge_params(&mut value, &snapshot, object.as_ref());
            }
            let shown = answer::json(StatusCode::OK, &projected(value, &parsed.projection, kind));
            *response.body_mut() = shown.into_body();
        }
        Ok(response)
    })();
    answered.unwrap_or_else(|error: ApiError| answer::error(&error))
}

async fn create(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    Authenticated(caller): Authenticated,
    query: Query,
    Json(body): Json,
) -> Response<Body> {
    let request = Request { kind, caller, force: query.is("force") };
    if kind.prefix == "jobs" {
        return super::jobs::create(&endpoint, request.caller, body).await;
    }
    answered(&endpoint, StatusCode::CREATED, objects::create(&endpoint, request, body).await)
}

async fn replace(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    Path(id): Path<String>,
    Authenticated(caller): Authenticated,
    query: Query,
    Json(body): Json,
) -> Response<Body> {
    let request = Request { kind, caller, force: query.is("force") };
    update(&endpoint, request, &id, Method::PUT, Change::Put(body)).await
}

async fn change(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    Path(id): Path<String>,
    Authenticated(caller): Authenticated,
    query: Query,
    Json(body): Json,
) -> Response<Body> {
    let request = Request { kind, caller, force: query.is("force") };
    match patch::parse(&body, kind.prefix, &id) {
        Ok(operations) => update(&endpoint, request, &id, Method::PATCH, Change::Patch(operations)).await,
        Err(error) => answer::error(&error),
    }
}

async fn update(
    endpoint: &Arc<Endpoint>,
    request: Request,
    id: &str,
    method: Method,
    change: Change,
) -> Response<Body> {
    let found = find(&endpoint.snapshot(), request.kind, id, &method).map(|(object, _)| object.key());
    let name: &'static str = if method == Method::PUT { "PUT" } else { "PATCH" };
    match found {
        Ok(key) => {
            answered(endpoint, StatusCode::OK, objects::update(endpoint, request, key, change, name).await)
        }
        Err(error) => answer::error(&error),
    }
}

async fn remove(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    Path(id): Path<String>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Response<Body> {
    let request = Request { kind, caller, force: query.is("force") };
    match find(&endpoint.snapshot(), kind, &id, &Method::DELETE).map(|(object, _)| object.key()) {
        Ok(key) => answered(&endpoint, StatusCode::OK, objects::delete(&endpoint, request, key).await),
        Err(error) => answer::error(&error),
    }
}

async fn meta(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    method: Method,
    Path(id): Path<String>,
    Authenticated(caller): Authenticated,
) -> Response<Body> {
    let found = find(&endpoint.snapshot(), kind, &id, &method).and_then(|(object, _)| {
        caller.require(kind.prefix, "get", &objects::claim_key(&endpoint, kind, &object.key()))?;
        Ok(object)
    });
    match found {
        Ok(object) => answer::json(StatusCode::OK, &object.header().meta),
        Err(error) => answer::error(&error),
    }
}

async fn change_meta(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    Path(id): Path<String>,
    Authenticated(caller): Authenticated,
    Json(body): Json,
) -> Response<Body> {
    let changed = async {
        let operations = patch::parse(&body, kind.prefix, &id)?;
        let key = find(&endpoint.snapshot(), kind, &id, &Method::PATCH)?.0.key();
        let request = Request { kind, caller, force: false };
        objects::update(&endpoint, request, key, Change::PatchMeta(operations), "PATCH").await
    };
    match changed.await {
        Ok(object) => answer::json(StatusCode::OK, &object.header().meta),
        Err(error) => answer::error(&error),
    }
}

/// Answers with an object that was just written.
pub(super) fn answered(
    endpoint: &Endpoint,
    status: StatusCode,
    outcome: Result<Arc<dyn Object>, ApiError>,
) -> Response<Body> {
    match outcome {
        Ok(object) => {
            let stored = endpoint.snapshot().stored(object.kind().prefix, &object.key());
            answer::object(status, &object, stored.map(|stored| stored.revision).unwrap_or_default())
        }
        Err(error) => answer::error(&error),
    }
}
