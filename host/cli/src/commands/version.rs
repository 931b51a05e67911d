//! `formwork version`.

use anyhow::Result;
use clap::Command;

use super::Context;

/// The version of the program.
pub(super) const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// The version under the server's name: that of the API first, which its tools look for (drp-api.md 16.1).
pub(super) const AS_SERVER: &str = formwork_server::VERSION;

pub(super) fn command() -> Command {
    Command::new("version").about("Shows the version of this program")
}

pub(super) fn run(context: &mut Context) -> Result<()> {
    context.out.line(&format!("Version: {AS_SERVER}"))
}
