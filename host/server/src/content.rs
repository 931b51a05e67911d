//! What is installed: the built-in pack, content bundles and packs, and the bytes of their components.
//!
//! Bytes are named by their BLAKE3 digest and never change. Those of the built-in pack are part of the program; those of
//! uploaded packs are files below the base root, written and synced before the commit that names them:
//!
//! | folder | holds |
//! |---|---|
//! | `components/DIGEST.wasm` | what jobs and workflows run |
//! | `packs/DIGEST.fwpack` | the archives of the versions in use, of those before them, and of those on their way |

pub(crate) mod artifacts;
mod base;

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use formwork_model::{ComponentKind, ComponentRecord, InstalledContent, Job, Objects, ObjectsExt, Task};
use formwork_packs::Pack;
use formwork_sandbox::Grants;

pub use self::base::GivenContentError;
pub(crate) use self::base::{Base, is_brought_along, settle};
use crate::{endpoint::Endpoint, random};

/// The name under which clients know the built-in layer (drp-api.md 3.6).
pub(crate) const BUILT_IN: &str = "BasicStore";

/// The name of the layer that the API writes to (drp-api.md 11.3).
pub(crate) const WRITABLE: &str = "BackingStore";

/// The name of the built-in pack in the names of components.
pub(crate) const CORE: &str = "core";

/// Words for what this endpoint can do; a word is listed only when it holds.
pub(crate) const FEATURES: &[&str] = &[
    "api-v3",
    "auto-boot-target",
    "default-workflow",
    "fsm-runner",
    "http-range-header",
    "job-exit-states",
    "log-has-head-method",
    "multiarch",
    "overridable-bootloaders",
    "profileless-machine",
    "roles",
    "sane-exit-codes",
    "secure-params",
    "secure-params-in-content-packs",
    "selective-job-purge",
    "slim-objects",
    "sprig",
    "task-prerequisites",
    "tenants",
    "workflows",
];

/// The layers that every start brings along, and the components and archives of all packs, by digest.
pub(crate) struct Library {
    base: Base,
    core: Vec<ComponentRecord>,
    embedded: HashMap<String, Bytes>,
    components: PathBuf,
    packs: PathBuf,
}

impl Library {
    /// Holds the components of the built-in pack, and keeps all others below a folder.
    ///
    /// # Errors
    ///
    /// The folders cannot be made.
    pub(crate) fn new(base: Base, core: &Pack, root: &Path) -> io::Result<Self> {
        let (components, packs) = (root.join("components"), root.join("packs"));
        fs::create_dir_all(&components)?;
        fs::create_dir_all(&packs)?;
        Ok(Self {
            base,
            core: core.components.iter().map(|component| component.record.clone()).collect(),
            embedded: core
                .components
                .iter()
                .map(|component| (component.record.digest.clone(), component.wasm.clone()))
                .collect(),
            components,
            packs,
        })
    }

    /// Returns what an installed pack says of a component, by `PACK/COMPONENT`.
    pub(crate) fn component(&self, objects: &(impl Objects + ?Sized), name: &str) -> Option<ComponentRecord> {
        let (pack, name) = name.split_once('/')?;
        let named = |records: &[ComponentRecord]| records.iter().find(|record| record.name == name).cloned();
        if pack == CORE {
            return named(&self.core);
        }
        named(&objects.get::<InstalledContent>(pack)?.components)
    }

    /// Returns the layers that every start brings along.
    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    /// Returns the bytes of a component. A file that does not hold what its name says counts as lost.
    ///
    /// Reads up to [`formwork_packs::MAX_FILE_BYTES`]: call it where that may block.
    pub(crate) fn bytes(&self, digest: &str) -> Option<Bytes> {
        if let Some(bytes) = self.embedded.get(digest) {
            return Some(bytes.clone());
        }
        let bytes = fs::read(file_of(&self.components, digest, "wasm")?).ok()?;
        if formwork_packs::digest(&bytes) != digest {
            tracing::error!(digest, "the file of a component is damaged");
            return None;
        }
        Some(Bytes::from(bytes))
    }

    /// Returns the bytes of the components that are part of the program, with their digests.
    pub(crate) fn embedded(&self) -> impl Iterator<Item = (&String, &Bytes)> {
        self.embedded.iter()
    }

    /// Keeps the bytes of a component; they are durable when this returns. Blocks.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(crate) fn keep_component(&self, digest: &str, wasm: &[u8]) -> io::Result<()> {
        let path = file_of(&self.components, digest, "wasm").ok_or(io::ErrorKind::InvalidInput)?;
        let known = fs::metadata(&path).is_ok_and(|found| found.len() == wasm.len() as u64);
        if self.embedded.contains_key(digest) || (known && self.bytes(digest).is_some()) {
            return Ok(());
        }
        let draft = path.with_extension(format!("{}.part", random::uuid()));
        let mut file = fs::File::create(&draft)?;
        io::Write::write_all(&mut file, wasm)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        fs::File::open(&self.components)?.sync_all()
    }

    /// Takes the file of an archive, which was synced, under its digest; the name is durable when this returns. Blocks.
    ///
    /// # Errors
    ///
    /// The file cannot be moved.
    pub(crate) fn keep_archive(&self, digest: &str, from: &Path) -> io::Result<()> {
        let path = file_of(&self.packs, digest, "fwpack").ok_or(io::ErrorKind::InvalidInput)?;
        fs::rename(from, path)?;
        fs::File::open(&self.packs)?.sync_all()
    }

    /// Returns where the archive with a digest is, if it is there.
    pub(crate) fn archive(&self, digest: &str) -> Option<PathBuf> {
        file_of(&self.packs, digest, "fwpack").filter(|path| path.is_file())
    }

    /// Removes the files that are not in use, and returns how many went. Blocks.
    pub(crate) fn sweep(&self, in_use: &InUse) -> usize {
        let swept = |folder: &Path, kept: &HashSet<String>| {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let unused = entries.map(|entry| entry.path()).filter(|path| {
                let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                path.extension().is_some_and(|end| end == "part") || !kept.contains(stem)
            });
            unused.filter(|path| fs::remove_file(path).is_ok()).count()
        };
        swept(&self.components, &in_use.components) + swept(&self.packs, &in_use.archives)
    }
}

