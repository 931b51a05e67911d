//! The standard library for the target, built once per compiler from the compiler's own sources.
//!
//! `-Zbuild-std` and `RUSTC_BOOTSTRAP` are used here and nowhere else: crates that probe for a nightly compiler would
//! take other code paths if guests were compiled that way.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::TARGET;
use crate::command::{clean, remap_crates, run};
use crate::compiler::{Compiler, holds_core};
use crate::find::ToolchainError;

/// An empty crate: building it builds the standard library.
const STUB: &str = "[package]\nname = \"std-stub\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n\
    [profile.release]\npanic = \"abort\"\nopt-level = \"s\"\n\n[workspace]\n";

/// The folder of a compiler's standard library.
fn folder(compiler: &Compiler, cache: &Path) -> PathBuf {
    cache.join(format!("std-{}-{}", compiler.release, compiler.commit))
}

/// The folder of the libraries within a sysroot.
fn libraries(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

/// Whether the library was built earlier. The folder appears by a rename, so it is whole when it is there.
pub(crate) fn ready(compiler: &Compiler, cache: &Path) -> bool {
    holds_core(&libraries(&folder(compiler, cache)))
}

/// Returns the folder of the library, built first if need be. Whoever comes second waits for the first.
pub(crate) fn build_once(compiler: &Compiler, cache: &Path) -> Result<PathBuf, ToolchainError> {
    fs::create_dir_all(cache).map_err(at(cache))?;
    // Cargo is started in another folder, and a relative path would mean another one there.
    let cache = &cache.canonicalize().map_err(at(cache))?;
    let sysroot = folder(compiler, cache);
    if ready(compiler, cache) {
        return Ok(sysroot);
    }
    let lock_path = sysroot.with_added_extension("lock");
    let lock = File::create(&lock_path).map_err(at(&lock_path))?;
    lock.lock().map_err(at(&lock_path))?;
    if !ready(compiler, cache) {
        let building = sysroot.with_added_extension("building");
        remove(&building)?;
        build(compiler, &building)?;
        remove(&sysroot)?;
        fs::rename(building.join("sysroot"), &sysroot).map_err(at(&sysroot))?;
        remove(&building)?;
    }
    Ok(sysroot)
}

/// Builds the library in a folder that nobody else uses; `sysroot` in it is then complete.
fn build(compiler: &Compiler, folder: &Path) -> Result<(), ToolchainError> {
    let stub = folder.join("stub");
    let source = stub.join("src/lib.rs");
    fs::create_dir_all(stub.join("src")).map_err(at(&stub))?;
    fs::write(&source, "").map_err(at(&source))?;
    fs::write(stub.join("Cargo.toml"), STUB).map_err(at(&stub))?;

    // The sources of guests must be able to name the library's crates without a feature gate, and fat LTO needs
    // bitcode in its objects.
    let mut flags = vec!["-Cembed-bitcode=yes".to_owned(), "-Zforce-unstable-if-unmarked".to_owned()];
    if let Some(library) = compiler.library_sources() {
        flags.push(format!("--remap-path-prefix={}=/rustc/library", library.display()));
        if let Ok(real) = library.canonicalize() {
            flags.push(format!("--remap-path-prefix={}=/rustc/library", real.display()));
        }
    }
    flags.extend(remap_crates());
    let target = folder.join("target");
    let built = run(clean(&compiler.cargo)
        .current_dir(&stub)
        .env("RUSTC", &compiler.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .args(["build", "--quiet", "--release", "--target", TARGET, "-Zbuild-std=std,panic_abort"])
        .arg("--target-dir")
        .arg(&target));
    if !built.unwrap_or(false) {
        return Err(ToolchainError::Library { compiler: compiler.describe() });
    }
    copy_libraries(&target.join(TARGET).join("release/deps"), &libraries(&folder.join("sysroot")))?;
    if holds_core(&libraries(&folder.join("sysroot"))) {
        Ok(())
    } else {
        Err(ToolchainError::Library { compiler: compiler.describe() })
    }
}

/// Copies the compiled libraries, all but that of the empty crate.
fn copy_libraries(from: &Path, to: &Path) -> Result<(), ToolchainError> {
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let path = entry.map_err(at(from))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".rlib") && !name.starts_with("libstd_stub-") {
            fs::copy(&path, to.join(name)).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// Removes a folder that may be missing.
fn remove(folder: &Path) -> Result<(), ToolchainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        _ => Ok(()),
    }
}

/// Turns an error of the operating system into ours.
fn at(path: &Path) -> impl Fn(io::Error) -> ToolchainError + '_ {
    move |source| ToolchainError::Cache { path: path.to_owned(), source }
}
