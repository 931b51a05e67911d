//! The layers that every start brings along and that nobody can upload (drp-api.md 11.3): what is part of the program, and
//! what the operator names with `--local-content` and `--default-content`.
//!
//! | layer | type | holds |
//! |---|---|---|
//! | bundles of `--local-content` | `local` | whatever the operator wants before everything that is installed |
//! | bundles of `--default-content` | `default` | whatever the operator wants where nothing else is |
//! | `core` | `default` | discovery, the first workflow, the params of workflows |
//! | `BasicStore` | `basic` | the default objects of drp-api.md 3.6 and nothing else |
//!
//! None of their objects is saved. A row of the store hides one of the same key: a writable object, that of an installed
//! bundle, or a copy with what is not in order now; the copies go at the next start. `core` is left out under the name
//! `dr-provision`, whose clients count the objects of a fresh server, unless content is given (drp-api.md 3.6).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use formwork_model::{Content, ContentMeta, ContentSummary, InstalledContent, Object, Objects, ObjectsExt};
use formwork_packs::{
    Pack, PackError,
    layers::{Collision, LayerType, ObjectName},
};

use super::{BUILT_IN, CORE, WRITABLE};
use crate::{
    ServeOptions,
    commands::contents::layer::{self, About},
    commit::{Stop, Work, commit},
    endpoint::Endpoint,
    files::FileRoot,
    housekeeping,
};

/// The largest file of a bundle, in bytes: as large as an upload may be.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Most bundles in one folder.
const MAX_BUNDLES: usize = 1_000;

/// Content that the operator gave is not in order.
#[derive(Debug, thiserror::Error)]
#[error("failed to load `{path}` of {flag}\n{reason}")]
pub struct GivenContentError {
    /// The flag that names it.
    pub flag: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// All that is wrong, a line each.
    pub reason: String,
}

/// One layer that a start brings along.
#[derive(Clone, Debug)]
pub(crate) struct BaseLayer {
    /// What it says of itself.
    pub(crate) meta: ContentMeta,
    /// Its objects, each of which is read-only and names the layer in `Bundle`.
    pub(crate) objects: Vec<Arc<dyn Object>>,
    /// The flag and the file that it comes from; nothing when it is part of the program.
    given: Option<(&'static str, PathBuf)>,
}

impl BaseLayer {
    fn of(pack: &Pack) -> Self {
        Self { meta: pack.meta.clone(), objects: pack.objects.clone(), given: None }
    }

    /// Returns the layer as lists show it.
    pub(crate) fn summary(&self) -> ContentSummary {
        let mut counts = BTreeMap::new();
        for object in &self.objects {
            *counts.entry(object.kind().prefix.to_owned()).or_default() += 1;
        }
        ContentSummary { meta: self.meta.clone(), counts, ..ContentSummary::default() }
    }

    /// Returns the layer whole.
    pub(crate) fn content(&self) -> Content {
        formwork_packs::to_content(&self.meta, &self.objects)
    }

    /// Returns what collisions are decided by.
    pub(crate) fn shape(&self) -> formwork_packs::layers::Layer {
        let name = |object: &Arc<dyn Object>| ObjectName::new(object.kind().prefix, object.key());
        formwork_packs::layers::Layer {
            kind: self.kind(),
            name: self.meta.name.clone(),
            overwritable: self.meta.overwritable,
            objects: self.objects.iter().map(name).collect(),
        }
    }

    /// Returns its type.
    pub(crate) fn kind(&self) -> LayerType {
        LayerType::of(&self.meta)
    }

    fn error(&self, reason: String) -> Option<GivenContentError> {
        let (flag, path) = self.given.clone()?;
        Some(GivenContentError { flag, path, reason })
    }
}

/// All layers that a start brings along, the highest first.
#[derive(Clone, Debug)]
pub(crate) struct Base(Vec<BaseLayer>);

impl Base {
    /// Returns the layers that are part of the program.
    ///
    /// # Errors
    ///
    /// They are not in order; tests see to it that they are.
    pub(crate) fn own() -> Result<Self, PackError> {
        Ok(Self(vec![BaseLayer::of(formwork_packs::core()?), BaseLayer::of(formwork_packs::basic()?)]))
    }

