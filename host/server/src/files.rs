//! The file root: what machines load over TFTP and HTTP, and what clients upload.

use std::{
    collections::HashMap,
    io::Read,
    path::{Component, Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use cap_std::{ambient_authority, fs::Dir};
use formwork_blobs::{Space, Sums};
use formwork_model::Timestamp;

use crate::{clock::now, trees::Trees};

/// The folder of boot loaders that clients sent with the API of files.
const LOADERS: &str = "files/loaders";

/// How long it is taken for true that a file is there, or is not.
const SEEN_FOR_MILLIS: i64 = 1000;

/// The files of which that is remembered at most.
const MAX_SEEN: usize = 256;

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
    seen: Mutex<HashMap<String, Seen>>,
    changes: AtomicU64,
}

/// Whether a file was there when it was last looked for.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Timestamp,
    is_there: bool,
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
            seen: Mutex::default(),
            changes: AtomicU64::default(),
            folder,
        })))
    }

    /// Returns the file for a path of a request; `None` when there is no such regular file within the root. What is not at
    /// its place may be a loader that somebody sent: firmware asks for those without a folder.
    pub(crate) fn find(&self, path: &str) -> Option<PathBuf> {
        let relative = Path::new(path.trim_start_matches('/'));
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || path.contains('\0') {
            return None;
        }
        let below = |folder: &Path| {
            let found = folder.join(relative).canonicalize().ok()?;
            (found.starts_with(&self.0.folder) && found.is_file()).then_some(found)
        };
        below(&self.0.folder).or_else(|| below(&self.0.folder.join(LOADERS)))
    }

    /// Tells whether [`FileRoot::find`] finds a file, or did within the last second: DHCP asks for the same few loaders
    /// with each packet.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.had(path, now())
    }

    fn had(&self, path: &str, now: Timestamp) -> bool {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes nothing last.
        let fresh = |seen: &&Seen| (0..SEEN_FOR_MILLIS).contains(&(now.millis() - seen.at.millis()));
        if let Some(seen) = seen.get(path).filter(fresh) {
            return seen.is_there;
        }
        if seen.len() >= MAX_SEEN {
            seen.clear();
        }
        let is_there = self.find(path).is_some();
        seen.insert(path.to_owned(), Seen { at: now, is_there });
        is_there
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
    #[test]
    fn loader_that_was_sent_is_found_without_its_folder_and_hides_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let sent = folder.path().join(LOADERS);
        std::fs::create_dir_all(&sent).unwrap();
        std::fs::write(sent.join("ipxe.efi"), "sent").unwrap();
        let root = FileRoot::new(folder.path()).unwrap();
        let text = |path: &str| root.find(path).map(|found| std::fs::read_to_string(found).unwrap());
        assert_eq!(text("/ipxe.efi").as_deref(), Some("sent"));
        assert_eq!(text("files/loaders/ipxe.efi").as_deref(), Some("sent"));
        std::fs::write(folder.path().join("ipxe.efi"), "put").unwrap();
        assert_eq!(text("ipxe.efi").as_deref(), Some("put"));
        assert_eq!(text("../loaders/ipxe.efi"), None);
    }

    #[test]
    fn whether_a_file_is_there_is_looked_at_once_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let root = FileRoot::new(folder.path()).unwrap();
        let start = Timestamp::from_millis(5_000);
        let later = |millis: u64| start.plus_millis(millis);
        assert!(!root.had("ipxe.efi", start));
        std::fs::write(folder.path().join("ipxe.efi"), "x").unwrap();
        assert!(!root.had("ipxe.efi", later(999)), "it was looked for just now");
        assert!(root.had("ipxe.efi", later(1000)));
        std::fs::remove_file(folder.path().join("ipxe.efi")).unwrap();
        assert!(root.had("ipxe.efi", later(1500)) && !root.had("ipxe.efi", later(2000)));
        assert!(!root.had("ipxe.efi", start), "the clock was set back");
    }

    #[test]
    fn what_is_remembered_of_files_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let root = FileRoot::new(folder.path()).unwrap();
        for number in 0..=MAX_SEEN {
            assert!(!root.has(&number.to_string()));
        }
        assert!(root.0.seen.lock().unwrap().len() <= MAX_SEEN);
    }
}
