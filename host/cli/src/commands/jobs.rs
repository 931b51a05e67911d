//! What only jobs have: actions and logs.

use anyhow::Result;
use clap::{Arg, ArgMatches, Command};

use super::Context;
use crate::{
    arguments::{optional, text},
    input,
};

/// Adds the verbs that only jobs have.
pub(super) fn extend(command: Command) -> Command {
    command
        .subcommand(
            Command::new("actions")
                .about("Shows what a job does, rendered now")
                .arg(Arg::new("id").required(true))
                .arg(Arg::new("os").long("os").default_value("linux")),
        )
        .subcommand(
            Command::new("log")
                .about("Shows the log of a job, or appends to it")
                .arg(Arg::new("id").required(true))
                .arg(Arg::new("text").help("What to append; `-` is standard input")),
        )
}

/// Runs a verb that only jobs have. Returns false for any other.
pub(super) async fn run(verb: &str, matches: &ArgMatches, context: &mut Context) -> Result<bool> {
    let client = context.client()?;
    match verb {
        "actions" => {
            let actions = client.job_actions(text(matches, "id"), text(matches, "os")).await?;
            context.out.value(&actions, &["Name", "Path", "Meta"])?;
        }
        "log" => match optional(matches, "text") {
            Some(words) => {
                let words = input::text(words)?;
                client.job_log_append(text(matches, "id"), words.as_bytes()).await?;
            }
            None => context.out.raw(&client.job_log(text(matches, "id")).await?)?,
        },
        _ => return Ok(false),
    }
    Ok(true)
}
