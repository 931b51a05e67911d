//! Reads files below granted folders.
//!
//! Every path is opened relative to a handle of its folder, so that no link and no rename leads out of it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};

use crate::Grants;

/// Most bytes of one answer.
const MAX_READ_BYTES: u32 = 1 << 20;

/// Most entries of a folder.
const MAX_ENTRIES: usize = 4096;

/// Why a path could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FilesError {
    NotGranted(String),
    NotFound(String),
    WrongKind(String),
    Other(String),
}

/// What an entry is, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntryKind {
    File,
    Folder,
    Link,
    Other,
}

/// Reads the first bytes of a file.
pub(crate) fn read(grants: &Grants, path: &str, max_bytes: u32) -> Result<Vec<u8>, FilesError> {
    let place = Place::find(grants, path)?;
    let explain = |error| explain(path, &error);
    // Looked at first, as opening a device or a pipe has effects of its own.
    if !place.folder.metadata(&place.rest).map_err(explain)?.is_file() {
        return Err(FilesError::WrongKind(path.to_owned()));
    }
    let mut options = OpenOptions::new();
    // It may have been replaced meanwhile; opening a pipe must not wait for a writer.
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = place.folder.open_with(&place.rest, &options).map_err(explain)?;
    if !file.metadata().map_err(explain)?.is_file() {
        return Err(FilesError::WrongKind(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(u64::from(max_bytes.min(MAX_READ_BYTES))).read_to_end(&mut bytes).map_err(explain)?;
    Ok(bytes)
}

/// Lists a folder, sorted by name.
pub(crate) fn list(grants: &Grants, path: &str) -> Result<Vec<(String, EntryKind)>, FilesError> {
    let place = Place::find(grants, path)?;
    let explain = |error| explain(path, &error);
    if !place.folder.metadata(&place.rest).map_err(explain)?.is_dir() {
        return Err(FilesError::WrongKind(path.to_owned()));
    }
    let mut entries = Vec::new();
    for entry in place.folder.read_dir(&place.rest).map_err(explain)?.take(MAX_ENTRIES) {
        let entry = entry.map_err(explain)?;
        let kind = entry.file_type().map_err(explain)?;
        let kind = match kind {
            kind if kind.is_file() => EntryKind::File,
            kind if kind.is_dir() => EntryKind::Folder,
            kind if kind.is_symlink() => EntryKind::Link,
            _ => EntryKind::Other,
        };
        entries.push((entry.file_name(), kind));
    }
    entries.sort();
    Ok(entries.into_iter().map(|(name, kind)| (name.to_string_lossy().into_owned(), kind)).collect())
}

/// Reads where a link points, as it is written.
pub(crate) fn read_link(grants: &Grants, path: &str) -> Result<String, FilesError> {
    let place = Place::find(grants, path)?;
    let explain = |error| explain(path, &error);
    if !place.folder.symlink_metadata(&place.rest).map_err(explain)?.is_symlink() {
        return Err(FilesError::WrongKind(path.to_owned()));
    }
    let target = place.folder.read_link_contents(&place.rest).map_err(explain)?;
    Ok(target.to_string_lossy().into_owned())
}

/// An open folder and a path within it.
struct Place {
    folder: Dir,
    rest: PathBuf,
}

impl Place {
    /// Opens the granted folder that a path is in. For a granted file, that is the file's own folder, and only its name
    /// is taken.
    fn find(grants: &Grants, path: &str) -> Result<Self, FilesError> {
        let not_granted = || FilesError::NotGranted(path.to_owned());
        let (grant, rest) = grants.folder(path).ok_or_else(not_granted)?;
        let host = &grant.host_path;
        let open = |folder: &Path| {
            Dir::open_ambient_dir(folder, ambient_authority()).map_err(|error| explain(path, &error))
        };
        if fs::metadata(host).map_err(|error| explain(path, &error))?.is_dir() {
            let rest = if rest.as_os_str().is_empty() { PathBuf::from(".") } else { rest };
            return Ok(Self { folder: open(host)?, rest });
        }
        match (rest.as_os_str().is_empty(), host.parent(), host.file_name()) {
            (true, Some(parent), Some(name)) => Ok(Self { folder: open(parent)?, rest: PathBuf::from(name) }),
            _ => Err(FilesError::NotFound(path.to_owned())),
        }
    }
}

/// Turns an error of the operating system into the guest's. A link that leads out of the folder has no error number.
fn explain(path: &str, error: &io::Error) -> FilesError {
    match error.kind() {
        io::ErrorKind::NotFound => FilesError::NotFound(path.to_owned()),
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            FilesError::NotGranted(path.to_owned())
        }
        io::ErrorKind::NotADirectory => FilesError::WrongKind(path.to_owned()),
        _ => FilesError::Other(format!("`{path}`: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::FolderGrant;

    /// A folder with a file, a folder, and links that stay within it and lead out of it; and the grant of it as `/g`.
    fn place() -> (tempfile::TempDir, Grants) {
        let root = tempfile::tempdir().unwrap();
        let granted = root.path().join("granted");
        fs::create_dir_all(granted.join("folder")).unwrap();
        fs::write(root.path().join("secret"), "secret").unwrap();
        fs::write(granted.join("folder/file"), "text").unwrap();
        symlink("folder/file", granted.join("within")).unwrap();
        symlink("../secret", granted.join("out")).unwrap();
        symlink(root.path().join("secret"), granted.join("far")).unwrap();
        let grant = FolderGrant { prefix: "/g".to_owned(), host_path: granted };
        (root, Grants { files: vec![grant], ..Grants::default() })
    }

    #[test]
    fn links_are_followed_within_the_granted_folder_only() {
        let (_root, grants) = place();
        assert_eq!(read(&grants, "/g/within", 100).unwrap(), b"text");
        for path in ["/g/out", "/g/far"] {
            assert_eq!(read(&grants, path, 100), Err(FilesError::NotGranted(path.to_owned())));
        }
        assert_eq!(read_link(&grants, "/g/out").unwrap(), "../secret");
    }

    #[test]
    fn paths_outside_of_the_grant_are_not_granted() {
        let (_root, grants) = place();
        for path in ["/g/../secret", "/etc/passwd", "/gg", "g", "/g/folder/../../secret"] {
            assert_eq!(read(&grants, path, 100), Err(FilesError::NotGranted(path.to_owned())));
        }
    }

    #[test]
    fn a_read_ends_at_the_bytes_that_were_asked_for() {
        let (_root, grants) = place();
        assert_eq!(read(&grants, "/g/folder/file", 2).unwrap(), b"te");
        assert_eq!(read(&grants, "/g/folder/file", 0).unwrap(), b"");
    }

    #[test]
    fn entries_are_sorted_and_links_are_not_followed() {
        let (_root, grants) = place();
        let names = list(&grants, "/g").unwrap();
        let expected = [
            ("far".to_owned(), EntryKind::Link),
            ("folder".to_owned(), EntryKind::Folder),
            ("out".to_owned(), EntryKind::Link),
            ("within".to_owned(), EntryKind::Link),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_path_of_another_kind_is_told_so() {
        let (_root, grants) = place();
        assert_eq!(read(&grants, "/g/folder", 9), Err(FilesError::WrongKind("/g/folder".to_owned())));
        assert_eq!(list(&grants, "/g/within"), Err(FilesError::WrongKind("/g/within".to_owned())));
        assert_eq!(read_link(&grants, "/g/folder"), Err(FilesError::WrongKind("/g/folder".to_owned())));
        assert_eq!(read(&grants, "/g/none", 9), Err(FilesError::NotFound("/g/none".to_owned())));
    }

    #[test]
    fn a_pipe_is_no_file_and_does_not_block() {
        let (root, grants) = place();
        let path = root.path().join("granted/pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(&grants, "/g/pipe", 9), Err(FilesError::WrongKind("/g/pipe".to_owned())));
    }

    #[test]
    fn a_granted_file_opens_nothing_beside_it() {
        let (root, _) = place();
        let grant =
            FolderGrant { prefix: "/g/file".to_owned(), host_path: root.path().join("granted/folder/file") };
        let grants = Grants { files: vec![grant], ..Grants::default() };
        assert_eq!(read(&grants, "/g/file", 100).unwrap(), b"text");
        assert_eq!(read(&grants, "/g/file/x", 100), Err(FilesError::NotFound("/g/file/x".to_owned())));
        assert_eq!(read(&grants, "/g/other", 100), Err(FilesError::NotGranted("/g/other".to_owned())));
    }
}
