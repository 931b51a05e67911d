//! Reads and writes files below roots.
//!
//! Every path is opened relative to a handle of its root, so that no link and no rename leads out of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use tokio::task::spawn_blocking;

use crate::grants::is_plain;
use crate::{Blob, EntryKind, FileEntry, FilesCall, HostAnswer, HostError};

/// Most entries of a folder.
const MAX_ENTRIES: usize = 4096;

/// The files of this host. Absolute roots are where they say; named ones are where they were said to be.
#[derive(Debug, Clone, Default)]
pub struct Files {
    roots: Arc<BTreeMap<String, PathBuf>>,
}

impl Files {
    /// Knows no names, and absolute roots as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says where a root is: a named one such as `isos`, or an absolute one that is to be found somewhere else.
    #[must_use]
    pub fn root(mut self, root: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Arc::make_mut(&mut self.roots).insert(root.into(), path.into());
        self
    }

    /// Does one call, away from the threads that serve others.
    ///
    /// # Errors
    ///
    /// Fails for what is not there, is of another kind, or lies outside of its root, and as the operating system does.
    pub async fn call(&self, call: FilesCall) -> Result<HostAnswer, HostError> {
        let files = self.clone();
        let done = spawn_blocking(move || files.perform(&call)).await;
        done.unwrap_or_else(|error| Err(HostError::Other(error.to_string())))
    }

    fn perform(&self, call: &FilesCall) -> Result<HostAnswer, HostError> {
        match call {
            FilesCall::Read { root, path, offset, max_bytes } => {
                let bytes = self.place(root, path)?.read(*offset, *max_bytes)?;
                Ok(HostAnswer::Bytes(Blob(bytes)))
            }
            FilesCall::List { root, path } => Ok(HostAnswer::Entries(self.place(root, path)?.list()?)),
            FilesCall::ReadLink { root, path } => {
                Ok(HostAnswer::Text(Some(self.place(root, path)?.read_link()?)))
            }
            FilesCall::Write { root, path, bytes } => {
                self.make(root)?;
                self.place(root, path)?.write(&bytes.0)?;
                Ok(HostAnswer::Done)
            }
        }
    }

    /// Where a root is.
    fn path(&self, root: &str) -> Result<PathBuf, HostError> {
        match self.roots.get(root) {
            Some(path) => Ok(path.clone()),
            None if root.starts_with('/') => Ok(PathBuf::from(root)),
            None => Err(HostError::NotFound(root.to_owned())),
        }
    }

    /// Makes the folder of a named root, which nobody else does.
    fn make(&self, root: &str) -> Result<(), HostError> {
        match self.roots.get(root) {
            Some(path) if !root.starts_with('/') => {
                fs::create_dir_all(path).map_err(|error| explain(root, &error))
            }
            _ => Ok(()),
        }
    }

    /// Opens the root that a path is in. For a root that is a file, that is the file's own folder, and only its name is
    /// taken.
    fn place(&self, root: &str, path: &str) -> Result<Place, HostError> {
        let host = self.path(root)?;
        let shown = if path.is_empty() { root.to_owned() } else { format!("{root}/{path}") };
        if !(path.is_empty() || (is_plain(path) && !path.starts_with('/'))) {
            return Err(HostError::NotGranted(shown));
        }
        let open = |folder: &Path| {
            Dir::open_ambient_dir(folder, ambient_authority()).map_err(|error| explain(&shown, &error))
        };
        let is_folder = match fs::metadata(&host) {
            Ok(found) => found.is_dir(),
            // A single file may be granted before it is written.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_empty() => false,
            Err(error) => return Err(explain(&shown, &error)),
        };
        if is_folder {
            let rest = if path.is_empty() { "." } else { path };
            return Ok(Place { folder: open(&host)?, rest: PathBuf::from(rest), shown });
        }
        match (path.is_empty(), host.parent(), host.file_name()) {
            (true, Some(parent), Some(name)) => {
                Ok(Place { folder: open(parent)?, rest: PathBuf::from(name), shown })
            }
            _ => Err(HostError::NotFound(shown)),
        }
    }
}

/// An open folder and a path within it.
struct Place {
    folder: Dir,
    rest: PathBuf,
    /// The path as messages tell it.
    shown: String,
}

impl Place {
    fn explain(&self, error: &io::Error) -> HostError {
        explain(&self.shown, error)
    }

    fn wrong_kind(&self) -> HostError {
        HostError::WrongKind(self.shown.clone())
    }

