//! Templates rendered on request (drp-api.md 14.10).

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use formwork_api::ApiError;
use formwork_model::{Kind, Machine, Object, ObjectsExt, Template, TemplateInfo, kind_of};
use tokio::task::spawn_blocking;

use super::{
    answer::{self, Handled},
    objects,
    request::{Authenticated, Path, Raw, Target},
    route::{Body, Route},
};
use crate::{auth::Caller, commit::internal, endpoint::Endpoint, render};

pub(super) fn routes() -> Vec<Route> {
    let stored = Route::get("/templates/{key}/render/{uuid}", "get_template_render", of_stored)
        .tells("Renders a stored template for a machine.")
        .answers(200, Body::json::<String>())
        .refuses(&[404, 422]);
    let subjects =
        Machine::PREFIXES.iter().filter_map(|prefix| kind_of(prefix)).map(|kind: &'static Kind| {
            let (_, name) = kind.words();
            Route::post(format!("/{}/{{key}}/render", kind.prefix), format!("get_{name}_render"), of_text)
                .tells(format!("Renders a text for a {}.", kind.noun))
                .takes(Body::either::<String>())
                .answers(200, Body::json::<String>())
                .refuses(&[400, 404, 422])
                .about(kind)
        });
    subjects.chain([stored]).collect()
}

/// Renders the text of the body: a JSON string, or the bytes as they are.
async fn of_text(target: Target, headers: HeaderMap, Raw(bytes): Raw) -> Handled {
    let (object, _) = objects::readable(&target, &target.endpoint.snapshot())?;
    may_render(&target.caller, object.as_ref())?;
    let refused = |words: String| ApiError::new(400, "POST", words).about(target.kind.prefix, &target.id);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let contents = if kind.starts_with("application/octet-stream") || kind.starts_with("text/") {
        String::from_utf8(bytes.to_vec())
            .map_err(|error| refused(format!("the text is no UTF-8: {error}")))?
    } else {
        serde_json::from_slice(&bytes).map_err(|error| {
            refused(format!("the body is no JSON string: {error}\nhint: or send the text as text/plain"))
        })?
    };
    let entry = TemplateInfo { name: String::from("request"), contents, ..TemplateInfo::default() };
    rendered(&target.endpoint, object, entry).await
}

/// Renders a stored template for a machine, or something like it.
async fn of_stored(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path((id, uuid)): Path<(String, String)>,
) -> Handled {
    if !caller.sees("templates", &id) {
        return Err(ApiError::not_found("GET", "templates", &id).into());
    }
    caller.require("templates", "get", &id)?;
    let snapshot = endpoint.snapshot();
    let missing = |prefix: &str, key: &str| ApiError::not_found("GET", prefix, key);
    let template = snapshot.get::<Template>(&id).ok_or_else(|| missing("templates", &id))?;
    let object = Machine::find(&snapshot, &uuid);
    let object = object.filter(|object| caller.sees(object.kind().prefix, &object.key()));
    let object = object.ok_or_else(|| missing("machines", &uuid))?;
    may_render(&caller, object.as_ref())?;
    let entry =
        TemplateInfo { name: template.id.clone(), id: template.id.clone(), ..TemplateInfo::default() };
    rendered(&endpoint, object, entry).await
}

/// A template can make tokens of its machine, so who renders one must be allowed to have them.
pub(super) fn may_render(caller: &Caller, object: &dyn Object) -> Result<(), ApiError> {
    let (prefix, key) = (object.kind().prefix, object.key());
    caller.require(prefix, "get", &key)?;
    caller.require(prefix, "token", &key)
}

async fn rendered(endpoint: &Arc<Endpoint>, object: Arc<dyn Object>, entry: TemplateInfo) -> Handled {
    let (prefix, key) = (object.kind().prefix, object.key());
    let machine = Arc::new(Machine::of(object.as_ref()).cloned().unwrap_or_default());
    let (endpoint, snapshot) = (Arc::clone(endpoint), endpoint.snapshot());
    let text =
        spawn_blocking(move || render::text_for(&endpoint, &snapshot, machine, entry, &Arc::default())).await;
    let text = text.map_err(|error| internal(&error))?;
    answer::json(StatusCode::OK, &text.map_err(|messages| ApiError::invalid(prefix, &key, messages))?)
}
