//! A folder of files: lists, reads, uploads, removals.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions, OpenOptionsExt as _},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    path::{BlobPath, PART},
    sum::{Sums, hex},
};

/// Most entries of one list.
const MAX_LISTED: usize = 100_000;

/// Most folders inside each other that a list goes into.
const MAX_DEPTH: usize = 64;

/// A folder whose files are listed, read, replaced and removed. Nothing outside of it is, whatever a path or a link says.
#[derive(Clone, Debug)]
pub struct Space {
    folder: Arc<Dir>,
    sums: Arc<Sums>,
}

/// What cannot be done with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// There is no such file, or it is a folder, a device ...
    #[error("Not a regular file")]
    NotRegular,
    /// There is no such folder.
    #[error("`{0}` is no folder")]
    NoFolder(BlobPath),
    /// A file is where a folder is needed.
    #[error("Failed to ensure final directory for {0} exists")]
    FileInTheWay(String),
    /// It is neither a file nor an empty folder.
    #[error("Unable to delete")]
    Unremovable {
        /// The path.
        path: BlobPath,
        /// Why.
        reason: String,
    },
    /// A list has more entries than can be told at once.
    #[error("`{0}` has more than {MAX_LISTED} entries\nhint: ask for one of its folders")]
    TooMany(BlobPath),
    /// The disk does not do it.
    #[error("failed to use `{path}`: {source}")]
    Io {
        /// The path.
        path: BlobPath,
        /// The system's words.
        source: io::Error,
    },
}

/// A file that is to be read.
#[derive(Debug)]
pub struct Blob {
    /// The open file, at its beginning.
    pub file: File,
    /// Its bytes.
    pub size: u64,
    /// When it was written.
    pub modified: SystemTime,
}

