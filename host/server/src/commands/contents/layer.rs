//! A layer of objects: put into the stack whole, or taken out whole, within one transaction (drp-behaviour.md 7.1).
//!
//! Content bundles and packs are both layers; the rules are the same for both, and so is this code.

use std::{collections::BTreeMap, sync::Arc};

use formwork_api::ApiError;
use formwork_core::availability;
use formwork_model::{
    Artifacts, ComponentRecord, ContentMeta, InstalledContent, Object, Objects, ObjectsExt, Task, Workflow,
};
use formwork_packs::{
    layers::{self, LayerType, ObjectName},
    versions::{self, Installed, Prerequisite},
};

use crate::{
    commands::preferences,
    commit::{Stop, Work},
    content::{FEATURES, Library, WRITABLE},
};

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
    // They name stages, workflows and boot environments.
    "preferences",
];

/// The objects and components that are put into the stack as one.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// What it says of itself, its name among it.
    pub(crate) meta: ContentMeta,
    /// Its objects.
    pub(crate) objects: Vec<Arc<dyn Object>>,
    /// Its components; what a record says that it may do is what it was granted.
    pub(crate) components: Vec<ComponentRecord>,
    /// True when it may take the place of writable objects.
    pub(crate) replace_writable: bool,
    /// The files that belong to it.
    pub(crate) artifacts: Artifacts,
    /// The SHA-256 of the archive that it came in, if there was one.
    pub(crate) archive: String,
    /// What tells this load from others, where files were placed for it.
    pub(crate) load: String,
}

impl Layer {
    /// Makes a layer of objects alone.
    pub(crate) fn of(meta: ContentMeta, objects: Vec<Arc<dyn Object>>) -> Self {
        Self {
            meta,
            objects,
            components: Vec::new(),
            replace_writable: false,
            artifacts: Artifacts::new(),
            archive: String::new(),
            load: String::new(),
        }
    }
}

/// What a transaction about layers needs beside the objects.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    /// The type of what the caller speaks of, for errors: `contents` or `packs`.
    pub(crate) model: &'static str,
    /// The method of the request, for errors.
    pub(crate) method: &'a str,
    /// The layers that are there without having been installed.
    pub(crate) library: &'a Library,
}

impl<'a> About<'a> {
    /// Describes a request about content bundles or packs.
    pub(crate) fn new(model: &'static str, method: &'a str, library: &'a Library) -> Self {
        Self { model, method, library }
    }

    fn refused(&self, code: u16, name: &str, messages: Vec<String>) -> Stop {
        Stop::from(ApiError { messages, ..ApiError::new(code, self.method, "") }.about(self.model, name))
    }
}

/// Puts a layer in the place of its older version, if there is one, and returns what is kept of it.
///
/// Everything is checked against the objects as they will be, so the order of checks does not matter: prerequisites and
/// features, collisions with other layers, and each object by itself. What is missing but may be, is a warning.
pub(crate) fn put(work: &mut Work<'_>, layer: &Layer, about: &About<'_>) -> Result<InstalledContent, Stop> {
    let name = &layer.meta.name;
    let unfit = misfits(&*work.tx, &layer.meta, about);
    if !unfit.is_empty() {
        return Err(about.refused(422, name, unfit));
    }
    make_room(work, layer, about)?;
    let old = work.tx.get::<InstalledContent>(name);
    for (prefix, gone) in old.iter().flat_map(|old| &old.objects) {
        let stays =
            |key: &String| layer.objects.iter().any(|new| new.kind().prefix == prefix && new.key() == *key);
        for key in gone.iter().filter(|key| !stays(key)) {
            work.tx.delete(prefix, key);
        }
    }
    let warnings = put_objects(work, layer, about)?;
    let installed = InstalledContent {
        name: name.clone(),
        content_meta: layer.meta.clone(),
        objects: keys(&layer.objects),
        components: layer.components.clone(),
        warnings,
        artifacts: layer.artifacts.clone(),
        archive: layer.archive.clone(),
        load: layer.load.clone(),
        ..InstalledContent::default()
    };
    work.put(Box::new(installed.clone()))?;
    Ok(installed)
}

