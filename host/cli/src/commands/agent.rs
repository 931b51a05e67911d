//! `formwork agent`: runs the jobs of the machine that it is on.

mod install;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use formwork_agent::{AgentOptions, Identity, PowerMode, Simulation};
use formwork_sandbox::WorkerCommand;

use self::install::InstallArgs;
use super::{COMPILE_WORKER, Context};
use crate::{failure::EndedWith, settings::Settings, shutdown, verbs::Given};

/// The subcommand that makes a service of the agent.
const INSTALL: &str = "install";

/// The name of the folder that the agent keeps its state in.
const STATE_DIR: &str = "formwork-agent";

/// Flags of the agent.
#[derive(Clone, Debug, Args)]
struct AgentArgs {
    /// The UUID of the machine object; found by the hardware by default
    #[arg(long, env = "RS_UUID", value_name = "UUID")]
    uuid: Option<String>,
    /// The name of a machine object that has to be made; the host name by default
    #[arg(long)]
    name: Option<String>,
    /// The context whose jobs are run; the machine's own by default
    #[arg(long, env = "RS_CONTEXT", default_value = "")]
    context: String,
    /// The folder for state and job files
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The folder in which each job gets its own; below the state folder by default
    #[arg(long, env = "RS_TASK_DIR", value_name = "DIR")]
    task_dir: Option<PathBuf>,
    /// The folder that all jobs share; below the state folder by default
    #[arg(long, env = "RS_RUNNER_DIR", value_name = "DIR")]
    runner_dir: Option<PathBuf>,
    /// End with exit code 64 instead of rebooting, and with 32 instead of powering off
    #[arg(long)]
    no_power: bool,
    /// End when the machine's task list is done; with exit code 4 when a job of it failed
    #[arg(long, alias = "oneshot")]
    once: bool,
    /// Be a machine with this MAC address instead of this one; implies --no-power
    #[arg(long, value_name = "MAC")]
    simulate_mac: Vec<String>,
    /// Be a machine whose firmware tells this UUID; implies --no-power
    #[arg(long, value_name = "UUID")]
    simulate_uuid: Option<String>,
    /// End when the program that started this one does
    #[arg(long, hide = true)]
    with_parent: bool,
    /// Keep recordings of the last 1000 calls of components in this folder, for `formwork replay`; secrets too
    #[arg(long, env = "FORMWORK_RECORD_CALLS", value_name = "DIR")]
    record_calls: Option<PathBuf>,
}

pub(super) fn command() -> Command {
    let install = InstallArgs::augment_args(Command::new(INSTALL))
        .about("Has systemd start the agent at each boot, as the machine that this is")
        .long_about(None);
    AgentArgs::augment_args(Command::new("agent"))
        .about("Runs the jobs of this machine")
        .long_about(None)
        .subcommand(install)
}

