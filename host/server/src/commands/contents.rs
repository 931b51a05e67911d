//! Content bundles: installed, replaced and removed whole (drp-api.md 11.3, 11.4).

pub(crate) mod layer;
mod load;
mod restore;
pub(crate) mod updates;

use std::{collections::BTreeMap, sync::Arc};

use formwork_api::ApiError;
use formwork_core::{plugins::is_secure, secure::Shape};
use formwork_model::{
    Content, ContentMeta, ContentSummary, InstalledContent, InstalledPack, Object, Objects, ObjectsExt, kinds,
};
use formwork_packs::{PackError, layers::LayerType};
use serde_json::Value;

use self::{
    layer::Layer,
    load::{Put, Step},
};
use super::preferences;
use crate::{
    auth::Caller,
    commit::Stop,
    content::{BUILT_IN, CORE, Library, WRITABLE},
    endpoint::Endpoint,
    kinds,
    packs::Staged,
};

/// Lists all layers in the order in which they are looked through.
pub(crate) fn list(endpoint: &Endpoint) -> Vec<ContentSummary> {
    let snapshot = endpoint.snapshot();
    let mut found = vec![(LayerType::Writable, writable_summary(&snapshot))];
    let base = endpoint.library.base().layers().iter();
    found.extend(base.map(|layer| (layer.kind(), layer.summary())));
    let installed = snapshot.list::<InstalledContent>();
    found.extend(installed.iter().map(|content| (LayerType::of(&content.content_meta), content.summary())));
    found.sort_by_key(|(kind, _)| *kind);
    found.into_iter().map(|(_, summary)| summary).collect()
}

fn writable_meta() -> ContentMeta {
    let (name, layer) = (WRITABLE.to_owned(), LayerType::Writable.as_str().to_owned());
    ContentMeta { name, r#type: layer, writable: true, ..ContentMeta::default() }
}

fn writable_summary(objects: &impl Objects) -> ContentSummary {
    let mut counts = BTreeMap::new();
    for object in writable(objects) {
        *counts.entry(object.kind().prefix.to_owned()).or_default() += 1;
    }
    ContentSummary { meta: writable_meta(), counts, ..ContentSummary::default() }
}

fn writable(objects: &impl Objects) -> Vec<Arc<dyn Object>> {
    of_bundle(objects, "")
}

fn of_bundle(objects: &impl Objects, bundle: &str) -> Vec<Arc<dyn Object>> {
    let mut found = Vec::new();
    for kind in kinds().into_iter().filter(|kind| kind.layers.in_contents()) {
        objects.visit(kind.prefix, &mut |object| {
            if object.header().bundle == bundle {
                found.push(Arc::clone(object));
            }
            true
        });
    }
    found
}

fn missing(method: &str, name: &str) -> ApiError {
    ApiError::new(404, method, "No such content store").about("contents", name)
}

/// Returns a whole bundle. Of the writable layer everybody gets what he may get, one by one, and sees.
pub(crate) fn show(endpoint: &Endpoint, caller: &Caller, name: &str) -> Result<Content, ApiError> {
    let snapshot = endpoint.snapshot();
    if name == WRITABLE {
        let mut objects = writable(&snapshot);
        objects.retain(|object| {
            let (prefix, key) = (object.kind().prefix, object.key());
            let claimed = kinds::claim_key(object.as_ref());
            caller.sees(prefix, &key)
                && caller.may(prefix, "get", &claimed)
                && !preferences::is_secret(prefix, &key)
        });
        let mut content = formwork_packs::to_content(&writable_meta(), &objects);
        objects.iter().for_each(|object| keep_record(&mut content, object.as_ref()));
        return Ok(content);
    }
    if let Some(layer) = endpoint.library.base().layer(name) {
        let mut content = layer.content();
        keep_secrets(&snapshot, &mut content);
        return Ok(content);
    }
    let content = snapshot.get::<InstalledContent>(name).ok_or_else(|| missing("GET", name))?;
    let whole = formwork_packs::to_content(&content.content_meta, &of_bundle(&snapshot, name));
    Ok(Content { artifacts: content.artifacts.clone(), ..whole })
}

/// Keeps what only the endpoint writes of an object that says what ran: without it there is nothing of that to put back.
fn keep_record(content: &mut Content, object: &dyn Object) {
    let kind = object.kind();
    if !kinds::of(kind).is_record() {
        return;
    }
    let place = content.sections.get_mut(kind.prefix).and_then(|section| section.get_mut(&object.key()));
    let (Some(Value::Object(kept)), Value::Object(all)) = (place, object.to_json()) else { return };
    kept.extend(all.into_iter().filter(|(name, _)| kind.read_only.contains(&name.as_str())));
}

/// Leaves out secure params in the clear: a layer of the start is shown as it was given, and may well have some.
fn keep_secrets(objects: &impl Objects, content: &mut Content) {
    let params = content.sections.values_mut().flat_map(BTreeMap::values_mut);
    for params in params.filter_map(|object| object.get_mut("Params")?.as_object_mut()) {
        params
            .retain(|name, value| !is_secure(objects, name) || matches!(Shape::of(value), Shape::Sealed(_)));
    }
}

/// How a bundle is to be installed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Installation {
    /// The bundle whose place it takes; a new one must not be there yet.
    pub(crate) replacing: Option<String>,
    /// True when it may take the place of writable objects.
    pub(crate) replace_writable: bool,
}

