//! `cargo xtask build`: the static `formwork` program, as the demo and the tests take it.

use std::path::PathBuf;

use anyhow::Result;

use crate::product;
use crate::report::say;
use crate::setup;
use crate::workspace::Workspace;

/// Builds the program and says where it is.
pub(crate) fn run() -> Result<()> {
    let program = program(&Workspace::read()?)?;
    let folder = program.parent().unwrap_or(&program);
    say(&format!("built: {}\nexport PATH={}:$PATH", program.display(), folder.display()));
    Ok(())
}

/// Sets up what is missing, builds, and returns the path of the program.
pub(crate) fn program(workspace: &Workspace) -> Result<PathBuf> {
    setup::to_build(workspace)?;
    product::build(workspace)
}
