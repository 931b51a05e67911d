//! The file root: what machines load over TFTP and HTTP, and what clients upload.

use std::{
    io::Read,
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use cap_std::{ambient_authority, fs::Dir};
use formwork_blobs::{Space, Sums};

use crate::trees::Trees;

/// A folder whose files are served. Nothing outside of it is, whatever a path or a link says.
#[derive(Clone, Debug)]
pub(crate) struct FileRoot(Arc<Root>);

#[derive(Debug)]
struct Root {
    folder: PathBuf,
    handle: Dir,
    files: Space,
    isos: Space,
    trees: Trees,
    changes: AtomicU64,
}

impl FileRoot {
    /// Serves a folder, and makes what is missing of it.
    pub(crate) fn new(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let sums = Arc::new(Sums::default());
        Ok(Self(Arc::new(Root {
            handle: Dir::open_ambient_dir(&folder, ambient_authority())?,
            files: Space::open(&folder.join("files"), Arc::clone(&sums))?,
            isos: Space::open(&folder.join("isos"), sums)?,
            trees: Trees::default(),
            changes: AtomicU64::default(),
            folder,
        })))
    }

    /// Returns the file for a path of a request; `None` when there is no such regular file within the root.
    pub(crate) fn find(&self, path: &str) -> Option<PathBuf> {
        let relative = Path::new(path.trim_start_matches('/'));
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || path.contains('\0') {
            return None;
        }
        let found = self.0.folder.join(relative).canonicalize().ok()?;
        (found.starts_with(&self.0.folder) && found.is_file()).then_some(found)
    }

    /// Notes that files were changed through this endpoint, so that what was read of them is looked at again.
    pub(crate) fn changed(&self) {
        self.0.changes.fetch_add(1, Ordering::Release);
    }

    /// Returns how often files were changed through this endpoint.
    pub(crate) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    /// Returns a handle of the folder.
    pub(crate) fn handle(&self) -> &Dir {
        &self.0.handle
    }

    /// Returns the files that clients upload.
    pub(crate) fn files(&self) -> &Space {
        &self.0.files
    }

    /// Returns the archives that boot environments are made from.
    pub(crate) fn isos(&self) -> &Space {
        &self.0.isos
    }

    /// Returns what is known of the trees that archives were made into.
    pub(crate) fn trees(&self) -> &Trees {
        &self.0.trees
    }
}

/// Returns the SHA-256 of what is left to read, in lower-case hexadecimal digits.
pub(crate) fn sum_of(reader: &mut (impl Read + ?Sized)) -> std::io::Result<String> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut piece)?;
        if read == 0 {
            break;
        }
        context.update(piece.get(..read).unwrap_or_default());
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_of_the_root_is_found() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kernel"), "k").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join("link")).unwrap();
        let root = FileRoot::new(folder.path()).unwrap();
        assert!(root.find("/kernel").is_some());
        for path in ["link", "../secret", "a/../../secret", "", "/", "./kernel\0", "/etc/passwd"] {
            assert!(root.find(path).is_none(), "{path}");
        }
    }
}
