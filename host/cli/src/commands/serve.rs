//! `formwork serve`: the endpoint, with the flags of `dr-provision` (drp-api.md 16.1).

use std::{
    io::IsTerminal,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use formwork_server::{DhcpSubnet, ServeOptions, Started};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::output::{Format, Output};

/// Seconds that a lease lasts.
const LEASE_SECONDS: u32 = 3600;

/// How the endpoint runs. Ports of 0 turn a service off; ports above 1024 need no root.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Everything that is kept lives below this folder
    #[arg(long, env = "RS_BASE_ROOT", default_value = "/var/lib/formwork", value_name = "FOLDER")]
    base_root: PathBuf,
    /// Where files to boot from are [default: tftpboot below the base root]
    #[arg(long, env = "RS_FILE_ROOT", value_name = "FOLDER")]
    file_root: Option<PathBuf>,
    /// The key of the certificate, PEM; made when missing
    #[arg(long, env = "RS_TLS_KEY_FILE", default_value = "server.key", value_name = "FILE")]
    tls_key: PathBuf,
    /// The certificate, PEM; made when missing
    #[arg(long, env = "RS_TLS_CERT_FILE", default_value = "server.crt", value_name = "FILE")]
    tls_cert: PathBuf,
    /// The address that machines are told
    #[arg(long, env = "RS_STATIC_IP", value_name = "ADDRESS")]
    static_ip: Option<Ipv4Addr>,
    /// The address that all services listen on
    #[arg(long, env = "RS_LISTEN", default_value = "0.0.0.0", value_name = "ADDRESS")]
    listen: Ipv4Addr,
    /// The port of the API, TLS
    #[arg(long, env = "RS_API_PORT", default_value_t = 8092)]
    api_port: u16,
    /// The port of the file server
    #[arg(long, env = "RS_STATIC_PORT", default_value_t = 8091)]
    static_port: u16,
    /// The port of TFTP
    #[arg(long, env = "RS_TFTP_PORT", default_value_t = 69)]
    tftp_port: u16,
    /// The port of DHCP
    #[arg(long, env = "RS_DHCP_PORT", default_value_t = 67)]
    dhcp_port: u16,
    /// The network card that DHCP listens on; all when absent
    #[arg(long, env = "RS_DHCP_IFS", value_name = "CARD")]
    dhcp_ifs: Option<String>,
    /// The endpoint's address in the network that DHCP serves, as 10.0.0.1/24
    #[arg(long, env = "RS_DHCP_SUBNET", value_name = "ADDRESS/PREFIX")]
    dhcp_subnet: Option<String>,
    /// The addresses that DHCP gives, as 10.0.0.50-10.0.0.99
    #[arg(long, env = "RS_DHCP_RANGE", value_name = "FIRST-LAST", requires = "dhcp_subnet")]
    dhcp_range: Option<String>,
    /// The router that DHCP tells machines
    #[arg(long, env = "RS_DHCP_ROUTER", value_name = "ADDRESS")]
    dhcp_router: Option<Ipv4Addr>,
    /// Give no addresses
    #[arg(long, env = "RS_DISABLE_DHCP")]
    disable_dhcp: bool,
    /// Serve no files
    #[arg(long, env = "RS_DISABLE_PROVISIONER")]
    disable_provisioner: bool,
    /// The name of the endpoint [default: the address of its first network card]
    #[arg(long, env = "RS_DRP_ID", value_name = "NAME")]
    drp_id: Option<String>,
    /// Where objects are kept: directory:/// on disk, memory:/// not at all
    #[arg(long, env = "RS_BACKEND", default_value = "directory:///", value_name = "KIND")]
    backend: String,
    /// Name and password of the first user, as name:password
    #[arg(long, env = "FORMWORK_FIRST_USER", value_name = "NAME:PASSWORD", hide_env_values = true)]
    first_user: Option<String>,
}

