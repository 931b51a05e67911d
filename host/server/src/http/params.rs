//! The parameters of an object (drp-api.md 6.1).

use std::sync::Arc;

use axum::{Router, extract::Path, http::StatusCode, routing::get};
use formwork_core::params;
use formwork_model::{Kind, Object, canonical_numbers};
use serde_json::Value;

use super::{
    answer::{self, Handled},
    objects,
    request::{Json, Target},
};
use crate::{commands::objects::Change, endpoint::Endpoint};

/// Returns the routes of the parameters of one type.
pub(super) fn routes(kind: &'static Kind) -> Router<Arc<Endpoint>> {
    let prefix = kind.prefix;
    Router::new()
        .route(&format!("/{prefix}/{{id}}/params"), get(all).post(replace).patch(change))
        .route(&format!("/{prefix}/{{id}}/params/{{*name}}"), get(one).post(set).delete(unset))
}

/// The second variable of a path: the name of a parameter.
type Name = Path<(String, String)>;

async fn all(target: Target) -> Handled {
    let snapshot = target.endpoint.snapshot();
    let (object, _) = objects::readable(&target, &snapshot)?;
    let mut values = if target.query.is("aggregate") {
        params::aggregate(&snapshot, object.as_ref())
    } else {
        object.params().cloned().unwrap_or_default()
    };
    if let Some(keep) = target.query.value("params") {
        values.retain(|name, _| keep.split(',').any(|kept| kept.trim() == name));
    }
    answer::json(StatusCode::OK, &values)
}

async fn one(target: Target, Path((_, name)): Name) -> Handled {
    let snapshot = target.endpoint.snapshot();
    let (object, _) = objects::readable(&target, &snapshot)?;
    let value = if target.query.is("compose") {
        params::compose(&snapshot, object.as_ref(), &name)
    } else if target.query.is("aggregate") {
        params::resolve(&snapshot, object.as_ref(), &name)
    } else {
        own(object.as_ref(), &name)
    };
    answer::json(StatusCode::OK, &value)
}

fn own(object: &dyn Object, name: &str) -> Option<Value> {
    object.params().and_then(|values| values.get(name).cloned())
}

async fn replace(target: Target, body: Json) -> Handled {
    let values = body.read(target.kind.prefix, &target.id)?;
    let object = objects::update(&target, Change::PutParams(values)).await?;
    answer::json(StatusCode::OK, &object.value.params())
}

async fn change(target: Target, body: Json) -> Handled {
    let object = objects::patched(&target, &body, Change::PatchParams).await?;
    answer::json(StatusCode::OK, &object.value.params())
}

async fn set(target: Target, Path((_, name)): Name, mut body: Json) -> Handled {
    canonical_numbers(&mut body.value);
    // Storing null is a delete: a stored null never exists (drp-behaviour.md 1.2).
    let wanted = (!body.value.is_null()).then(|| body.value.clone());
    objects::update(&target, Change::Param(name, wanted)).await?;
    answer::json(StatusCode::OK, &body.value)
}

async fn unset(target: Target, Path((_, name)): Name) -> Handled {
    let (object, _) = objects::readable(&target, &target.endpoint.snapshot())?;
    let before = own(object.as_ref(), &name);
    objects::update(&target, Change::Param(name, None)).await?;
    answer::json(StatusCode::OK, &before)
}
