//! The subcommands, a file each.

mod agent;
mod blobs;
mod component;
mod contents;
mod events;
mod info;
mod jobs;
mod machines;
mod objects;
mod pack;
mod packs;
mod prefs;
pub(crate) mod serve;
mod users;
mod version;
mod workers;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};
use formwork_client::{BlobKind, Client};
use formwork_model::kind_of;
use tracing::level_filters::LevelFilter;

use crate::{arguments::GlobalArgs, demo, failure::UsageError, logging, output::Output, settings::Settings};

pub(crate) use agent::compile_worker;
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
        .subcommand(demo::command())
        .subcommands(objects::commands())
        .subcommands(blobs::commands())
        .subcommand(contents::command())
        .subcommand(pack::command())
        .subcommand(component::command())
        .subcommand(component::replay_command())
        .subcommand(prefs::command())
        .subcommand(events::command())
        .subcommand(info::command())
        .subcommand(version::command())
        .subcommands(workers::commands())
}

/// Runs the subcommand that was given and returns the program's exit code.
pub(crate) async fn run(matches: &ArgMatches) -> Result<ExitCode> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(UsageError(String::from("a subcommand is needed")).into());
    };
    let daemon = matches!(name, "serve" | "agent" | "demo");
    logging::start(if daemon { LevelFilter::INFO } else { LevelFilter::WARN });
    let flags = GlobalArgs::from_arg_matches(matches)?;
    let settings = Settings::gather(&flags)?;
    let out = Output::stdout(settings.format);
    let mut context = Context { settings, out };
    match name {
        "serve" => serve::run(matches).await?,
        "agent" => return agent::run(matches, &context).await,
        "demo" => return demo::run(matches, &mut context).await,
        "pack" => return pack::run(matches, &mut context).await,
        "component" => component::run(matches, &mut context).await?,
        "replay" => return component::replay(matches, &mut context).await,
        "files" => blobs::run(BlobKind::Files, matches, &mut context).await?,
        "isos" => blobs::run(BlobKind::Isos, matches, &mut context).await?,
        "contents" => contents::run(matches, &mut context).await?,
        "prefs" => prefs::run(matches, &mut context).await?,
        "events" => events::run(matches, &mut context).await?,
        "info" => info::run(matches, &mut context).await?,
        "version" => version::run(&mut context)?,
        prefix => match kind_of(prefix) {
            Some(kind) => objects::run(kind, matches, &mut context).await?,
            None => return Err(UsageError(format!("there is no subcommand `{prefix}`")).into()),
        },
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
    fn every_type_has_its_verbs() {
        for kind in objects::kinds() {
            for verb in ["list", "show", "create", "update", "destroy", "exists", "count"] {
                let arguments = match verb {
                    "list" | "count" => vec!["formwork", kind.prefix, verb],
                    "update" => vec!["formwork", kind.prefix, verb, "x", "{}"],
                    _ => vec!["formwork", kind.prefix, verb, "x"],
                };
                let matches = command(false).try_get_matches_from(arguments).unwrap();
                assert_eq!(matches.subcommand_name(), Some(kind.prefix));
            }
        }
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
        assert_eq!(globals.len(), 6);
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
        assert_eq!(flags.format, Some(crate::arguments::Format::Table));
    }
}
