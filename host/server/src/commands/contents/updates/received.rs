//! What is added to an update: told apart, read, and made ready to be loaded.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use formwork_api::ApiError;
use formwork_blobs::{ArchiveWorker, BlobPath, Space, TreeLimits, explode};
use formwork_model::{Artifacts, Content, ContentMeta, Object};
use formwork_packs::ArchiveManifest;
use serde_json::Value;

use super::{archives::ENDING, error, shown::StagedItem};
use crate::{
    commands::{
        contents::{
            layer::Layer,
            load::{Put, Step},
            refusal,
        },
        providers::native,
    },
    commit::internal,
    packs::{Staged, Upload},
};

/// The largest bundle, in bytes, as for one that comes alone.
const MAX_BUNDLE_BYTES: u64 = 64 << 20;

/// Something that was added.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) shown: StagedItem,
    pub(super) what: What,
}

/// What an item is.
#[derive(Clone)]
pub(super) enum What {
    /// A bundle.
    Bundle(Arc<Bundle>),
    /// A pack.
    Pack(Arc<Staged>),
}

/// A bundle that is in order by itself.
pub(super) struct Bundle {
    meta: ContentMeta,
    objects: Vec<Arc<dyn Object>>,
    artifacts: Artifacts,
    /// The archive that it came in.
    from: Option<Opened>,
}

/// An archive that was taken apart.
#[derive(Clone)]
struct Opened {
    /// The sum of the archive.
    sha256: String,
    /// The archive.
    file: PathBuf,
    /// What was in it.
    space: Space,
}

/// What was received.
pub(super) enum Received {
    /// Bundles, alone or in an archive.
    Bundles(Vec<Item>),
    /// A pack or a component.
    Pack(Upload),
}

/// Tells what was received, and reads it. Blocks.
pub(super) fn read(
    staging: &Space,
    file: &Path,
    path: &str,
    worker: &ArchiveWorker,
) -> Result<Received, ApiError> {
    let refused = |words: String| error(422, "POST", words, "");
    let mut start = Vec::new();
    let opened = || fs::File::open(file).map_err(|error| internal(&error));
    opened()?.take(512).read_to_end(&mut start).map_err(|error| internal(&error))?;
    if let Some(words) = native(&start) {
        return Err(refused(words));
    }
    let upload = || Upload::adopt(file.to_owned()).map(Received::Pack).map_err(|error| internal(&error));
    if start.starts_with(b"\0asm") {
        return upload();
    }
    if start.starts_with(&[0x1f, 0x8b]) && ArchiveManifest::read(io::BufReader::new(opened()?)).is_ok() {
        return upload();
    }
    let size = fs::metadata(file).map_err(|error| internal(&error))?.len();
    if is_text(&start) {
        if size > MAX_BUNDLE_BYTES {
            return Err(error(413, "POST", format!("a bundle has up to {MAX_BUNDLE_BYTES} bytes"), ""));
        }
        let text = fs::read(file).map_err(|error| internal(&error))?;
        let content = formwork_packs::parse_content(&text)
            .map_err(|wrong| error(400, "POST", format!("not a content bundle: {wrong}"), ""))?;
        return Ok(Received::Bundles(vec![of_bundle(content, size, None)?]));
    }
    let blob_path = BlobPath::parse(path).map_err(|error| internal(&error))?;
    let sha256 = staging.sum(&blob_path).map_err(|error| internal(&error))?;
    let space =
        Space::open(&file.with_extension("content"), Arc::default()).map_err(|error| internal(&error))?;
    let into = space.folder_of(&BlobPath::default()).map_err(|error| internal(&error))?;
    explode(worker, opened()?, &into, TreeLimits::default(), &|| false).map_err(|error| match error {
        error if error.is_of_the_archive() => refused(format!("not a content archive: {error}")),
        error => internal(&error),
    })?;
    let from = Opened { sha256, file: file.to_owned(), space };
    let bundles = bundles(&from.space)?;
    if bundles.is_empty() {
        return Err(refused(String::from("the archive has no bundle: a `.json` or `.yaml` file at its top")));
    }
    let items = bundles.into_iter().map(|content| of_bundle(content, size, Some(from.clone())));
    Ok(Received::Bundles(items.collect::<Result<_, _>>()?))
}

