//! The parameters of an object (drp-api.md 6.1).

use std::{collections::BTreeMap, sync::Arc};

use axum::http::StatusCode;
use formwork_api::ApiError;
use formwork_core::params::{self, Found};
use formwork_model::{Kind, Machine, Object, Params, canonical_numbers};
use formwork_store::Snapshot;
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::{
    answer::{self, Handled},
    objects, render as render_routes,
    request::{Json, Last, Target},
    route::{Body, OF_CHANGE, OF_ONE, Route, Shape},
    secrets::Secrets,
};
use crate::{
    commands::objects::Change, commit::internal, endpoint::Endpoint, kinds, render, secure::Unopened,
};

/// What lets somebody see secure params in the clear.
pub(super) const GET_SECURE: &str = "getSecure";

/// What shapes the params of an answer.
pub(super) const READ: &[(&str, Shape, &str)] = &[
    ("aggregate", Shape::Flag, "Merge the params of all sources in."),
    ("decode", Shape::Flag, "Open secure params."),
    ("expand", Shape::Flag, "Render the texts in the values, for what is like a machine."),
    ("params", Shape::Text, "Keep only these params, with commas between."),
];

/// What else shapes the answer about one param.
const READ_ONE: &[(&str, Shape, &str)] = &[
    ("compose", Shape::Flag, "Merge the values of all sources: maps key by key, lists one after the other."),
    (
        "explain",
        Shape::Flag,
        "Tell every source with its value, the one that wins, and what composing gives.",
    ),
];

/// Returns the routes of the parameters of one type.
pub(super) fn routes(kind: &'static Kind) -> Vec<Route> {
    type Map = BTreeMap<String, Value>;
    let (noun, (_, name)) = (kind.noun, kind.words());
    let all = format!("/{}/{{key}}/params", kind.prefix);
    let one = format!("{all}/{{*param}}");
    vec![
        Route::get(&all, format!("get_{name}_params"), self::all)
            .tells(format!("Returns the params of a {noun}."))
            .query(READ)
            .answers(200, Body::json::<Map>())
            .refuses(OF_ONE),
        Route::post(&all, format!("post_{name}_params"), replace)
            .tells(format!("Replaces the params of a {noun}."))
            .takes(Body::json::<Map>())
            .answers(200, Body::json::<Map>())
            .refuses(&[400, 404, 422]),
        Route::patch(all, format!("patch_{name}_params"), change)
            .tells(format!("Changes the params of a {noun}."))
            .answers(200, Body::json::<Map>())
            .refuses(OF_CHANGE),
        Route::get(&one, format!("get_{name}_param"), self::one)
            .tells(format!("Returns a param of a {noun}; null when it is not set."))
            .query(READ)
            .query(READ_ONE)
            .answers(200, Body::any())
            .refuses(OF_ONE),
        Route::post(&one, format!("post_{name}_param"), set)
            .tells(format!("Sets a param of a {noun}."))
            .takes(Body::any())
            .answers(200, Body::any())
            .refuses(&[400, 404, 422]),
        Route::delete(one, format!("delete_{name}_param"), unset)
            .tells(format!("Removes a param of a {noun}."))
            .answers(200, Body::any())
            .refuses(&[404, 422]),
    ]
}

pub(super) async fn all(target: Target) -> Handled {
    let snapshot = target.endpoint.snapshot();
    let (object, _) = objects::readable(&target, &snapshot)?;
    let aggregate = target.query.is("aggregate");
    let kept = target.query.value("params");
    let keeps = |name: &str| kept.is_none_or(|kept| kept.split(',').any(|kept| kept.trim() == name));
    let values = if decodes(&target, object.as_ref())? {
        Secrets::of(&target, &snapshot).all(object.as_ref(), aggregate, keeps)
    } else {
        let mut values = if aggregate {
            params::aggregate(&snapshot, object.as_ref())
        } else {
            object.params().map(Params::values).unwrap_or_default()
        };
        values.retain(|name, _| keeps(name));
        values
    };
    let values = serde_json::Value::Object(values.into_iter().collect());
    answer::json(StatusCode::OK, &expanded(&target, snapshot, object, values).await?)
}

