//! The files of a pack: read from a folder, or embedded in the program.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    PackError,
    manifest::{MANIFEST, source_folders},
    path::MAX_DEPTH,
};

/// The longest file of a pack, in bytes, and so the longest component: as long as the sandbox takes one. An engine for
/// JavaScript or Python with its program is 12 to 20 MB.
pub const MAX_FILE_BYTES: u64 = 32 << 20;

/// The most bytes of all files of a pack together, which are in memory as a whole: eight of the longest components.
pub const MAX_TOTAL_BYTES: u64 = 8 * MAX_FILE_BYTES;

/// The number of files and folders; the largest known packs have some hundreds.
pub(crate) const MAX_ENTRIES: usize = 10_000;

/// The contents of files by their paths below the pack's folder, with `/` between names.
pub(crate) type Files = BTreeMap<String, Bytes>;

/// Reads the files of a folder whose paths are wanted; a folder that is not wanted is not looked into.
///
/// # Errors
///
/// A symbolic link, anything else that is neither file nor folder, a name that is not UTF-8, a limit that is exceeded.
pub(crate) fn read_folder(root: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Files, PackError> {
    let mut reader = Reader { root, wanted, files: Files::new(), entries: 0, bytes: 0 };
    reader.folder("", 1)?;
    Ok(reader.files)
}

/// Reads the files of a pack's folder without what is its author's only: `tests/`, the sources of components, what begins
/// with a dot, like `.git`, and pack files beside the manifest, which are earlier bundles of the same folder.
///
/// # Errors
///
/// Those of [`read_folder`].
pub(crate) fn pack_files(root: &Path) -> Result<Files, PackError> {
    let manifest = read_folder(root, &|path| path == MANIFEST)?;
    let sources = manifest.get(MANIFEST).map_or_else(Vec::new, |text| source_folders(text));
    read_folder(root, &|path| {
        !path.starts_with('.')
            && path != "tests"
            && !is_bundle(path)
            && !sources.iter().any(|source| source == path)
    })
}

/// Tells whether a path beside the manifest is that of a pack file.
fn is_bundle(path: &str) -> bool {
    path.ends_with(".fwpack") && !path.contains('/')
}

struct Reader<'a> {
    root: &'a Path,
    wanted: &'a dyn Fn(&str) -> bool,
    files: Files,
    entries: usize,
    bytes: u64,
}

impl Reader<'_> {
    fn folder(&mut self, folder: &str, depth: usize) -> Result<(), PackError> {
        let path = if folder.is_empty() { self.root.to_owned() } else { self.root.join(folder) };
        let failed = |source: io::Error| PackError::Read { path: path.clone(), source: Arc::new(source) };
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(PackError::refused(
                    format!("{folder}{}", name.display()),
                    "the name is not UTF-8",
                ));
            };
            let name = format!("{folder}{name}");
            if (self.wanted)(&name) {
                self.entry(&name, entry.file_type().map_err(failed)?, depth)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, kind: fs::FileType, depth: usize) -> Result<(), PackError> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(PackError::refused(name, format!("the pack has more than {MAX_ENTRIES} files")));
        }
        if depth > MAX_DEPTH {
            return Err(PackError::refused(name, format!("the path has more than {MAX_DEPTH} names")));
        }
        if kind.is_symlink() {
            return Err(PackError::refused(name, "a symbolic link; a pack holds files only"));
        }
        if kind.is_dir() {
            return self.folder(&format!("{name}/"), depth + 1);
        }
        if !kind.is_file() {
            return Err(PackError::refused(name, "not a regular file"));
        }
        self.file(name)
    }

    fn file(&mut self, name: &str) -> Result<(), PackError> {
        let path = self.root.join(name);
        let failed = |source: io::Error| PackError::Read { path: path.clone(), source: Arc::new(source) };
        let mut contents = Vec::new();
        let file = File::open(&path).map_err(failed)?;
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut contents).map_err(failed)?;
        let length = contents.len() as u64;
        self.bytes += length;
        if length > MAX_FILE_BYTES {
            return Err(PackError::refused(name, format!("longer than {MAX_FILE_BYTES} bytes")));
        }
        if self.bytes > MAX_TOTAL_BYTES {
            return Err(PackError::refused(name, format!("the pack is larger than {MAX_TOTAL_BYTES} bytes")));
        }
        self.files.insert(name.to_owned(), Bytes::from(contents));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(root: &Path) -> String {
        read_folder(root, &|_| true).unwrap_err().to_string()
    }

    #[test]
    fn files_are_found_by_their_paths_below_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tasks")).unwrap();
        fs::write(folder.path().join("tasks/a.yaml"), "x").unwrap();
        fs::write(folder.path().join("pack.yaml"), "y").unwrap();
        let files = read_folder(folder.path(), &|_| true).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["pack.yaml", "tasks/a.yaml"]);
        assert_eq!(files["tasks/a.yaml"], "x");
    }

    #[test]
    fn file_over_the_limit_is_refused_without_being_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("big")).unwrap();
        file.set_len(1 << 40).unwrap();
        assert_eq!(refusal(folder.path()), "`big`: longer than 33554432 bytes");
    }

    #[test]
    fn path_of_five_names_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b/c/d/e")).unwrap();
        assert_eq!(refusal(folder.path()), "`a/b/c/d/e`: the path has more than 4 names");
    }

    #[test]
    fn too_many_entries_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..=MAX_ENTRIES {
            File::create(folder.path().join(number.to_string())).unwrap();
        }
        assert!(refusal(folder.path()).ends_with("the pack has more than 10000 files"));
    }

    #[test]
    fn links_are_refused_wherever_they_lead_and_so_is_a_socket() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("out")).unwrap();
        assert_eq!(refusal(folder.path()), "`out`: a symbolic link; a pack holds files only");
        let folder = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("door")).unwrap();
        assert_eq!(refusal(folder.path()), "`door`: not a regular file");
    }

    #[test]
    fn what_is_its_authors_only_is_not_looked_into() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = "{name: aa, version: 1.0.0, components: [{name: cc, kind: task, source: src/cc}, \
                        {name: dd, kind: task, source: ../dd}]}";
        fs::write(folder.path().join("pack.yaml"), manifest).unwrap();
        for path in [
            "src/cc/target/debug/deps/x",
            "tests/one.yaml",
            ".git/HEAD",
            "aa-1.0.0.fwpack",
            "files/tests",
            "files/other.fwpack",
            "tasks/src",
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink("/", folder.path().join("src/link")).unwrap();
        let files = pack_files(folder.path()).unwrap();
        assert_eq!(
            files.keys().collect::<Vec<_>>(),
            ["files/other.fwpack", "files/tests", "pack.yaml", "tasks/src"]
        );
    }

    #[test]
    fn folder_that_is_not_there_is_named() {
        let error = read_folder(Path::new("/nowhere/at/all"), &|_| true).unwrap_err();
        assert_eq!(error.to_string(), "failed to read `/nowhere/at/all`");
    }
}
