//! The file root: what machines load over TFTP and HTTP.

use std::path::{Component, Path, PathBuf};

/// A folder whose files are served. Nothing outside of it is, whatever a path or a link says.
#[derive(Clone, Debug)]
pub(crate) struct FileRoot(PathBuf);

impl FileRoot {
    /// Serves a folder; it must exist.
    pub(crate) fn new(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self(folder.canonicalize()?))
    }

    /// Returns the file for a path of a request; `None` when there is no such regular file within the root.
    pub(crate) fn find(&self, path: &str) -> Option<PathBuf> {
        let relative = Path::new(path.trim_start_matches('/'));
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || path.contains('\0') {
            return None;
        }
        let found = self.0.join(relative).canonicalize().ok()?;
        (found.starts_with(&self.0) && found.is_file()).then_some(found)
    }
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