/// Returns what keeps a layer from being part of the stack, whatever its objects are.
pub(crate) fn misfits(objects: &impl Objects, meta: &ContentMeta, about: &About<'_>) -> Vec<String> {
    let missing = versions::missing_features(&meta.required_features, FEATURES);
    let mut found: Vec<String> = missing
        .iter()
        .map(|feature| {
            format!("{}: the feature `{feature}` is required, which this endpoint does not have", meta.name)
        })
        .collect();
    if let Err(error) = versions::prerequisites(&meta.prerequisites) {
        found.push(format!("{}: prerequisites: {error}", meta.name));
        return found;
    }
    let stack = Stack::read(objects, about, Some(meta), None);
    let packs = stack.packs();
    for (pack, unmet) in versions::unmet_among(&packs) {
        if pack == meta.name || unmet.name == meta.name {
            found.push(format!("{pack}: {unmet}"));
        }
    }
    if let Some(circle) = versions::cycle(&packs).filter(|circle| circle.contains(&meta.name)) {
        found.push(format!("{}: packs need each other in a circle: {}", meta.name, circle.join(" -> ")));
    }
    found
}

/// The packs as they will be, as far as they need each other.
struct Stack(Vec<(String, String, Vec<Prerequisite>)>);

impl Stack {
    /// Reads what is installed, with one more in the place of its older version, or with one less.
    fn read(
        objects: &impl Objects,
        about: &About<'_>,
        new: Option<&ContentMeta>,
        gone: Option<&str>,
    ) -> Self {
        let installed = objects.list::<InstalledContent>();
        let others = installed.iter().map(|content| &content.content_meta);
        let base = about.library.base().layers().iter().map(|layer| &layer.meta);
        let others = base
            .chain(others)
            .filter(|meta| Some(meta.name.as_str()) != gone && new.is_none_or(|new| new.name != meta.name));
        let all = others.chain(new).map(|meta| {
            // What was accepted once is not judged again because of another pack.
            let needs = versions::prerequisites(&meta.prerequisites).unwrap_or_default();
            (meta.name.clone(), meta.version.clone(), needs)
        });
        Self(all.collect())
    }

    fn packs(&self) -> Vec<Installed<'_>> {
        self.0.iter().map(|(name, version, needs)| Installed { name, version, needs }).collect()
    }
}

/// Removes the writable objects that a layer may take the place of, and refuses all other collisions.
fn make_room(work: &mut Work<'_>, layer: &Layer, about: &About<'_>) -> Result<(), Stop> {
    let new = layers::Layer {
        kind: LayerType::of(&layer.meta),
        name: layer.meta.name.clone(),
        overwritable: false,
        objects: layer
            .objects
            .iter()
            .map(|object| ObjectName::new(object.kind().prefix, object.key()))
            .collect(),
    };
    let mut stack: BTreeMap<String, layers::Layer> = BTreeMap::new();
    // A writable object that goes uncovers what is above the new layer.
    for above in about.library.base().layers().iter().filter(|above| above.kind() < new.kind) {
        stack.insert(above.meta.name.clone(), above.shape());
    }
    for object in &new.objects {
        let Some(other) = work.tx.find(&object.prefix, &object.key) else { continue };
        let bundle = &other.header().bundle;
        let base = about.library.base().layer(bundle);
        let (kind, name) = match (bundle.as_str(), base) {
            ("", _) => (LayerType::Writable, WRITABLE),
            (name, Some(layer)) => (layer.kind(), name),
            (name, None) => (installed_type(&*work.tx, name), name),
        };
        let owner = stack.entry(bundle.clone()).or_insert_with(|| layers::Layer {
            kind,
            name: name.to_owned(),
            overwritable: base.is_some_and(|layer| layer.meta.overwritable),
            objects: [].into(),
        });
        owner.objects.insert(object.clone());
    }
    let stack: Vec<_> = stack.into_values().collect();
    let placement = layers::place(&stack, &new, layer.replace_writable).map_err(|collisions| {
        about.refused(422, &new.name, collisions.iter().map(ToString::to_string).collect())
    })?;
    for object in &placement.remove_writable {
        work.tx.delete(&object.prefix, &object.key);
    }
    Ok(())
}