    /// Reads the layers of an endpoint with these flags.
    ///
    /// # Errors
    ///
    /// A file that is no bundle, or that has the name or an object of another of the same type.
    pub(crate) fn read(options: &ServeOptions) -> Result<Self, crate::ServeError> {
        let mut found = Vec::new();
        if let Some(path) = &options.local_content {
            found.extend(given("--local-content", path, LayerType::Local, "LocalStore")?);
        }
        if let Some(path) = &options.default_content {
            found.extend(given("--default-content", path, LayerType::Default, "DefaultStore")?);
        }
        let Self(own) = Self::own()?;
        let is_bare = options.as_dr_provision && options.default_content.is_none();
        found.extend(own.into_iter().filter(|layer| !is_bare || layer.meta.name != CORE));
        let base = Self(found);
        base.check()?;
        Ok(base)
    }

    /// Returns the layers, the highest first.
    pub(crate) fn layers(&self) -> &[BaseLayer] {
        &self.0
    }

    /// Returns a layer.
    pub(crate) fn layer(&self, name: &str) -> Option<&BaseLayer> {
        self.0.iter().find(|layer| layer.meta.name == name)
    }

    /// Returns all objects with what is not in order with their files, those of higher layers last.
    pub(crate) fn objects(&self, files: &FileRoot) -> Vec<Arc<dyn Object>> {
        let objects = self.0.iter().rev().flat_map(|layer| &layer.objects);
        let looked_at = |object: &Arc<dyn Object>| {
            let faults = housekeeping::faults(files, object.as_ref());
            let mut object = object.boxed();
            object.header_mut().set_errors(faults);
            object.shared()
        };
        objects.map(looked_at).collect()
    }

