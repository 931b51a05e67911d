//! A component from the folder of its source, whatever the language.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::javascript::JavaScript;
use crate::python::Python;
use crate::world::{World, WorldError};
use crate::{BuildError, Install, Toolchain, ToolchainError};

/// A language that components are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// A cargo package with a library of type `cdylib`.
    Rust,
    /// A package whose `main` exports the interface of its kind.
    JavaScript,
    /// A module `app` with the class of its kind.
    Python,
}

/// The source of a component.
#[derive(Debug, Clone)]
pub struct Source {
    /// The folder with the language's own manifest.
    pub folder: PathBuf,
    /// The kind of the component, such as `task`; it names the world.
    pub kind: String,
    /// The capabilities that the manifest asks for, such as `params`. Rust needs no word of them.
    pub capabilities: Vec<String>,
    /// The folder of the WIT packages, a folder a package. Rust guests take theirs from the SDK.
    pub wit: PathBuf,
}

/// What builds the components of one language.
#[derive(Debug, Clone)]
pub struct Tool(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Rust { toolchain: Box<Toolchain>, target_dir: PathBuf },
    JavaScript(JavaScript),
    Python(Python),
}

/// A component could not be built from its source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing in the folder says which language it is.
    #[error(
        "`{path}` is no source of a component\nhint: it needs a `Cargo.toml`, a `package.json` or a `pyproject.toml`"
    )]
    Language {
        /// The folder.
        path: PathBuf,
    },
    /// A program is missing or too old.
    #[error("{problem}; mend it with: {mend}")]
    Program {
        /// What is missing, and for what.
        problem: String,
        /// The command that mends it.
        mend: String,
    },
    /// A tool did not install; its words went to standard error.
    #[error("failed to install {tool}; the words of what installs it are above")]
    Install {
        /// The tool.
        tool: String,
    },
    /// A tool ended with an error; its words went to standard error.
    #[error(
        "failed to build `{path}`; the words of {tool} are above\nhint: a capability can be imported once `grants` asks for it"
    )]
    Build {
        /// The folder of the source.
        path: PathBuf,
        /// The tool.
        tool: String,
    },
    /// The language's manifest does not say what is needed.
    #[error("`{path}`: {words}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        words: String,
    },
    /// A file or folder cannot be read or written.
    #[error("failed to use `{path}`")]
    Files {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's words.
        #[source]
        source: io::Error,
    },
    /// There is no world for the component.
    #[error(transparent)]
    World(#[from] WorldError),
    /// Nothing compiles Rust.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// The Rust guest could not be built.
    #[error(transparent)]
    Rust(#[from] BuildError),
}

impl Language {
    /// Tells the language of a source by the manifest in its folder.
    ///
    /// # Errors
    ///
    /// When none of the manifests is there.
    pub fn of(folder: &Path) -> Result<Self, SourceError> {
        let manifests = [
            ("Cargo.toml", Self::Rust),
            ("package.json", Self::JavaScript),
            ("pyproject.toml", Self::Python),
        ];
        let found = manifests.into_iter().find(|(manifest, _)| folder.join(manifest).is_file());
        found.map(|(_, language)| language).ok_or_else(|| SourceError::Language { path: folder.to_owned() })
    }

    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
        }
    }
}

impl Tool {
    /// Finds what builds a language, installed into `cache` first if need be; several processes may share that folder.
    ///
    /// The first time takes up to a minute: Rust may need a standard library, the others their tools from their
    /// registries. What Rust's packages have in common is compiled there too, once for all. `folder` is the component's own; a tool that is installed beside it goes before the cache's.
    ///
    /// # Errors
    ///
    /// What is missing, with the command that mends it.
    pub fn find(
        language: Language,
        folder: &Path,
        cache: &Path,
        install: Install,
    ) -> Result<Self, SourceError> {
        Ok(Self(match language {
            Language::Rust => {
                let toolchain = Box::new(Toolchain::find(cache, install)?);
                let cache = std::path::absolute(cache)
                    .map_err(|source| SourceError::Files { path: cache.to_owned(), source })?;
                Kind::Rust { toolchain, target_dir: cache.join("target") }
            }
            Language::JavaScript => Kind::JavaScript(JavaScript::find(folder, cache)?),
            Language::Python => Kind::Python(Python::find(cache)?),
        }))
    }

    /// Says what was found, in one line.
    pub fn describe(&self) -> String {
        match &self.0 {
            Kind::Rust { toolchain, .. } => toolchain.describe(),
            Kind::JavaScript(tool) => tool.describe(),
            Kind::Python(tool) => tool.describe(),
        }
    }

    /// Builds a component and returns its bytes.
    ///
    /// # Errors
    ///
    /// When the source is not in order; what the tool says goes to standard error.
    pub fn build(&self, source: &Source) -> Result<Vec<u8>, SourceError> {
        let cut = || World::cut(&source.wit, &source.kind, &source.capabilities);
        match &self.0 {
            Kind::Rust { toolchain, target_dir } => {
                Ok(toolchain.build_folder(&source.folder, target_dir)?.wasm)
            }
            Kind::JavaScript(tool) => tool.build(&source.folder, &cut()?),
            Kind::Python(tool) => tool.build(&source.folder, &cut()?),
        }
    }
}

/// What neither belongs to a program nor may be written to: copied sources are without it.
fn is_left_out(name: &str) -> bool {
    name.starts_with('.') || matches!(name, "node_modules" | "__pycache__")
}

/// Copies the files of a source. Tools write beside what they read and stumble over spaces in its path.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), SourceError> {
    let at = |path: &Path, source| SourceError::Files { path: path.to_owned(), source };
    fs::create_dir_all(to).map_err(|source| at(to, source))?;
    for entry in fs::read_dir(from).map_err(|source| at(from, source))? {
        let entry = entry.map_err(|source| at(from, source))?;
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().map_err(|source| at(&path, source))?;
        if is_left_out(&name.to_string_lossy()) {
            continue;
        }
        if kind.is_dir() {
            copy(&path, &to.join(name))?;
        } else if path.is_file() {
            fs::copy(&path, to.join(name)).map_err(|source| at(&path, source))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_tells_the_language() {
        let folder = tempfile::tempdir().unwrap();
        let words = Language::of(folder.path()).unwrap_err().to_string();
        assert!(words.contains("needs a `Cargo.toml`"), "{words}");
        fs::write(folder.path().join("pyproject.toml"), "").unwrap();
        assert_eq!(Language::of(folder.path()).unwrap(), Language::Python);
        fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        assert_eq!(Language::of(folder.path()).unwrap(), Language::Rust);
    }

    #[test]
    fn a_source_is_copied_without_what_tools_keep_beside_it() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in ["lib", "node_modules", ".git"] {
            fs::create_dir(from.path().join(folder)).unwrap();
            fs::write(from.path().join(folder).join("file"), "x").unwrap();
        }
        fs::write(from.path().join("app.py"), "y").unwrap();
        copy(from.path(), to.path()).unwrap();
        assert_eq!(fs::read_to_string(to.path().join("lib/file")).unwrap(), "x");
        assert_eq!(fs::read_to_string(to.path().join("app.py")).unwrap(), "y");
        assert!(!to.path().join("node_modules").exists() && !to.path().join(".git").exists());
    }
}
