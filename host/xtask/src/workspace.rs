//! What `cargo metadata` says about the workspace: its packages, their dependencies and their folders.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::shell;

/// The part of `cargo metadata` that the checks read.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    /// The workspace's packages; with [`Workspace::read_all`] every package that can be compiled.
    pub(crate) packages: Vec<Package>,
    /// The folder of the root manifest.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// The folder of build results.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
}

/// One package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// The name in its manifest.
    pub(crate) name: String,
    /// The version in its manifest.
    pub(crate) version: String,
    /// The licence expression of its manifest.
    pub(crate) license: Option<String>,
    /// The path of its manifest.
    pub(crate) manifest_path: PathBuf,
    /// The dependencies that its manifest declares, of every kind and platform.
    pub(crate) dependencies: Vec<Dependency>,
}

/// One declared dependency.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The name of the package that is used.
    pub(crate) name: String,
    /// What it is used for.
    #[serde(default)]
    pub(crate) kind: Option<DependencyKind>,
    /// The folder of a package inside the workspace.
    pub(crate) path: Option<PathBuf>,
}

/// What a dependency is for; the ordinary kind is absent in `cargo metadata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DependencyKind {
    /// For tests, examples and benches.
    Dev,
    /// For the build script.
    Build,
}

impl Workspace {
    /// Reads the workspace's own packages.
    pub(crate) fn read() -> Result<Self> {
        Self::from_cargo(&["--no-deps"])
    }

    /// Reads every package in the lock file, for all platforms.
    pub(crate) fn read_all() -> Result<Self> {
        Self::from_cargo(&["--locked"])
    }

    /// Returns the folder where this program keeps what it fetches and makes, below the target folder.
    pub(crate) fn cache(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// Returns `path` relative to the workspace root, or as it is outside of it.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// Returns a Cargo command that runs in the workspace root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = shell::cargo();
        command.current_dir(&self.root);
        command
    }

    fn from_cargo(arguments: &[&str]) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = shell::cargo();
        command.current_dir(root).args(["metadata", "--format-version", "1"]).args(arguments);
        serde_json::from_str(&shell::stdout(&mut command)?)
            .context("`cargo metadata` printed unexpected JSON")
    }
}
