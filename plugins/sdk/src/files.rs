//! Files of the place where the component runs. A path begins with its root, as the grant writes it.

use std::error::Error;
use std::fmt;

use crate::bindings::capabilities::formwork::files::files;
use crate::host;

pub use crate::bindings::capabilities::formwork::files::files::{Entry, Kind};

/// A path could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilesError {
    /// The component's grant does not cover the path.
    NotGranted(String),
    /// Nothing is there.
    NotFound(String),
    /// A folder where a file was asked for, or the other way round.
    WrongKind(String),
    /// The operating system's words.
    Other(String),
}

impl fmt::Display for FilesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(path) => write!(f, "`{path}` is not granted to this component"),
            Self::NotFound(path) => write!(f, "nothing is at `{path}`"),
            Self::WrongKind(path) => write!(f, "`{path}` is of another kind"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl Error for FilesError {}

impl From<files::Error> for FilesError {
    fn from(error: files::Error) -> Self {
        match error {
            files::Error::NotGranted(path) => Self::NotGranted(path),
            files::Error::NotFound(path) => Self::NotFound(path),
            files::Error::WrongKind(path) => Self::WrongKind(path),
            files::Error::Other(words) => Self::Other(words),
        }
    }
}

/// Reads the first bytes of a file; fewer than `max_bytes` mean that this is all. The host gives at most 1 MiB.
///
/// # Errors
///
/// Fails when the path is not granted, not there, or no file.
pub fn read(path: &str, max_bytes: u32) -> Result<Vec<u8>, FilesError> {
    read_at(path, 0, max_bytes)
}

/// Reads some bytes of a file from a place on; fewer than `max_bytes` mean that this is all. The host gives at most 1 MiB.
///
/// # Errors
///
/// Fails when the path is not granted, not there, or no file.
pub fn read_at(path: &str, offset_bytes: u64, max_bytes: u32) -> Result<Vec<u8>, FilesError> {
    Ok(host::files::read(path, offset_bytes, max_bytes)?)
}

/// Makes a file or replaces all of its bytes, as a whole and durably; missing folders are made. At most 1 MiB.
///
/// # Errors
///
/// Fails when the path is not granted for writing, or is a folder or a link.
pub fn write(path: &str, bytes: &[u8]) -> Result<(), FilesError> {
    Ok(host::files::write(path, bytes)?)
}

/// Lists a folder, in the order of the names' bytes. The host gives at most 4096 entries.
///
/// # Errors
///
/// Fails when the path is not granted, not there, or no folder.
pub fn list(path: &str) -> Result<Vec<Entry>, FilesError> {
    Ok(host::files::list_folder(path)?)
}

/// Reads where a symbolic link points, as it is written there.
///
/// # Errors
///
/// Fails when the path is not granted, not there, or no link.
pub fn read_link(path: &str) -> Result<String, FilesError> {
    Ok(host::files::read_link(path)?)
}
