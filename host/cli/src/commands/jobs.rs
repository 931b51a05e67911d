//! What only jobs have: actions and logs.

use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches, Command};
use formwork_client::Query;

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
            Command::new("purge")
                .about(
                    "Removes jobs that nothing keeps; the endpoint's preferences say what is not said here",
                )
                .arg(rule(
                    "machine",
                    "UUID",
                    "Only jobs of this machine; `missing`: of machines that are gone",
                ))
                .arg(rule("jobs-to-keep", "N", "The newest jobs of each machine that stay"))
                .arg(rule("complete-after", "DURATION", "How long finished jobs stay, as 30d"))
                .arg(rule("failed-after", "DURATION", "How long failed jobs stay"))
                .arg(
                    Arg::new("dry-run")
                        .long("dry-run")
                        .alias("dryrun")
                        .action(ArgAction::SetTrue)
                        .help("Only tell"),
                ),
        )
        .subcommand(
            Command::new("log")
                .about("Shows the log of a job, or appends to it")
                .arg(Arg::new("id").required(true))
                .arg(Arg::new("text").help("What to append; `-` is standard input")),
        )
}

fn rule(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

/// Runs a verb that only jobs have. Returns false for any other.
pub(super) async fn run(verb: &str, matches: &ArgMatches, context: &mut Context) -> Result<bool> {
    let client = context.client()?;
    match verb {
        "actions" => {
            let actions = client.job_actions(text(matches, "id"), text(matches, "os")).await?;
            context.out.value(&actions, &["Name", "Path", "Meta"])?;
        }
        "purge" => {
            let gone = client.jobs_purge(&purge_query(matches)).await?;
            context.out.value(&gone, &["Uuid", "Machine", "Task", "State", "EndTime"])?;
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

fn purge_query(matches: &ArgMatches) -> Query {
    let names = [
        ("machine", "machine"),
        ("jobs-to-keep", "jobsToKeep"),
        ("complete-after", "completeJobsPurgedAfter"),
        ("failed-after", "failedJobsPurgedAfter"),
    ];
    let mut query = Query::new();
    for (flag, name) in names {
        if let Some(value) = optional(matches, flag) {
            query.push(name, value);
        }
    }
    if matches.get_flag("dry-run") {
        query.push("dryrun", true);
    }
    query
}
