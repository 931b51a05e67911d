//! `formwork fleet`: machines that are not there, with the real agent on each.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::{ArgMatches, Args, Command, FromArgMatches as _, ValueEnum};
use formwork_fleet::{Fleet, FleetOptions, Profile, Progress, Streams, WhenComplete};
use formwork_model::parse_duration;
use tokio::time::interval;

use super::Context;
use crate::{input, progress, shutdown};

/// How often a terminal is told how far the fleet is.
const ROUND: Duration = Duration::from_secs(1);

/// How many rounds go by between two lines where there is no terminal.
const ROUNDS_OF_A_LINE: u32 = 10;

/// The exit code when a job holds a machine that was given up, as that of an agent.
const HELD: u8 = 4;

/// What the help says beyond the flags.
const MORE: &str = "\
Machines are found by their invented hardware or registered, get the workflow, and run it with the real agent; only programs and
power are simulated. The same seed, profile and number of machines give the same machines and the same decisions.

A profile is a YAML file, as:

  workflow: burn-in               # what machines get; --workflow goes before it
  reboot: 5s..20s                 # how long a machine is away between two boots
  operator: {resumes: 3, after: 2s}   # lets a machine go on that a failed job holds
  hardware:
    - {weight: 3, memory: 256 GiB, disks: [480 GB, 8 TB], nics: 2}
    - {weight: 1, memory: 64 GiB, params: {rack/kind: edge}}
  tasks:                          # the first entry that means a task counts
    - {task: 'install-*', time: 2s..10s, output: 64 KiB, crash: 0.02,
       ends: {complete: 97, failed: 2, 7: 1}}
    - {task: '*', time: 50ms..500ms, ends: {complete: 99, incomplete-reboot: 1}}

A task ends with an exit code or with complete, failed, killed, stop, poweroff, reboot, incomplete, incomplete-stop,
incomplete-poweroff or incomplete-reboot; numbers behind them are weights. `crash` is how often the machine vanishes half way. All
members are described in host/fleet/README.md of the source.

The exit code is 0, or 4 when a job holds a machine that was given up.";

/// Flags of a fleet.
#[derive(Clone, Debug, Args)]
struct FleetArgs {
    /// How many machines there are
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    machines: u32,
    /// What they are and do, a YAML file or `-`; by default all tasks end well at once
    #[arg(long, value_name = "FILE")]
    profile: Option<String>,
    /// What decides where the profile leaves a choice
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// The workflow that machines get, in place of the profile's
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// When all ends at the latest, such as 90s or 10m
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    time: Option<Duration>,
    /// What follows when machines have nothing to do any more
    #[arg(long, value_enum, default_value_t = Then::End)]
    then: Then,
    /// How many requests of all machines are under way at once; more than keep the endpoint busy only wait there
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = connections)]
    connections: usize,
    /// How machines hear of changes
    #[arg(long, value_enum, default_value_t = Hear::Shared)]
    streams: Hear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Then {
    /// The fleet ends once that is so for all
    End,
    /// They stay connected and wait for more
    Stay,
    /// Each begins its workflow again
    Again,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Hear {
    /// By one event stream for all
    Shared,
    /// Each by its own, as machines that are there do
    Own,
}

pub(super) fn command() -> Command {
    FleetArgs::augment_args(Command::new("fleet"))
        .about("Runs many simulated machines against an endpoint")
        .long_about(None)
        .after_long_help(MORE)
        .after_help("`formwork fleet --help` shows what a profile is")
}

pub(super) async fn run(matches: &ArgMatches, context: &mut Context) -> Result<ExitCode> {
    let args = FleetArgs::from_arg_matches(matches)?;
    let shutdown = shutdown::on_signal()?;
    // A machine may have an event stream of its own.
    formwork_server::raise_file_limit();
    context.settings.settle().await?;
    let fleet = Fleet::new(options(args)?, &context.client()?);
    let summary = tokio::select! {
        summary = fleet.run(&shutdown) => summary,
        never = show(&fleet) => match never {},
    };
    context.out.value(&summary, &[])?;
    Ok(if summary.machines.failed > 0 { ExitCode::from(HELD) } else { ExitCode::SUCCESS })
}

fn options(args: FleetArgs) -> Result<FleetOptions> {
    let profile = match &args.profile {
        Some(file) => {
            let text = input::file(file)?;
            Profile::parse(&text).with_context(|| format!("failed to use `{file}`"))?
        }
        None => Profile::default(),
    };
    let profile = match args.workflow {
        Some(workflow) => profile.with_workflow(workflow),
        None => profile,
    };
    Ok(FleetOptions {
        machines: args.machines,
        profile,
        seed: args.seed,
        time: args.time,
        when_complete: match args.then {
            Then::End => WhenComplete::End,
            Then::Stay => WhenComplete::Stay,
            Then::Again => WhenComplete::Again,
        },
        connections: args.connections,
        streams: match args.streams {
            Hear::Shared => Streams::Shared,
            Hear::Own => Streams::Own,
        },
    })
}

/// Tells people on standard error how far the fleet is.
async fn show(fleet: &Fleet) -> std::convert::Infallible {
    let bar = progress::line();
    let is_terminal = io::stderr().is_terminal();
    let mut rounds = interval(ROUND);
    let mut before = fleet.progress().jobs;
    for round in 0_u32.. {
        rounds.tick().await;
        let now = fleet.progress();
        let text = line(&now, now.jobs - before);
        if is_terminal {
            bar.set_message(text);
            before = now.jobs;
        } else if round % ROUNDS_OF_A_LINE == ROUNDS_OF_A_LINE - 1 {
            let text = line(&now, (now.jobs - before) / u64::from(ROUNDS_OF_A_LINE));
            before = now.jobs;
            // Nobody is left to tell when standard error is closed.
            writeln!(io::stderr(), "{text}").ok();
        }
    }
    std::future::pending().await
}

fn line(progress: &Progress, rate: u64) -> String {
    let (machines, jobs) = (progress.machines, progress.jobs);
    format!(
        "running {:>6}   complete {:>6}   failed {:>6}   ended {:>6}   away {:>6}   jobs {jobs:>8}   {rate:>6}/s",
        machines.running, machines.complete, machines.failed, machines.ended, machines.away
    )
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text, Duration::from_secs(1))
        .ok_or_else(|| format!("`{text}` is no duration; as 90s or 10m"))
}

fn connections(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| format!("`{text}` is no number from 1 to 10000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<FleetArgs, clap::Error> {
        let matches = super::super::command(false).try_get_matches_from(line.split(' '))?;
        FleetArgs::from_arg_matches(matches.subcommand().unwrap().1)
    }

    #[test]
    fn flags_have_bounds_and_the_workflow_of_the_line_goes_before_the_profiles() {
        for wrong in ["--machines 0", "--connections 0", "--for soon", "--then sleep"] {
            assert!(parse(&format!("formwork fleet {wrong}")).is_err(), "{wrong}");
        }
        let args =
            parse("formwork fleet --machines 3 --workflow w --for 2m --then again --streams own").unwrap();
        let options = options(args).unwrap();
        assert_eq!((options.machines, options.time), (3, Some(Duration::from_secs(120))));
        assert_eq!((options.when_complete, options.streams), (WhenComplete::Again, Streams::Own));
        assert!(format!("{:?}", options.profile).contains("workflow: \"w\""));
    }

    #[test]
    fn profile_of_the_help_is_one() {
        let shown = MORE.split("as:\n\n").nth(1).and_then(|rest| rest.split("\n\nA task").next()).unwrap();
        Profile::parse(shown).unwrap();
    }
}
