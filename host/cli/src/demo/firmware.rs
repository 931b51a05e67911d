//! The course of one boot, and of those that the agent asks for by a reboot.

use std::{
    collections::BTreeMap,
    future::Future,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use formwork_agent::{AgentExit, AgentOptions, Identity, PowerMode, Simulation};
use formwork_boot_proto::dhcp::HardwareAddress;
use formwork_client::{Credentials, Endpoint, download};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    dhcp::{self, Card, Offer, Stage},
    ipxe::{Ending, Interpreter, Kernel, Loader},
    progress::Progress,
    tftp::{self, Loaded},
};
use crate::{
    commands::{Context, compile_worker},
    shutdown,
};

/// Most bytes of a file that a script loads.
const MAX_FILE: usize = 1 << 30;

/// How often a machine may reboot before it is taken for one that does nothing else.
const MAX_BOOTS: usize = 20;

/// Flags of the simulated firmware.
#[derive(Clone, Debug, Args)]
pub(super) struct FirmwareArgs {
    /// The DHCP server
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:67")]
    dhcp: SocketAddr,
    /// The TFTP server [default: port 69 of the server that DHCP names]
    #[arg(long, value_name = "ADDRESS:PORT")]
    tftp: Option<SocketAddr>,
    /// The MAC address of the machine
    #[arg(long, default_value = "52:54:00:00:00:01")]
    mac: HardwareAddress,
    /// The UUID that its firmware tells [default: made of the MAC address]
    #[arg(long)]
    uuid: Option<Uuid>,
    /// Run the agent in the place of the kernel, and boot again when it reboots
    #[arg(long)]
    agent: bool,
    /// The agent's folder [default: one that is removed at the end]
    #[arg(long, value_name = "DIR", requires = "agent")]
    state_dir: Option<PathBuf>,
}

/// How a boot ended.
enum Boot {
    /// With a kernel.
    Kernel(Kernel),
    /// With something else, in words.
    Other(String),
}

/// Boots, and again for each reboot, until the machine is off or told to end.
pub(super) async fn run(args: FirmwareArgs, context: &mut Context) -> Result<ExitCode> {
    let uuid = args.uuid.unwrap_or_else(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, args.mac.as_bytes()));
    let card = Card { mac: args.mac, uuid };
    let temporary = tempfile::tempdir().context("failed to make a folder for the agent")?;
    let state_dir = args.state_dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let state_dir = std::path::absolute(state_dir).context("failed to find the working folder")?;
    let shutdown = shutdown::on_signal()?;
    for _ in 0..MAX_BOOTS {
        let progress = Progress::start();
        progress.say("power on");
        let booted = tokio::select! {
            () = shutdown.cancelled() => return Ok(ExitCode::SUCCESS),
            booted = boot(&args, card, progress) => booted?,
        };
        let kernel = match booted {
            Boot::Kernel(kernel) => kernel,
            Boot::Other(words) => {
                progress.say(&format!("the machine leaves the network: {words}"));
                context.out.value(&json!({ "boots": words }), &[])?;
                return Ok(ExitCode::SUCCESS);
            }
        };
        context.out.value(&report(&kernel), &[])?;
        if !args.agent {
            return Ok(ExitCode::SUCCESS);
        }
        progress.say("the agent starts in the place of the kernel");
        let options = agent_options(&kernel, card, state_dir.clone())?;
        let exit = run_agent(options, shutdown.clone()).await?;
        progress.say(&format!("the agent ends: {exit:?}"));
        if exit != AgentExit::Reboot {
            return Ok(ExitCode::from(exit.code()));
        }
    }
    bail!("the machine has rebooted {MAX_BOOTS} times")
}

async fn run_agent(options: AgentOptions, shutdown: CancellationToken) -> Result<AgentExit> {
    formwork_agent::run(options, shutdown).await.context("the agent of the simulated machine failed")
}

/// Goes the way from power-on to a kernel.
async fn boot(args: &FirmwareArgs, card: Card, progress: Progress) -> Result<Boot> {
    let offer = dhcp::ask(args.dhcp, card, Stage::Rom).await?;
    progress.say(&format!("firmware: DHCP gives {} and file `{}`", offer.address, offer.file));
    if offer.file.is_empty() {
        return Ok(Boot::Other(String::from("the DHCP server offers no boot file")));
    }
    load_loader(args, &offer, progress).await?;
    let offer = dhcp::ask(args.dhcp, card, Stage::Ipxe).await?;
    progress.say(&format!("iPXE: DHCP gives {} and `{}`", offer.address, offer.file));
    if !offer.file.starts_with("http://") {
        return Ok(Boot::Other(format!("`{}` is no script on the web for iPXE", offer.file)));
    }
    let mut interpreter = Interpreter::new(settings(card, &offer), Web { progress });
    Ok(match interpreter.run(&offer.file).await {
        Ending::Boot(kernel) => {
            progress.say(&format!("iPXE: starts `{}`", kernel.url));
            Boot::Kernel(kernel)
        }
        Ending::Exit(true) => Boot::Other(String::from("the script ends, the local disk follows")),
        Ending::Exit(false) => bail!("the iPXE script `{}` failed", offer.file),
        Ending::Other(words) => Boot::Other(words),
    })
}

