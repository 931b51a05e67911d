//! The boot network: DHCP, TFTP and the file server, around `formwork-boot`.
//!
//! | module | holds |
//! |---|---|
//! | `dhcp` | one request: decide, make the lease durable, answer |
//! | `dhcp6` | DHCPv6 and Router Advertisements |
//! | `table` | subnets, reservations and leases in memory, in step with the store |
//! | `writer` | many leases in one commit |
//! | `stored` | what objects of the store are to a decision |
//! | `probing` | whether an address is in use already |
//! | `recorder` | what was seen of each machine, and what became of its boot |
//! | `options` | DHCP options as operators configure them |
//! | `subnet` | the subnet that the flags ask for |
//! | `counts` | what the services have counted |
//! | `choose` | what a client boots |
//! | `neighbours` | which network card is behind an address |
//! | `space` | one name space of rendered files and the file root |
//! | `plain` | the real files of that space, which are sent without rendering |
//! | `tftp`, `web` | that name space over TFTP and HTTP |

mod choose;
mod counts;
mod dhcp;
mod dhcp6;
mod neighbours;
mod options;
mod plain;
mod probing;
mod recorder;
mod space;
mod stored;
mod subnet;
mod table;
mod tftp;
mod web;
mod writer;

use std::{io, net::SocketAddr, sync::Arc};