    fn read(&self, offset: u64, max_bytes: u32) -> Result<Vec<u8>, HostError> {
        let explain = |error| self.explain(&error);
        // Looked at first, as opening a device or a pipe has effects of its own.
        if !self.folder.metadata(&self.rest).map_err(explain)?.is_file() {
            return Err(self.wrong_kind());
        }
        let mut options = OpenOptions::new();
        // It may have been replaced meanwhile; opening a pipe must not wait for a writer.
        options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        let mut file = self.folder.open_with(&self.rest, &options).map_err(explain)?;
        if !file.metadata().map_err(explain)?.is_file() {
            return Err(self.wrong_kind());
        }
        if offset > 0 {
            file.seek(SeekFrom::Start(offset)).map_err(explain)?;
        }
        let mut bytes = Vec::new();
        file.take(u64::from(max_bytes)).read_to_end(&mut bytes).map_err(explain)?;
        Ok(bytes)
    }

    /// Lists a folder, sorted by name.
    fn list(&self) -> Result<Vec<FileEntry>, HostError> {
        let explain = |error| self.explain(&error);
        if !self.folder.metadata(&self.rest).map_err(explain)?.is_dir() {
            return Err(self.wrong_kind());
        }
        let mut entries = Vec::new();
        for entry in self.folder.read_dir(&self.rest).map_err(explain)?.take(MAX_ENTRIES) {
            let entry = entry.map_err(explain)?;
            let kind = match entry.file_type().map_err(explain)? {
                kind if kind.is_file() => EntryKind::File,
                kind if kind.is_dir() => EntryKind::Folder,
                kind if kind.is_symlink() => EntryKind::Link,
                _ => EntryKind::Other,
            };
            entries.push((entry.file_name(), kind));
        }
        entries.sort();
        let entry = |(name, kind): (std::ffi::OsString, EntryKind)| FileEntry {
            name: name.to_string_lossy().into_owned(),
            kind,
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    /// Reads where a link points, as it is written.
    fn read_link(&self) -> Result<String, HostError> {
        let explain = |error| self.explain(&error);
        if !self.folder.symlink_metadata(&self.rest).map_err(explain)?.is_symlink() {
            return Err(self.wrong_kind());
        }
        let target = self.folder.read_link_contents(&self.rest).map_err(explain)?;
        Ok(target.to_string_lossy().into_owned())
    }

    /// Writes a file beside its place, makes it durable, and puts it there.
    fn write(&self, bytes: &[u8]) -> Result<(), HostError> {
        let explain = |error| self.explain(&error);
        let Some(name) = self.rest.file_name() else { return Err(self.wrong_kind()) };
        if self.folder.symlink_metadata(&self.rest).is_ok_and(|found| !found.is_file()) {
            return Err(self.wrong_kind());
        }
        let folder = self.rest.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = match folder {
            Some(folder) => {
                self.folder.create_dir_all(folder).map_err(explain)?;
                self.folder.open_dir(folder).map_err(explain)?
            }
            None => self.folder.try_clone().map_err(explain)?,
        };
        let (temporary, file) = beside(&folder, name).map_err(explain)?;
        let written = fill(file, bytes).and_then(|()| folder.rename(&temporary, &folder, name));
        if let Err(error) = written {
            // The error that matters is the first one.
            folder.remove_file(&temporary).ok();
            return Err(self.explain(&error));
        }
        // The name is durable only with its folder.
        folder.open(".").and_then(|folder| folder.sync_all()).map_err(explain)
    }
}

/// Makes a new file with a name that nobody else has.
fn beside(folder: &Dir, name: &OsStr) -> io::Result<(PathBuf, File)> {
    let number = getrandom::u64().map_err(io::Error::other)?;
    let short: String = name.to_string_lossy().chars().take(40).collect();
    let temporary = PathBuf::from(format!(".{short}.{number:016x}"));
    let file = folder.open_with(&temporary, OpenOptions::new().write(true).create_new(true))?;
    Ok((temporary, file))
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Turns an error of the operating system into the guest's. A link that leads out of the root has no error number.
fn explain(path: &str, error: &io::Error) -> HostError {
    match error.kind() {
        io::ErrorKind::NotFound => HostError::NotFound(path.to_owned()),
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            HostError::NotGranted(path.to_owned())
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => HostError::WrongKind(path.to_owned()),
        _ => HostError::Other(format!("`{path}`: {error}")),
    }
}

#[cfg(test)]
mod tests;
