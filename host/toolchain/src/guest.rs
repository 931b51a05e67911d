//! Compiles guests and encodes them as components.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::command::{clean, remap_crates, run};
use crate::{TARGET, Toolchain};

/// Memory for allocations that a guest starts with. Most calls of a task need no more, and one that grows its memory has
/// the host call into its kernel.
const INITIAL_HEAP_BYTES: u32 = 128 << 10;

/// Bytes of a guest's own stack, half of what the linker would give it: as much as the host has for the other half of a
/// call's frames. All of it is looked through after a call for pages that were written.
const STACK_BYTES: u32 = 512 << 10;

/// The profile of guests that are built from the folder of an author.
const GUEST_PROFILE: &str = "guest";

/// That profile: small code, names kept so that a trap says which function it was in.
const GUEST_SETTINGS: [&str; 6] = [
    "profile.guest.inherits = 'release'",
    "profile.guest.opt-level = 's'",
    "profile.guest.lto = 'fat'",
    "profile.guest.codegen-units = 1",
    "profile.guest.panic = 'abort'",
    "profile.guest.strip = 'debuginfo'",
];

/// What to build.
#[derive(Debug, Clone)]
pub struct GuestBuild {
    /// The folder of the workspace whose members the packages are.
    pub workspace_dir: PathBuf,
    /// Names of packages, each with a `cdylib` target. All are compiled by one cargo.
    pub packages: Vec<String>,
    /// Where cargo keeps its work. It must differ from that of a cargo around us, which holds a lock on its own.
    pub target_dir: PathBuf,
    /// The name of a profile of the workspace, such as `guest`.
    pub profile: String,
}

/// A component, encoded and validated.
#[derive(Debug, Clone)]
pub struct BuiltComponent {
    /// The package that it came from.
    pub package: String,
    /// The component.
    pub wasm: Vec<u8>,
    /// Size in bytes of the core module before it was encoded.
    pub core_size: usize,
}

/// Guests could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The workspace cannot be read.
    #[error("failed to read the workspace at `{path}`: {words}")]
    Workspace {
        /// The workspace's folder.
        path: PathBuf,
        /// Cargo's words, one line.
        words: String,
    },
    /// A package is not there, or does not build a guest.
    #[error("package `{package}` has no library of type `cdylib` in the workspace at `{path}`")]
    NotAGuest {
        /// The package.
        package: String,
        /// The workspace's folder.
        path: PathBuf,
    },
    /// Cargo ended with an error; its words went to standard error.
    #[error("failed to compile {packages}; the compiler's words are above")]
    Compile {
        /// The packages, each in backticks.
        packages: String,
    },
    /// A file that cargo should have written cannot be read.
    #[error("failed to read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        #[source]
        source: io::Error,
    },
    /// What was compiled is no component of a world that it names.
    #[error("failed to encode `{package}` as a component: {words}")]
    Encode {
        /// The package.
        package: String,
        /// The encoder's words.
        words: String,
    },
}

