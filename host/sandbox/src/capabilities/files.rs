//! `files`: files below granted roots, of the place where the component runs.
//!
//! Grants: `files: ROOT ro` and `files: ROOT rw`. A root is an absolute folder or file, or a name that the host knows.

use serde::{Deserialize, Serialize};

use super::bindings::formwork::files::files as wit;
use super::{Blob, answer};
use crate::grants::{Access, FilesGrant, Grants, is_plain};
use crate::state::CallState;
use crate::{HostAnswer, HostCall, HostError};

/// Most bytes that are read or written at once.
const MAX_BYTES: u32 = 1 << 20;

/// Longest path.
const MAX_PATH_BYTES: usize = 4096;

/// Most entries of a folder.
const MAX_ENTRIES: usize = 4096;

/// What a guest asks of files. `root` is a granted root as the grant writes it; `path` is relative to it, without `..`,
/// and empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FilesCall {
    /// Some bytes of a file. Answered by [`HostAnswer::Bytes`].
    Read {
        /// The root.
        root: String,
        /// The path below it.
        path: String,
        /// Where to begin.
        offset: u64,
        /// At most 1 MiB.
        max_bytes: u32,
    },
    /// The entries of a folder, sorted by name. Answered by [`HostAnswer::Entries`].
    List {
        /// The root.
        root: String,
        /// The path below it.
        path: String,
    },
    /// Where a link points, as it is written. Answered by [`HostAnswer::Text`].
    ReadLink {
        /// The root.
        root: String,
        /// The path below it.
        path: String,
    },
    /// Makes or replaces a file, as a whole and durably.
    Write {
        /// The root, granted for writing.
        root: String,
        /// The path below it.
        path: String,
        /// At most 1 MiB.
        bytes: Blob,
    },
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileEntry {
    /// Its name without the folder.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// Anything else, such as a device.
    Other,
}

/// Reads the words after `files:`.
pub(crate) fn grant(grants: &mut Grants, words: &[&str]) -> Result<(), &'static str> {
    const FORM: &str = "an absolute path or the name of a root, and `ro` or `rw` must follow";
    let [root, access] = words else { return Err(FORM) };
    let access = Access::parse(access).ok_or(FORM)?;
    if !is_plain(root) || (!root.starts_with('/') && root.contains('/')) {
        return Err(FORM);
    }
    grants.files.push(FilesGrant { root: (*root).to_owned(), access });
    Ok(())
}

impl CallState {
    /// Finds the root of a path, and checks that it may be read or written there.
    fn place(&self, path: &str, access: Access) -> Result<(String, String), HostError> {
        if path.len() > MAX_PATH_BYTES {
            let start: String = path.chars().take(100).collect();
            return Err(HostError::Other(format!("the path `{start}...` is too long")));
        }
        match self.allowance.grants.root(path) {
            Some((grant, rest)) if grant.access >= access => Ok((grant.root.clone(), rest.to_owned())),
            _ => Err(HostError::NotGranted(path.to_owned())),
        }
    }

    /// Does one call, whatever the track of the guest.
    pub(crate) async fn files<T>(
        &mut self,
        name: &str,
        path: &str,
        call: impl FnOnce(String, String) -> FilesCall,
        form: impl FnOnce(HostAnswer) -> Result<T, crate::host::WrongAnswer>,
    ) -> wasmtime::Result<Result<T, HostError>> {
        self.count_call()?;
        let (root, rest) = match self.place(path, Access::ReadOnly) {
            Ok(place) => place,
            Err(error) => return Ok(Err(self.refuse(name, error))),
        };
        let answered: Result<T, HostError> = answer(self.ask(HostCall::Files(call(root, rest))).await, form)?;
        Ok(answered.map_err(|error| told(error, path)))
    }

