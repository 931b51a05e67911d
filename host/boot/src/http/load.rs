//! A file as it is kept: a small one in memory, any other open.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use formwork_boot_proto::http::{Version, content_type};

use super::send::Body;

/// The largest file that is kept in memory, in bytes.
pub(super) const SMALL_BYTES: u64 = 64 << 10;

/// A file and what is told of it.
pub(super) struct Entry {
    path: PathBuf,
    stamp: Stamp,
    pub(super) version: Version,
    pub(super) len: u64,
    pub(super) kind: &'static str,
    content: Content,
}

enum Content {
    Small(Vec<u8>),
    Open(Arc<File>),
}

/// By what a change of a file shows.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Entry {
    /// Returns the bytes of the file that are in memory.
    pub(super) fn bytes(&self) -> usize {
        match &self.content {
            Content::Small(bytes) => bytes.len(),
            Content::Open(_) => 0,
        }
    }

    /// Tells whether the file is held open.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.content, Content::Open(_))
    }

    /// Tells whether an open file was not written to since it was opened. What is in memory is as it was.
    pub(super) fn is_unchanged(&self) -> bool {
        match &self.content {
            Content::Small(_) => true,
            // The time of the change of the inode also tells that the name is gone, which is no change of the bytes.
            Content::Open(file) => file.metadata().is_ok_and(|now| {
                let now = Stamp::of(&now);
                (now.len, now.modified) == (self.stamp.len, self.stamp.modified)
            }),
        }
    }

    /// Returns `count` bytes from `first` on, both within the file.
    pub(super) fn body(&self, first: u64, count: u64) -> Body<'_> {
        match &self.content {
            Content::Open(file) => Body::File { file, first, count },
            Content::Small(bytes) => {
                let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
                let part = bytes.get(index(first)..index(first.saturating_add(count)));
                Body::Bytes(part.unwrap_or_default())
            }
        }
    }
}

/// Returns the file at a path: the one that is `known` when it is still the same, else it is opened. Blocks the thread. Nothing
/// when it cannot be had, or is changed at this moment.
pub(super) fn load(path: &Path, known: Option<Arc<Entry>>) -> Option<Arc<Entry>> {
    if let Some(known) = known
        && known.path == path
        && path.metadata().is_ok_and(|now| Stamp::of(&now) == known.stamp)
    {
        return Some(known);
    }
    let loaded = open(path);
    loaded
        .inspect_err(|error| tracing::debug!(path = %path.display(), %error, "a file is not kept"))
        .ok()
        .map(Arc::new)
}

fn open(path: &Path) -> io::Result<Entry> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let len = metadata.len();
    let content = if len <= SMALL_BYTES {
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
        (&file).take(len).read_to_end(&mut bytes)?;
        if Stamp::of(&file.metadata()?) != Stamp::of(&metadata) || bytes.len() as u64 != len {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Content::Small(bytes)
    } else {
        Content::Open(Arc::new(file))
    };
    Ok(Entry {
        path: path.to_owned(),
        stamp: Stamp::of(&metadata),
        version: Version::new(metadata.modified()?, len),
        len,
        kind: content_type(path.to_str().unwrap_or_default(), "application/octet-stream"),
        content,
    })
}
