//! Compiled components on disk.
//!
//! Loading compiled code means running it, so a file is used only if this process's own key signed it: anything else is
//! as if it were not there, and is made again. The signature stands at the end of a file, so that code can be mapped into
//! memory as it is.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Digest;
use crate::engine::Tier;

/// Length of the signature and of the key.
const KEY_BYTES: usize = 32;

/// Largest file that is read. Compiled code is about three times the component, and that is 32 MiB at most.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// What is kept of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its compiled code.
    Code(Tier),
    /// Why it cannot be compiled for a tier.
    Failure(Tier),
    /// Its own bytes, for as long as it is to be compiled once more.
    Source,
}

/// A folder of signed, compiled components.
pub(crate) struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
    /// The engines that the code was made for.
    tag: String,
    writes: AtomicU64,
}

impl Cache {
    /// Opens a folder, made first if need be. A key that others could read or write is replaced. What was made for other
    /// engines, or was never finished, is removed.
    pub(crate) fn open(folder: &Path, tag: String) -> Result<Self, (PathBuf, io::Error)> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| (folder.to_owned(), error))?;
        let path = folder.join("key");
        let key = read_or_make_key(&path).map_err(|error| (path, error))?;
        let cache = Self { folder: folder.to_owned(), key, tag, writes: AtomicU64::new(0) };
        cache.tidy();
        Ok(cache)
    }

    /// Where a part of a component is kept.
    pub(crate) fn path(&self, digest: &Digest, part: Part) -> PathBuf {
        let tag = &self.tag;
        self.folder.join(match part {
            Part::Code(tier) => format!("{digest}-{tag}-{}.cwasm", tier.as_str()),
            Part::Failure(tier) => format!("{digest}-{tag}-{}.failed", tier.as_str()),
            Part::Source => format!("{digest}-{tag}.wasm"),
        })
    }

    /// Returns the file of a part, if it is there and signed by us: the part, then its signature. Any other file is
    /// removed.
    pub(crate) fn verified(&self, digest: &Digest, part: Part) -> Option<File> {
        let path = self.path(digest, part);
        let mut file = File::open(&path).ok()?;
        if self.is_signed(digest, part, &mut file).unwrap_or(false) {
            return Some(file);
        }
        tracing::warn!(path = %path.display(), "file of the cache refused: it was not signed here");
        self.remove(digest, part);
        None
    }

    /// Reads a part, if it is there and signed by us.
    pub(crate) fn read(&self, digest: &Digest, part: Part) -> Option<Vec<u8>> {
        let mut file = self.verified(digest, part)?;
        file.seek(SeekFrom::Start(0)).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
        let (content, signature) = bytes.split_last_chunk::<KEY_BYTES>()?;
        // What was read is what counts, should the file have changed since it was looked at.
        let mut hasher = self.hasher(digest, part);
        hasher.update(content);
        if hasher.finalize() != *signature {
            return None;
        }
        bytes.truncate(bytes.len() - KEY_BYTES);
        Some(bytes)
    }

    /// Signs and keeps a part. Readers see all of it or nothing.
    pub(crate) fn keep(&self, digest: &Digest, part: Part, content: &[u8]) -> io::Result<()> {
        let path = self.path(digest, part);
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let partial = path.with_extension(format!("{}-{number}.partial", std::process::id()));
        let mut hasher = self.hasher(digest, part);
        let signature = hasher.update(content).finalize();
        let written = write_private(&partial, &[content, signature.as_bytes()])
            .and_then(|()| fs::rename(&partial, &path));
        if written.is_err() {
            // What cannot be renamed is of no use to anyone.
            fs::remove_file(&partial).ok();
        }
        written
    }

    /// Removes a part, if it is there.
    pub(crate) fn remove(&self, digest: &Digest, part: Part) {
        let path = self.path(digest, part);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "failed to remove a file of the cache");
            }
            _ => {}
        }
    }

    /// Whether a file ends with our signature over all that is before it.
    fn is_signed(&self, digest: &Digest, part: Part, file: &mut File) -> io::Result<bool> {
        let length = file.metadata()?.len();
        let Some(content) = length.checked_sub(KEY_BYTES as u64) else { return Ok(false) };
        if length > MAX_FILE_BYTES {
            return Ok(false);
        }
        let mut hasher = self.hasher(digest, part);
        hasher.update_reader(Read::by_ref(file).take(content))?;
        let mut signature = [0; KEY_BYTES];
        file.read_exact(&mut signature)?;
        // The comparison of two hashes takes the same time for all values.
        Ok(hasher.finalize() == signature)
    }

    /// Begins a signature: it covers what a file is the part of, so that files cannot be swapped.
    fn hasher(&self, digest: &Digest, part: Part) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        let label = match part {
            Part::Code(tier) => [b'c', tier as u8],
            Part::Failure(tier) => [b'f', tier as u8],
            Part::Source => [b's', 0],
        };
        hasher.update(digest.as_bytes()).update(&label).update(self.tag.as_bytes()).update(b"\0");
        hasher
    }

    /// Removes what no process will ever use again. A file that stays does no harm.
    fn tidy(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let ours = [".cwasm", ".failed", ".wasm"].iter().any(|end| name.ends_with(end));
            let stale =
                ours && name.get(64..).is_some_and(|rest| !rest.starts_with(&format!("-{}", self.tag)));
            if stale || is_abandoned(name) {
                fs::remove_file(&path).ok();
            }
        }
    }
}

/// Whether a file was begun by a process that is no more. The name of such a file ends with the process and a number.
fn is_abandoned(name: &str) -> bool {
    let Some(name) = name.strip_suffix(".partial") else { return false };
    let writer = name.rsplit('.').next().unwrap_or_default().split('-').next().unwrap_or_default();
    !Path::new("/proc").join(writer).exists()
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

/// Writes a new file that only its owner may read, and nobody may write.
fn write_private(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    // An earlier process of the same number may have left one.
    fs::remove_file(path).ok();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))
}

#[cfg(test)]
mod tests;