/// Returns the type of an installed layer.
fn installed_type(objects: &impl Objects, name: &str) -> LayerType {
    objects
        .get::<InstalledContent>(name)
        .map_or(LayerType::Dynamic, |content| LayerType::of(&content.content_meta))
}

/// Puts the objects; returns what is not in order with them. All that refuses one is told at once.
fn put_objects(work: &mut Work<'_>, layer: &Layer, about: &About<'_>) -> Result<Vec<String>, Stop> {
    let mut objects = layer.objects.clone();
    let place = |prefix: &str| ORDER.iter().position(|own| *own == prefix);
    // What a layer declares itself comes last.
    objects.sort_by_key(|object| (object.kind().is_declared(), place(object.kind().prefix)));
    let (mut warnings, mut refused) = (Vec::new(), Vec::new());
    for object in &objects {
        let mut object = object.boxed();
        object.header_mut().bundle.clone_from(&layer.meta.name);
        object.header_mut().read_only = true;
        let name = format!("{}:{}", object.kind().prefix, object.key());
        match put_one(work, object) {
            Ok(stored) => warnings.extend(stored.header().errors.iter().cloned()),
            Err(Stop::Fail(error)) => {
                refused.extend(error.messages.iter().map(|message| format!("{name}: {message}")))
            }
            Err(other) => return Err(other),
        }
    }
    if refused.is_empty() { Ok(warnings) } else { Err(about.refused(422, &layer.meta.name, refused)) }
}

/// Puts one object of a layer, unless layers may not bring it as it is.
pub(crate) fn put_one(work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Arc<dyn Object>, Stop> {
    preferences::check_brought(&*work.tx, object.as_ref())?;
    work.put(object)
}

fn keys(objects: &[Arc<dyn Object>]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for object in objects {
        found.entry(object.kind().prefix.to_owned()).or_default().push(object.key());
    }
    found
}

/// Takes a layer out of the stack, unless others need it, use its objects or run its components.
pub(crate) fn take(work: &mut Work<'_>, installed: &InstalledContent, about: &About<'_>) -> Result<(), Stop> {
    let name = &installed.name;
    let stack = Stack::read(&*work.tx, about, None, None);
    let dependants =
        versions::dependants(name, &stack.packs()).into_iter().map(|pack| format!("packs:{pack}"));
    let mut users: Vec<String> = dependants.collect();
    for (prefix, keys) in &installed.objects {
        for key in keys {
            work.tx.delete(prefix, key);
        }
    }
    for (prefix, keys) in &installed.objects {
        for key in keys.iter().filter(|key| work.tx.find(prefix, key).is_none()) {
            users.extend(availability::users(&*work.tx, prefix, key));
            users.extend(formwork_core::preferences::users(&*work.tx, prefix, key));
        }
    }
    users.extend(component_users(&*work.tx, name));
    users.sort();
    users.dedup();
    if !users.is_empty() {
        let message = format!("{name} is still in use by {}", users.join(", "));
        return Err(ApiError::new(409, "StillInUseError", message).about(about.model, name).into());
    }
    work.tx.delete("contents", name);
    Ok(())
}

/// Returns the tasks and workflows that run components of a pack.
fn component_users(objects: &impl Objects, pack: &str) -> Vec<String> {
    let of_pack = |component: &str| component.split_once('/').is_some_and(|(name, _)| name == pack);
    let tasks = objects.list::<Task>();
    let tasks =
        tasks.iter().filter(|task| of_pack(&task.component)).map(|task| format!("tasks:{}", task.name));
    let workflows = objects.list::<Workflow>();
    let workflows = workflows
        .iter()
        .filter(|workflow| of_pack(&workflow.component))
        .map(|workflow| format!("workflows:{}", workflow.name));
    tasks.chain(workflows).collect()
}