impl ServeArgs {
    fn options(self) -> anyhow::Result<ServeOptions> {
        let worker = std::env::current_exe().context("failed to find this program")?;
        let base_root = std::path::absolute(&self.base_root).context("failed to find the base root")?;
        let below = |path: &Path| base_root.join(path);
        let subnet = self.dhcp_subnet.as_deref().map(|subnet| self.subnet(subnet)).transpose()?;
        let memory = match self.backend.split_once(':').map_or(self.backend.as_str(), |(kind, _)| kind) {
            "memory" => true,
            "directory" | "file" => false,
            other => bail!("--backend: `{other}` is not known; known are directory:/// and memory:///"),
        };
        let first_user = match &self.first_user {
            Some(text) => {
                let (name, password) = text.split_once(':').context("--first-user: NAME:PASSWORD is needed")?;
                Some((name.to_owned(), password.to_owned()))
            }
            None => None,
        };
        let off = |port: u16, disabled: bool| if disabled { 0 } else { port };
        Ok(ServeOptions {
            file_root: self.file_root.map_or_else(|| below(Path::new("tftpboot")), |root| below(&root)),
            tls_key: below(&self.tls_key),
            tls_cert: below(&self.tls_cert),
            static_ip: self.static_ip,
            listen: self.listen,
            api_port: self.api_port,
            static_port: off(self.static_port, self.disable_provisioner),
            tftp_port: off(self.tftp_port, self.disable_provisioner),
            dhcp_port: off(self.dhcp_port, self.disable_dhcp),
            dhcp_interface: self.dhcp_ifs,
            dhcp_subnet: subnet,
            id: self.drp_id,
            memory,
            first_user,
            ..ServeOptions::new(base_root, worker)
        })
    }

    fn subnet(&self, text: &str) -> anyhow::Result<DhcpSubnet> {
        let bad = || format!("--dhcp-subnet: `{text}` is not of the form 10.0.0.1/24");
        let (address, prefix) = text.split_once('/').with_context(bad)?;
        let address: Ipv4Addr = address.parse().with_context(bad)?;
        let prefix: u8 = prefix.parse().ok().filter(|prefix| (1..=30).contains(prefix)).with_context(bad)?;
        let range = self.dhcp_range.as_deref().context("--dhcp-range is needed with --dhcp-subnet, as 10.0.0.50-10.0.0.99")?;
        let bad = || format!("--dhcp-range: `{range}` is not of the form 10.0.0.50-10.0.0.99 within {text}");
        let (first, last) = range.split_once('-').with_context(bad)?;
        let (first, last): (Ipv4Addr, Ipv4Addr) =
            (first.trim().parse().with_context(bad)?, last.trim().parse().with_context(bad)?);
        let mask = u32::MAX << (32 - u32::from(prefix));
        let inside = |one: Ipv4Addr| u32::from(one) & mask == u32::from(address) & mask;
        if !inside(first) || !inside(last) || first > last {
            bail!(bad());
        }
        Ok(DhcpSubnet { address, prefix, first, last, router: self.dhcp_router, lease_seconds: LEASE_SECONDS })
    }
}

/// Runs the endpoint until it is told to stop.
pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    log_to_stderr();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    };
    let options = args.options()?;
    let output = Output::new(Format::Json);
    formwork_server::serve(options, |started| tell(output, started), shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// Tells where the endpoint is, and the first password, which is told this once.
fn tell(output: Output, started: &Started) {
    let mut text = format!("Formwork {} answers at {}", formwork_server::VERSION, started.url);
    if let Some((name, password)) = &started.first_user {
        text.push_str(&format!("\nFirst start: user `{name}`, password `{password}`. This is told once.\n"));
        text.push_str(&format!("    export RS_ENDPOINT={} RS_KEY={name}:{password}", started.url));
    }
    // Somebody who closed the output does not want to be told.
    let _ = output.line(&text);
}

/// Sends the log to standard error; `RUST_LOG` says how much of it.
pub(crate) fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .finish();
    // A second subscriber in one process would be a mistake of ours and harms nobody.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