pub(super) async fn run(matches: &ArgMatches, context: &mut Context) -> Result<ExitCode> {
    let args = AgentArgs::from_arg_matches(matches)?;
    if let Some((INSTALL, matches)) = matches.subcommand() {
        let state_dir = args.state_dir.unwrap_or_else(state_dir);
        install::run(InstallArgs::from_arg_matches(matches)?, args.uuid, &state_dir, context).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.with_parent {
        end_with_parent()?;
    }
    let options = options(args, &context.settings)?;
    let exit = formwork_agent::run(options, shutdown::on_signal()?).await?;
    Ok(ExitCode::from(exit.code()))
}

/// Has the system end this program when the one that started it is gone: an endpoint that is killed and started again starts its
/// agents again too, and of two for one machine each would fail the other's jobs.
fn end_with_parent() -> Result<()> {
    let parent = nix::unistd::getppid();
    nix::sys::prctl::set_pdeathsig(Some(nix::sys::signal::Signal::SIGTERM))
        .context("failed to tie this agent to its endpoint")?;
    // It may have gone before that.
    if nix::unistd::getppid() == parent {
        Ok(())
    } else {
        Err(anyhow::anyhow!("the endpoint of this agent is gone"))
    }
}

/// Runs the agent of a machine in the foreground, with the flags of `machines processjobs`.
pub(crate) async fn process_jobs(settings: &Settings, uuid: Option<String>, given: &Given<'_>) -> Result<()> {
    let folder = |name| env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let args = AgentArgs {
        uuid,
        name: None,
        context: given
            .optional("context")
            .map_or_else(|| env::var("RS_CONTEXT").unwrap_or_default(), str::to_owned),
        state_dir: given.optional("state-dir").map(PathBuf::from),
        task_dir: folder("RS_TASK_DIR"),
        runner_dir: folder("RS_RUNNER_DIR"),
        no_power: given.is_on("skip-power"),
        once: given.is_on("oneshot") || given.is_on("exit-on-failure"),
        simulate_mac: Vec::new(),
        simulate_uuid: None,
        with_parent: false,
        record_calls: None,
    };
    let exit = formwork_agent::run(options(args, settings)?, shutdown::on_signal()?).await?;
    match exit.code() {
        0 => Ok(()),
        code => Err(EndedWith(code).into()),
    }
}

fn options(args: AgentArgs, settings: &Settings) -> Result<AgentOptions> {
    let simulated = !args.simulate_mac.is_empty() || args.simulate_uuid.is_some();
    let simulation = simulated.then_some(Simulation { macs: args.simulate_mac, uuid: args.simulate_uuid });
    let own = simulation.as_ref().and_then(|simulation| {
        simulation.macs.first().or(simulation.uuid.as_ref()).map(|name| name.replace([':', '/'], ""))
    });
    let state_dir = match args.state_dir {
        Some(folder) => folder,
        None => own.map_or_else(state_dir, |own| state_dir().join(own)),
    };
    // Scripts run in folders of their own, where a relative path means another place.
    let absolute = |folder: PathBuf| std::path::absolute(folder).context("failed to find the working folder");
    Ok(AgentOptions {
        endpoint: settings.endpoint.clone(),
        socket: settings.socket.clone(),
        context: args.context,
        state_dir: absolute(state_dir)?,
        task_dir: args.task_dir.map(absolute).transpose()?,
        runner_dir: args.runner_dir.map(absolute).transpose()?,
        power: if simulated || args.no_power { PowerMode::Exit } else { PowerMode::Machine },
        identity: Identity { machine: args.uuid, name: args.name, simulation },
        once: args.once,
        compile_worker: compile_worker()?,
        record_calls: args.record_calls,
    })
}

/// Returns this very program as the one that compiles components.
pub(crate) fn compile_worker() -> Result<WorkerCommand> {
    let program = env::current_exe().context("failed to find this program")?;
    Ok(WorkerCommand::new(program, [COMPILE_WORKER.to_owned()]))
}

/// Returns where state is kept when nothing else was said: the system's place for root, the user's for others.
pub(crate) fn state_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return Path::new("/var/lib").join(STATE_DIR);
    }
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".local/state"));
    state.or(home).unwrap_or_else(env::temp_dir).join(STATE_DIR)
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;
    use crate::arguments::GlobalArgs;

    fn parse(line: &str) -> AgentOptions {
        let matches = super::super::command(false).get_matches_from(line.split(' '));
        let (_, matches) = matches.subcommand().unwrap();
        let flags = GlobalArgs::from_arg_matches(matches).unwrap();
        let settings = Settings::gather(&flags).unwrap();
        options(AgentArgs::from_arg_matches(matches).unwrap(), &settings).unwrap()
    }

    #[test]
    fn simulated_machine_never_touches_the_power_and_has_its_own_folder() {
        let options =
            parse("formwork agent --simulate-mac 52:54:00:00:00:01 --simulate-mac 52:54:00:00:00:02");
        assert_eq!(options.power, PowerMode::Exit);
        assert!(options.state_dir.ends_with("formwork-agent/525400000001"), "{:?}", options.state_dir);
        assert_eq!(options.identity.simulation.unwrap().macs.len(), 2);
    }

    #[test]
    fn folders_of_jobs_may_be_elsewhere() {
        let options = parse("formwork agent --task-dir jobs --runner-dir /srv/runner");
        assert_eq!(options.task_dir, Some(env::current_dir().unwrap().join("jobs")));
        assert_eq!(options.runner_dir, Some(PathBuf::from("/srv/runner")));
    }

    #[test]
    fn real_machine_switches_its_own_power_unless_told_not_to() {
        assert_eq!(parse("formwork agent").power, PowerMode::Machine);
        assert_eq!(parse("formwork agent --no-power").power, PowerMode::Exit);
    }
}
