//! Python, by `componentize-py`: the program and an interpreter for it in one component.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{answer, clean, on_path, run};
use crate::once::once;
use crate::source::{SourceError, copy};
use crate::world::{WORLD, World};

/// The version of the tool that is installed.
const VERSION: &str = "0.25.1";

/// The least Python that runs the tool. The component has an interpreter of its own.
const PYTHON_MINOR: u32 = 10;

/// The module that holds the program.
const MODULE: &str = "app";

#[derive(Debug, Clone)]
pub(crate) struct Python {
    /// The tool's program.
    tool: PathBuf,
    /// Such as `Python 3.11.2`.
    python_version: String,
}

impl Python {
    /// Finds Python and the tool in the cache, installed first if need be.
    pub(crate) fn find(cache: &Path) -> Result<Self, SourceError> {
        let problem = |problem: &str| SourceError::Program {
            problem: problem.to_owned(),
            mend: String::from("apt-get install python3 python3-venv"),
        };
        let python = on_path("python3").ok_or_else(|| problem("no `python3` for Python components"))?;
        let python_version = answer(clean(&python).arg("--version")).unwrap_or_default();
        if minor(&python_version).is_none_or(|minor| minor < PYTHON_MINOR) {
            return Err(SourceError::Program {
                problem: format!("`{}` is {python_version}, too old for Python components", python.display()),
                mend: format!("install Python 3.{PYTHON_MINOR} or later"),
            });
        }
        let folder = cache.join(format!("componentize-py-{VERSION}"));
        once(&folder, |folder| {
            let made = run(clean(&python).args(["-m", "venv"]).arg(folder));
            if !made.unwrap_or(false) {
                return Err(problem("`python3 -m venv` does not work"));
            }
            let package = format!("componentize-py=={VERSION}");
            let install = ["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
            let installed = run(clean(folder.join("bin/pip")).args(install).arg(&package));
            if installed.unwrap_or(false) { Ok(()) } else { Err(SourceError::Install { tool: package }) }
        })?;
        Ok(Self { tool: folder.join("bin/componentize-py"), python_version })
    }

    pub(crate) fn describe(&self) -> String {
        format!("componentize-py {VERSION} at `{}`, {}", self.tool.display(), self.python_version)
    }

    /// Builds the component of a folder with the module `app`.
    pub(crate) fn build(&self, folder: &Path, world: &World) -> Result<Vec<u8>, SourceError> {
        let at = |source| SourceError::Files { path: folder.to_owned(), source };
        let work = tempfile::tempdir().map_err(at)?;
        let (sources, out) = (work.path().join("source"), work.path().join("component.wasm"));
        copy(folder, &sources)?;
        // Modules that are installed for somebody else are no part of the component: it gets an environment of its own.
        fs::create_dir_all(work.path().join("lib/python3/site-packages")).map_err(at)?;
        let built = run(clean(&self.tool)
            .env_remove("PYTHONPATH")
            // Authors want to see the stack of their program, not that of the tool.
            .env("RUST_BACKTRACE", "0")
            .env("VIRTUAL_ENV", work.path())
            .current_dir(&sources)
            .args(["--quiet", "--wit-path"])
            .arg(world.folder())
            .args(["--world", WORLD, "componentize", "--stub-wasi", "--python-path"])
            .arg(&sources)
            .arg("--output")
            .arg(&out)
            .arg(MODULE));
        if !built.unwrap_or(false) {
            let tool = String::from("componentize-py");
            return Err(SourceError::Build { path: folder.to_owned(), tool });
        }
        fs::read(&out).map_err(at)
    }
}

/// The second number of a version such as `Python 3.11.2`.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("Python 3.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minor_number_of_python_is_read() {
        assert_eq!(minor("Python 3.11.7"), Some(11));
        assert_eq!(minor("Python 2.7.18"), None);
    }
}
