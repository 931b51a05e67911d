//! Content bundles: installed, replaced and removed whole (drp-api.md 11.3, 11.4).

use std::{collections::BTreeMap, sync::Arc};

use formwork_api::ApiError;
use formwork_model::{
    Content, ContentMeta, ContentSummary, InstalledContent, KINDS, Object, Objects, ObjectsExt,
};
use formwork_packs::PackError;

use crate::{
    auth::Caller,
    commit::{Stop, Work, commit},
    content::{BUILT_IN, WRITABLE},
    endpoint::Endpoint,
};

/// Types that are never part of a bundle that is shown: they are the endpoint's own.
const NOT_CONTENT: &[&str] = &["contents", "jobs", "leases"];

/// The order in which objects are admitted, so that what others refer to is there before them.
const ORDER: &[&str] = &[
    "roles",
    "params",
    "profiles",
    "templates",
    "bootenvs",
    "tasks",
    "stages",
    "workflows",
    "users",
    "machines",
];

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
    for kind in KINDS.iter().filter(|kind| !NOT_CONTENT.contains(&kind.prefix)) {
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

/// Returns a whole bundle.
pub(crate) fn show(endpoint: &Endpoint, name: &str) -> Result<Content, ApiError> {
    let snapshot = endpoint.snapshot();
    let (meta, bundle) = match name {
        WRITABLE => (layer_meta(WRITABLE), ""),
        BUILT_IN => (layer_meta(BUILT_IN), BUILT_IN),
        _ => {
            let content = snapshot.get::<InstalledContent>(name).ok_or_else(|| missing("GET", name))?;
            (content.content_meta.clone(), name)
        }
    };
    Ok(formwork_packs::to_content(&meta, &of_bundle(&snapshot, bundle)))
}

/// Installs a bundle, or replaces the installed one of the same name.
pub(crate) async fn install(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    content: Content,
    replacing: Option<String>,
) -> Result<ContentSummary, ApiError> {
    let method = if replacing.is_some() { "PUT" } else { "POST" };
    caller.require("contents", if replacing.is_some() { "update" } else { "create" }, "")?;
    let pack = formwork_packs::from_content(content).map_err(|error| match error {
        PackError::MissingName => ApiError::new(422, method, error.to_string()),
        other => ApiError::new(422, method, other.to_string()),
    })?;
    let name = pack.meta.name.clone();
    if replacing.as_ref().is_some_and(|replaced| *replaced != name) {
        let message = format!("the bundle is named `{name}`, not as the URL says");
        return Err(ApiError::new(422, method, message).about("contents", &name));
    }
    if matches!(name.as_str(), WRITABLE | BUILT_IN | "core") {
        return Err(ApiError::new(409, method, format!("the name `{name}` is the endpoint's own")));
    }
    let mut objects = pack.objects;
    objects.sort_by_key(|object| ORDER.iter().position(|prefix| *prefix == object.kind().prefix));
    let meta = ContentMeta {
        r#type: String::from("dynamic"),
        writable: false,
        overwritable: false,
        ..pack.meta.clone()
    };
    commit(endpoint, &caller.principal, move |work| {
        let old = work.tx.get::<InstalledContent>(&name);
        match (&old, replacing.is_some()) {
            (Some(_), false) => {
                return Err(ApiError::new(409, "CREATE", "already exists").about("contents", &name).into());
            }
            (None, true) => return Err(missing("PUT", &name).into()),
            _ => {}
        }
        let warnings = put_objects(work, &name, &objects, old.as_deref(), method)?;
        let installed = InstalledContent {
            name: name.clone(),
            content_meta: meta.clone(),
            objects: keys(&objects),
            warnings,
            ..InstalledContent::default()
        };
        let summary = installed.summary();
        work.put(Box::new(installed))?;
        Ok(summary)
    })
    .await
}

fn keys(objects: &[Arc<dyn Object>]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for object in objects {
        found.entry(object.kind().prefix.to_owned()).or_default().push(object.key());
    }
    found
}

/// Puts the objects of a bundle in the place of those of its older version; returns what is not in order.
fn put_objects(
    work: &mut Work<'_>,
    name: &str,
    objects: &[Arc<dyn Object>],
    old: Option<&InstalledContent>,
    method: &str,
) -> Result<Vec<String>, Stop> {
    let mut collisions = Vec::new();
    for object in objects {
        let (prefix, key) = (object.kind().prefix, object.key());
        if let Some(other) = work.tx.find(prefix, &key)
            && !matches!(other.header().bundle.as_str(), BUILT_IN)
            && other.header().bundle != name
        {
            let owner = match other.header().bundle.as_str() {
                "" => format!("writable-{WRITABLE}"),
                bundle => format!("dynamic-{bundle}"),
            };
            collisions.push(format!("{prefix}:{key} in layer dynamic-{name} would override layer {owner}"));
        }
    }
    if !collisions.is_empty() {
        return Err(ApiError { messages: collisions, ..ApiError::new(422, method, "") }
            .about("contents", name)
            .into());
    }
    for (prefix, gone) in old.iter().flat_map(|old| &old.objects) {
        for key in gone
            .iter()
            .filter(|key| !objects.iter().any(|new| new.kind().prefix == prefix && new.key() == **key))
        {
            work.tx.delete(prefix, key);
        }
    }
    let mut warnings = Vec::new();
    for object in objects {
        let mut object = object.boxed();
        object.header_mut().bundle = name.to_owned();
        object.header_mut().read_only = true;
        let stored = work.put(object)?;
        warnings.extend(stored.header().errors.iter().cloned());
    }
    Ok(warnings)
}

/// Removes a bundle with all of its objects.
pub(crate) async fn remove(endpoint: &Arc<Endpoint>, caller: &Caller, name: String) -> Result<(), ApiError> {
    caller.require("contents", "delete", &name)?;
    commit(endpoint, &caller.principal, move |work| {
        let installed = work.tx.get::<InstalledContent>(&name).ok_or_else(|| missing("DELETE", &name))?;
        for (prefix, keys) in &installed.objects {
            for key in keys {
                work.tx.delete(prefix, key);
            }
        }
        let mut users = Vec::new();
        for (prefix, keys) in &installed.objects {
            for key in keys.iter().filter(|key| work.tx.find(prefix, key).is_none()) {
                users.extend(formwork_core::availability::users(&*work.tx, prefix, key));
            }
        }
        if !users.is_empty() {
            let message = format!("{name} is still in use by {}", users.join(", "));
            return Err(ApiError::new(409, "StillInUseError", message).about("contents", &name).into());
        }
        work.tx.delete("contents", &name);
        Ok(())
    })
    .await
}
