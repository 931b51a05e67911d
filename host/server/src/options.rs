//! The flags of the daemon (drp-api.md 16.1).

use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf};

use formwork_sandbox::Limits;

use crate::TlsRules;

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
    /// What TLS connections may agree on.
    pub tls: TlsRules,
    /// The address that machines are told; found by itself when absent.
    pub static_ip: Option<Ipv4Addr>,
    /// The address that all services listen on; 0.0.0.0 is all addresses, those of IPv6 among them.
    pub listen: Ipv4Addr,
    /// The port of the API, TLS.
    pub api_port: u16,
    /// The port of the file server; 0 turns it off.
    pub static_port: u16,
    /// The port of the file server over TLS; 0 turns it off.
    pub static_secure_port: Port,
    /// The port of measured values for monitoring; 0 turns it off.
    pub metrics_port: Port,
    /// The certificate and the key of the file server over TLS, PEM; those of the API when absent.
    pub static_tls: Option<(PathBuf, PathBuf)>,
    /// Where browsers that ask for `/` are sent; nowhere when absent.
    pub ui_url: Option<String>,
    /// The folder of the store; `base_root` by default.
    pub data_root: PathBuf,
    /// The port of TFTP; 0 turns it off.
    pub tftp_port: u16,
    /// The port of DHCP; 0 turns it off.
    pub dhcp_port: u16,
    /// The port of the boot server (PXE's BINL) beside DHCP; 0 turns it off.
    pub binl_port: Port,
    /// The port of DHCPv6 beside DHCP; 0 turns it off, and router advertisements with it.
    pub dhcp6_port: Port,
    /// The network cards that DHCP listens on; all when there are none.
    pub dhcp_interfaces: Vec<String>,
    /// True when nobody is asked whether an address is in use before it is offered.
    pub fake_pinger: bool,
    /// A subnet to make at the start where none covers its network.
    pub dhcp_subnet: Option<DhcpSubnet>,
    /// The name of the endpoint; made from the first network card when absent.
    pub id: Option<String>,
    /// The name of the high-availability set that the endpoint is the only host of; `id` when absent.
    pub ha_id: Option<String>,
    /// Levels of the log by the preferences that change them: `debugDhcp` and the like (drp-api.md 12.4). They hold for
    /// preferences that nobody set.
    pub log_levels: BTreeMap<&'static str, String>,
    /// True when the host of the endpoint is to be a machine too.
    pub create_self: bool,
    /// True when nothing is kept on disk but logs and files.
    pub memory: bool,
    /// True when the program was started as `dr-provision`: a fresh endpoint then has the objects and the types that the
    /// tests of that program's clients count, and nothing beside them (drp-api.md 3.6, 12.3).
    pub as_dr_provision: bool,
    /// A bundle, a folder of bundles, or the folder of one bundle, below everything that is installed.
    pub default_content: Option<PathBuf>,
    /// The same, above everything that is installed.
    pub local_content: Option<PathBuf>,
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

/// A port that an endpoint can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The number; 0 turns the service off.
    pub number: u16,
    /// True when it is an error that the port is taken; else the service is left out.
    pub is_asked_for: bool,
}

impl Port {
    /// Returns a port that is left out when it is taken.
    #[must_use]
    pub const fn usual(number: u16) -> Self {
        Self { number, is_asked_for: false }
    }
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
            data_root: base_root.clone(),
            base_root,
            static_secure_port: Port::usual(8090),
            metrics_port: Port::usual(8080),
            static_tls: None,
            ui_url: None,
            ha_id: None,
            log_levels: BTreeMap::new(),
            create_self: false,
            tls: TlsRules::default(),
            static_ip: None,
            listen: Ipv4Addr::UNSPECIFIED,
            api_port: 8092,
            static_port: 8091,
            tftp_port: 69,
            dhcp_port: 67,
            binl_port: Port::usual(4011),
            dhcp6_port: Port::usual(547),
            dhcp_interfaces: Vec::new(),
            fake_pinger: false,
            dhcp_subnet: None,
            id: None,
            memory: false,
            as_dr_provision: false,
            default_content: None,
            local_content: None,
            first_user: None,
            worker,
            allow_unsigned: false,
            component_limits: Limits::site(),
            record_calls: None,
        }
    }
}
