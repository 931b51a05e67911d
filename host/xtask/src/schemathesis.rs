//! `cargo xtask schemathesis`: requests that are made from the OpenAPI document, against the program.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{product, python, shell};

/// With which program, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct SchemathesisArgs {
    /// The `formwork` program [default: the release program, built now]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// How many seconds requests are sent
    #[arg(long, default_value_t = SECONDS)]
    seconds: u32,
}

/// How long requests are sent among the tests.
const SECONDS: u32 = 60;

/// Runs; where it cannot run this is a failure.
pub(crate) fn run(args: &SchemathesisArgs) -> Result<()> {
    let workspace = Workspace::read()?;
    let program = match &args.program {
        Some(program) => program.clone(),
        None => product::build(&workspace)?,
    };
    match send(&workspace, &program, args.seconds)? {
        Some(reason) => bail!("{reason}"),
        None => Ok(()),
    }
}

/// Sends requests among the tests. Returns the reason when it cannot: no Python, or no way to its packages.
///
/// # Errors
/// An answer that the document does not allow.
pub(crate) fn check(workspace: &Workspace, program: &Path) -> Result<Option<String>> {
    send(workspace, program, SECONDS)
}

fn send(workspace: &Workspace, program: &Path, seconds: u32) -> Result<Option<String>> {
    let folder = workspace.root.join("tests/schemathesis");
    let python = match python::environment(&folder, &workspace.target.join("schemathesis")) {
        Ok(python) => python,
        Err(error) => return Ok(Some(format!("{error:#}"))),
    };
    let mut command = Command::new(python);
    command.arg("-B").arg(folder.join("run.py")).arg("--program").arg(program);
    command.args(["--seconds", &seconds.to_string()]);
    shell::run(&mut command)?;
    Ok(None)
}