impl Toolchain {
    /// Builds packages and returns one component for each, in the order of the request.
    ///
    /// The same sources, versions and compiler give the same bytes, wherever the workspace lies.
    ///
    /// # Errors
    ///
    /// Fails when a package is unknown, does not compile, or imports what its world does not have.
    pub fn build(&self, build: &GuestBuild) -> Result<Vec<BuiltComponent>, BuildError> {
        // Cargo is started in the workspace, where a relative path would mean another folder.
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| BuildError::Read { path: path.to_owned(), source })
        };
        let build = GuestBuild {
            workspace_dir: absolute(&build.workspace_dir)?,
            target_dir: absolute(&build.target_dir)?,
            ..build.clone()
        };
        let flags = vec![format!("--remap-path-prefix={}=/src", build.workspace_dir.display())];
        self.build_with(&build, flags, &[])
    }

    /// Builds the one package in a folder, wherever its workspace is.
    ///
    /// It is compiled as our own guests are, whatever profiles its workspace has. Cargo keeps its work in `target_dir`,
    /// which workspaces may share: what they have in common is then compiled once.
    ///
    /// # Errors
    ///
    /// As [`Toolchain::build`].
    pub fn build_folder(&self, folder: &Path, target_dir: &Path) -> Result<BuiltComponent, BuildError> {
        let folder =
            folder.canonicalize().map_err(|source| BuildError::Read { path: folder.to_owned(), source })?;
        let metadata = self.metadata(&folder)?;
        let manifest = folder.join("Cargo.toml");
        let package = metadata.packages.into_iter().find(|package| package.manifest_path == manifest);
        let Some(package) = package else {
            let words = format!("`{}` is no package", manifest.display());
            return Err(BuildError::Workspace { path: metadata.workspace_root, words });
        };
        let build = GuestBuild {
            packages: vec![package.name.clone()],
            workspace_dir: metadata.workspace_root,
            target_dir: target_dir.to_owned(),
            profile: GUEST_PROFILE.to_owned(),
        };
        // Cargo gives the compiler paths below the workspace, so nothing is left to remap; and flags that differ between
        // workspaces would have what they share compiled again and again.
        let built = self.build_with(&build, Vec::new(), &GUEST_SETTINGS)?.pop();
        built.ok_or(BuildError::NotAGuest { package: package.name, path: build.workspace_dir })
    }

    /// Builds packages with flags of the compiler, and settings of cargo that go before those of the workspace.
    fn build_with(
        &self,
        build: &GuestBuild,
        flags: Vec<String>,
        settings: &[&str],
    ) -> Result<Vec<BuiltComponent>, BuildError> {
        let libraries = self.guest_libraries(build)?;
        let built = run(&mut self.cargo_build(build, flags, settings));
        if !built.unwrap_or(false) {
            let packages: Vec<_> = build.packages.iter().map(|name| format!("`{name}`")).collect();
            return Err(BuildError::Compile { packages: packages.join(", ") });
        }
        // Cargo names the folder of the profile `dev` otherwise.
        let folder = if build.profile == "dev" { "debug" } else { build.profile.as_str() };
        let folder = build.target_dir.join(TARGET).join(folder);
        build
            .packages
            .iter()
            .zip(libraries)
            .map(|(package, library)| encode(package, &folder.join(format!("{library}.wasm"))))
            .collect()
    }

    /// Looks up the names of the packages' libraries.
    fn guest_libraries(&self, build: &GuestBuild) -> Result<Vec<String>, BuildError> {
        let metadata = self.metadata(&build.workspace_dir)?;
        let known: BTreeMap<_, _> =
            metadata.packages.iter().map(|package| (&package.name, package)).collect();
        let library = |package: &String| {
            known.get(package).and_then(|package| package.cdylib()).ok_or_else(|| BuildError::NotAGuest {
                package: package.clone(),
                path: build.workspace_dir.clone(),
            })
        };
        build.packages.iter().map(library).collect()
    }

    /// Asks cargo what a folder belongs to.
    fn metadata(&self, folder: &Path) -> Result<Metadata, BuildError> {
        let failed = |words: String| BuildError::Workspace { path: folder.to_owned(), words };
        let output = self
            .cargo(folder)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(first_line(&output.stderr)));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
    }

    /// The command that compiles the packages.
    fn cargo_build(&self, build: &GuestBuild, mut flags: Vec<String>, settings: &[&str]) -> Command {
        flags.extend(remap_crates());
        flags.push(format!("-Clink-arg=--initial-heap={INITIAL_HEAP_BYTES}"));
        flags.push(format!("-Clink-arg=-zstack-size={STACK_BYTES}"));
        if let Some(sysroot) = &self.sysroot {
            flags.push(format!("--sysroot={}", sysroot.display()));
        }
        if let Some(linker) = &self.linker {
            flags.push(format!("-Clinker={}", linker.display()));
        }
        let mut command = self.cargo(&build.workspace_dir);
        command
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            .args(["build", "--quiet", "--profile", &build.profile, "--target", TARGET, "--target-dir"])
            .arg(&build.target_dir);
        for setting in settings {
            command.args(["--config", setting]);
        }
        for package in &build.packages {
            command.args(["--package", package]);
        }
        command
    }

    /// Cargo with our compiler, in a folder.
    fn cargo(&self, folder: &Path) -> Command {
        let mut command = clean(&self.compiler.cargo);
        command.current_dir(folder).env("RUSTC", &self.compiler.rustc);
        command
    }
}

/// Makes a component of a core module.
fn encode(package: &str, path: &Path) -> Result<BuiltComponent, BuildError> {
    let core = fs::read(path).map_err(|source| BuildError::Read { path: path.to_owned(), source })?;
    let wasm = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&core)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| BuildError::Encode { package: package.to_owned(), words: format!("{error:#}") })?;
    Ok(BuiltComponent { package: package.to_owned(), wasm, core_size: core.len() })
}

/// The first line of what a program said.
fn first_line(words: &[u8]) -> String {
    String::from_utf8_lossy(words).lines().next().unwrap_or_default().to_owned()
}

/// The part of cargo's metadata that is read here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

impl Package {
    /// The file name, without its extension, of the library that is a guest.
    fn cdylib(&self) -> Option<String> {
        let is_guest = |target: &&Target| target.crate_types.iter().any(|name| name == "cdylib");
        self.targets.iter().find(is_guest).map(|target| target.name.replace('-', "_"))
    }
}
