//! Actions that plugins offer: on objects, on jobs under another name, and on the endpoint (drp-api.md 6.5).

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use formwork_api::ApiError;
use formwork_core::plugins::SYSTEM;
use formwork_model::{AvailableAction, Kind, Object, Values};

use super::{
    answer::{self, Failure, Handled},
    objects,
    request::{Authenticated, Json, Last, Path, Query, Target},
    route::{Body, OF_CHANGE, OF_ONE, Route, Shape},
};
use crate::{
    auth::Caller,
    endpoint::Endpoint,
    plugins::{self, Asked},
};

/// Returns the routes of the actions on objects of a type, if it has any.
pub(super) fn routes(kind: &'static Kind) -> Vec<Route> {
    let Some(word) = kind.plugin_actions else { return Vec::new() };
    let (all, one) =
        (format!("/{}/{{key}}/{word}", kind.prefix), format!("/{}/{{key}}/{word}/{{command}}", kind.prefix));
    let (noun, (_, name)) = (kind.noun, kind.words());
    // Jobs have actions of their own already, so those of plugins are called otherwise (drp-api.md 7.10).
    let many = if word == "actions" { "actions" } else { word };
    vec![
        Route::get(&all, format!("get_{name}_{many}"), list)
            .tells(format!("Lists the actions that plugins offer on a {noun}."))
            .query(OF_PLUGIN)
            .answers(200, Body::json::<Vec<AvailableAction>>()),
        Route::get(&one, format!("get_{name}_action"), show)
            .tells(format!("Returns an action that plugins offer on a {noun}."))
            .query(OF_PLUGIN)
            .answers(200, Body::json::<AvailableAction>()),
        Route::post(&one, format!("post_{name}_action"), act)
            .tells(format!("Has a plugin act on a {noun}."))
            .query(OF_PLUGIN)
            .takes(Body::any())
            .answers(200, Body::any())
            .refuses(OF_CHANGE),
    ]
    .into_iter()
    .map(|route| if route.refusals.is_empty() { route.refuses(OF_ONE) } else { route }.about(kind))
    .collect()
}

/// Which plugin is meant where several offer an action.
const OF_PLUGIN: &[(&str, Shape, &str)] = &[("plugin", Shape::Text, "Only of this plugin.")];

/// Returns the routes of the actions on the endpoint.
pub(super) fn system_routes() -> Vec<Route> {
    let one = "/system/actions/{command}";
    vec![
        Route::get("/system/actions", "get_system_actions", system_list)
            .tells("Lists the actions that plugins offer on the endpoint.")
            .query(OF_PLUGIN)
            .answers(200, Body::json::<Vec<AvailableAction>>()),
        Route::get(one, "get_system_action", system_show)
            .tells("Returns an action that plugins offer on the endpoint.")
            .query(OF_PLUGIN)
            .answers(200, Body::json::<AvailableAction>())
            .refuses(OF_ONE),
        Route::post(one, "post_system_action", system_act)
            .tells("Has a plugin act on the endpoint.")
            .query(OF_PLUGIN)
            .takes(Body::any())
            .answers(200, Body::any())
            .refuses(OF_CHANGE),
    ]
}

/// Finds the object of a request for a caller who may do something to it.
fn subject(target: &Target, action: &str) -> Result<Arc<dyn Object>, ApiError> {
    Ok(objects::permitted(target, &target.endpoint.snapshot(), action)?.0)
}

pub(super) async fn list(target: Target) -> Handled {
    let object = subject(&target, "actions")?;
    let only = target.query.value("plugin");
    let found = plugins::available(&target.endpoint.snapshot(), Some(object.as_ref()), only, None);
    answer::json(StatusCode::OK, &found)
}

pub(super) async fn show(target: Target, Last(command): Last) -> Handled {
    let object = subject(&target, "actions")?;
    let only = target.query.value("plugin");
    let found = plugins::available(&target.endpoint.snapshot(), Some(object.as_ref()), only, Some(&command));
    answer::json(StatusCode::OK, &first(found, &command, target.kind.prefix, &target.id)?)
}

pub(super) async fn act(target: Target, Last(command): Last, body: Json) -> Handled {
    let object = subject(&target, &format!("action:{command}"))?;
    let params = body.read(target.kind.prefix, &target.id)?;
    let only = target.query.value("plugin");
    let asked = asked(&target.caller, Some(object), only, command, params);
    answer::json(StatusCode::OK, &plugins::act(&target.endpoint, asked).await?)
}

/// Finds who asks something of the endpoint, and which plugin is meant.
struct OfSystem {
    endpoint: Arc<Endpoint>,
    caller: Caller,
    query: Query,
}

impl FromRequestParts<Arc<Endpoint>> for OfSystem {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, endpoint: &Arc<Endpoint>) -> Result<Self, Failure> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, endpoint).await?;
        Ok(Self { endpoint: Arc::clone(endpoint), caller, query: Query::of(parts) })
    }
}

impl OfSystem {
    /// Returns what can be used now: all actions, or those of one name.
    fn available(&self, command: Option<&str>) -> Result<Vec<AvailableAction>, ApiError> {
        self.caller.require(SYSTEM, "actions", "")?;
        Ok(plugins::available(&self.endpoint.snapshot(), None, self.query.value("plugin"), command))
    }
}

async fn system_list(request: OfSystem) -> Handled {
    answer::json(StatusCode::OK, &request.available(None)?)
}

async fn system_show(request: OfSystem, Path(command): Path<String>) -> Handled {
    let found = request.available(Some(&command))?;
    answer::json(StatusCode::OK, &first(found, &command, SYSTEM, "")?)
}

async fn system_act(request: OfSystem, Path(command): Path<String>, body: Json) -> Handled {
    let OfSystem { endpoint, caller, query } = request;
    caller.require(SYSTEM, &format!("action:{command}"), "")?;
    let asked = asked(&caller, None, query.value("plugin"), command, body.read(SYSTEM, "")?);
    answer::json(StatusCode::OK, &plugins::act(&endpoint, asked).await?)
}

fn asked(
    caller: &Caller,
    subject: Option<Arc<dyn Object>>,
    plugin: Option<&str>,
    command: String,
    params: Values,
) -> Asked {
    let principal = caller.principal.clone();
    Asked { subject, plugin: plugin.map(str::to_owned), command, params, principal, job: None }
}

fn first(
    found: Vec<AvailableAction>,
    command: &str,
    model: &str,
    key: &str,
) -> Result<AvailableAction, ApiError> {
    found.into_iter().next().ok_or_else(|| {
        ApiError::new(404, "GET", format!("no plugin offers the action `{command}` now")).about(model, key)
    })
}
