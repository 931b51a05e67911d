//! Compiled components on disk.
//!
//! Loading compiled code means running it, so a file is used only if this process's own key signed it: anything else is
//! as if it were not there, and is made again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Digest;

/// Length of the signature and of the key.
const KEY_BYTES: usize = 32;

/// Largest file that is read. Compiled code is about three times the component, and that is 32 MiB at most.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// A folder of signed, compiled components.
pub(crate) struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
    /// The engine that the code was made for.
    tag: String,
    writes: AtomicU64,
}

impl Cache {
    /// Opens a folder, made first if need be. A key that others could read or write is replaced.
    pub(crate) fn open(folder: &Path, tag: String) -> Result<Self, (PathBuf, io::Error)> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| (folder.to_owned(), error))?;
        let path = folder.join("key");
        let key = read_or_make_key(&path).map_err(|error| (path, error))?;
        Ok(Self { folder: folder.to_owned(), key, tag, writes: AtomicU64::new(0) })
    }

    /// Where the code of a component is kept.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}-{}.cwasm", self.tag))
    }

    /// Returns the code of a component, if it is there and signed by us. Any other file is removed.
    pub(crate) fn load(&self, digest: &Digest) -> Option<Vec<u8>> {
        let path = self.path(digest);
        let mut bytes = Vec::new();
        File::open(&path).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
        if let Some((signature, code)) = bytes.split_at_checked(KEY_BYTES)
            && let Ok(signature) = <[u8; KEY_BYTES]>::try_from(signature)
            // The comparison of two hashes takes the same time for all values.
            && self.signature(digest, code) == signature
        {
            bytes.drain(..KEY_BYTES);
            return Some(bytes);
        }
        tracing::warn!(path = %path.display(), "compiled component refused: it was not signed here");
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "failed to remove it");
        }
        None
    }

    /// Whether the code of a component is there and signed by us.
    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        self.load(digest).is_some()
    }

    /// Signs and keeps the code of a component. Readers see all of it or nothing.
    pub(crate) fn keep(&self, digest: &Digest, code: &[u8]) -> io::Result<()> {
        let path = self.path(digest);
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let partial = path.with_extension(format!("{}-{number}.partial", std::process::id()));
        let written = write_private(&partial, &[self.signature(digest, code).as_bytes(), code])
            .and_then(|()| fs::rename(&partial, &path));
        if written.is_err() {
            // What cannot be renamed is of no use to anyone.
            fs::remove_file(&partial).ok();
        }
        written
    }

    /// Signs code together with what it is the code of, so that files cannot be swapped.
    fn signature(&self, digest: &Digest, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(digest.as_bytes()).update(self.tag.as_bytes()).update(code);
        hasher.finalize()
    }
}

/// Reads the key, or makes one. Two processes that start together agree on one, as only the first link succeeds.
fn read_or_make_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    if let Some(key) = read_key(path)? {
        return Ok(key);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::from)?;
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    write_private(&partial, &[&key])?;
    let linked = fs::hard_link(&partial, path);
    fs::remove_file(&partial)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read_key(path)?.ok_or_else(|| io::Error::other("the key changes while it is read"))
        }
        linked => linked.map(|()| key),
    }
}

/// Reads the key; `None` when it is missing, has another length, or others could have read or written it.
fn read_key(path: &Path) -> io::Result<Option<[u8; KEY_BYTES]>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the key was open to others: compiled components are made again");
        return Ok(None);
    }
    let mut key = Vec::new();
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut key)?;
    Ok(key.try_into().ok())
}

/// Writes a new file that only its owner may read.
fn write_private(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))
}

#[cfg(test)]
mod tests;
