//! The subcommands, a file each.

mod agent;
mod component;
mod fleet;
mod pack;
mod packs;
pub(crate) mod serve;
mod version;
mod workers;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};
use formwork_client::Client;
use tracing::level_filters::LevelFilter;

use crate::{
    arguments::GlobalArgs, demo, failure::UsageError, logging, output::Output, settings::Settings, verbs,
};

pub(crate) use agent::{compile_worker, process_jobs, state_dir as agent_state_dir};
pub(crate) use workers::{COMPILE_WORKER, worker};

/// What a subcommand works with.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) out: Output,
}

impl Context {
    /// Returns a client of the endpoint.
    pub(crate) fn client(&self) -> Result<Client> {
        self.settings.client()
    }
}

/// Returns the whole command line. `as_server` is the one of a program that was started as the server.
pub(crate) fn command(as_server: bool) -> Command {
    let root = Command::new("formwork")
        .version(if as_server { version::AS_SERVER } else { version::PROGRAM })
        .subcommand_required(true)
        .arg_required_else_help(true);
    GlobalArgs::augment_args(root)
        // After the flags, whose own description would take its place.
        .about("Provisions machines over the network")
        .long_about(None)
        .subcommand(serve::command(as_server))
        .subcommand(agent::command())
        .subcommand(fleet::command())
        .subcommand(demo::command())
        .subcommands(verbs::commands())
        .subcommand(pack::command())
        .subcommand(component::command())
        .subcommand(component::replay_command())
        .subcommand(version::command())
        .subcommands(workers::commands())
}

/// Runs the subcommand that was given and returns the program's exit code.
pub(crate) async fn run(matches: &ArgMatches) -> Result<ExitCode> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(UsageError(String::from("a subcommand is needed")).into());
    };
    let daemon = matches!(name, "serve" | "agent" | "demo");
    let flags = GlobalArgs::from_arg_matches(matches)?;
    let level = if daemon { LevelFilter::INFO } else { LevelFilter::WARN };
    logging::start(level, if flags.debug { LevelFilter::DEBUG } else { level });
    // The proxy is what the others go through; it cannot go through itself.
    let settings = if name == "proxy" { Settings::gather_direct(&flags)? } else { Settings::gather(&flags)? };
    let out = Output::stdout(settings.style.clone());
    let mut context = Context { settings, out };
    match name {
        "serve" => serve::run(matches).await?,
        "agent" => return agent::run(matches, &mut context).await,
        "fleet" => return fleet::run(matches, &mut context).await,
        "demo" => return demo::run(matches, &mut context).await,
        "pack" => return pack::run(matches, &mut context).await,
        "component" => component::run(matches, &mut context).await?,
        "replay" => return component::replay(matches, &mut context).await,
        "version" => version::run(&mut context)?,
        name if verbs::names().any(|(known, _)| known == name) => {
            verbs::run(name, matches, &mut context).await?;
        }
        name => return Err(UsageError(format!("there is no subcommand `{name}`")).into()),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_in_order() {
        command(false).debug_assert();
        command(true).debug_assert();
    }

    #[test]
    fn no_argument_takes_the_place_of_a_global_flag() {
        fn check(command: &Command, globals: &[String]) {
            for argument in command.get_arguments().filter(|argument| !argument.is_global_set()) {
                assert!(!globals.contains(&argument.get_id().to_string()), "{}", command.get_name());
            }
            command.get_subcommands().for_each(|command| check(command, globals));
        }
        let command = command(false);
        let globals = command.get_arguments().filter(|argument| argument.is_global_set());
        let globals: Vec<String> = globals.map(|argument| argument.get_id().to_string()).collect();
        assert!(globals.len() > 20);
        check(&command, &globals);
    }

    #[test]
    fn global_flags_may_stand_behind_the_verb() {
        let matches = command(false)
            .try_get_matches_from(["formwork", "machines", "list", "-F", "table", "-E", "https://x"])
            .unwrap();
        let (_, matches) = matches.subcommand().unwrap();
        let flags = GlobalArgs::from_arg_matches(matches).unwrap();
        assert_eq!(flags.endpoint.as_deref(), Some("https://x"));
        assert_eq!(flags.format.as_deref(), Some("table"));
    }
}
