//! Hooks: URLs whose call fires a trigger (drp-api.md 14.7).

use std::sync::Arc;

use axum::{
    extract::State,
    http::{Method, StatusCode},
};
use formwork_api::ApiError;
use formwork_model::{ObjectsExt, Record, Trigger, TriggerProvider};
use serde_json::{Map, Value};

use super::{
    answer::{self, Handled},
    request::{Authenticated, Path, Raw},
    route::{Body, Route},
};
use crate::{commands::triggers::fire, endpoint::Endpoint};

/// The method of providers that name none.
const METHOD: &str = "POST";

pub(super) fn routes() -> Vec<Route> {
    let path = "/webhook/{key}";
    let with_body = [
        Route::post(path, "post_webhook", call),
        Route::put(path, "put_webhook", call),
        Route::patch(path, "patch_webhook", call),
    ];
    let without = [Route::get(path, "get_webhook", call), Route::delete(path, "delete_webhook", call)];
    let described = |route: Route| {
        route
            .tells("Fires a trigger, if this is the method of its provider; the body is the data.")
            .answers(201, Body::json::<Vec<String>>())
            .refuses(&[400, 404, 405, 409, 413, 422])
            .about(Trigger::KIND)
    };
    with_body.map(|route| route.takes(Body::any())).into_iter().chain(without).map(described).collect()
}

async fn call(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path(name): Path<String>,
    method: Method,
    Raw(body): Raw,
) -> Handled {
    caller.require(Trigger::KIND.prefix, "fire", &name)?;
    let snapshot = endpoint.snapshot();
    let about = |code: u16, message: &str| {
        ApiError::new(code, method.as_str(), message).about(Trigger::KIND.prefix, &name)
    };
    let trigger = snapshot.get::<Trigger>(&name).filter(|_| caller.sees(Trigger::KIND.prefix, &name));
    let provider = trigger.and_then(|trigger| snapshot.get::<TriggerProvider>(&trigger.trigger_provider));
    let Some(provider) = provider.filter(|provider| !provider.no_url) else {
        return Err(about(404, "there is no trigger of this name that has a hook").into());
    };
    let wanted = if provider.method.is_empty() { METHOD } else { provider.method.as_str() };
    if wanted != method.as_str() {
        return Err(about(405, &format!("the hook of this trigger takes {wanted}")).into());
    }
    let data = match body.is_empty() {
        true => Map::new(),
        false => match serde_json::from_slice(&body) {
            Ok(Value::Object(data)) => data,
            Ok(_) => return Err(about(400, "the body is no JSON object").into()),
            Err(error) => return Err(about(400, &format!("the body is no JSON: {error}")).into()),
        },
    };
    answer::json(StatusCode::CREATED, &fire(&endpoint, &name, data).await?)
}