/// Installs a bundle, or replaces the installed one of the same name. Its artifacts are placed with it. The writable layer is put
/// back, see [`restore`].
pub(crate) async fn install(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    content: Content,
    how: Installation,
) -> Result<ContentSummary, ApiError> {
    let (method, action) = if how.replacing.is_some() { ("PUT", "update") } else { ("POST", "create") };
    if how.replacing.as_deref() == Some(WRITABLE) && content.meta.name == WRITABLE {
        caller.require("contents", action, WRITABLE)?;
        return restore::restore(endpoint, caller, content).await;
    }
    caller.require("contents", action, "")?;
    let (artifacts, named) = (content.artifacts.clone(), content.meta.name.clone());
    let pack = formwork_packs::from_content(content)
        .map_err(|error| refusal(&error, method).about("contents", &named))?;
    let name = pack.meta.name.clone();
    if how.replacing.as_ref().is_some_and(|replaced| *replaced != name) {
        let message = format!("the bundle is named `{name}`, not as the URL says");
        return Err(ApiError::new(422, method, message).about("contents", &name));
    }
    refuse_own(&endpoint.library, &name, method)?;
    let layer =
        Layer { replace_writable: how.replace_writable, artifacts, ..Layer::of(pack.meta, pack.objects) };
    let put = Put { layer, method, replacing: Some(how.replacing.is_some()), from: None };
    let mut summaries = load::load(endpoint, caller, vec![Step::Put(Box::new(put))]).await?;
    summaries.pop().ok_or_else(|| ApiError::new(500, "INTERNAL", "no bundle was loaded"))
}

/// Brings a pack into use that was looked at.
pub(crate) async fn install_pack(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    staged: Staged,
) -> Result<(), ApiError> {
    load::load(endpoint, caller, vec![Step::Pack(Arc::new(staged))]).await.map(drop)
}

/// Refuses the name of a layer that nobody can upload.
fn refuse_own(library: &Library, name: &str, method: &str) -> Result<(), ApiError> {
    if is_own(library, name) {
        let message = format!("the name `{name}` is the endpoint's own");
        return Err(ApiError::new(409, method, message).about("contents", name));
    }
    Ok(())
}

/// Turns what is wrong with a bundle or a pack into the error of the API, a message a fault.
pub(crate) fn refusal(error: &PackError, method: &str) -> ApiError {
    let messages = match error {
        PackError::Refused { faults } => faults.iter().map(ToString::to_string).collect(),
        other => vec![other.to_string()],
    };
    ApiError { messages, ..ApiError::new(422, method, "") }.about("contents", "")
}

/// Tells whether a name belongs to a layer that nobody can upload.
pub(crate) fn is_own(library: &Library, name: &str) -> bool {
    matches!(name, WRITABLE | BUILT_IN | CORE) || library.base().layer(name).is_some()
}

/// Refuses to touch the objects of a pack by the routes of content bundles, which know nothing of its components.
fn refuse_pack(objects: &impl Objects, name: &str, method: &str) -> Result<(), Stop> {
    if objects.get::<InstalledPack>(name).is_some_and(|pack| pack.is_in_use()) {
        let message = format!("`{name}` is a pack\nhint: use `/packs/{name}`, or `formwork pack`");
        return Err(ApiError::new(409, method, message).about("contents", name).into());
    }
    Ok(())
}

/// Removes a bundle with all of its objects.
pub(crate) async fn remove(endpoint: &Arc<Endpoint>, caller: &Caller, name: String) -> Result<(), ApiError> {
    caller.require("contents", "delete", &name)?;
    load::load(endpoint, caller, vec![Step::Take(name)]).await.map(drop)
}