pub(crate) use self::{
    counts::BootCounts,
    recorder::{Recorder, explain, seen},
    subnet::provide as provide_subnet,
};
use formwork_boot::{
    BindError, DhcpConfig, DhcpService, FakeProber, InterfaceTable, LinkLayer, ProbeConfig, Prober,
    TftpConfig, TftpService,
};
use tokio::{net::TcpListener, runtime, sync::watch, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use crate::{
    accept::{self, Service},
    endpoint::Endpoint,
};

/// A boot service could not begin.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A service of `formwork-boot` has no socket.
    #[error("{source}\nhint: `{flag} PORT` chooses the port, 0 turns the service off")]
    Bind {
        /// The flag that sets the port.
        flag: &'static str,
        /// Which service, which address, and why.
        source: BindError,
    },
    /// The system does not list its network cards.
    #[error("failed to list the network cards: {0}")]
    Interfaces(io::Error),
    /// The thread of DHCP could not begin.
    #[error("failed to start the thread of dhcp: {0}")]
    Thread(io::Error),
    /// The file server has no socket.
    #[error(
        "the file server cannot listen on `{address}`: {source}\n\
         hint: `--static-port PORT` chooses the port, 0 turns it off; ports below 1024 need root"
    )]
    Files {
        /// The address and port.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Binds all boot services and runs them until the shutdown. Needs a runtime of tokio.
///
/// # Errors
///
/// A port is taken or not permitted; then none of them runs.
pub(crate) async fn start(
    endpoint: Arc<Endpoint>,
    shutdown: watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, BootError> {
    let files = bind_files(&endpoint)?;
    let tftp = bind_tftp(&endpoint)?;
    let mut running = start_dhcp(&endpoint, &shutdown)?;
    if let Some(listener) = files {
        tracing::info!(url = endpoint.file_url(), "files are served");
        let service = file_service(Arc::clone(&endpoint), None);
        running.push(tokio::spawn(accept::serve(listener, service, shutdown.clone())));
    }
    if let Some(service) = tftp {
        tracing::info!(address = %service.address(), "tftp is served");
        let source = Arc::new(tftp::Source(Arc::clone(&endpoint)));
        let counters = endpoint.boot_counts.of_tftp(service.counters());
        let served = service.run(source, ended(shutdown.clone()));
        running.push(tokio::spawn(async move {
            served.await;
            tracing::info!(counts = ?counters.snapshot(), "tftp was served");
        }));
    }
    Ok(running)
}

/// Starts DHCP on a thread of its own: thousands of requests a second go through it without waking another thread for each.
fn start_dhcp(
    endpoint: &Arc<Endpoint>,
    shutdown: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, BootError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(BootError::Thread)?;
    let bound = {
        let _entered = runtime.enter();
        bind_dhcp(endpoint).and_then(|services| serve_dhcp(endpoint, services, shutdown))
    };
    match bound {
        Ok(tasks) if !tasks.is_empty() => Ok(vec![tokio::task::spawn_blocking(move || {
            runtime.block_on(futures_util::future::join_all(tasks));
        })]),
        ended => {
            runtime.shutdown_background();
            ended
        }
    }
}

/// Lets the bound services run on the runtime that is entered.
fn serve_dhcp(
    endpoint: &Arc<Endpoint>,
    services: Vec<DhcpService>,
    shutdown: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, BootError> {
    if services.is_empty() {
        return Ok(Vec::new());
    }
    let interfaces = Arc::new(InterfaceTable::read().map_err(BootError::Interfaces)?);
    let over_ipv6 = dhcp6::start(endpoint, &interfaces, shutdown);
    let mut running = over_ipv6.map_err(|source| BootError::Bind { flag: "--dhcp6-port", source })?;
    let LinkLayer { sender, prober, watch: others } = LinkLayer::open(&interfaces, ProbeConfig::default());
    if let Some(others) = others {
        let endpoint = Arc::clone(endpoint);
        let note = move |reply| endpoint.recorder.note_foreign(endpoint.now(), &reply);
        running.push(tokio::spawn(others.run(note, ended(shutdown.clone()))));
    }
    let frames = sender.map(Arc::new);
    let prober: Arc<dyn Prober> = match endpoint.options.fake_pinger {
        true => Arc::new(FakeProber::default()),
        false => Arc::new(prober),
    };
    let handler = Arc::new(dhcp::Handler::new(Arc::clone(endpoint), interfaces, prober));
    for service in services {
        tracing::info!(port = service.port(), "dhcp is served");
        let counters = endpoint.boot_counts.of_dhcp(service.counters(), service.is_binl());
        let served = service.run(Arc::clone(&handler), frames.clone(), ended(shutdown.clone()));
        running.push(tokio::spawn(async move {
            served.await;
            tracing::info!(counts = ?counters.snapshot(), "dhcp was served");
        }));
    }
    Ok(running)
}

/// Returns what serves files, in the clear or over TLS.
pub(crate) fn file_service(endpoint: Arc<Endpoint>, tls: Option<TlsAcceptor>) -> Service {
    web::service(endpoint, tls)
}

fn bind_files(endpoint: &Endpoint) -> Result<Option<TcpListener>, BootError> {
    if endpoint.options.static_port == 0 {
        return Ok(None);
    }
    let address = SocketAddr::from((endpoint.options.listen, endpoint.options.static_port));
    accept::listen(address).map(Some).map_err(|source| BootError::Files { address, source })
}

fn bind_tftp(endpoint: &Endpoint) -> Result<Option<TftpService>, BootError> {
    if endpoint.options.tftp_port == 0 {
        return Ok(None);
    }
    let address = SocketAddr::from((endpoint.options.listen, endpoint.options.tftp_port));
    let bind = |address| TftpService::bind(TftpConfig::new(address));
    let bound = match accept::everywhere(address).map(bind) {
        Some(Ok(service)) => Ok(service),
        // A host without IPv6; where the port is taken, this tells so.
        Some(Err(_)) | None => bind(address),
    };
    bound.map(Some).map_err(|source| BootError::Bind { flag: "--tftp-port", source })
}

/// Binds the ports of the DHCP server and of the boot server.
fn bind_dhcp(endpoint: &Endpoint) -> Result<Vec<DhcpService>, BootError> {
    let options = &endpoint.options;
    if options.dhcp_port == 0 {
        return Ok(Vec::new());
    }
    let bind = |port: u16, binl: bool| {
        let interfaces = options.dhcp_interfaces.clone();
        DhcpService::bind(DhcpConfig { interfaces, port, binl, ..DhcpConfig::default() })
    };
    let dhcp = bind(options.dhcp_port, false);
    let mut services = vec![dhcp.map_err(|source| BootError::Bind { flag: "--dhcp-port", source })?];
    if options.binl_port.number != 0 {
        match bind(options.binl_port.number, true) {
            Ok(service) => services.push(service),
            Err(source) if options.binl_port.is_asked_for => {
                return Err(BootError::Bind { flag: "--binl-port", source });
            }
            Err(error) => tracing::warn!(%error, "the port of the boot server is left out"),
        }
    }
    Ok(services)
}

/// Ends when the shutdown begins.
pub(crate) async fn ended(mut shutdown: watch::Receiver<bool>) {
    // An error means that whoever could have said it is gone, which is an end too.
    let _ = shutdown.wait_for(|over| *over).await;
}
