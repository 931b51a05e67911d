//! `formwork component`: looks at a component, and calls one of its exports by hand.

mod desk;

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use formwork_sandbox::{
    Digest, Grants, Invocation, Question, Recording, Replay, Sandbox, SandboxConfig, Used, inspect,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use self::desk::Desk;
use super::{Context, compile_worker, pack};
use crate::{failure::UsageError, input};

/// The largest component that is read, in bytes; the sandbox refuses smaller ones already.
const MAX_COMPONENT_BYTES: u64 = 64 << 20;

/// Which component, and nothing else.
#[derive(Clone, Debug, Args)]
struct InspectArgs {
    /// The component: a file `.wasm`
    file: PathBuf,
}

/// Which call.
#[derive(Clone, Debug, Args)]
struct CallArgs {
    /// The component: a file `.wasm`
    file: PathBuf,
    /// The export: run, plan, after-job, describe, act, on-event, admit, ...
    export: String,
    /// What it is asked, as JSON or YAML; @FILE reads a file, - standard input
    #[arg(default_value = "")]
    input: String,
    /// What it may do, as in a manifest: `params: read inventory/*` [default: what the manifest around it asks for]
    #[arg(long = "grant", value_name = "LINE")]
    grants: Vec<String>,
    /// A parameter that it finds; the value is JSON or a plain word
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// A secret that it finds
    #[arg(long = "secret", value_name = "NAME=VALUE")]
    secrets: Vec<String>,
    /// Where the call is recorded, for `formwork replay`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// What is replayed.
#[derive(Clone, Debug, Args)]
struct ReplayArgs {
    /// The recording
    recording: PathBuf,
    /// The component that it is replayed with: a file `.wasm`
    #[arg(long, value_name = "FILE")]
    component: PathBuf,
}

pub(super) fn command() -> Command {
    let call = CallArgs::augment_args(Command::new("call"));
    let inspect = InspectArgs::augment_args(Command::new("inspect"));
    Command::new("component")
        .about("Looks at a component, and calls it by hand")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(inspect.about("Shows what a component is for and what it imports").long_about(None))
        .subcommand(call.about("Calls one export with JSON in and out").long_about(None))
}

pub(super) fn replay_command() -> Command {
    let about = "Runs a recorded call with another version of the component and shows the first difference";
    ReplayArgs::augment_args(Command::new("replay")).about(about).long_about(None)
}

pub(super) async fn run(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    match matches.subcommand() {
        Some(("call", matches)) => call(CallArgs::from_arg_matches(matches)?, context).await,
        Some(("inspect", matches)) => show(&InspectArgs::from_arg_matches(matches)?.file, context),
        _ => Ok(()),
    }
}

/// What `inspect` shows.
#[derive(Debug, Serialize)]
struct Shown {
    kind: String,
    track: String,
    imports: Vec<String>,
    digest: String,
    bytes: usize,
}

fn show(file: &Path, context: &mut Context) -> Result<()> {
    let wasm = read(file)?;
    let info = inspect(&wasm).with_context(|| format!("`{}` cannot be run", file.display()))?;
    let shown = Shown {
        kind: info.kind.to_string(),
        track: info.track,
        imports: info.imports.iter().map(ToString::to_string).collect(),
        digest: info.digest.to_string(),
        bytes: wasm.len(),
    };
    context.out.value(&shown, &[])
}

async fn call(arguments: CallArgs, context: &mut Context) -> Result<()> {
    let question = question(&arguments.export, &arguments.input)?;
    let workplace = Workplace::open()?;
    let digest = workplace.prepare(&arguments.file).await?;
    let name = arguments.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut invocation = Invocation::new(name.unwrap_or_default(), question.subject());
    let granted = match arguments.grants.is_empty() {
        true => pack::asked_for(&arguments.file)?.unwrap_or_default(),
        false => arguments.grants,
    };
    invocation.grants = Grants::parse(&granted)?.into();
    invocation.host = Some(Desk::new(&arguments.params, &arguments.secrets, workplace.folder.path())?);
    let sandbox = &workplace.sandbox;
    let (ended, recording) = sandbox.ask_recorded(&digest, invocation, &question).await;
    if let Some(file) = &arguments.record {
        let recording = recording.context("the call asked for too much to be recorded")?;
        let text = serde_json::to_vec_pretty(&recording)?;
        fs::write(file, text).with_context(|| format!("failed to write `{}`", file.display()))?;
    }
    let report = ended?;
    tell(&report.used);
    context.out.value(&report.answer, &[])
}

/// Makes the question for an export. A task that is given nothing runs for a machine that is made up.
fn question(export: &str, input: &str) -> Result<Question> {
    let input = if input.is_empty() { Value::Null } else { input::value(input)? };
    let value = match (export, input) {
        ("run", Value::Null) => json!({"run": {"machine": made_up_machine(), "now-ms": 0}}),
        (export, Value::Null) => Value::String(export.to_owned()),
        (export, input) => Value::Object(Map::from_iter([(export.to_owned(), input)])),
    };
    serde_json::from_value(value)
        .map_err(|error| UsageError(format!("this is no input for `{export}`: {error}")).into())
}

fn made_up_machine() -> Value {
    json!({"uuid": "00000000-0000-4000-8000-000000000001", "name": "machine", "task": "task",
           "job": "00000000-0000-4000-8000-000000000002"})
}

/// Runs a recording and shows where it first differs; that is an error, so that scripts notice it.
pub(super) async fn replay(matches: &ArgMatches, context: &mut Context) -> Result<std::process::ExitCode> {
    let ReplayArgs { recording, component } = ReplayArgs::from_arg_matches(matches)?;
    let text = input::file(&recording.display().to_string())?;
    let recorded: Recording =
        serde_json::from_str(&text).with_context(|| format!("`{}` is no recording", recording.display()))?;
    let workplace = Workplace::open()?;
    let digest = workplace.prepare(&component).await?;
    let replay: Replay = workplace.sandbox.replay(&digest, &recorded).await?;
    tell(&replay.used);
    context.out.value(&replay, &[])?;
    let same = replay.difference.is_none();
    Ok(if same { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE })
}

/// A sandbox of this process, whose compiled components go with it.
struct Workplace {
    sandbox: Sandbox,
    folder: tempfile::TempDir,
}

impl Workplace {
    fn open() -> Result<Self> {
        let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
        let sandbox = Sandbox::new(SandboxConfig::new(folder.path().to_owned(), compile_worker()?))?;
        Ok(Self { sandbox, folder })
    }

    async fn prepare(&self, file: &Path) -> Result<Digest> {
        let wasm = read(file)?;
        let prepared = self.sandbox.prepare(&wasm).await;
        prepared.with_context(|| format!("`{}` cannot be run", file.display()))
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let failed = || format!("failed to read `{}`", file.display());
    let length = fs::metadata(file).with_context(failed)?.len();
    if length > MAX_COMPONENT_BYTES {
        return Err(UsageError(format!("`{}` has {length} bytes: too large", file.display())).into());
    }
    fs::read(file).with_context(failed)
}

/// Tells what a call took, apart from its result.
fn tell(used: &Used) {
    let words = format!(
        "used: fuel {}, time {:.3} ms, memory {} KiB, host calls {}, log {} bytes\n",
        used.fuel,
        used.elapsed.as_secs_f64() * 1000.0,
        used.memory_peak >> 10,
        used.host_calls,
        used.log_bytes,
    );
    // Nobody is left to tell when standard error is closed.
    io::stderr().write_all(words.as_bytes()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_runs_for_a_made_up_machine_when_nothing_is_given() {
        let Question::Run(call) = question("run", "").unwrap() else { panic!() };
        assert_eq!((call.machine.name.as_str(), call.attempt), ("machine", 0));
        let Question::Run(call) = question("run", r#"{"machine": {"name": "x"}, "now-ms": 7}"#).unwrap()
        else {
            panic!()
        };
        assert_eq!((call.machine.name.as_str(), call.now_ms), ("x", 7));
    }

    #[test]
    fn exports_without_input_are_asked_by_their_name() {
        assert_eq!(question("describe", "").unwrap(), Question::Describe);
    }

    #[test]
    fn unknown_export_and_unfit_input_are_told() {
        for (export, input) in [("dance", ""), ("plan", "7"), ("run", "7")] {
            let error = question(export, input).unwrap_err().to_string();
            assert!(error.starts_with(&format!("this is no input for `{export}`")), "{error}");
        }
    }
}