    /// Reads a file, whatever the track of the guest.
    pub(crate) async fn file_read(
        &mut self,
        path: &str,
        offset: u64,
        max_bytes: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, HostError>> {
        let max_bytes = max_bytes.min(MAX_BYTES);
        let call = |root, path| FilesCall::Read { root, path, offset, max_bytes };
        let bytes = self.files("files.read", path, call, HostAnswer::bytes).await?;
        Ok(bytes.map(|mut blob| {
            blob.0.truncate(max_bytes as usize);
            blob.0
        }))
    }

    /// Lists a folder, whatever the track of the guest.
    pub(crate) async fn file_list(
        &mut self,
        path: &str,
    ) -> wasmtime::Result<Result<Vec<FileEntry>, HostError>> {
        let call = |root, path| FilesCall::List { root, path };
        let entries = self.files("files.list-folder", path, call, HostAnswer::entries).await?;
        Ok(entries.map(|mut entries| {
            entries.truncate(MAX_ENTRIES);
            entries
        }))
    }

    /// Reads a link, whatever the track of the guest.
    pub(crate) async fn file_link(&mut self, path: &str) -> wasmtime::Result<Result<String, HostError>> {
        let call = |root, path| FilesCall::ReadLink { root, path };
        let target = self.files("files.read-link", path, call, HostAnswer::text).await?;
        Ok(target.map(Option::unwrap_or_default))
    }
}

/// The host tells a path by its place below a root; the guest knows it as it asked.
fn told(error: HostError, path: &str) -> HostError {
    match error {
        HostError::NotGranted(_) => HostError::NotGranted(path.to_owned()),
        HostError::NotFound(_) => HostError::NotFound(path.to_owned()),
        HostError::WrongKind(_) => HostError::WrongKind(path.to_owned()),
        other => other,
    }
}

impl wit::Host for CallState {
    async fn read(
        &mut self,
        path: String,
        offset_bytes: u64,
        max_bytes: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        Ok(self.file_read(&path, offset_bytes, max_bytes).await?.map_err(Into::into))
    }

    async fn list_folder(&mut self, path: String) -> wasmtime::Result<Result<Vec<wit::Entry>, wit::Error>> {
        let entry = |entry: FileEntry| wit::Entry { name: entry.name, kind: entry.kind.into() };
        let entries = self.file_list(&path).await?;
        Ok(entries.map(|entries| entries.into_iter().map(entry).collect()).map_err(Into::into))
    }

    async fn read_link(&mut self, path: String) -> wasmtime::Result<Result<String, wit::Error>> {
        Ok(self.file_link(&path).await?.map_err(Into::into))
    }

    async fn write(&mut self, path: String, bytes: Vec<u8>) -> wasmtime::Result<Result<(), wit::Error>> {
        self.count_call()?;
        let (root, rest) = match self.place(&path, Access::ReadWrite) {
            Ok(place) => place,
            Err(error) => return Ok(Err(self.refuse("files.write", error).into())),
        };
        if bytes.len() > MAX_BYTES as usize {
            let words = format!("`{path}`: a file of more than {MAX_BYTES} bytes is not written");
            return Ok(Err(self.refuse("files.write", HostError::Other(words)).into()));
        }
        let call = FilesCall::Write { root, path: rest, bytes: Blob(bytes) };
        let done: Result<(), HostError> = answer(self.ask(HostCall::Files(call)).await, HostAnswer::done)?;
        Ok(done.map_err(|error| told(error, &path).into()))
    }
}

impl From<EntryKind> for wit::Kind {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::File => Self::File,
            EntryKind::Folder => Self::Folder,
            EntryKind::Link => Self::Link,
            EntryKind::Other => Self::Other,
        }
    }
}

impl From<HostError> for wit::Error {
    fn from(error: HostError) -> Self {
        match error {
            HostError::NotGranted(path) => Self::NotGranted(path),
            HostError::NotFound(path) => Self::NotFound(path),
            HostError::WrongKind(path) => Self::WrongKind(path),
            other => Self::Other(other.to_string()),
        }
    }
}
