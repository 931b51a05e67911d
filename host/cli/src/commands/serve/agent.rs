//! Agents that the endpoint starts: that of its own host, and how any of them is started.

use std::{io, path::PathBuf, process::Stdio, time::Duration};

use formwork_server::OwnMachine;
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

/// How long one rests before it is started again.
pub(super) const REST: Duration = Duration::from_secs(5);

/// How agents of this endpoint are started.
#[derive(Clone, Debug)]
pub(super) struct Agents {
    /// The program that is one.
    pub(super) program: PathBuf,
    /// The port of the API.
    pub(super) port: u16,
}

impl Agents {
    /// Starts the agent of a machine, which ends when its handle is dropped, with some more arguments.
    pub(super) fn start<A: AsRef<std::ffi::OsStr>>(
        &self,
        machine: &OwnMachine,
        arguments: &[A],
    ) -> io::Result<Child> {
        tokio::process::Command::new(&self.program)
            .args(["agent", "--with-parent", "--no-power", "--uuid", &machine.uuid])
            .args(arguments)
            .env("RS_ENDPOINT", format!("https://127.0.0.1:{}", self.port))
            .env("RS_TOKEN", &machine.token)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Keeps the agent of the endpoint's own host running as long as the endpoint does.
pub(super) async fn run(agents: Agents, machine: OwnMachine, shutdown: CancellationToken) {
    loop {
        match agents.start::<&str>(&machine, &[]) {
            Ok(mut agent) => tokio::select! {
                ended = agent.wait() => tracing::warn!(?ended, "the agent of this host ended"),
                () = shutdown.cancelled() => {
                    let _ = agent.kill().await;
                    return;
                }
            },
            Err(error) => tracing::warn!(%error, "the agent of this host does not start"),
        }
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            () = shutdown.cancelled() => return,
        }
    }
}
