//! `formwork agent`: runs the jobs of the machine that it is on.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use formwork_agent::{AgentOptions, Identity, PowerMode, Simulation};
use formwork_client::Endpoint;
use formwork_sandbox::WorkerCommand;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::serve::log_to_stderr;

/// Which machine the agent is for, and what it may do to it.
#[derive(Args, Debug)]
pub(crate) struct AgentArgs {
    /// The UUID of the machine; found out from the hardware when absent
    #[arg(long, env = "RS_UUID")]
    uuid: Option<String>,
    /// The name of the machine when it has to be made; the host name when absent
    #[arg(long)]
    name: Option<String>,
    /// The context whose jobs are run; the machine's own when absent
    #[arg(long, env = "RS_CONTEXT", default_value = "")]
    context: String,
    /// The folder for job files and compiled components
    #[arg(long, env = "RS_RUNNER_DIR", default_value = "/var/lib/formwork-agent", value_name = "FOLDER")]
    state_dir: PathBuf,
    /// End, with a code that says so, where the machine would reboot or power off
    #[arg(long)]
    no_power: bool,
    /// End when there is nothing left to do
    #[arg(long)]
    once: bool,
    /// Be a machine with this hardware address instead of the one that this is; may be given several times
    #[arg(long, value_name = "MAC")]
    simulate_mac: Vec<String>,
    /// The UUID that the simulated machine's firmware tells
    #[arg(long, value_name = "UUID", requires = "simulate_mac")]
    simulate_uuid: Option<String>,
}

impl AgentArgs {
    fn options(self, endpoint: Endpoint) -> anyhow::Result<AgentOptions> {
        let simulated = !self.simulate_mac.is_empty();
        Ok(AgentOptions {
            endpoint,
            context: self.context,
            state_dir: self.state_dir,
            power: if self.no_power || simulated { PowerMode::Exit } else { PowerMode::Machine },
            identity: Identity {
                machine: self.uuid,
                name: self.name,
                simulation: simulated
                    .then_some(Simulation { macs: self.simulate_mac, uuid: self.simulate_uuid }),
            },
            once: self.once,
            compile_worker: WorkerCommand {
                program: std::env::current_exe().context("failed to find this program")?,
                args: vec![String::from("compile-worker")],
            },
        })
    }
}

/// Runs the agent until it is told to stop or its machine goes down.
pub(crate) async fn run(args: AgentArgs, endpoint: Endpoint) -> anyhow::Result<ExitCode> {
    log_to_stderr();
    let options = args.options(endpoint)?;
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    let exit = formwork_agent::run(options, shutdown).await?;
    Ok(ExitCode::from(exit.code()))
}
