//! JavaScript, by `componentize-js`: the program and an engine for it in one component.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::command::{answer, clean, on_path, run};
use crate::once::once;
use crate::source::{SourceError, copy};
use crate::world::{WORLD, World};

/// The tool's package.
const PACKAGE: &str = "@bytecodealliance/componentize-js";

/// The version that is installed. Another one may be installed beside the source.
const VERSION: &str = "0.23.0";

/// The least Node.js that runs it.
const NODE_MAJOR: u32 = 20;

/// What the engine could import from WASI. Without these a component imports nothing but our own packages.
const DISABLED: [&str; 5] = ["stdio", "random", "clocks", "http", "fetch-event"];

/// How many folders above the source may hold the author's own installation.
const LEVELS: usize = 4;

#[derive(Debug, Clone)]
pub(crate) struct JavaScript {
    node: PathBuf,
    /// Such as `v20.1.0`.
    node_version: String,
    /// The folder of the tool's package.
    package: PathBuf,
    version: String,
}

/// The part of `package.json` that is read here.
#[derive(Deserialize)]
struct Manifest {
    main: Option<String>,
    version: Option<String>,
}

impl JavaScript {
    /// Finds Node.js and the tool: the one beside the source, else the one in the cache, installed first if need be.
    pub(crate) fn find(folder: &Path, cache: &Path) -> Result<Self, SourceError> {
        let node = program("node")?;
        let node_version = answer(clean(&node).arg("--version")).unwrap_or_default();
        if major(&node_version).is_none_or(|major| major < NODE_MAJOR) {
            return Err(SourceError::Program {
                problem: format!(
                    "`{}` is Node.js {node_version}, too old for JavaScript components",
                    node.display()
                ),
                mend: format!("install Node.js {NODE_MAJOR} or later"),
            });
        }
        let own = folder.ancestors().take(LEVELS).map(within).find(|package| package.is_dir());
        let package = match own {
            Some(package) => package,
            None => install(cache)?,
        };
        let version = manifest(&package)?.version.unwrap_or_default();
        Ok(Self { node, node_version, package, version })
    }

    pub(crate) fn describe(&self) -> String {
        let Self { node_version, version, package, .. } = self;
        format!("componentize-js {version} at `{}`, Node.js {node_version}", package.display())
    }

    /// Builds the component of a package.
    pub(crate) fn build(&self, folder: &Path, world: &World) -> Result<Vec<u8>, SourceError> {
        let main = manifest(folder)?.main.unwrap_or_else(|| String::from("index.js"));
        let at = |source| SourceError::Files { path: folder.to_owned(), source };
        let work = tempfile::tempdir().map_err(at)?;
        let (sources, out) = (work.path().join("source"), work.path().join("component.wasm"));
        copy(folder, &sources)?;
        let built = run(clean(&self.node)
            .current_dir(&sources)
            .arg(self.package.join("src/cli.js"))
            .arg(sources.join(main))
            .arg("--wit")
            .arg(world.folder())
            .args(["--world-name", WORLD, "--disable"])
            .args(DISABLED)
            .arg("--out")
            .arg(&out));
        if !built.unwrap_or(false) {
            let tool = String::from("componentize-js");
            return Err(SourceError::Build { path: folder.to_owned(), tool });
        }
        fs::read(&out).map_err(at)
    }
}

/// Installs the tool and returns the folder of its package.
fn install(cache: &Path) -> Result<PathBuf, SourceError> {
    let folder = cache.join(format!("componentize-js-{VERSION}"));
    once(&folder, |folder| {
        let package = format!("{PACKAGE}@{VERSION}");
        let installed = run(clean(program("npm")?)
            .current_dir(folder)
            .args(["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"])
            .args(["--loglevel", "error", "--prefix"])
            .arg(folder)
            .arg(&package));
        if installed.unwrap_or(false) { Ok(()) } else { Err(SourceError::Install { tool: package }) }
    })?;
    Ok(within(&folder))
}

/// Where the tool is below a folder with `node_modules`.
fn within(folder: &Path) -> PathBuf {
    folder.join("node_modules").join(PACKAGE)
}

fn program(name: &str) -> Result<PathBuf, SourceError> {
    on_path(name).ok_or_else(|| SourceError::Program {
        problem: format!("no `{name}` for JavaScript components"),
        mend: format!("apt-get install nodejs npm, or install Node.js {NODE_MAJOR} or later"),
    })
}

fn manifest(folder: &Path) -> Result<Manifest, SourceError> {
    let path = folder.join("package.json");
    let text = fs::read(&path).map_err(|source| SourceError::Files { path: path.clone(), source })?;
    serde_json::from_slice(&text).map_err(|error| SourceError::Manifest { path, words: error.to_string() })
}

/// The first number of a version such as `v20.1.0`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_number_of_node_is_read() {
        assert_eq!(major("v20.20.2"), Some(20));
        assert_eq!(major(""), None);
    }

    #[test]
    fn a_manifest_that_is_no_json_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("package.json"), "{").unwrap();
        let words = manifest(folder.path()).err().unwrap().to_string();
        assert!(words.contains("package.json`: EOF"), "{words}");
    }
}