/// What of the files something still names, by digest.
#[derive(Clone, Debug, Default)]
pub(crate) struct InUse {
    /// Components.
    pub(crate) components: HashSet<String>,
    /// Archives of packs.
    pub(crate) archives: HashSet<String>,
}

/// Returns the file for a digest; nothing for a text that is none, which may come from a request.
fn file_of(folder: &Path, digest: &str, extension: &str) -> Option<PathBuf> {
    let is_digest = digest.len() == 64
        && digest.bytes().all(|digit| digit.is_ascii_digit() || matches!(digit, b'a'..=b'f'));
    is_digest.then(|| folder.join(format!("{digest}.{extension}")))
}

/// Returns the bytes of a component, read where that may block.
pub(crate) async fn read_bytes(library: &Arc<Library>, digest: &str) -> Option<Bytes> {
    let (library, digest) = (Arc::clone(library), digest.to_owned());
    tokio::task::spawn_blocking(move || library.bytes(&digest)).await.ok().flatten()
}

/// Sees to it that a component can be called, and returns what the sandbox knows it by; in words what keeps it from that.
pub(crate) async fn prepared(endpoint: &Endpoint, digest: &str) -> Result<formwork_sandbox::Digest, String> {
    let known: formwork_sandbox::Digest = digest.parse().map_err(|_| format!("has no digest: `{digest}`"))?;
    if endpoint.sandbox.is_ready(&known).await {
        return Ok(known);
    }
    let bytes = read_bytes(&endpoint.library, digest).await;
    let bytes = bytes.ok_or_else(|| String::from("has lost its bytes"))?;
    endpoint.sandbox.prepare(&bytes).await.map_err(|error| format!("cannot be run: {error}"))
}

/// Writes into a new job which component its task is: the job keeps to it, whatever happens to the pack meanwhile.
pub(crate) fn keep_component(library: &Library, objects: &(impl Objects + ?Sized), job: &mut Job) {
    let Some(task) = objects.get::<Task>(&job.task).filter(|task| !task.component.is_empty()) else { return };
    job.component.clone_from(&task.component);
    if let Some(record) = library.component(objects, &task.component) {
        job.component_digest = record.digest;
        job.component_grants = record.grants;
        job.component_limits = record.limits;
    }
}

/// Returns the component that a job runs: the one that it was made with, or for a job of an older release the one that
/// its task is now.
pub(crate) fn component_of(
    library: &Library,
    objects: &(impl Objects + ?Sized),
    job: &Job,
    task: &Task,
) -> Option<ComponentRecord> {
    if job.component_digest.is_empty() {
        return library.component(objects, &task.component);
    }
    Some(ComponentRecord {
        name: job.component.split_once('/').map(|(_, name)| name.to_owned()).unwrap_or_default(),
        kind: ComponentKind::Task,
        digest: job.component_digest.clone(),
        grants: job.component_grants.clone(),
        limits: job.component_limits.clone(),
    })
}

/// Reads what a component may do.
pub(crate) fn grants(record: &ComponentRecord) -> Result<Grants, String> {
    Grants::parse(&record.grants).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(folder: &Path) -> Library {
        Library::new(Base::own().unwrap(), formwork_packs::core().unwrap(), folder).unwrap()
    }

    #[test]
    fn kept_bytes_are_found_by_their_digest_and_damaged_ones_are_lost() {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path());
        let digest = formwork_packs::digest(b"abc");
        assert!(library.bytes(&digest).is_none());
        library.keep_component(&digest, b"abc").unwrap();
        assert_eq!(library.bytes(&digest).unwrap(), "abc");
        let path = folder.path().join(format!("components/{digest}.wasm"));
        fs::write(&path, "abd").unwrap();
        assert!(library.bytes(&digest).is_none());
        library.keep_component(&digest, b"abc").unwrap();
        assert_eq!(library.bytes(&digest).unwrap(), "abc", "it was written anew");
    }

    #[test]
    fn text_that_is_no_digest_names_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path());
        for text in ["", "../formwork.redb", "/etc/passwd", &"A".repeat(64), &"a".repeat(63)] {
            assert!(library.bytes(text).is_none() && library.archive(text).is_none(), "{text}");
            assert!(library.keep_component(text, b"x").is_err(), "{text}");
        }
    }

    #[test]
    fn sweep_takes_what_nothing_names_and_what_was_half_written() {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path());
        let (kept, unused) = (formwork_packs::digest(b"kept"), formwork_packs::digest(b"unused"));
        library.keep_component(&kept, b"kept").unwrap();
        library.keep_component(&unused, b"unused").unwrap();
        fs::write(folder.path().join(format!("components/{kept}.part")), "ke").unwrap();
        fs::write(folder.path().join(format!("packs/{unused}.fwpack")), "x").unwrap();
        let in_use = InUse { components: HashSet::from([kept.clone()]), ..InUse::default() };
        assert_eq!(library.sweep(&in_use), 3);
        assert!(library.bytes(&kept).is_some() && library.bytes(&unused).is_none());
        assert!(library.archive(&unused).is_none());
    }
}
