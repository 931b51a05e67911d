//! The order of the ways, with made-up compilers.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;

use tempfile::TempDir;

use super::*;

/// A folder that looks like a toolchain. Its programs are links to a script of this folder: writing them here could meet
/// "text file busy" while another test starts a program.
fn made_up(has: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/find/fake-tool.sh");
    fs::create_dir(root.path().join("bin")).unwrap();
    for tool in ["rustc", "cargo"] {
        symlink(&script, root.path().join("bin").join(tool)).unwrap();
    }
    for file in has {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    root
}

const CORE: &str = "lib/rustlib/wasm32-unknown-unknown/lib/libcore-1.rlib";
const SOURCES: &str = "lib/rustlib/src/rust/library/std/Cargo.toml";
const LINKER: &str = "lib/rustlib/made-up/bin/rust-lld";

fn rustc(root: &TempDir) -> PathBuf {
    root.path().join("bin/rustc")
}

/// Looks for a way among made-up compilers; nothing may be installed.
fn find(roots: &[&TempDir], cache: &TempDir) -> Result<Toolchain, ToolchainError> {
    let candidates: Vec<_> = roots.iter().map(|root| rustc(root)).collect();
    find_among(&candidates, cache.path(), Install::Never)
}

fn builds(root: &TempDir) -> Vec<String> {
    let text = fs::read_to_string(root.path().join("builds")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_compiler_with_the_target_comes_before_one_with_sources() {
    let (sources, target) = (made_up(&[SOURCES, LINKER]), made_up(&[CORE, LINKER]));
    let cache = tempfile::tempdir().unwrap();
    let toolchain = find(&[&sources, &target], &cache).unwrap();
    assert!(toolchain.sysroot.is_none());
    assert!(toolchain.describe().contains(&rustc(&target).display().to_string()), "{}", toolchain.describe());
    assert!(builds(&sources).is_empty());
}

#[test]
fn a_library_is_built_once_from_the_sources_and_only_that_with_bootstrap() {
    let (sources, cache) = (made_up(&[SOURCES, LINKER]), tempfile::tempdir().unwrap());
    let first = find(&[&sources], &cache).unwrap();
    let second = find(&[&sources], &cache).unwrap();
    assert_eq!(first.sysroot, second.sysroot);
    assert_eq!(builds(&sources), ["bootstrap=1 flags="]);
    let libraries = first.sysroot.unwrap().join("lib/rustlib/wasm32-unknown-unknown/lib");
    let names: Vec<_> = fs::read_dir(libraries).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["libcore-1.rlib"]);
}

#[test]
fn builders_that_meet_build_the_library_once() {
    let (sources, cache) = (made_up(&[SOURCES, LINKER]), tempfile::tempdir().unwrap());
    thread::scope(|scope| {
        let builders: Vec<_> = (0..4).map(|_| scope.spawn(|| find(&[&sources], &cache).unwrap())).collect();
        let found: Vec<_> = builders.into_iter().map(|builder| builder.join().unwrap().sysroot).collect();
        assert!(found.iter().all(|sysroot| *sysroot == found[0]));
    });
    assert_eq!(builds(&sources).len(), 1);
}

#[test]
fn a_library_that_does_not_build_leaves_nothing_that_looks_whole() {
    let (sources, cache) = (made_up(&[SOURCES, LINKER, "broken"]), tempfile::tempdir().unwrap());
    assert!(matches!(find(&[&sources], &cache), Err(ToolchainError::Library { .. })));
    fs::remove_file(sources.path().join("broken")).unwrap();
    assert!(find(&[&sources], &cache).is_ok());
    assert_eq!(builds(&sources).len(), 2);
}

#[test]
fn no_compiler_is_told_in_one_line_with_the_command_that_mends_it() {
    let (plain, cache) = (made_up(&[LINKER]), tempfile::tempdir().unwrap());
    let missing = PathBuf::from("/nowhere/rustc");
    let words = find_among(&[missing, rustc(&plain)], cache.path(), Install::Never).unwrap_err().to_string();
    assert!(words.contains("; mend it with: "), "{words}");
    assert_eq!(words.lines().count(), 1);
}

#[test]
fn a_missing_linker_is_named_with_the_compilers_own_number() {
    let (target, cache) = (made_up(&[CORE]), tempfile::tempdir().unwrap());
    match find(&[&target], &cache) {
        Err(error @ ToolchainError::NoLinker { .. }) => {
            assert!(error.to_string().ends_with("apt-get install lld-77"), "{error}");
        }
        // A `wasm-ld` without a number on the path serves as well.
        found => assert!(found.unwrap().linker.is_some_and(|linker| linker.ends_with("wasm-ld"))),
    }
}
