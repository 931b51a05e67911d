//! The archives of bundles that are in use, kept as `SHA256.drpca` (drp-api.md 14.3).

use std::{collections::BTreeSet, fs, io, path::PathBuf, sync::Arc};

use formwork_api::ApiError;
use formwork_model::{Artifacts, ContentMeta, InstalledContent, Objects, ObjectsExt};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{auth::Caller, commands::contents::load::blocking, endpoint::Endpoint};

/// The ending of an archive that is kept.
pub(super) const ENDING: &str = "drpca";

/// A bundle that came in an archive.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ContentArchiveView {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The archive.
    pub(crate) source: String,
    /// What it says of itself.
    pub(crate) meta: ContentMeta,
    /// The files that belong to it.
    pub(crate) artifacts: Artifacts,
}

/// The folder of the archives.
#[derive(Clone)]
pub(super) struct Archives(pub(super) PathBuf);

impl Archives {
    /// Keeps archives, which are named with their sums, under those sums. Blocks.
    pub(super) fn keep(&self, staged: &[(String, PathBuf)]) -> io::Result<()> {
        for (sha256, from) in staged {
            // The staged file is on disk already, and both names are on one file system.
            match fs::hard_link(from, self.0.join(file_name(sha256))) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        fs::File::open(&self.0)?.sync_all()
    }

    /// Returns the names of the archives that are kept. Blocks.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let is_archive = |name: &String| name.strip_suffix(ENDING).is_some_and(|rest| rest.ends_with('.'));
        let mut names: Vec<String> = names.filter(is_archive).collect();
        names.sort();
        names
    }

    /// Removes the archives that nothing names. Blocks.
    pub(super) fn sweep(&self, objects: &impl Objects) {
        let named = objects.list::<InstalledContent>();
        let named: BTreeSet<String> = named.iter().map(|content| file_name(&content.archive)).collect();
        for name in self.names().iter().filter(|name| !named.contains(*name)) {
            if let Err(error) = fs::remove_file(self.0.join(name)) {
                tracing::warn!(name, %error, "an archive that nothing names stays");
            }
        }
    }
}

fn file_name(sha256: &str) -> String {
    format!("{sha256}.{ENDING}")
}

/// Lists the bundles that came in archives.
pub(crate) fn list(endpoint: &Endpoint, caller: &Caller) -> Result<Vec<ContentArchiveView>, ApiError> {
    caller.require("contents", "list", "")?;
    let installed = endpoint.snapshot().list::<InstalledContent>();
    let archived = installed.iter().filter(|content| !content.archive.is_empty());
    let view = |content: &Arc<InstalledContent>| ContentArchiveView {
        name: content.name.clone(),
        version: content.content_meta.version.clone(),
        source: file_name(&content.archive),
        meta: content.content_meta.clone(),
        artifacts: content.artifacts.clone(),
    };
    Ok(archived.map(view).collect())
}

/// Lists the archives that are kept.
pub(crate) async fn sources(endpoint: &Arc<Endpoint>, caller: &Caller) -> Result<Vec<String>, ApiError> {
    caller.require("contents", "list", "")?;
    let endpoint = Arc::clone(endpoint);
    blocking(move || Ok(endpoint.updates.archives.names())).await
}
