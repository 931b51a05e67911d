//! `exec`: programs of the machine that the agent works on.
//!
//! Grants: `exec: PROGRAM`, a bare name or an absolute path.

use serde::{Deserialize, Serialize};

use super::bindings::formwork::exec::exec as wit;
use super::{Blob, answer, host_errors};
use crate::grants::Grants;
use crate::state::CallState;
use crate::{HostAnswer, HostCall, HostError};

/// Most arguments of a program.
const MAX_ARGS: usize = 256;

/// Most bytes of arguments, environment and input together.
const MAX_INPUT_BYTES: usize = 128 << 10;

/// Longest time that a program may take.
const MAX_TIMEOUT_MS: u32 = 600_000;

/// A program that is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExecCommand {
    /// A bare name or an absolute path, as the grant writes it.
    pub program: String,
    /// Its arguments, without NULs.
    pub args: Vec<String>,
    /// Variables of its environment, besides `PATH` and `LANG`.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// What it reads.
    #[serde(default)]
    pub stdin: Blob,
    /// It is killed after this time; at most 10 minutes.
    pub timeout_ms: u32,
}

/// What a program left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExecOutput {
    /// How it ended.
    pub status: ExecStatus,
    /// The first 512 KiB that it wrote.
    pub stdout: Blob,
    /// The first 64 KiB of its complaints.
    #[serde(default)]
    pub stderr: Blob,
    /// Whether more came after those.
    #[serde(default)]
    pub truncated: bool,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecStatus {
    /// By itself, with this code.
    Exited(u8),
    /// By a signal of this number.
    Signalled(u8),
    /// Killed, as its time was over.
    TimedOut,
}

/// Reads the words after `exec:`.
pub(crate) fn grant(grants: &mut Grants, words: &[&str]) -> Result<(), &'static str> {
    match words {
        [program] if program.starts_with('/') || !program.contains('/') => {
            grants.exec.push((*program).to_owned());
            Ok(())
        }
        _ => Err("the name of a program or an absolute path must follow"),
    }
}

impl wit::Host for CallState {
    async fn run(&mut self, command: wit::Command) -> wasmtime::Result<Result<wit::Output, wit::Error>> {
        self.count_call()?;
        if !self.allowance.grants.may_run(&command.program) {
            return Ok(Err(self.refuse("exec.run", HostError::NotGranted(command.program)).into()));
        }
        if let Err(error) = check(&command) {
            return Ok(Err(self.refuse("exec.run", error).into()));
        }
        let wit::Command { program, args, env, stdin, timeout_ms } = command;
        let timeout_ms = timeout_ms.min(MAX_TIMEOUT_MS);
        let call = HostCall::Exec(ExecCommand { program, args, env, stdin: Blob(stdin), timeout_ms });
        let output = answer(self.ask(call).await, HostAnswer::exec)?;
        Ok(output.map(Into::into))
    }
}

/// Checks a command before the host sees it.
fn check(command: &wit::Command) -> Result<(), HostError> {
    let invalid = |words: &str| Err(HostError::Invalid(words.to_owned()));
    if command.args.len() + command.env.len() > MAX_ARGS {
        return invalid("there are too many arguments and variables");
    }
    let env = command.env.iter().flat_map(|(name, value)| [name, value]);
    let bytes = command.args.iter().chain(env.clone()).map(String::len).sum::<usize>() + command.stdin.len();
    if bytes > MAX_INPUT_BYTES {
        return invalid("arguments, environment and input are too long");
    }
    if command.args.iter().chain(env).any(|text| text.contains('\0')) {
        return invalid("an argument or a variable has a NUL in it");
    }
    if command.env.iter().any(|(name, _)| name.is_empty() || name.contains('=')) {
        return invalid("the name of a variable is empty or has an `=` in it");
    }
    Ok(())
}

impl From<ExecOutput> for wit::Output {
    fn from(output: ExecOutput) -> Self {
        let status = match output.status {
            ExecStatus::Exited(code) => wit::Status::Exited(code),
            ExecStatus::Signalled(signal) => wit::Status::Signalled(signal),
            ExecStatus::TimedOut => wit::Status::TimedOut,
        };
        Self { status, stdout: output.stdout.0, stderr: output.stderr.0, truncated: output.truncated }
    }
}

host_errors!(wit::Error);
