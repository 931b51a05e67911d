//! The order in which ways to build guests are tried.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use crate::TARGET;
use crate::compiler::Compiler;
use crate::install;
use crate::sysroot;

/// Whether missing parts may be installed on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Install {
    /// Nothing outside of the cache folder changes.
    Never,
    /// `rustup target add`, and `apt-get install` when we are root.
    Allowed,
}

/// A way to build guests.
#[derive(Debug, Clone)]
pub struct Toolchain {
    pub(crate) compiler: Compiler,
    /// The folder of a standard library that was built here, if the compiler has none of its own.
    pub(crate) sysroot: Option<PathBuf>,
    pub(crate) linker: Option<PathBuf>,
    way: String,
}

/// No way to build guests was found, or one that was found broke.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolchainError {
    /// No compiler can build for the target.
    #[error("no Rust compiler can build for `{TARGET}`; mend it with: {mend}")]
    NoCompiler {
        /// The command that mends it.
        mend: String,
    },
    /// A compiler was found, but nothing that links for the target.
    #[error("no `{linker}` for {compiler}; mend it with: {mend}")]
    NoLinker {
        /// The program that is missing.
        linker: String,
        /// The compiler that needs it.
        compiler: String,
        /// The command that mends it.
        mend: String,
    },
    /// The standard library did not build.
    #[error("failed to build the standard library with {compiler}; its words are above")]
    Library {
        /// The compiler that was used.
        compiler: String,
    },
    /// The cache folder cannot be used.
    #[error("failed to write `{path}`")]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's words.
        #[source]
        source: io::Error,
    },
}

impl Toolchain {
    /// Finds a way to build guests; the crate's text has the order.
    ///
    /// A standard library that must be built goes to `cache_dir`, which several processes may share. That takes about
    /// a minute the first time and nothing after.
    ///
    /// # Errors
    ///
    /// One line that says what is missing and the command that mends it.
    pub fn find(cache_dir: &Path, install: Install) -> Result<Self, ToolchainError> {
        find_among(&candidates(), cache_dir, install)
    }

    /// Says which way was taken, in one line.
    pub fn describe(&self) -> String {
        format!("{}, {}", self.compiler.describe(), self.way)
    }
}

/// The compilers to ask, the caller's own first. Debian's stands last: it is the one that its packages mend.
fn candidates() -> Vec<PathBuf> {
    let mut candidates: Vec<_> = env::var_os("FORMWORK_GUEST_RUSTC").map(PathBuf::from).into_iter().collect();
    candidates.extend([PathBuf::from("rustc"), PathBuf::from(install::DEBIAN_RUSTC)]);
    candidates
}

/// Finds a way among the given compilers.
pub(crate) fn find_among(
    candidates: &[PathBuf],
    cache_dir: &Path,
    install: Install,
) -> Result<Toolchain, ToolchainError> {
    let ask = || candidates.iter().filter_map(|program| Compiler::ask(program)).collect::<Vec<_>>();
    let compilers = ask();
    if let Some(compiler) = compilers.iter().find(|compiler| compiler.has_target()) {
        return with_target(compiler, "which has the target");
    }
    if let Some(compiler) = compilers.iter().find(|compiler| sysroot::ready(compiler, cache_dir)) {
        return with_sources(compiler, cache_dir, install);
    }
    if install == Install::Allowed
        && compilers.iter().any(install::add_target)
        && let Some(compiler) = ask().iter().find(|compiler| compiler.has_target())
    {
        return with_target(compiler, "to which `rustup target add` gave the target");
    }
    if let Some(compiler) = compilers.iter().find(|compiler| compiler.library_sources().is_some()) {
        return with_sources(compiler, cache_dir, install);
    }
    if install == Install::Allowed
        && install::debian_compiler()
        && let Some(compiler) = ask().iter().find(|compiler| compiler.library_sources().is_some())
    {
        return with_sources(compiler, cache_dir, install);
    }
    Err(ToolchainError::NoCompiler { mend: install::advice() })
}

/// The way of a compiler that has the target.
fn with_target(compiler: &Compiler, way: &str) -> Result<Toolchain, ToolchainError> {
    let linker = compiler.linker().map_err(|linker| no_linker(compiler, linker))?;
    Ok(Toolchain { compiler: compiler.clone(), sysroot: None, linker, way: way.to_owned() })
}

/// The way of a compiler whose standard library is built here.
fn with_sources(compiler: &Compiler, cache: &Path, install: Install) -> Result<Toolchain, ToolchainError> {
    let linker = match compiler.linker() {
        Err(_) if install == Install::Allowed && install::debian_linker(compiler) => compiler.linker(),
        found => found,
    };
    let linker = linker.map_err(|linker| no_linker(compiler, linker))?;
    let sysroot = sysroot::build_once(compiler, cache)?;
    let way = format!("with a standard library built in `{}`", sysroot.display());
    Ok(Toolchain { compiler: compiler.clone(), sysroot: Some(sysroot), linker, way })
}

/// The error for a missing linker.
fn no_linker(compiler: &Compiler, linker: String) -> ToolchainError {
    let mend = format!("apt-get install lld-{}", compiler.llvm);
    ToolchainError::NoLinker { linker, compiler: compiler.describe(), mend }
}

#[cfg(test)]
mod tests;
