//! The agent in place of the loaded system: a child process with the endpoint and token of the kernel command line.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use super::Machine;

/// The argument of the kernel command line that names the endpoint.
const ENDPOINT: &str = "formwork.endpoint";

/// The argument of the kernel command line that holds the token.
const TOKEN: &str = "formwork.token";

/// How long an agent may take to end after a signal.
const GRACE: Duration = Duration::from_secs(10);

/// What shells add to a signal's number to make an exit code.
const SIGNALLED: i32 = 128;

/// Runs the agent until it ends, and returns its exit code. SIGTERM and SIGINT are handed on.
///
/// # Errors
///
/// The command line names no endpoint or no token; the agent cannot be started.
pub(crate) async fn run(
    machine: &Machine,
    command_line: &str,
    more: &[OsString],
) -> anyhow::Result<ExitCode> {
    let endpoint = required(command_line, ENDPOINT)?;
    let token = required(command_line, TOKEN)?;
    let program = std::env::current_exe().context("failed to find the own program")?;
    let mut command = Command::new(program);
    command.args(arguments(machine)).args(more);
    command.env("RS_ENDPOINT", endpoint).env("RS_TOKEN", token).env_remove("RS_KEY");
    command.kill_on_drop(true);
    // Before the agent starts: a signal must not end this process and leave the agent behind.
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let mut child = command.spawn().context("failed to start the agent")?;
    let status = tokio::select! {
        status = child.wait() => status.context("failed to wait for the agent")?,
        _ = terminate.recv() => end(&mut child).await?,
        _ = interrupt.recv() => end(&mut child).await?,
    };
    Ok(exit_code(status))
}

fn arguments(machine: &Machine) -> Vec<String> {
    let mut arguments = ["agent", "--no-power", "--simulate-mac"].map(str::to_owned).to_vec();
    arguments.push(machine.mac.to_string());
    if let Some(uuid) = machine.uuid {
        arguments.extend(["--simulate-uuid".to_owned(), uuid.to_string()]);
    }
    arguments
}

/// Returns the value of an argument; of several the last counts, as for the kernel.
fn required<'a>(command_line: &'a str, name: &str) -> anyhow::Result<&'a str> {
    let mut arguments = command_line.split_ascii_whitespace().filter_map(|argument| argument.split_once('='));
    match arguments.rfind(|(key, value)| *key == name && !value.is_empty()) {
        Some((_, value)) => Ok(value),
        None => bail!("the kernel command line has no `{name}=`, without which no agent can start"),
    }
}

/// Returns a command line fit to be shown: the token opens the endpoint, so it becomes dots.
pub(crate) fn without_token(command_line: &str) -> String {
    let shown = |argument: &str| match argument.split_once('=') {
        Some((TOKEN, _)) => format!("{TOKEN}=..."),
        _ => argument.to_owned(),
    };
    command_line.split_ascii_whitespace().map(shown).collect::<Vec<_>>().join(" ")
}

async fn end(child: &mut Child) -> anyhow::Result<ExitStatus> {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // The child is ours and not waited for yet, so its number cannot be another process's.
        kill(Pid::from_raw(pid), Signal::SIGTERM).context("failed to end the agent")?;
    }
    match tokio::time::timeout(GRACE, child.wait()).await {
        Ok(status) => status.context("failed to wait for the agent"),
        Err(_) => {
            child.start_kill().context("failed to kill the agent")?;
            child.wait().await.context("failed to wait for the agent")
        }
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let signalled = status.signal().map(|signal| SIGNALLED + signal);
    let code = status.code().or(signalled).and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use formwork_boot_proto::dhcp::HardwareAddress;

    use super::*;

    #[test]
    fn last_argument_of_a_name_counts() {
        let line = "quiet formwork.token=a formwork.endpoint=https://10.0.0.1:8092 formwork.token=b=c";
        assert_eq!(required(line, ENDPOINT).unwrap(), "https://10.0.0.1:8092");
        assert_eq!(required(line, TOKEN).unwrap(), "b=c");
    }

    #[test]
    fn token_is_never_shown() {
        let shown = without_token("quiet formwork.token=abc formwork.endpoint=https://10.0.0.1:8092");
        assert_eq!(shown, "quiet formwork.token=... formwork.endpoint=https://10.0.0.1:8092");
    }

    #[test]
    fn missing_argument_is_named() {
        for line in ["", "formwork.token", "formwork.token=", "xformwork.token=a"] {
            let error = required(line, TOKEN).unwrap_err().to_string();
            assert!(error.contains("`formwork.token=`"), "{error}");
        }
    }

    #[test]
    fn agent_is_told_the_simulated_hardware() {
        let mac = HardwareAddress::ethernet([0x52, 0x54, 0, 0x77, 0, 1]);
        let uuid = "c0ffee00-77aa-4c3d-9e1f-525400770001";
        let without = arguments(&Machine { mac, uuid: None });
        assert_eq!(without, ["agent", "--no-power", "--simulate-mac", "52:54:00:77:00:01"]);
        let with = arguments(&Machine { mac, uuid: Some(uuid.parse().unwrap()) });
        assert_eq!(with[4..], ["--simulate-uuid", uuid]);
    }

    #[test]
    fn exit_code_of_the_agent_is_passed_on_and_a_signal_is_one_too() {
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), ExitCode::from(7));
        assert_eq!(exit_code(ExitStatus::from_raw(15)), ExitCode::from(143));
    }
}
