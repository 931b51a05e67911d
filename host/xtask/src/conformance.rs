//! `cargo xtask conformance`: every operation of the Python client, and the shapes of the Go client, against the program.
//!
//! The two drivers and the tables of expected outcomes are in `tests/conformance`. What they need from PyPI goes into a
//! virtual environment below the target folder; nothing of it becomes part of the product.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::report::say;
use crate::workspace::Workspace;
use crate::{guests, product, python, shell};

/// The drivers in the order in which they run, each with the plugins that it uploads.
const DRIVERS: [(&str, &[&str]); 2] = [("run.py", &["guest-offers"]), ("goshape.py", &[])];

/// What to compare, and with which program.
#[derive(Debug, clap::Args)]
pub(crate) struct ConformanceArgs {
    /// The `formwork` program [default: the release program, built now]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Rewrite the tables of expected outcomes with what came.
    #[arg(long)]
    update: bool,
}

/// Runs both drivers; where they cannot run this is a failure.
pub(crate) fn run(args: &ConformanceArgs) -> Result<()> {
    let workspace = Workspace::read()?;
    let program = match &args.program {
        Some(program) => program.clone(),
        None => product::build(&workspace)?,
    };
    match check(&workspace, &program, args.update)? {
        Some(reason) => bail!("{reason}"),
        None => Ok(()),
    }
}

/// Compares all outcomes of `program` with the expected ones, or rewrites those. Returns the reason when it cannot: no
/// Python, or no way to its packages.
///
/// # Errors
/// An outcome that is not the expected one, a better one included.
pub(crate) fn check(workspace: &Workspace, program: &Path, update: bool) -> Result<Option<String>> {
    let folder = folder(&workspace.root);
    let python = match python::environment(&folder, &workspace.target.join("conformance")) {
        Ok(python) => python,
        Err(error) => return Ok(Some(format!("{error:#}"))),
    };
    let mut failed = Vec::new();
    for (driver, plugins) in DRIVERS {
        say(&format!("-- {driver}"));
        let mut command = Command::new(&python);
        // Without `-B` it would leave compiled files beside the sources.
        command.arg("-B").arg(folder.join(driver)).arg("--program").arg(program);
        if !plugins.is_empty() {
            for plugin in guests::build(workspace, plugins.iter().map(|&name| name.to_owned()).collect())? {
                command.arg("--plugin").arg(plugin);
            }
        }
        if update {
            command.arg("--update");
        }
        if let Err(error) = shell::run(&mut command) {
            failed.push(format!("{error:#}"));
        }
    }
    if failed.is_empty() { Ok(None) } else { bail!("{}", failed.join("\n")) }
}

/// Returns the folder of the drivers.
fn folder(root: &Path) -> PathBuf {
    root.join("tests/conformance")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;
    use crate::python::{REQUIREMENTS, environment};

    /// The operations of drppy-client 4.17 (drp-api.md appendix B).
    const OPERATIONS: usize = 661;

    /// Returns the cells of a table in `tests/conformance`, without its head.
    fn rows(name: &str) -> Vec<Vec<String>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let text = fs::read_to_string(folder(&root).join(name)).unwrap();
        text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    fn first_cells(rows: &[Vec<String>]) -> BTreeSet<&str> {
        rows.iter().map(|row| row[0].as_str()).collect()
    }

    #[test]
    fn every_operation_of_the_client_has_a_row() {
        let (routes, expected) = (rows("routes.tsv"), rows("expected.tsv"));
        let (operations, outcomes) = (first_cells(&routes), first_cells(&expected));
        assert_eq!((routes.len(), operations.len()), (OPERATIONS, OPERATIONS));
        let requests: BTreeSet<_> = routes.iter().map(|row| (&row[1], &row[2])).collect();
        assert_eq!(requests.len(), OPERATIONS, "two operations make one request");
        let without_row: Vec<_> = operations.difference(&outcomes).collect();
        assert!(without_row.is_empty(), "{without_row:?}");
        // What is beside the operations says so by its name.
        let others: Vec<_> = outcomes.difference(&operations).filter(|name| !name.contains(':')).collect();
        assert!(others.is_empty(), "{others:?}");
    }

    #[test]
    fn rows_that_are_not_ok_have_a_reason() {
        for table in ["expected.tsv", "expected-go.tsv"] {
            for row in rows(table) {
                assert_eq!(row.len(), 3, "{table}: {row:?}");
                assert!(row[1] == "ok" || !row[2].is_empty(), "{table}: {row:?}");
            }
        }
    }

    #[test]
    fn requirements_name_one_version_each() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let text = fs::read_to_string(folder(&root).join(REQUIREMENTS)).unwrap();
        assert!(text.lines().filter(|line| !line.starts_with('#')).all(|line| line.contains("==")), "{text}");
    }

    #[test]
    fn environment_of_the_same_requirements_is_kept() {
        let folder = std::env::temp_dir().join(format!("xtask-conformance-{}", std::process::id()));
        let place = folder.join("venv");
        fs::create_dir_all(place.join("bin")).unwrap();
        fs::write(folder.join(REQUIREMENTS), "one==1\n").unwrap();
        fs::write(place.join(REQUIREMENTS), "one==1\n").unwrap();
        fs::write(place.join("bin/python"), "").unwrap();
        let python = environment(&folder, &place);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(python.unwrap(), place.join("bin/python"));
    }
}