impl Space {
    /// Opens a folder and makes it if it is missing. What uploads of an earlier process left unfinished is removed.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be made, opened or read.
    pub fn open(folder: &Path, sums: Arc<Sums>) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let folder = Dir::open_ambient_dir(folder, ambient_authority())?;
        sweep(&folder, 0);
        Ok(Self { folder: Arc::new(folder), sums })
    }

    /// Returns the names in a folder in the order of their bytes; those of folders end with a slash. With `all` also
    /// what is in its folders, as paths from it.
    ///
    /// # Errors
    ///
    /// Fails when there is no such folder, or when it has more than 100,000 entries.
    pub fn list(&self, path: &BlobPath, all: bool) -> Result<Vec<String>, BlobError> {
        if !path.is_top() && !self.folder.is_dir(path.as_str()) {
            return Err(BlobError::NoFolder(path.clone()));
        }
        let top = if path.is_top() { String::new() } else { format!("{path}/") };
        let mut list = List { space: &self.folder, top, all, names: Vec::new(), whole: true };
        list.visit("", 0).map_err(|source| BlobError::Io { path: path.clone(), source })?;
        if !list.whole {
            return Err(BlobError::TooMany(path.clone()));
        }
        list.names.sort_unstable();
        Ok(list.names)
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Fails when there is no such regular file.
    pub fn read(&self, path: &BlobPath) -> Result<Blob, BlobError> {
        // Whoever opens a pipe that has no writer would wait for one.
        let options = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).clone();
        let opened = self.folder.open_with(path.as_str(), &options).map_err(|_| BlobError::NotRegular)?;
        let file = opened.into_std();
        let metadata = file.metadata().map_err(|_| BlobError::NotRegular)?;
        if !metadata.is_file() {
            return Err(BlobError::NotRegular);
        }
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Blob { size: metadata.len(), file, modified })
    }

    /// Returns the SHA-256 of a file, hexadecimal; that of a file which did not change is computed once.
    ///
    /// # Errors
    ///
    /// Fails when there is no such file or it cannot be read.
    pub fn sum(&self, path: &BlobPath) -> Result<String, BlobError> {
        let blob = self.read(path)?;
        self.sum_of(path, &blob)
    }

    /// Returns the SHA-256 of a file that is open.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read.
    pub fn sum_of(&self, path: &BlobPath, blob: &Blob) -> Result<String, BlobError> {
        self.sums.of(&blob.file).map_err(|source| BlobError::Io { path: path.clone(), source })
    }

    /// Begins a file. Until [`Upload::finish`] the one that has the name stays.
    ///
    /// # Errors
    ///
    /// Fails when a file is where a folder is needed or the other way round, or when the disk does not do it.
    pub fn begin(&self, path: &BlobPath) -> Result<Upload, BlobError> {
        let failed = |source| BlobError::Io { path: path.clone(), source };
        let in_the_way = || BlobError::FileInTheWay(path.name().to_owned());
        let parent = path.parent();
        if path.is_top() || self.folder.is_dir(path.as_str()) {
            let source = io::Error::new(io::ErrorKind::IsADirectory, "a folder has this name");
            return Err(failed(source));
        }
        let folder = if parent.is_top() {
            self.folder.try_clone().map_err(failed)?
        } else {
            self.folder.create_dir_all(parent.as_str()).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => in_the_way(),
                _ => failed(error),
            })?;
            self.folder.open_dir(parent.as_str()).map_err(|_| in_the_way())?
        };
        let part = format!("{PART}{}", Uuid::new_v4().simple());
        let options = OpenOptions::new().read(true).write(true).create_new(true).clone();
        let file = folder.open_with(&part, &options).map_err(failed)?.into_std();
        let sums = Arc::clone(&self.sums);
        let path = path.clone();
        Ok(Upload { folder, part, path, file, hasher: Sha256::new(), size: 0, sums, finished: false })
    }

    /// Removes a file or an empty folder.
    ///
    /// # Errors
    ///
    /// Fails when there is neither.
    pub fn remove(&self, path: &BlobPath) -> Result<(), BlobError> {
        let refused = |reason: String| BlobError::Unremovable { path: path.clone(), reason };
        if path.is_top() {
            return Err(refused("it is the folder of all files".to_owned()));
        }
        let removed = match self.folder.symlink_metadata(path.as_str()) {
            Ok(metadata) if metadata.is_dir() => self.folder.remove_dir(path.as_str()),
            Ok(_) => self.folder.remove_file(path.as_str()),
            Err(error) => Err(error),
        };
        removed.map_err(|error| refused(error.to_string()))
    }

    /// Tells whether another handle is one of the same folder.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.folder, &other.folder)
    }

    /// Returns the folder that a file is in, for what is unpacked beside it.
    ///
    /// # Errors
    ///
    /// Fails when there is no such folder.
    pub fn folder_of(&self, path: &BlobPath) -> Result<Dir, BlobError> {
        let parent = path.parent();
        let opened =
            if parent.is_top() { self.folder.try_clone() } else { self.folder.open_dir(parent.as_str()) };
        opened.map_err(|_| BlobError::NoFolder(parent))
    }
}

/// A list in the making.
struct List<'a> {
    space: &'a Dir,
    /// The folder that is listed, with a slash at its end.
    top: String,
    all: bool,
    names: Vec<String>,
    whole: bool,
}

