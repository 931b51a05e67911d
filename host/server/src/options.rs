//! The flags of the daemon (drp-api.md 16.1).

use std::{net::Ipv4Addr, path::PathBuf};

use formwork_sandbox::Limits;

/// How an endpoint is run. Relative paths are taken below `base_root`.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Everything that is kept lives below this folder.
    pub base_root: PathBuf,
    /// Where files to boot from are; `tftpboot` below `base_root` by default.
    pub file_root: PathBuf,
    /// The key of the certificate, PEM; made when missing.
    pub tls_key: PathBuf,
    /// The certificate, PEM; made when missing.
    pub tls_cert: PathBuf,
    /// The address that machines are told; found by itself when absent.
    pub static_ip: Option<Ipv4Addr>,
    /// The address that all services listen on.
    pub listen: Ipv4Addr,
    /// The port of the API, TLS.
    pub api_port: u16,
    /// The port of the file server; 0 turns it off.
    pub static_port: u16,
    /// The port of TFTP; 0 turns it off.
    pub tftp_port: u16,
    /// The port of DHCP; 0 turns it off.
    pub dhcp_port: u16,
    /// The network card that DHCP listens on; all when absent.
    pub dhcp_interface: Option<String>,
    /// The network that addresses are given in; without one no address is given.
    pub dhcp_subnet: Option<DhcpSubnet>,
    /// The name of the endpoint; made from the first network card when absent.
    pub id: Option<String>,
    /// True when nothing is kept on disk but logs and files.
    pub memory: bool,
    /// Name and password of the first user; a random password for `rocketskates` when absent.
    pub first_user: Option<(String, String)>,
    /// The program that compiles components as `PROGRAM compile-worker` and reads archives as `PROGRAM archive-worker`;
    /// this program by default.
    pub worker: PathBuf,
    /// True when packs may be installed whoever signed them, or nobody.
    pub allow_unsigned: bool,
    /// The most that a call of a component may use, whatever its pack asks for.
    pub component_limits: Limits,
    /// The folder that keeps recordings of all calls of components; none by default.
    pub record_calls: Option<PathBuf>,
}

/// A network in which addresses are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpSubnet {
    /// An address in the network.
    pub address: Ipv4Addr,
    /// The length of the network's prefix.
    pub prefix: u8,
    /// The first address to give.
    pub first: Ipv4Addr,
    /// The last address to give.
    pub last: Ipv4Addr,
    /// The router that machines are told; none when absent.
    pub router: Option<Ipv4Addr>,
    /// Seconds that a lease lasts.
    pub lease_seconds: u32,
}

impl ServeOptions {
    /// Returns the defaults of a folder.
    #[must_use]
    pub fn new(base_root: PathBuf, worker: PathBuf) -> Self {
        Self {
            file_root: base_root.join("tftpboot"),
            tls_key: base_root.join("server.key"),
            tls_cert: base_root.join("server.crt"),
            base_root,
            static_ip: None,
            listen: Ipv4Addr::UNSPECIFIED,
            api_port: 8092,
            static_port: 8091,
            tftp_port: 69,
            dhcp_port: 67,
            dhcp_interface: None,
            dhcp_subnet: None,
            id: None,
            memory: false,
            first_user: None,
            worker,
            allow_unsigned: false,
            component_limits: Limits::site(),
            record_calls: None,
        }
    }
}
