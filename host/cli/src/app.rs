//! The tree of commands, and which file does what.

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::{ArgMatches, Args, Command, FromArgMatches};
use formwork_model::KINDS;

use crate::{
    commands::{agent, contents, events, firmware, info, jobs, machines, objects, prefs, serve, users},
    session,
};

/// The name under which the program is an endpoint at once (drp-api.md 16.1).
const SERVER_NAME: &str = "dr-provision";

/// Types that have commands of their own instead of the common verbs.
const OWN_COMMANDS: &[&str] = &["contents", "preferences"];

fn tree() -> Command {
    let mut app = Command::new("formwork")
        .about("Provisions machines over the network and keeps their whole life in order")
        .version(formwork_server::VERSION)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve::ServeArgs::augment_args(Command::new("serve").about("Runs an endpoint")))
        .subcommand(agent::AgentArgs::augment_args(Command::new("agent").about("Runs the jobs of this machine")))
        .subcommand(
            Command::new("demo").about("Shows an endpoint at work").subcommand_required(true).subcommand(
                firmware::FirmwareArgs::augment_args(
                    Command::new("firmware").about("Boots as a simulated machine's firmware does"),
                ),
            ),
        );
    for kind in KINDS.iter().filter(|kind| !OWN_COMMANDS.contains(&kind.prefix)) {
        let command = objects::command(kind);
        app = app.subcommand(match kind.prefix {
            "machines" => machines::extend(command),
            "jobs" => jobs::extend(command),
            "users" => users::extend(command),
            _ => command,
        });
    }
    app = app
        .subcommand(contents::command())
        .subcommand(prefs::command())
        .subcommand(events::command())
        .subcommand(info::command())
        .subcommand(Command::new("version").about("Tells the version of this program"));
    session::flags(app)
}

/// Runs the command that the arguments name.
pub(crate) async fn run(mut arguments: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let called = arguments.first().and_then(|first| Path::new(first).file_name()).map(|name| name == SERVER_NAME);
    if called == Some(true) {
        arguments.insert(1, OsString::from("serve"));
        if arguments.get(2).is_some_and(|flag| flag == "--version") {
            crate::output::Output::new(crate::output::Format::Json).line(formwork_server::VERSION)?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    let matches = tree().get_matches_from(arguments);
    let Some((name, sub)) = matches.subcommand() else { return Ok(ExitCode::from(2)) };
    match name {
        "serve" => return serve::run(serve::ServeArgs::from_arg_matches(sub)?).await,
        "agent" => return agent::run(agent::AgentArgs::from_arg_matches(sub)?, session::endpoint(sub)).await,
        "demo" => return demo(sub).await,
        _ => {}
    }
    let session = session::open(sub)?;
    if name == "version" {
        session.output.line(formwork_server::VERSION)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some((verb, arguments)) = sub.subcommand() else { return Ok(ExitCode::from(2)) };
    let done = match name {
        "contents" => contents::run(&session, verb, arguments).await,
        "prefs" => prefs::run(&session, verb, arguments).await,
        "events" => events::run(&session, verb, arguments).await,
        "info" => info::run(&session, verb).await,
        "machines" if machines::owns(verb) => machines::run(&session, verb, arguments).await,
        "jobs" if jobs::owns(verb) => jobs::run(&session, verb, arguments).await,
        "users" if users::owns(verb) => users::run(&session, verb, arguments).await,
        prefix => objects::run(&session, prefix, verb, arguments).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn demo(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    match matches.subcommand() {
        Some(("firmware", sub)) => firmware::run(firmware::FirmwareArgs::from_arg_matches(sub)?).await,
        _ => Ok(ExitCode::from(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_of_commands_is_consistent() {
        tree().debug_assert();
    }
}