    /// Refuses two layers of one name, and two bundles of one type with the same object.
    fn check(&self) -> Result<(), GivenContentError> {
        let mut names = BTreeSet::from([WRITABLE, BUILT_IN, CORE]);
        let mut owners: BTreeMap<(&str, &str, String), &BaseLayer> = BTreeMap::new();
        for layer in self.0.iter().filter(|layer| layer.given.is_some()) {
            let name = layer.meta.name.as_str();
            let mut faults = Vec::new();
            if !names.insert(name) {
                faults.push(format!("another layer is called `{name}`"));
            }
            for object in &layer.objects {
                let place = (layer.kind().as_str(), object.kind().prefix, object.key());
                if let Some(other) = owners.insert(place, layer) {
                    faults.push(collision(layer, object.as_ref(), (other.kind(), &other.meta.name)));
                }
            }
            if let Some(error) = layer.error(faults.join("\n")).filter(|_| !faults.is_empty()) {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The words of drp-api.md 1.5 for an object that is in two layers.
fn collision(layer: &BaseLayer, object: &dyn Object, (kind, name): (LayerType, &str)) -> String {
    let collision = Collision {
        object: ObjectName::new(object.kind().prefix, object.key()),
        layer: format!("{}-{}", layer.kind().as_str(), layer.meta.name),
        other: format!("{}-{name}", kind.as_str()),
    };
    collision.to_string()
}

/// Reads what a flag names: a bundle, a folder of bundles, or the folder of one bundle.
fn given(
    flag: &'static str,
    path: &Path,
    kind: LayerType,
    usual_name: &str,
) -> Result<Vec<BaseLayer>, GivenContentError> {
    let error = |path: &Path, reason: String| GivenContentError { flag, path: path.to_owned(), reason };
    let failed = |failed: io::Error| error(path, failed.to_string());
    let is_folder = fs::metadata(path).map_err(failed)?.is_dir();
    let bundles = if is_folder { bundles(path).map_err(failed)? } else { vec![path.to_owned()] };
    if bundles.len() > MAX_BUNDLES {
        return Err(error(path, format!("it has more than {MAX_BUNDLES} bundles")));
    }
    if is_folder && bundles.is_empty() {
        let content = formwork_packs::bundle_folder(path).map_err(|wrong| error(path, wrong.to_string()))?;
        return Ok(vec![layer(flag, path, content, (kind, usual_name))?]);
    }
    let read = |file: &PathBuf| {
        let text = read_file(file).map_err(|failed| error(file, failed.to_string()))?;
        let content = formwork_packs::parse_content(&text).map_err(|wrong| error(file, wrong.to_string()))?;
        layer(flag, file, content, (kind, usual_name))
    };
    bundles.iter().map(read).collect()
}

fn layer(
    flag: &'static str,
    path: &Path,
    mut content: Content,
    (kind, usual_name): (LayerType, &str),
) -> Result<BaseLayer, GivenContentError> {
    if content.meta.name.is_empty() || content.meta.name == "Unspecified" {
        usual_name.clone_into(&mut content.meta.name);
    }
    let pack = formwork_packs::from_content(content).map_err(|wrong| GivenContentError {
        flag,
        path: path.to_owned(),
        reason: wrong.to_string(),
    })?;
    let meta = ContentMeta { r#type: kind.as_str().to_owned(), overwritable: true, ..pack.meta };
    Ok(BaseLayer { meta, objects: pack.objects, given: Some((flag, path.to_owned())) })
}

/// Returns the bundles in a folder, in the order of their names.
fn bundles(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some("json" | "yaml" | "yml")) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut file = io::Read::take(fs::File::open(path)?, MAX_FILE_BYTES.saturating_add(1));
    io::Read::read_to_end(&mut file, &mut text)?;
    match text.len() as u64 > MAX_FILE_BYTES {
        true => Err(io::Error::other(format!("it is longer than {MAX_FILE_BYTES} bytes"))),
        false => Ok(text),
    }
}

/// Looks at what the operator gave as at an upload: whether it fits what is installed, and what is not in order with its
/// objects. Of an object that is not in order, or that has secure values, a copy is kept until the next start.
///
/// # Errors
///
/// All that an upload would be refused for.
pub(crate) async fn settle(endpoint: &Arc<Endpoint>) -> Result<(), crate::ServeError> {
    let given = || endpoint.library.base().layers().iter().filter(|layer| layer.given.is_some());
    for layer in given() {
        let library = Arc::clone(&endpoint.library);
        let fits = {
            let layer = layer.clone();
            commit(endpoint, "system", move |work| {
                let faults = faults(work, &layer, &About::new("contents", "POST", &library))?;
                match faults.is_empty() {
                    true => Ok(()),
                    false => Err(about(&layer, faults).into()),
                }
            })
        };
        if let Err(error) = fits.await {
            let wrong = layer.error(error.messages.join("\n"));
            return Err(wrong.map_or_else(|| crate::ServeError::First(error.to_string()), Into::into));
        }
    }
    Ok(())
}

fn about(layer: &BaseLayer, messages: Vec<String>) -> formwork_api::ApiError {
    formwork_api::ApiError::invalid("contents", &layer.meta.name, messages)
}

/// Returns why a layer cannot be part of the stack, and keeps copies of the objects that are not in order.
fn faults(work: &mut Work<'_>, layer: &BaseLayer, about: &About<'_>) -> Result<Vec<String>, Stop> {
    let mut found = layer::misfits(&*work.tx, &layer.meta, about);
    if work.tx.get::<InstalledContent>(&layer.meta.name).is_some() {
        let name = &layer.meta.name;
        found.push(format!(
            "a bundle called `{name}` is installed\nhint: remove that, or name this otherwise"
        ));
    }
    for object in &layer.objects {
        let (prefix, key) = (object.kind().prefix, object.key());
        let seen = work.tx.find(prefix, &key);
        let owner = seen.as_ref().map(|seen| seen.header().bundle.clone()).unwrap_or_default();
        if owner != layer.meta.name {
            // A writable object goes before it, and so does a layer above it.
            let installed = work.tx.get::<InstalledContent>(&owner);
            if let Some(other) = installed.filter(|_| layer.kind() < LayerType::Dynamic) {
                let other = (LayerType::of(&other.content_meta), other.name.as_str());
                found.push(collision(layer, object.as_ref(), other));
            }
            continue;
        }
        match layer::put_one(work, object.boxed()) {
            Ok(stored) if is_in_order(stored.as_ref(), object.as_ref()) => {
                work.tx.delete(prefix, &key);
            }
            Ok(_) => {}
            Err(Stop::Fail(error)) => {
                found.extend(error.messages.iter().map(|message| format!("{prefix}:{key}: {message}")));
            }
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}

/// Tells whether nothing is left to be kept of a copy.
fn is_in_order(copy: &dyn Object, own: &dyn Object) -> bool {
    copy.header().available && copy.params() == own.params()
}

/// Tells whether an object is of a layer that every start brings along: then a row of it is a copy, and a new writable
/// object may go before it.
pub(crate) fn is_brought_along(objects: &(impl Objects + ?Sized), object: &dyn Object) -> bool {
    let header = object.header();
    header.read_only && !header.bundle.is_empty() && objects.find("contents", &header.bundle).is_none()
}

#[cfg(test)]
mod tests;
