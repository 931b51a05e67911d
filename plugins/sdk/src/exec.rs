//! Programs of the machine that the agent works on, as far as they are granted.

use crate::HostError;
use crate::bindings::capabilities::formwork::exec::exec;
use crate::host;
use crate::host_error::host_errors;

pub use crate::bindings::capabilities::formwork::exec::exec::{Command, Output, Status};

host_errors!(exec::Error);

/// How long a program may take if nothing else is said, in milliseconds.
const TIMEOUT_MS: u32 = 60_000;

impl Command {
    /// Makes a command without arguments and input that may take a minute.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: Vec::new(),
            timeout_ms: TIMEOUT_MS,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }
}

impl Output {
    /// Whether the program ended by itself with code 0.
    pub fn is_success(&self) -> bool {
        matches!(self.status, Status::Exited(0))
    }
}

/// Runs a program and waits for its end.
///
/// # Errors
///
/// Fails when the program is not granted or not there. A program that fails is no error.
pub fn run(command: &Command) -> Result<Output, HostError> {
    Ok(host::exec::run(command)?)
}
