//! `formwork info`: what the endpoint says of itself.

use anyhow::Result;
use clap::{ArgMatches, Command};

use super::Context;

pub(super) fn command() -> Command {
    Command::new("info")
        .about("Shows what the endpoint says of itself")
        .subcommand_required(true)
        .subcommand(Command::new("get").about("Shows version, ports and features"))
        .subcommand(Command::new("check").about("Shows whether the endpoint answers"))
}

pub(super) async fn run(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let info = context.client()?.info().await?;
    match matches.subcommand_name() {
        Some("check") => context.out.line(&format!("{} {}", info.id, info.version)),
        _ => context.out.value(&info, &[]),
    }
}