/// Loads the boot loader by TFTP. It is not run: what comes next does what it would do. Where the server has no such
/// file, the machine goes on like one whose card has iPXE in its ROM.
async fn load_loader(args: &FirmwareArgs, offer: &Offer, progress: Progress) -> Result<()> {
    let server = args.tftp.unwrap_or_else(|| SocketAddr::new(IpAddr::V4(offer.next_server), 69));
    match tftp::load(server, &offer.file).await? {
        Loaded::File(bytes) => {
            progress.say(&format!("firmware: TFTP loads `{}`, {} bytes", offer.file, bytes.len()));
        }
        Loaded::Refused(words) => {
            progress
                .say(&format!("firmware: TFTP refuses `{}`: {words}; goes on with iPXE in ROM", offer.file));
        }
    }
    Ok(())
}

fn settings(card: Card, offer: &Offer) -> BTreeMap<String, String> {
    let known = [
        ("mac", card.mac.to_string()),
        ("uuid", card.uuid.to_string()),
        ("ip", offer.address.to_string()),
        ("next-server", offer.next_server.to_string()),
        ("filename", offer.file.clone()),
        ("platform", String::from("pcbios")),
        ("buildarch", String::from("x86_64")),
        ("version", String::from("1.21.1+")),
    ];
    known.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Loads files over HTTP and tells about it.
struct Web {
    progress: Progress,
}

impl Loader for Web {
    fn load<'a>(&'a mut self, url: &'a str) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>> {
        Box::pin(async move {
            match download(url, MAX_FILE).await {
                Ok(file) if file.status == 200 => {
                    self.progress.say(&format!("iPXE: GET {url} {} bytes", file.bytes.len()));
                    Some(file.bytes)
                }
                Ok(file) => {
                    self.progress.say(&format!("iPXE: GET {url} status {}", file.status));
                    None
                }
                Err(error) => {
                    self.progress.say(&format!("iPXE: GET {url}: {}", error.chain()));
                    None
                }
            }
        })
    }

    fn say(&mut self, line: &str) {
        self.progress.say(&format!("iPXE: {line}"));
    }
}

/// Returns an argument of a kernel's command line.
fn argument<'a>(kernel: &'a Kernel, name: &str) -> Option<&'a str> {
    let words = kernel.command_line.split_whitespace();
    words.filter_map(|word| word.split_once('=')).find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn report(kernel: &Kernel) -> Value {
    json!({
        "kernel": kernel.url,
        "initrds": kernel.initrds,
        "commandLine": kernel.command_line,
        "endpoint": argument(kernel, "formwork.endpoint"),
        "token": argument(kernel, "formwork.token"),
    })
}

fn agent_options(kernel: &Kernel, card: Card, state_dir: PathBuf) -> Result<AgentOptions> {
    let wanted = |name: &str| {
        argument(kernel, name).with_context(|| format!("the kernel's command line has no `{name}`"))
    };
    let (url, token) = (wanted("formwork.endpoint")?, wanted("formwork.token")?);
    Ok(AgentOptions {
        endpoint: Endpoint { url: url.to_owned(), credentials: Credentials::Token(token.to_owned()) },
        socket: None,
        context: String::new(),
        state_dir,
        task_dir: None,
        runner_dir: None,
        power: PowerMode::Exit,
        identity: Identity {
            simulation: Some(Simulation {
                macs: vec![card.mac.to_string()],
                uuid: Some(card.uuid.to_string()),
            }),
            ..Identity::default()
        },
        once: false,
        compile_worker: compile_worker()?,
        record_calls: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_arguments_are_found_by_name() {
        let kernel = Kernel {
            command_line: "quiet formwork.endpoint=https://h:1 formwork.token=a=b".into(),
            ..Kernel::default()
        };
        assert_eq!(argument(&kernel, "formwork.endpoint"), Some("https://h:1"));
        assert_eq!(argument(&kernel, "formwork.token"), Some("a=b"));
        assert_eq!(argument(&kernel, "quiet"), None);
    }
}
