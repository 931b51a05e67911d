//! The agent of the endpoint's own host.

use std::{path::PathBuf, process::Stdio, time::Duration};

use formwork_server::OwnMachine;
use tokio_util::sync::CancellationToken;

/// How long it rests before it is started again.
const REST: Duration = Duration::from_secs(5);

/// Keeps it running as long as the endpoint does.
pub(super) async fn run(program: PathBuf, port: u16, machine: OwnMachine, shutdown: CancellationToken) {
    loop {
        let agent = tokio::process::Command::new(&program)
            .args(["agent", "--no-power", "--uuid", &machine.uuid])
            .env("RS_ENDPOINT", format!("https://127.0.0.1:{port}"))
            .env("RS_TOKEN", &machine.token)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        match agent {
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
