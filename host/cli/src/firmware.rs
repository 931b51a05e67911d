//! A simulated machine's firmware: real DHCP, TFTP and HTTP from ordinary ports, without a machine.
//!
//! It goes the way of a BIOS machine (boot-lab.md section 2): the PXE ROM asks for an address and a loader, fetches
//! the loader, and the loader, which is iPXE, asks again and runs the script that it is told. What is fetched is
//! counted and thrown away; only scripts are kept. Nothing here configures a network card, so the address that DHCP
//! gives is a lease and a variable of the scripts, no more.
//!
//! - `dhcp`, `tftp`, `http`: a client of each protocol, the packets apart from the sockets;
//! - `script`: the interpreter of iPXE's language, which only says what is to be fetched;
//! - `agent`: what runs in place of the loaded system.

mod agent;
mod dhcp;
mod http;
mod progress;
mod script;
mod tftp;

use std::net::SocketAddrV4;

use anyhow::{Context, bail};
use formwork_boot_proto::dhcp::HardwareAddress;
use reqwest::Url;
use serde::Serialize;
use uuid::Uuid;

pub(crate) use agent::run as run_agent;
use dhcp::{Lease, Stage};
use http::Http;
use progress::Progress;
pub(crate) use script::Boot;
use script::{Answer, Interpreter, Step, Variables};

/// The port of TFTP servers.
const TFTP_PORT: u16 = 69;

/// The simulated hardware.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// Its network card, an Ethernet address.
    pub(crate) mac: HardwareAddress,
    /// What its DMI tables say.
    pub(crate) uuid: Option<Uuid>,
}

/// Where the firmware finds its servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Servers {
    /// The DHCP server.
    pub(crate) dhcp: SocketAddrV4,
    /// The TFTP server, where it is not the next server of the lease at port 69.
    pub(crate) tftp: Option<SocketAddrV4>,
}

/// A boot from its first packet to its end.
#[derive(Debug, Serialize)]
pub(crate) struct Booted {
    /// The machine's network card.
    pub(crate) mac: String,
    /// The address that it was given.
    pub(crate) address: String,
    /// The loader, where the endpoint has one for this firmware.
    pub(crate) loader: Option<Loader>,
    /// The URL of the first script.
    pub(crate) script: String,
    /// What the script led to.
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// A file that the PXE ROM loaded.
#[derive(Debug, Serialize)]
pub(crate) struct Loader {
    name: String,
    bytes: u64,
}

/// What a script led to.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// A kernel, loaded with all that belongs to it.
    Kernel(Boot),
    /// Nothing: the firmware goes on to the next boot device, which for a provisioned machine is its disk.
    NextBootDevice,
}

/// Boots the machine.
pub(crate) async fn boot(machine: &Machine, servers: Servers) -> anyhow::Result<Booted> {
    let firmware = Simulation { machine, servers, progress: Progress::start(), http: Http::new()? };
    firmware.progress.line(&format!("power on, network card {}", machine.mac));
    let lease = firmware.configure(Stage::Rom).await?;
    let loader = firmware.load_loader(&lease).await?;
    let lease = firmware.configure(Stage::Ipxe).await?;
    let Some(script) = lease.boot_file.clone() else {
        bail!("the DHCP server `{}` gave iPXE an address and nothing to boot", servers.dhcp);
    };
    let url = Url::parse(&script).with_context(|| format!("`{script}` is no URL that iPXE could load"))?;
    let outcome = firmware.run_script(&lease, url).await?;
    Ok(Booted { mac: machine.mac.to_string(), address: lease.address.to_string(), loader, script, outcome })
}

struct Simulation<'a> {
    machine: &'a Machine,
    servers: Servers,
    progress: Progress,
    http: Http,
}

