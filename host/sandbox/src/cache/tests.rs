//! The cache: what is loaded and what is refused.

use super::*;

fn open(folder: &Path) -> Cache {
    Cache::open(folder, "tag".to_owned()).unwrap()
}

#[test]
fn kept_code_is_loaded_by_a_later_process() {
    let folder = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"a");
    open(folder.path()).keep(&digest, b"code").unwrap();
    assert_eq!(open(folder.path()).load(&digest).unwrap(), b"code");
}

#[test]
fn changed_code_is_refused_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, digest) = (open(folder.path()), Digest::of(b"a"));
    cache.keep(&digest, b"code").unwrap();
    let mut bytes = fs::read(cache.path(&digest)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(cache.path(&digest), bytes).unwrap();
    assert_eq!(cache.load(&digest), None);
    assert!(!cache.path(&digest).exists());
}

#[test]
fn code_of_another_component_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let (one, other) = (Digest::of(b"a"), Digest::of(b"b"));
    cache.keep(&one, b"code").unwrap();
    fs::copy(cache.path(&one), cache.path(&other)).unwrap();
    assert_eq!(cache.load(&other), None);
}

#[test]
fn a_file_signed_with_another_key_is_refused() {
    let (mine, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (cache, foreign, digest) = (open(mine.path()), open(theirs.path()), Digest::of(b"a"));
    foreign.keep(&digest, b"code").unwrap();
    fs::copy(foreign.path(&digest), cache.path(&digest)).unwrap();
    assert_eq!(cache.load(&digest), None);
}

#[test]
fn a_key_that_others_can_read_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let path = folder.path().join("key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let second = open(folder.path());
    assert_ne!(first.key, second.key);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(open(folder.path()).key, second.key);
}
