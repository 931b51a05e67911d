//! The parameters of an object (drp-api.md 6.1).

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, State},
    http::{Method, Response, StatusCode},
    routing::get,
};
use formwork_api::ApiError;
use formwork_core::params;
use formwork_model::{Kind, Object, Values};
use serde_json::Value;

use super::{
    answer, objects as object_routes,
    request::{Authenticated, Json, Query},
};
use crate::{
    auth::Caller,
    commands::{
        objects::{self, Change, Request},
        patch,
    },
    endpoint::Endpoint,
};

/// Tells whether objects of a type have parameters.
pub(super) fn bears(kind: &'static Kind) -> bool {
    let blank = (kind.decode)(Value::Object(serde_json::Map::new()));
    blank.is_ok_and(|blank| blank.params().is_some())
}

/// Returns the routes of the parameters of one type.
pub(super) fn routes(kind: &'static Kind) -> Router<Arc<Endpoint>> {
    let prefix = kind.prefix;
    Router::new()
        .route(&format!("/{prefix}/{{id}}/params"), get(all).post(replace).patch(change))
        .route(&format!("/{prefix}/{{id}}/params/{{*name}}"), get(one).post(set).delete(unset))
}

fn object(
    endpoint: &Endpoint,
    kind: &'static Kind,
    caller: &Caller,
    id: &str,
    method: &Method,
) -> Result<Arc<dyn Object>, ApiError> {
    let (object, _) = object_routes::find(&endpoint.snapshot(), kind, id, method)?;
    caller.require(kind.prefix, "get", &object.key())?;
    Ok(object)
}

async fn all(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    method: Method,
    Path(id): Path<String>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Response<Body> {
    let object = match object(&endpoint, kind, &caller, &id, &method) {
        Ok(object) => object,
        Err(error) => return answer::error(&error),
    };
    let mut values = if query.is("aggregate") {
        params::aggregate(&endpoint.snapshot(), object.as_ref())
    } else {
        object.params().cloned().unwrap_or_default()
    };
    if let Some(keep) = query.value("params") {
        values.retain(|name, _| keep.split(',').any(|kept| kept.trim() == name));
    }
    answer::json(StatusCode::OK, &values)
}

async fn one(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    method: Method,
    Path((id, name)): Path<(String, String)>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Response<Body> {
    let object = match object(&endpoint, kind, &caller, &id, &method) {
        Ok(object) => object,
        Err(error) => return answer::error(&error),
    };
    let snapshot = endpoint.snapshot();
    let value = if query.is("compose") {
        params::compose(&snapshot, object.as_ref(), &name)
    } else if query.is("aggregate") {
        params::resolve(&snapshot, object.as_ref(), &name)
    } else {
        object.params().and_then(|values| values.get(&name).cloned())
    };
    answer::json(StatusCode::OK, &value)
}

async fn update(
    endpoint: &Arc<Endpoint>,
    kind: &'static Kind,
    caller: Caller,
    id: &str,
    change: Change,
) -> Result<Arc<dyn Object>, ApiError> {
    let key = object_routes::find(&endpoint.snapshot(), kind, id, &Method::POST)?.0.key();
    objects::update(endpoint, Request { kind, caller, force: false }, key, change, "POST").await
}

fn answered(outcome: Result<Arc<dyn Object>, ApiError>) -> Response<Body> {
    match outcome {
        Ok(object) => answer::json(StatusCode::OK, &object.params()),
        Err(error) => answer::error(&error),
    }
}

async fn replace(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    Path(id): Path<String>,
    Authenticated(caller): Authenticated,
    Json(body): Json,
) -> Response<Body> {
    match serde_json::from_value::<Values>(body) {
        Ok(values) => answered(update(&endpoint, kind, caller, &id, Change::PutParams(values)).await),
        Err(error) => answer::error(&ApiError::new(400, "POST", error.to_string()).about(kind.prefix, &id)),
    }
}

async fn change(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    Path(id): Path<String>,
    Authenticated(caller): Authenticated,
    Json(body): Json,
) -> Response<Body> {
    match patch::parse(&body, kind.prefix, &id) {
        Ok(operations) => {
            answered(update(&endpoint, kind, caller, &id, Change::PatchParams(operations)).await)
        }
        Err(error) => answer::error(&error),
    }
}

async fn set(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    Path((id, name)): Path<(String, String)>,
    Authenticated(caller): Authenticated,
    Json(value): Json,
) -> Response<Body> {
    // Storing null is a delete: a stored null never exists (drp-behaviour.md 1.2).
    let wanted = (!value.is_null()).then(|| value.clone());
    match update(&endpoint, kind, caller, &id, Change::Param(name, wanted)).await {
        Ok(_) => answer::json(StatusCode::OK, &value),
        Err(error) => answer::error(&error),
    }
}

async fn unset(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(kind): Extension<&'static Kind>,
    method: Method,
    Path((id, name)): Path<(String, String)>,
    Authenticated(caller): Authenticated,
) -> Response<Body> {
    let before = match object(&endpoint, kind, &caller, &id, &method) {
        Ok(object) => object.params().and_then(|values| values.get(&name).cloned()),
        Err(error) => return answer::error(&error),
    };
    match update(&endpoint, kind, caller, &id, Change::Param(name, None)).await {
        Ok(_) => answer::json(StatusCode::OK, &before),
        Err(error) => answer::error(&error),
    }
}