pub(super) async fn one(target: Target, Last(name): Last) -> Handled {
    let snapshot = target.endpoint.snapshot();
    let (object, _) = objects::readable(&target, &snapshot)?;
    let decodes = decodes(&target, object.as_ref())?;
    if target.query.is("explain") {
        let secrets = decodes.then(|| Secrets::of(&target, &snapshot));
        let open = |found: Found| match &secrets {
            Some(secrets) => secrets.shown(&name, found),
            None => found.value,
        };
        return answer::json(StatusCode::OK, &params::explain(&snapshot, object.as_ref(), &name, open));
    }
    let value = if decodes {
        opened(&target, &snapshot, object.as_ref(), &name)?
    } else if target.query.is("compose") {
        params::compose(&snapshot, object.as_ref(), &name)
    } else if target.query.is("aggregate") {
        params::resolve(&snapshot, object.as_ref(), &name)
    } else {
        own(object.as_ref(), &name)
    };
    answer::json(StatusCode::OK, &expanded(&target, snapshot, object, value.unwrap_or_default()).await?)
}

/// Renders the texts in a value where the query wants it.
async fn expanded(
    target: &Target,
    snapshot: Snapshot,
    object: Arc<dyn Object>,
    value: Value,
) -> Result<Value, ApiError> {
    if !target.query.is("expand") || Machine::of(object.as_ref()).is_none() {
        return Ok(value);
    }
    render_routes::may_render(&target.caller, object.as_ref())?;
    let (endpoint, is_open) = (Arc::clone(&target.endpoint), target.query.is("decode"));
    let rendered =
        spawn_blocking(move || rendered(&endpoint, &snapshot, object.as_ref(), value, is_open)).await;
    rendered.map_err(|error| internal(&error))?
}

/// Renders the texts in a value; only what is like a machine has a place to render for. `is_open` says that secure params
/// are among them in the clear. Blocks.
pub(super) fn rendered(
    endpoint: &Arc<Endpoint>,
    snapshot: &Snapshot,
    object: &dyn Object,
    value: Value,
    is_open: bool,
) -> Result<Value, ApiError> {
    let Some(machine) = Machine::of(object) else { return Ok(value) };
    render::expanded(endpoint, snapshot, &Arc::new(machine.clone()), value, is_open)
        .map_err(|messages| ApiError::invalid(object.kind().prefix, &object.key(), messages))
}

/// Tells whether secure params are to be opened, which takes a right on the object that is asked.
fn decodes(target: &Target, object: &dyn Object) -> Result<bool, ApiError> {
    let decodes = target.query.is("decode");
    if decodes {
        target.require(GET_SECURE, &kinds::claim_key(object))?;
    }
    Ok(decodes)
}

/// Returns the clear value of one param; one that is there and cannot be opened is an error.
fn opened(
    target: &Target,
    snapshot: &Snapshot,
    object: &dyn Object,
    name: &str,
) -> Result<Option<Value>, ApiError> {
    let secrets = Secrets::of(target, snapshot);
    if target.query.is("compose") {
        return Ok(secrets.compose(object, name));
    }
    let found = if target.query.is("aggregate") {
        params::find(snapshot, object, name)
    } else {
        let (prefix, key) = (object.kind().prefix, object.key());
        own(object, name).map(|value| Found { owner: Some((prefix, key)), value })
    };
    let unopened =
        |error: Unopened| ApiError::invalid(object.kind().prefix, &object.key(), vec![error.to_string()]);
    found.map(|found| secrets.opened(name, found)).transpose().map_err(unopened)
}

fn own(object: &dyn Object, name: &str) -> Option<Value> {
    object.params().and_then(|values| values.get(name))
}

pub(super) async fn replace(target: Target, body: Json) -> Handled {
    let values = body.read(target.kind.prefix, &target.id)?;
    let object = objects::update(&target, Change::PutParams(values)).await?;
    answer::json(StatusCode::OK, &object.value.params())
}

pub(super) async fn change(target: Target, body: Json) -> Handled {
    let object = objects::patched(&target, &body, Change::PatchParams).await?;
    answer::json(StatusCode::OK, &object.value.params())
}

pub(super) async fn set(target: Target, Last(name): Last, mut body: Json) -> Handled {
    canonical_numbers(&mut body.value);
    // Storing null is a delete: a stored null never exists (drp-behaviour.md 1.2).
    let wanted = (!body.value.is_null()).then(|| body.value.clone());
    let object = objects::update(&target, Change::Param(name.clone(), wanted)).await?;
    // What was sealed on its way into the store comes back sealed.
    answer::json(StatusCode::OK, &own(object.value.as_ref(), &name))
}

pub(super) async fn unset(target: Target, Last(name): Last) -> Handled {
    let (object, _) = objects::readable(&target, &target.endpoint.snapshot())?;
    let before = own(object.as_ref(), &name);
    objects::update(&target, Change::Param(name, None)).await?;
    answer::json(StatusCode::OK, &before)
}
