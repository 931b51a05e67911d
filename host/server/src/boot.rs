//! The boot network: DHCP, TFTP and the file server, around `formwork-boot`.
//!
//! | module | holds |
//! |---|---|
//! | `dhcp` | one request: decide, make the lease durable, answer |
//! | `counts` | what the services have counted |
//! | `leases` | the leases in memory, in step with the store |
//! | `choose` | what a client boots |
//! | `neighbours` | which network card is behind an address |
//! | `space` | one name space of rendered files and the file root |
//! | `plain` | the real files of that space, which are sent without rendering |
//! | `tftp`, `web` | that name space over TFTP and HTTP |

mod choose;
mod counts;
mod dhcp;
mod leases;
mod neighbours;
mod plain;
mod space;
mod tftp;
mod web;

use std::{io, net::SocketAddr, sync::Arc};

pub(crate) use self::counts::BootCounts;
use formwork_boot::{BindError, DhcpConfig, DhcpService, RaResponder, TftpConfig, TftpService};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
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
    let dhcp = bind_dhcp(&endpoint)?;
    let advertiser = dhcp.as_ref().and_then(|_| bind_advertiser(&endpoint));
    let mut running = Vec::new();
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
    if let Some((service, subnet)) = dhcp {
        tracing::info!(port = service.port(), range = %subnet.name, "dhcp is served");
        let handler = Arc::new(dhcp::Handler::new(Arc::clone(&endpoint), subnet));
        let counters = endpoint.boot_counts.of_dhcp(service.counters());
        let served = service.run(handler, ended(shutdown.clone()));
        running.push(tokio::spawn(async move {
            served.await;
            tracing::info!(counts = ?counters.snapshot(), "dhcp was served");
        }));
    }
    if let Some(advertiser) = advertiser {
        running.push(tokio::spawn(advertiser.run(ended(shutdown))));
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
    let bound = TftpService::bind(TftpConfig::new(address));
    bound.map(Some).map_err(|source| BootError::Bind { flag: "--tftp-port", source })
}

type Dhcp = (DhcpService, formwork_boot_proto::dhcp::server::Subnet);

fn bind_dhcp(endpoint: &Endpoint) -> Result<Option<Dhcp>, BootError> {
    let options = &endpoint.options;
    let Some(subnet) = options.dhcp_subnet.as_ref().filter(|_| options.dhcp_port != 0) else {
        return Ok(None);
    };
    let config = DhcpConfig {
        interface: options.dhcp_interface.clone(),
        // Without a configured address the server is known by the one that faces each client.
        address: options.static_ip,
        port: options.dhcp_port,
        ..DhcpConfig::default()
    };
    let service =
        DhcpService::bind(config).map_err(|source| BootError::Bind { flag: "--dhcp-port", source })?;
    Ok(Some((service, dhcp::subnet(subnet))))
}

/// The answer to router solicitations only saves iPXE time, so nothing depends on it.
fn bind_advertiser(endpoint: &Endpoint) -> Option<RaResponder> {
    let interface = endpoint.options.dhcp_interface.as_deref()?;
    RaResponder::bind(interface)
        .inspect_err(|error| tracing::info!(interface, %error, "no router advertisements: iPXE boots slower"))
        .ok()
}

/// Ends when the shutdown begins.
pub(crate) async fn ended(mut shutdown: watch::Receiver<bool>) {
    // An error means that whoever could have said it is gone, which is an end too.
    let _ = shutdown.wait_for(|over| *over).await;
}
