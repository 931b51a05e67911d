//! Packs: uploaded, looked at, agreed to, compiled and installed, each version whole or not at all (design, part 5).
//!
//! ```text
//! POST /packs -> upload    the bytes on disk, bounded, with their digest
//!             -> received  the record names the archive; from here on a restart goes on where it stopped
//!             -> checking  digests, signature, trust, components, and the installation itself in a transaction that is undone
//!             -> consent   what is asked beyond what the version in use is allowed
//!             -> compiling a child process each component; bytes and code are durable
//!             -> ready     one transaction: objects, components and the record
//! ```
//!
//! Whatever goes wrong before the last step, the version in use stays as it is, and the record says why. The only writes
//! beside the store are files named by their digest, which are swept when nothing names them.

mod check;
mod consent;
mod counted;
mod install;
mod intake;
mod life;
mod staged;
mod upload;
mod usage;

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use formwork_model::{InstalledPack, Job, Objects, ObjectsExt, Timestamp};
use tokio::sync::{RwLock, Semaphore};

pub(crate) use self::{
    counted::Counted,
    install::{remove, roll_back, take_out},
    intake::{Wanted, again, receive},
    life::{drive, install_at_once, rehearse_objects, resume},
    staged::{Staged, install_staged, make_ready, stage},
    upload::{Form, MAX_UPLOAD_BYTES, Upload, too_long},
    usage::{Usage, flush, flush_until},
};
use crate::{content::InUse, endpoint::Endpoint};

/// Uploads that are written at once, so that they cannot fill the disk; further ones wait.
const UPLOADS: usize = 4;

/// Packs that are looked at and installed at once. Each may take 256 MiB of memory.
const AT_ONCE: usize = 2;

/// What all uploads share.
#[derive(Debug)]
pub(crate) struct Packs {
    folder: PathBuf,
    uploads: Semaphore,
    slots: Semaphore,
    /// Read by who makes files that no record names yet, written by who removes such files.
    files: RwLock<()>,
    /// How grants were used since that was written down.
    pub(crate) usage: Usage,
}

impl Packs {
    /// Keeps uploads below a folder. What an earlier process did not finish to receive is removed.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        let folder = root.join("uploads");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            uploads: Semaphore::new(UPLOADS),
            slots: Semaphore::new(AT_ONCE),
            files: RwLock::default(),
            usage: Usage::default(),
        })
    }

    /// Keeps files that no record names yet from being swept, as long as what this returns is held.
    pub(crate) async fn keep_files(&self) -> tokio::sync::RwLockReadGuard<'_, ()> {
        self.files.read().await
    }
}

/// Removes the files that nothing names any more. When a pack is on its way, the end of that does it.
pub(crate) async fn sweep(endpoint: &Arc<Endpoint>) {
    let Ok(_alone) = endpoint.packs.files.try_write() else { return };
    let in_use = in_use(&endpoint.snapshot(), endpoint.now());
    let library = Arc::clone(&endpoint.library);
    let swept = tokio::task::spawn_blocking(move || library.sweep(&in_use)).await.unwrap_or(0);
    if swept > 0 {
        tracing::info!(files = swept, "removed components and archives that nothing uses");
    }
}

/// Returns what something still names: versions in use and before, uploads that may go on, jobs that are not ended.
fn in_use(objects: &impl Objects, now: Timestamp) -> InUse {
    let mut components = HashSet::new();
    let mut archives = HashSet::new();
    for pack in objects.list::<InstalledPack>() {
        components.extend(pack.components.iter().map(|record| record.digest.clone()));
        if pack.is_in_use() {
            archives.insert(pack.digest.clone());
        }
        if let Some(previous) = &pack.previous {
            components.extend(previous.components.iter().map(|record| record.digest.clone()));
            archives.insert(previous.digest.clone());
        }
        let incoming =
            pack.incoming.as_ref().filter(|incoming| incoming.is_under_way() || now < incoming.kept_until);
        archives.extend(incoming.map(|incoming| incoming.digest.clone()));
    }
    objects.visit("jobs", &mut |object| {
        if let Some(job) = object.as_any().downcast_ref::<Job>()
            && !job.state.is_final()
            && !job.component_digest.is_empty()
        {
            components.insert(job.component_digest.clone());
        }
        true
    });
    InUse { components, archives }
}

#[cfg(test)]
mod tests;
