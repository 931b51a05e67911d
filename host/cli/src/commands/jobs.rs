//! What jobs have beyond the common verbs.

use clap::{Arg, ArgMatches, Command};

use super::input::{source, text, word};
use crate::session::Session;

/// Adds the verbs of jobs.
pub(crate) fn extend(command: Command) -> Command {
    command
        .subcommand(
            Command::new("log")
                .about("Show the log of a job, or append to it")
                .arg(word("id", "UUID"))
                .arg(Arg::new("text").help("What to append: a text, a file, or -")),
        )
        .subcommand(
            Command::new("actions")
                .about("Show what an agent does for a job")
                .arg(word("id", "UUID"))
                .arg(Arg::new("os").long("for-os").default_value("linux").help("The operating system of the agent")),
        )
}

/// Tells whether a verb is one of this file.
pub(crate) fn owns(verb: &str) -> bool {
    matches!(verb, "log" | "actions")
}

/// Runs a verb.
pub(crate) async fn run(session: &Session, verb: &str, matches: &ArgMatches) -> anyhow::Result<()> {
    let id = text(matches, "id")?;
    if verb == "actions" {
        return session.output.value("", &session.client.job_actions(id, text(matches, "os")?).await?);
    }
    match matches.get_one::<String>("text") {
        Some(given) => Ok(session.client.job_log_append(id, source(given)?.as_bytes()).await?),
        None => session.output.bytes(&session.client.job_log(id).await?),
    }
}