impl Simulation<'_> {
    async fn configure(&self, stage: Stage) -> anyhow::Result<Lease> {
        dhcp::configure(self.machine, self.servers.dhcp, stage, &self.progress).await
    }

    /// Fetches what the ROM is offered, the way of OVMF: first only its length, then all of it.
    async fn load_loader(&self, lease: &Lease) -> anyhow::Result<Option<Loader>> {
        let Some(name) = lease.boot_file.clone() else {
            self.progress.line("no loader is offered; iPXE starts from the network card's ROM");
            return Ok(None);
        };
        if name.contains("://") {
            bail!("the PXE ROM of a BIOS machine cannot load the URL `{name}`");
        }
        let server = self.servers.tftp.unwrap_or(SocketAddrV4::new(lease.next_server, TFTP_PORT));
        let length = tftp::length(server, &name).await?;
        let told = length.map_or_else(|| "unknown".to_owned(), |length| format!("{length} bytes"));
        self.progress.line(&format!("TFTP {name} from {server}: length {told}, aborted"));
        let bytes = tftp::load(server, &name).await?;
        self.progress.line(&format!("TFTP {name} from {server}: {bytes} bytes"));
        Ok(Some(Loader { name, bytes }))
    }

    async fn run_script(&self, lease: &Lease, url: Url) -> anyhow::Result<Outcome> {
        let text = self.http.script(&url).await?;
        self.progress.line(&format!("HTTP {url}: {} bytes", text.len()));
        let variables = Variables::new(facts(self.machine, lease));
        let mut interpreter = Interpreter::new(url, &text, variables)?;
        loop {
            match interpreter.step()? {
                Step::Echo(text) => self.progress.line(&format!("iPXE: {text}")),
                Step::Sleep(seconds) => tokio::time::sleep(seconds).await,
                Step::Dhcp => {
                    let lease = self.configure(Stage::Ipxe).await;
                    interpreter.resume(lease.map(|lease| Answer::Network(facts(self.machine, &lease))));
                }
                Step::Script(url) => {
                    let text = self.http.script(&url).await;
                    self.report(&url, text.as_ref().map(|text| text.len().to_string()));
                    interpreter.resume(text.map(Answer::Script));
                }
                Step::Image(url) => {
                    let bytes = self.http.image(&url).await;
                    self.report(&url, bytes.as_ref().map(u64::to_string));
                    interpreter.resume(bytes.map(Answer::Image));
                }
                Step::Boot(boot) => {
                    let shown = agent::without_token(&boot.command_line);
                    self.progress.line(&format!("starting {} {shown}", boot.kernel.url));
                    return Ok(Outcome::Kernel(boot));
                }
                Step::Exit => {
                    self.progress.line("iPXE ends; the firmware goes on to the next boot device");
                    return Ok(Outcome::NextBootDevice);
                }
            }
        }
    }

    fn report(&self, url: &Url, loaded: Result<String, &anyhow::Error>) {
        match loaded {
            Ok(bytes) => self.progress.line(&format!("HTTP {url}: {bytes} bytes")),
            Err(error) => self.progress.line(&format!("{error:#}")),
        }
    }
}

/// Returns the variables of the machine and of its lease, as the iPXE of a BIOS machine names them.
fn facts(machine: &Machine, lease: &Lease) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("mac", machine.mac.to_string()),
        ("ip", lease.address.to_string()),
        ("next-server", lease.next_server.to_string()),
        ("dhcp-server", lease.server.to_string()),
        ("buildarch", "i386".to_owned()),
        ("platform", "pcbios".to_owned()),
        ("manufacturer", "Formwork".to_owned()),
        ("product", "Simulated Machine".to_owned()),
    ];
    facts.extend(lease.netmask.map(|netmask| ("netmask", netmask.to_string())));
    facts.extend(lease.gateway.map(|gateway| ("gateway", gateway.to_string())));
    facts.extend(lease.boot_file.clone().map(|file| ("filename", file)));
    facts.extend(machine.uuid.map(|uuid| ("uuid", uuid.to_string())));
    facts
}
