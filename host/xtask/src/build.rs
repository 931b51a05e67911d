//! `cargo xtask build`: the static `formwork` program, as the demo and the tests take it.

use anyhow::Result;

use crate::product;
use crate::report::say;
use crate::setup;
use crate::workspace::Workspace;

/// Sets up what is missing, builds, and says where the program is.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::read()?;
    setup::to_build(&workspace)?;
    let program = product::build(&workspace)?;
    let folder = program.parent().unwrap_or(&program);
    say(&format!("built: {}\nexport PATH={}:$PATH", program.display(), folder.display()));
    Ok(())
}
