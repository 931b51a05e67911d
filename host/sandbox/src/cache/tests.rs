//! The cache: what is loaded and what is refused.

use super::*;

const CODE: Part = Part::Code(Tier::Baseline);

fn open(folder: &Path) -> Cache {
    Cache::open(folder, "tag".to_owned()).unwrap()
}

#[test]
fn kept_code_is_loaded_by_a_later_process() {
    let folder = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"a");
    open(folder.path()).keep(&digest, CODE, b"code").unwrap();
    assert_eq!(open(folder.path()).read(&digest, CODE).unwrap(), b"code");
}

#[test]
fn changed_code_is_refused_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, digest) = (open(folder.path()), Digest::of(b"a"));
    cache.keep(&digest, CODE, b"code").unwrap();
    let good = fs::read(cache.path(&digest, CODE)).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        write_private(&cache.path(&digest, CODE), &[&bad]).unwrap();
        assert_eq!(cache.read(&digest, CODE), None, "byte {at}");
        assert!(!cache.path(&digest, CODE).exists());
    }
}

#[test]
fn code_of_another_component_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let (one, other) = (Digest::of(b"a"), Digest::of(b"b"));
    cache.keep(&one, CODE, b"code").unwrap();
    fs::copy(cache.path(&one, CODE), cache.path(&other, CODE)).unwrap();
    assert_eq!(cache.read(&other, CODE), None);
}

#[test]
fn a_file_signed_with_another_key_is_refused() {
    let (mine, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (cache, foreign, digest) = (open(mine.path()), open(theirs.path()), Digest::of(b"a"));
    foreign.keep(&digest, CODE, b"code").unwrap();
    fs::copy(foreign.path(&digest, CODE), cache.path(&digest, CODE)).unwrap();
    assert_eq!(cache.read(&digest, CODE), None);
}

#[test]
fn a_key_that_others_can_read_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let path = folder.path().join("key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let second = open(folder.path());
    assert_ne!(first.key, second.key);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
    assert_eq!(open(folder.path()).key, second.key);
}

#[test]
fn code_of_one_tier_is_not_taken_for_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, digest) = (open(folder.path()), Digest::of(b"a"));
    cache.keep(&digest, CODE, b"code").unwrap();
    let other = Part::Code(Tier::Optimised);
    fs::copy(cache.path(&digest, CODE), cache.path(&digest, other)).unwrap();
    assert_eq!(cache.read(&digest, other), None);
    assert_eq!(cache.read(&digest, CODE).unwrap(), b"code");
}

#[test]
fn what_was_made_for_other_engines_or_never_finished_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"a");
    let earlier = Cache::open(folder.path(), "earlier".to_owned()).unwrap();
    earlier.keep(&digest, CODE, b"code").unwrap();
    // No process has this number: it is above the system's largest.
    let abandoned = folder.path().join(format!("{digest}.99999999-0.partial"));
    let under_way = folder.path().join(format!("{digest}.{}-0.partial", std::process::id()));
    for path in [&abandoned, &under_way] {
        fs::write(path, b"").unwrap();
    }
    let cache = open(folder.path());
    assert!(!earlier.path(&digest, CODE).exists() && !abandoned.exists());
    assert!(under_way.exists() && cache.path(&digest, CODE) != earlier.path(&digest, CODE));
}
