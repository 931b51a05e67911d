//! What a compiler says about itself.

use std::fs;
use std::path::{Path, PathBuf};

use crate::TARGET;
use crate::command::{answer, clean, on_path};

/// A compiler, asked once.
#[derive(Debug, Clone)]
pub(crate) struct Compiler {
    pub(crate) rustc: PathBuf,
    pub(crate) cargo: PathBuf,
    pub(crate) sysroot: PathBuf,
    /// Such as `1.96.0`.
    pub(crate) release: String,
    /// Twelve characters of the commit, or `unknown`.
    pub(crate) commit: String,
    /// The major number, such as `22`; empty when the compiler does not say.
    pub(crate) llvm: String,
    host: String,
}

impl Compiler {
    /// Asks a compiler; `None` when it does not run.
    ///
    /// A rustup proxy is looked through: the paths are those of the toolchain that it stands for.
    pub(crate) fn ask(program: &Path) -> Option<Self> {
        let sysroot = PathBuf::from(answer(clean(program).args(["--print", "sysroot"]))?);
        let version = answer(clean(program).arg("-vV"))?;
        let field = |name: &str| {
            version.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
        };
        let or_given = |tool: &str, given: PathBuf| {
            let within = sysroot.join("bin").join(tool);
            if within.is_file() { within } else { given }
        };
        Some(Self {
            rustc: or_given("rustc", program.to_owned()),
            cargo: or_given("cargo", cargo_beside(program)),
            release: field("release").to_owned(),
            commit: field("commit-hash").get(..12).unwrap_or("unknown").to_owned(),
            llvm: field("LLVM version").split('.').next().unwrap_or_default().to_owned(),
            host: field("host").to_owned(),
            sysroot,
        })
    }

    /// Whether it has a standard library for the target.
    pub(crate) fn has_target(&self) -> bool {
        answer(clean(&self.rustc).args(["--print", "target-libdir", "--target", TARGET]))
            .is_some_and(|folder| holds_core(Path::new(&folder)))
    }

    /// The sources of its standard library, where they are installed.
    pub(crate) fn library_sources(&self) -> Option<PathBuf> {
        let library = self.sysroot.join("lib/rustlib/src/rust/library");
        library.join("std/Cargo.toml").is_file().then_some(library)
    }

    /// Its linker for the target: its own `rust-lld` (then `None`, it finds that by itself), a `wasm-ld` of the same
    /// LLVM, or any `wasm-ld`. The error is the program that is missing.
    pub(crate) fn linker(&self) -> Result<Option<PathBuf>, String> {
        if self.sysroot.join("lib/rustlib").join(&self.host).join("bin/rust-lld").is_file() {
            return Ok(None);
        }
        let named = format!("wasm-ld-{}", self.llvm);
        on_path(&named).or_else(|| on_path("wasm-ld")).map(Some).ok_or(named)
    }

    /// Names the compiler for people.
    pub(crate) fn describe(&self) -> String {
        format!("rustc {} at `{}`", self.release, self.rustc.display())
    }
}

/// Whether a folder holds compiled libraries of the standard library.
pub(crate) fn holds_core(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().starts_with("libcore-") && name.to_string_lossy().ends_with(".rlib")
        })
    })
}

/// The cargo that belongs to a compiler: the one beside it, else whatever `PATH` has.
fn cargo_beside(rustc: &Path) -> PathBuf {
    let beside = rustc.with_file_name("cargo");
    if rustc.is_absolute() && beside.is_file() { beside } else { PathBuf::from("cargo") }
}
