//! Content bundles: installed, replaced and removed whole (drp-api.md 11.3, 11.4).

pub(crate) mod layer;

use std::{collections::BTreeMap, sync::Arc};

use formwork_api::ApiError;
use formwork_model::{
    Content, ContentMeta, ContentSummary, InstalledContent, InstalledPack, KINDS, Object, Objects, ObjectsExt,
};
use formwork_packs::PackError;

use self::layer::{About, Layer};
use super::preferences;
use crate::{
    auth::Caller,
    commit::{Stop, commit},
    content::{BUILT_IN, CORE, WRITABLE},
    endpoint::Endpoint,
    kinds,
};

/// Lists all layers in the order in which they are looked through.
pub(crate) fn list(endpoint: &Endpoint) -> Vec<ContentSummary> {
    let snapshot = endpoint.snapshot();
    let mut found = vec![layer_summary(&snapshot, WRITABLE, "")];
    found.extend(snapshot.list::<InstalledContent>().iter().map(|content| content.summary()));
    found.push(layer_summary(&snapshot, BUILT_IN, BUILT_IN));
    found
}

fn layer_meta(name: &str) -> ContentMeta {
    let built_in = name == BUILT_IN;
    ContentMeta {
        name: name.to_owned(),
        version: if built_in { String::from(env!("CARGO_PKG_VERSION")) } else { String::new() },
        r#type: String::from(if built_in { "basic" } else { "writable" }),
        writable: !built_in,
        overwritable: built_in,
        ..ContentMeta::default()
    }
}

fn layer_summary(objects: &impl Objects, name: &str, bundle: &str) -> ContentSummary {
    let mut counts = BTreeMap::new();
    for object in of_bundle(objects, bundle) {
        *counts.entry(object.kind().prefix.to_owned()).or_default() += 1;
    }
    ContentSummary { meta: layer_meta(name), counts, warnings: Vec::new() }
}

fn of_bundle(objects: &impl Objects, bundle: &str) -> Vec<Arc<dyn Object>> {
    let mut found = Vec::new();
    for kind in KINDS.iter().filter(|kind| kind.layers.in_contents()) {
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
    let (meta, bundle) = match name {
        WRITABLE => (layer_meta(WRITABLE), ""),
        BUILT_IN => (layer_meta(BUILT_IN), BUILT_IN),
        _ => {
            let content = snapshot.get::<InstalledContent>(name).ok_or_else(|| missing("GET", name))?;
            (content.content_meta.clone(), name)
        }
    };
    let mut objects = of_bundle(&snapshot, bundle);
    if name == WRITABLE {
        objects.retain(|object| {
            let (prefix, key) = (object.kind().prefix, object.key());
            let claimed = kinds::claim_key(object.as_ref());
            caller.sees(prefix, &key)
                && caller.may(prefix, "get", &claimed)
                && !preferences::is_secret(prefix, &key)
        });
    }
    Ok(formwork_packs::to_content(&meta, &objects))
}

/// How a bundle is to be installed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Installation {
    /// The bundle whose place it takes; a new one must not be there yet.
    pub(crate) replacing: Option<String>,
    /// True when it may take the place of writable objects.
    pub(crate) replace_writable: bool,
}

/// Installs a bundle, or replaces the installed one of the same name.
pub(crate) async fn install(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    content: Content,
    how: Installation,
) -> Result<ContentSummary, ApiError> {
    let (method, action) = if how.replacing.is_some() { ("PUT", "update") } else { ("POST", "create") };
    caller.require("contents", action, "")?;
    let pack = formwork_packs::from_content(content).map_err(|error| refusal(&error, method))?;
    let name = pack.meta.name.clone();
    if how.replacing.as_ref().is_some_and(|replaced| *replaced != name) {
        let message = format!("the bundle is named `{name}`, not as the URL says");
        return Err(ApiError::new(422, method, message).about("contents", &name));
    }
    if is_own(&name) {
        let message = format!("the name `{name}` is the endpoint's own");
        return Err(ApiError::new(409, method, message).about("contents", &name));
    }
    let layer = Arc::new(Layer {
        meta: pack.meta,
        objects: pack.objects,
        components: Vec::new(),
        replace_writable: how.replace_writable,
    });
    let library = Arc::clone(&endpoint.library);
    commit(endpoint, &caller.principal, move |work| {
        let installed = work.tx.get::<InstalledContent>(&name).is_some();
        match (installed, how.replacing.is_some()) {
            (true, false) => {
                return Err(ApiError::new(409, "CREATE", "already exists").about("contents", &name).into());
            }
            (false, true) => return Err(missing("PUT", &name).into()),
            _ => refuse_pack(&*work.tx, &name, method)?,
        }
        Ok(layer::put(work, &layer, &About::new("contents", method, &library))?.summary())
    })
    .await
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
pub(crate) fn is_own(name: &str) -> bool {
    matches!(name, WRITABLE | BUILT_IN | CORE)
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
    let library = Arc::clone(&endpoint.library);
    commit(endpoint, &caller.principal, move |work| {
        if is_own(&name) {
            let message = format!("the layer `{name}` is the endpoint's own");
            return Err(ApiError::new(409, "DELETE", message).about("contents", &name).into());
        }
        let installed = work.tx.get::<InstalledContent>(&name).ok_or_else(|| missing("DELETE", &name))?;
        refuse_pack(&*work.tx, &name, "DELETE")?;
        layer::take(work, &installed, &About::new("contents", "DELETE", &library))
    })
    .await
}
