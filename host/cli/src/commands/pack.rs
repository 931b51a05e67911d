//! `formwork pack`: what authors of content packs do, without an endpoint; and what operators do, with one (`packs`).

mod build;
mod bundle;
mod check;
mod diff;
mod embedded;
mod manifest;
mod new;
mod scaffold;
mod simulate;
mod source;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};

use super::Context;

pub(super) fn command() -> Command {
    Command::new("pack")
        .about("Makes, builds, tests and installs content packs")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(new::command())
        .subcommand(build::command())
        .subcommand(check::command())
        .subcommand(test::command())
        .subcommand(bundle::command())
        .subcommand(bundle::sign_command())
        .subcommand(bundle::key_command())
        .subcommand(diff::command())
        .subcommands(super::packs::commands())
}

pub(super) async fn run(matches: &ArgMatches, context: &mut Context) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("new", matches)) => new::run(matches, context)?,
        Some(("build", matches)) => build::run(matches, context)?,
        Some(("check", matches)) => check::run(matches, context).await?,
        Some(("test", matches)) => test::run(matches, context).await?,
        Some(("bundle", matches)) => bundle::run(matches, context)?,
        Some(("sign", matches)) => bundle::sign(matches, context)?,
        Some(("key", matches)) => bundle::key(matches, context)?,
        Some(("diff", matches)) => diff::run(matches, context)?,
        Some((verb, matches)) => super::packs::run(verb, matches, context).await?,
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}
