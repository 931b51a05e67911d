//! What is read and written, and what never is.

use std::os::unix::fs::symlink;

use super::*;

/// A folder with a file, a folder, and links that stay within it and lead out of it; it is the root `/g`.
fn place() -> (tempfile::TempDir, Files) {
    let root = tempfile::tempdir().unwrap();
    let granted = root.path().join("granted");
    fs::create_dir_all(granted.join("folder")).unwrap();
    fs::write(root.path().join("secret"), "secret").unwrap();
    fs::write(granted.join("folder/file"), "text").unwrap();
    symlink("folder/file", granted.join("within")).unwrap();
    symlink("../secret", granted.join("out")).unwrap();
    symlink(root.path().join("secret"), granted.join("far")).unwrap();
    symlink("..", granted.join("up")).unwrap();
    let files = Files::new().root("/g", granted);
    (root, files)
}

fn read(files: &Files, path: &str, offset: u64, max_bytes: u32) -> Result<Vec<u8>, HostError> {
    files.place("/g", path)?.read(offset, max_bytes)
}

fn write(files: &Files, path: &str, bytes: &[u8]) -> Result<(), HostError> {
    let call =
        FilesCall::Write { root: "/g".to_owned(), path: path.to_owned(), bytes: Blob(bytes.to_owned()) };
    files.perform(&call).map(|answer| assert_eq!(answer, HostAnswer::Done))
}

fn not_granted<T>(path: &str) -> Result<T, HostError> {
    Err(HostError::NotGranted(format!("/g/{path}")))
}

#[test]
fn links_are_followed_within_the_root_only() {
    let (_root, files) = place();
    assert_eq!(read(&files, "within", 0, 100).unwrap(), b"text");
    for path in ["out", "far", "up/secret"] {
        assert_eq!(read(&files, path, 0, 100), not_granted(path));
    }
    assert_eq!(files.place("/g", "out").unwrap().read_link().unwrap(), "../secret");
}

#[test]
fn a_path_with_a_way_out_is_not_granted() {
    let (_root, files) = place();
    for path in ["../secret", "folder/../../secret", "/etc/passwd", "folder//file", "./within"] {
        assert_eq!(read(&files, path, 0, 100), not_granted(path));
    }
}

#[test]
fn a_read_is_the_part_that_was_asked_for() {
    let (_root, files) = place();
    assert_eq!(read(&files, "folder/file", 0, 2).unwrap(), b"te");
    assert_eq!(read(&files, "folder/file", 1, 2).unwrap(), b"ex");
    assert_eq!(read(&files, "folder/file", 3, 9).unwrap(), b"t");
    assert_eq!(read(&files, "folder/file", 99, 9).unwrap(), b"");
}

#[test]
fn entries_are_sorted_and_links_are_not_followed() {
    let (_root, files) = place();
    let entries = files.place("/g", "").unwrap().list().unwrap();
    let names: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
    use EntryKind::{Folder, Link};
    assert_eq!(names, [("far", Link), ("folder", Folder), ("out", Link), ("up", Link), ("within", Link)]);
}

#[test]
fn a_path_of_another_kind_is_told_so() {
    let (root, files) = place();
    nix::unistd::mkfifo(&root.path().join("granted/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in ["folder", "pipe"] {
        assert_eq!(read(&files, path, 0, 9), Err(HostError::WrongKind(format!("/g/{path}"))));
        assert_eq!(write(&files, path, b"x"), Err(HostError::WrongKind(format!("/g/{path}"))));
    }
    let wrong_kind = || HostError::WrongKind("/g/within".to_owned());
    assert_eq!(files.place("/g", "within").unwrap().list(), Err(wrong_kind()));
    assert_eq!(write(&files, "within", b"x"), Err(wrong_kind()));
    assert_eq!(read(&files, "none", 0, 9), Err(HostError::NotFound("/g/none".to_owned())));
    assert_eq!(files.place("isos", "a").err(), Some(HostError::NotFound("isos".to_owned())));
}

#[test]
fn a_root_that_is_a_file_opens_nothing_beside_it() {
    let (root, _) = place();
    let files = Files::new().root("/g", root.path().join("granted/folder/file"));
    assert_eq!(read(&files, "", 0, 100).unwrap(), b"text");
    assert_eq!(read(&files, "x", 0, 100), Err(HostError::NotFound("/g/x".to_owned())));
    write(&files, "", b"new").unwrap();
    assert_eq!(read(&files, "", 0, 100).unwrap(), b"new");
}

#[test]
fn a_file_is_written_as_a_whole_and_folders_are_made() {
    let (root, files) = place();
    let granted = root.path().join("granted");
    write(&files, "new/deep/file", b"one").unwrap();
    write(&files, "new/deep/file", b"three").unwrap();
    assert_eq!(fs::read(granted.join("new/deep/file")).unwrap(), b"three");
    assert_eq!(fs::read_dir(granted.join("new/deep")).unwrap().count(), 1);
    for path in ["up/evil", "far", "out"] {
        assert!(write(&files, path, b"x").is_err(), "{path}");
    }
    assert_eq!(fs::read(root.path().join("secret")).unwrap(), b"secret");
    assert!(!root.path().join("evil").exists());
}

#[tokio::test]
async fn a_named_root_is_made_when_it_is_first_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new().root("reports", folder.path().join("reports"));
    let (root, path) = ("reports".to_owned(), "a.txt".to_owned());
    let call = FilesCall::Write { root: root.clone(), path: path.clone(), bytes: Blob(b"x".to_vec()) };
    assert_eq!(files.call(call).await, Ok(HostAnswer::Done));
    let call = FilesCall::Read { root, path, offset: 0, max_bytes: 9 };
    assert_eq!(files.call(call).await, Ok(HostAnswer::Bytes(Blob(b"x".to_vec()))));
}
