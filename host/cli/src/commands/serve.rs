//! `formwork serve`: runs an endpoint. The flags are those of `dr-provision` (drp-api.md 16.1) and a few more.

mod agent;
mod flags;
mod groups;

use std::{
    env,
    ffi::OsString,
    io::{self, Write as _},
    path::Path,
};

use anyhow::Result;
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};
use formwork_server::{FirstUser, Started, TlsRules};

use self::{
    agent::Agents,
    flags::{ServeArgs, options},
};
use crate::shutdown;

/// The folder of the agents of clusters and resource brokers, below the base root.
const RUNNERS: &str = "runners";

/// Under this name the program serves without a subcommand.
pub(crate) const SERVER_NAME: &str = "dr-provision";

pub(super) fn command(as_server: bool) -> Command {
    let command = ServeArgs::augment_args(Command::new("serve")).about("Runs an endpoint").long_about(None);
    if as_server { command.version(super::version::AS_SERVER) } else { command }
}

/// Returns the arguments of a program that was started as `dr-provision`: its flags are those of `serve`.
pub(crate) fn arguments_of_server(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_default();
    [program, OsString::from("serve")].into_iter().chain(arguments).collect()
}

pub(super) async fn run(matches: &ArgMatches) -> Result<()> {
    let named = env::args_os()
        .next()
        .is_some_and(|program| Path::new(&program).file_name().is_some_and(|name| name == SERVER_NAME));
    let args = ServeArgs::from_arg_matches(matches)?;
    if args.tls_ciphers_available {
        io::stdout().write_all(format!("{}\n", TlsRules::available().join("\n")).as_bytes())?;
        return Ok(());
    }
    let starts_runner = args.start_runner;
    let options = options(args, named)?;
    let agents = Agents { program: options.worker.clone(), port: options.api_port };
    let folder = options.base_root.join(RUNNERS);
    let shutdown = shutdown::on_signal()?;
    let runs = shutdown.clone();
    let started = move |started: &Started| {
        announce(started);
        let groups = started.groups.clone();
        if !starts_runner {
            tokio::spawn(groups::tell(groups, runs));
            return;
        }
        if let Some(machine) = started.own_machine.clone() {
            tokio::spawn(agent::run(agents.clone(), machine, runs.clone()));
        }
        tokio::spawn(groups::attend(agents, folder, groups, runs));
    };
    formwork_server::serve(options, started, async move { shutdown.cancelled().await }).await?;
    Ok(())
}

/// Tells where the endpoint is.
fn announce(started: &Started) {
    // A closed standard output does not keep an endpoint from serving.
    io::stdout().write_all(announcement(&started.url, started.first_user.as_ref()).as_bytes()).ok();
}

/// Says where the endpoint is and who its first user is. A password that was made up is told, once and never again; one
/// that the operator gave is not repeated.
fn announcement(url: &str, first_user: Option<&FirstUser>) -> String {
    let Some(FirstUser { name, made_password }) = first_user else {
        return format!("endpoint  {url}\n");
    };
    match made_password {
        Some(password) => format!(
            "endpoint  {url}\nuser      {name}\npassword  {password}  (shown this once)\n\
             export RS_ENDPOINT={url} RS_KEY='{name}:{password}'\n"
        ),
        None => format!("endpoint  {url}\nuser      {name}\n"),
    }
}

#[cfg(test)]
mod tests;