impl List<'_> {
    /// Adds what is in a folder below the top. Links are followed from the space's own folder, as reading does.
    fn visit(&mut self, below: &str, depth: usize) -> io::Result<()> {
        let folder = format!("{}{below}", self.top);
        let entries = if folder.is_empty() { self.space.entries() } else { self.space.read_dir(&folder) };
        let entries = match entries {
            Ok(entries) => entries,
            // One that went meanwhile, or that is the disk's own, has nothing to list.
            Err(_) if depth > 0 => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            // A name that is no text could not be asked for.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Ok(metadata) = self.space.metadata(format!("{folder}{name}")) else { continue };
            if name.starts_with(PART) || !(metadata.is_dir() || metadata.is_file()) {
                continue;
            }
            if self.names.len() >= MAX_LISTED {
                self.whole = false;
                return Ok(());
            }
            if metadata.is_file() {
                self.names.push(format!("{below}{name}"));
                continue;
            }
            let path = format!("{below}{name}/");
            self.names.push(path.clone());
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if self.all && !is_link && depth < MAX_DEPTH {
                self.visit(&path, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// Removes what uploads left that did not come to their end. A folder that cannot be read, as one of the disk's own, has none.
fn sweep(folder: &Dir, depth: usize) {
    let Ok(entries) = folder.entries() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < MAX_DEPTH {
            if let Ok(inner) = folder.open_dir(&name) {
                sweep(&inner, depth + 1);
            }
        } else if kind.is_file()
            && name.to_str().is_some_and(|name| name.starts_with(PART))
            && let Err(error) = folder.remove_file(&name)
        {
            tracing::warn!(?name, %error, "the rest of an upload was not removed");
        }
    }
}

/// Bytes of a disk that uploads leave free, for all else that must be written there.
const RESERVE: u64 = 64 << 20;

/// After so many bytes of an upload the room on the disk is looked at again.
const LOOK_EVERY: u64 = 8 << 20;

/// Fails when the disk of a file has no more room than what uploads leave free.
fn has_room(file: &File) -> io::Result<()> {
    let disk = rustix::fs::fstatvfs(file)?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < RESERVE {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is nearly full"));
    }
    Ok(())
}

/// A file that is being written. Dropped before its end, it was never there.
#[derive(Debug)]
pub struct Upload {
    folder: Dir,
    part: String,
    path: BlobPath,
    file: File,
    hasher: Sha256,
    size: u64,
    sums: Arc<Sums>,
    finished: bool,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
}

impl Upload {
    /// Adds bytes.
    ///
    /// # Errors
    ///
    /// Fails when the disk takes no more, or would be left with less than 64 MiB.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let added = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.size / LOOK_EVERY != self.size.saturating_add(added) / LOOK_EVERY || self.size == 0 {
            has_room(&self.file).map_err(|source| self.failed(source))?;
        }
        self.file.write_all(bytes).map_err(|source| self.failed(source))?;
        self.hasher.update(bytes);
        self.size = self.size.saturating_add(added);
        Ok(())
    }

    /// Gives the file its name. When this returns, the file is on disk, and no part of the one before it is read again.
    ///
    /// # Errors
    ///
    /// Fails when the disk does not do it; the one before it stays.
    pub fn finish(mut self) -> Result<Stored, BlobError> {
        let sha256 = hex(&std::mem::take(&mut self.hasher).finalize());
        let sums = Arc::clone(&self.sums);
        sums.keep(&self.file, &sha256)
            .and_then(|()| self.file.sync_all())
            .and_then(|()| self.folder.rename(&self.part, &self.folder, self.path.name()))
            .map_err(|source| self.failed(source))?;
        self.finished = true;
        sync(&self.folder).map_err(|source| self.failed(source))?;
        Ok(Stored { size: self.size, sha256 })
    }

    fn failed(&self, source: io::Error) -> BlobError {
        BlobError::Io { path: self.path.clone(), source }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.finished {
            // The next start removes what is left here.
            let _ = self.folder.remove_file(&self.part);
        }
    }
}

/// Writes the names of a folder to disk.
pub(crate) fn sync(folder: &Dir) -> io::Result<()> {
    folder.open(".")?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn space() -> (tempfile::TempDir, Space) {
        let folder = tempfile::tempdir().unwrap();
        let space = Space::open(folder.path(), Arc::default()).unwrap();
        (folder, space)
    }

    fn path(text: &str) -> BlobPath {
        BlobPath::parse(text).unwrap()
    }

    fn put(space: &Space, at: &str, bytes: &[u8]) -> Stored {
        let mut upload = space.begin(&path(at)).unwrap();
        upload.write(bytes).unwrap();
        upload.finish().unwrap()
    }

    #[test]
    fn file_is_replaced_whole_and_its_sum_is_known_at_once() {
        let (_folder, space) = space();
        let stored = put(&space, "a/b/c.bin", b"abc");
        assert_eq!(stored.size, 3);
        assert!(stored.sha256.starts_with("ba7816bf"));
        let mut old = space.read(&path("a/b/c.bin")).unwrap();
        let mut upload = space.begin(&path("a/b/c.bin")).unwrap();
        upload.write(b"longer").unwrap();
        assert_eq!(space.read(&path("a/b/c.bin")).unwrap().size, 3, "not before its end");
        upload.finish().unwrap();
        let mut text = String::new();
        old.file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc", "who reads the old one reads it to its end");
        assert_eq!(space.read(&path("a/b/c.bin")).unwrap().size, 6);
        assert_eq!(put(&space, "empty", b"").size, 0);
    }

    #[test]
    fn upload_that_breaks_leaves_the_old_file_and_no_rest() {
        let (folder, space) = space();
        put(&space, "f", b"old");
        let mut upload = space.begin(&path("f")).unwrap();
        upload.write(b"new").unwrap();
        assert_eq!(space.list(&BlobPath::default(), true).unwrap(), ["f"]);
        drop(upload);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        std::mem::forget(space.begin(&path("d/f")).unwrap());
        assert_eq!(std::fs::read_dir(folder.path().join("d")).unwrap().count(), 1);
        Space::open(folder.path(), Arc::default()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("d")).unwrap().count(), 0);
        assert_eq!(space.read(&path("f")).unwrap().size, 3);
    }

    #[test]
    fn lists_are_sorted_and_folders_end_with_a_slash() {
        let (folder, space) = space();
        for name in ["b", "a/x/y", "a.txt"] {
            put(&space, name, b"");
        }
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("out")).unwrap();
        std::os::unix::fs::symlink("b", folder.path().join("in")).unwrap();
        std::os::unix::fs::symlink("..", folder.path().join("a/round")).unwrap();
        assert_eq!(space.list(&BlobPath::default(), false).unwrap(), ["a.txt", "a/", "b", "in"]);
        assert_eq!(
            space.list(&BlobPath::default(), true).unwrap(),
            ["a.txt", "a/", "a/round/", "a/x/", "a/x/y", "b", "in"]
        );
        assert_eq!(space.list(&path("a"), true).unwrap(), ["round/", "x/", "x/y"]);
        assert!(matches!(space.list(&path("nowhere"), false), Err(BlobError::NoFolder(_))));
        assert!(matches!(space.list(&path("b"), false), Err(BlobError::NoFolder(_))));
    }

    #[test]
    fn link_out_of_the_folder_is_not_followed() {
        let (folder, space) = space();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        assert!(matches!(space.read(&path("link/secret")), Err(BlobError::NotRegular)));
        assert!(space.begin(&path("link/new")).is_err());
        assert!(space.remove(&path("link/secret")).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_is_told_apart() {
        let (folder, space) = space();
        put(&space, "a/f", b"x");
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for name in ["a", "none", "pipe", ""] {
            assert!(matches!(space.read(&path(name)), Err(BlobError::NotRegular)), "{name}");
        }
        let error = space.begin(&path("a/f/g/h")).unwrap_err();
        assert_eq!(error.to_string(), "Failed to ensure final directory for h exists");
        assert_eq!(
            space.begin(&path("a")).unwrap_err().to_string(),
            "failed to use `a`: a folder has this name"
        );
        assert!(space.remove(&path("a")).unwrap_err().to_string().starts_with("Unable to delete"));
        space.remove(&path("a/f")).unwrap();
        space.remove(&path("a")).unwrap();
        assert!(space.remove(&path("a")).is_err() && space.remove(&BlobPath::default()).is_err());
    }
}