fn is_text(start: &[u8]) -> bool {
    let is_plain = |byte: &u8| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r');
    start.iter().all(is_plain)
}

/// Returns the bundles at the top of an archive that was taken apart.
fn bundles(space: &Space) -> Result<Vec<Content>, ApiError> {
    let names = space.list(&BlobPath::default(), false).map_err(|error| internal(&error))?;
    let mut found = Vec::new();
    for name in names.iter().filter(|name| [".json", ".yaml", ".yml"].iter().any(|end| name.ends_with(end))) {
        let wrong = |words: String| error(422, "POST", format!("`{name}`: {words}"), "");
        let path = BlobPath::parse(name).map_err(|error| wrong(error.to_string()))?;
        let blob = space.read(&path).map_err(|error| wrong(error.to_string()))?;
        if blob.size > MAX_BUNDLE_BYTES {
            return Err(wrong(format!("a bundle has up to {MAX_BUNDLE_BYTES} bytes")));
        }
        let mut text = Vec::new();
        blob.file.take(MAX_BUNDLE_BYTES).read_to_end(&mut text).map_err(|error| internal(&error))?;
        found.push(formwork_packs::parse_content(&text).map_err(|error| wrong(error.to_string()))?);
    }
    Ok(found)
}

fn of_bundle(content: Content, size: u64, from: Option<Opened>) -> Result<Item, ApiError> {
    let artifacts = content.artifacts.clone();
    let pack = formwork_packs::from_content(content).map_err(|error| refusal(&error, "POST"))?;
    let path = match &from {
        Some(opened) => format!("{}.{ENDING}/{}", opened.sha256, pack.meta.name),
        None => format!("{}.json", pack.meta.name),
    };
    let shown = shown(&pack.meta, path, size);
    let bundle = Bundle { meta: pack.meta, objects: pack.objects, artifacts, from };
    Ok(Item { shown, what: What::Bundle(Arc::new(bundle)) })
}

/// Makes an item of a pack.
pub(super) fn of_pack(staged: Staged) -> Item {
    let path = format!("{}.fwpack", staged.meta().name);
    Item { shown: shown(staged.meta(), path, staged.bytes()), what: What::Pack(Arc::new(staged)) }
}

fn shown(meta: &ContentMeta, path: String, size: u64) -> StagedItem {
    let members = serde_json::to_value(meta).ok().and_then(|meta| match meta {
        Value::Object(members) => Some(members),
        _ => None,
    });
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let members = members.unwrap_or_default().into_iter().map(|(name, value)| (name, text(value)));
    StagedItem {
        name: meta.name.clone(),
        version: meta.version.clone(),
        path,
        size,
        metadata: members.filter(|(_, text)| !text.is_empty()).collect(),
    }
}

impl Item {
    /// Returns what it says of itself.
    pub(super) fn meta(&self) -> &ContentMeta {
        match &self.what {
            What::Bundle(bundle) => &bundle.meta,
            What::Pack(staged) => staged.meta(),
        }
    }

    /// Returns the sum of the archive that it came in, and where that was received.
    pub(super) fn archive(&self) -> Option<(String, PathBuf)> {
        match &self.what {
            What::Bundle(bundle) => {
                bundle.from.as_ref().map(|opened| (opened.sha256.clone(), opened.file.clone()))
            }
            What::Pack(_) => None,
        }
    }
}

/// Returns what loading an item is.
pub(super) fn step(item: &Item) -> Step {
    match &item.what {
        What::Pack(staged) => Step::Pack(Arc::clone(staged)),
        What::Bundle(bundle) => {
            let from = bundle.from.as_ref();
            let layer = Layer {
                artifacts: bundle.artifacts.clone(),
                archive: from.map(|opened| opened.sha256.clone()).unwrap_or_default(),
                ..Layer::of(bundle.meta.clone(), bundle.objects.clone())
            };
            let from = from.map(|opened| opened.space.clone());
            Step::Put(Box::new(Put { layer, method: "POST", replacing: None, from }))
        }
    }
}
