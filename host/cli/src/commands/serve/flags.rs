//! The flags of `serve`, and what they make of an endpoint.

use std::{
    collections::BTreeMap,
    env,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use formwork_sandbox::Limits;
use formwork_server::{DhcpSubnet, LogLevels, Port, ServeOptions, TlsRules};

use crate::failure::UsageError;

/// The first user under the name `dr-provision`, whose clients expect it (drp-api.md 2.1).
const KNOWN_USER: (&str, &str) = ("rocketskates", "r0cketsk8ts");

/// Seconds that an address is given for.
const LEASE_SECONDS: u32 = 3600;

/// Flags of the endpoint.
#[derive(Clone, Debug, Args)]
pub(super) struct ServeArgs {
    /// The folder for all data [default: /var/lib/formwork, or ~/.local/share/formwork without root]
    #[arg(long, env = "RS_BASE_ROOT", value_name = "DIR")]
    base_root: Option<PathBuf>,
    /// The folder of files to boot from [default: tftpboot below the base root]
    #[arg(long, env = "RS_FILE_ROOT", value_name = "DIR")]
    file_root: Option<PathBuf>,
    /// The key of the certificate; made when missing
    #[arg(long, env = "RS_TLS_KEY_FILE", value_name = "FILE", default_value = "server.key")]
    tls_key: PathBuf,
    /// The certificate; made when missing
    #[arg(long, env = "RS_TLS_CERT_FILE", value_name = "FILE", default_value = "server.crt")]
    tls_cert: PathBuf,
    /// The address that machines are told [default: found by itself]
    #[arg(long, env = "RS_STATIC_IP", value_name = "ADDRESS")]
    static_ip: Option<Ipv4Addr>,
    /// The address that all services listen on
    #[arg(long, env = "RS_LISTEN", value_name = "ADDRESS", default_value_t = Ipv4Addr::UNSPECIFIED)]
    listen: Ipv4Addr,
    /// The port of the API
    #[arg(long, env = "RS_API_PORT", value_name = "PORT", default_value_t = 8092)]
    api_port: u16,
    /// The port of the file server
    #[arg(long, env = "RS_STATIC_PORT", value_name = "PORT", default_value_t = 8091)]
    static_port: u16,
    /// The port of the file server over TLS; 0 for none [default: 8090, left out where it is taken]
    #[arg(long, env = "RS_STATIC_SECURE_PORT", value_name = "PORT")]
    static_secure_port: Option<u16>,
    /// The certificate of the file server over TLS [default: that of the API]
    #[arg(long, env = "RS_STATIC_TLS_CERT", value_name = "FILE", requires = "static_tls_key")]
    static_tls_cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, env = "RS_STATIC_TLS_KEY", value_name = "FILE", requires = "static_tls_cert")]
    static_tls_key: Option<PathBuf>,
    /// The oldest version of TLS that is spoken: 1.2 or 1.3
    #[arg(long, env = "RS_TLS_MIN_VERSION", value_name = "VERSION", default_value = "1.2", value_parser = tls_version, action = clap::ArgAction::Set)]
    tls_min_version: bool,
    /// The only cipher suites, by name with commas between [default: all of --tls-ciphers-available]
    #[arg(long, env = "RS_TLS_CIPHER_LIST", value_name = "NAMES", value_delimiter = ',', value_parser = cipher)]
    tls_cipher_list: Vec<String>,
    /// Print the cipher suites that there are, and end
    #[arg(long)]
    pub(super) tls_ciphers_available: bool,
    /// The port of measured values for monitoring; 0 for none [default: 8080, left out where it is taken]
    #[arg(long, env = "RS_METRICS_PORT", value_name = "PORT")]
    metrics_port: Option<u16>,
    /// Where browsers that ask the API for `/` are sent
    #[arg(long, env = "RS_UI_URL", value_name = "URL")]
    ui_url: Option<String>,
    /// The folder of the store, below the base root [default: the base root]
    #[arg(long, env = "RS_DATA_ROOT", value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// Make this host a machine of the endpoint
    #[arg(long, env = "RS_CREATE_SELF")]
    create_self: bool,
    /// Run the jobs of this host's machine, and of clusters and resource brokers; implies --create-self
    #[arg(long, env = "RS_START_RUNNER")]
    pub(super) start_runner: bool,
    /// The name of the high-availability set [default: that of the endpoint]
    #[arg(long, env = "RS_HA_ID", value_name = "NAME")]
    ha_id: Option<String>,
    /// The port of TFTP
    #[arg(long, env = "RS_TFTP_PORT", value_name = "PORT", default_value_t = 69)]
    tftp_port: u16,
    /// The port of DHCP
    #[arg(long, env = "RS_DHCP_PORT", value_name = "PORT", default_value_t = 67)]
    dhcp_port: u16,
    /// The port of the boot server beside DHCP, which PXE calls BINL [default: 4011, left out when taken]
    #[arg(long, env = "RS_BINL_PORT", value_name = "PORT")]
    binl_port: Option<u16>,
    /// The port of DHCPv6; 0 for none, and no router advertisements [default: 547 where DHCP is at 67, left out when taken]
    #[arg(long, env = "RS_DHCP6_PORT", value_name = "PORT")]
    dhcp6_port: Option<u16>,
    /// The network cards that DHCP listens on, with commas between [default: all]
    #[arg(long, env = "RS_DHCP_IFS", value_name = "NAMES", value_delimiter = ',')]
    dhcp_ifs: Vec<String>,
    /// Do not ask whether an address is in use before it is offered
    #[arg(long, env = "RS_FAKE_PINGER")]
    fake_pinger: bool,
    /// Make a subnet for this network at the start, unless there is one; `formwork subnets` changes it
    #[arg(long, env = "RS_DHCP_SUBNET", value_name = "ADDRESS/PREFIX", requires = "dhcp_range")]
    dhcp_subnet: Option<String>,
    /// The first and the last address to give
    #[arg(long, env = "RS_DHCP_RANGE", value_name = "FIRST-LAST", requires = "dhcp_subnet")]
    dhcp_range: Option<String>,
    /// The router that machines are told
    #[arg(long, env = "RS_DHCP_ROUTER", value_name = "ADDRESS")]
    dhcp_router: Option<Ipv4Addr>,
    /// Do not serve DHCP
    #[arg(long, env = "RS_DISABLE_DHCP")]
    disable_dhcp: bool,
    /// Do not serve files by HTTP and TFTP
    #[arg(long, env = "RS_DISABLE_PROVISIONER")]
    disable_provisioner: bool,
    /// The name of the endpoint
    #[arg(long, env = "RS_DRP_ID", value_name = "NAME")]
    drp_id: Option<String>,
    /// Where objects are kept: `directory:///` is below --data-root, `memory:///` keeps them nowhere
    #[arg(long, env = "RS_BACKEND", value_name = "URL", default_value = "directory:///", value_parser = in_memory, action = clap::ArgAction::Set)]
    backend: bool,
    /// Name and password of the first user, USER:PASSWORD [default: a random password, told once]
    #[arg(long, env = "FORMWORK_FIRST_USER", value_name = "KEY", hide_env_values = true)]
    first_user: Option<String>,
    /// A content bundle, a folder of bundles, or the folder of one bundle, below everything that is installed
    #[arg(long, env = "RS_DEFAULT_CONTENT", value_name = "FILE|DIR")]
    default_content: Option<PathBuf>,
    /// The same, above everything that is installed
    #[arg(long, env = "RS_LOCAL_CONTENT", value_name = "FILE|DIR")]
    local_content: Option<PathBuf>,
    /// Accept packs whoever signed them, or nobody
    #[arg(long)]
    allow_unsigned: bool,
    /// Let components use at most this much of something, whatever their packs ask for; see `limits` in a pack
    #[arg(long, value_name = "NAME=NUMBER")]
    component_limit: Vec<String>,
    /// Keep recordings of the last 1000 calls of components in this folder, for `formwork replay`; secrets too
    #[arg(long, env = "FORMWORK_RECORD_CALLS", value_name = "DIR")]
    record_calls: Option<PathBuf>,
    /// What is logged of boot environments and their files, unless the preference `debugBootEnv` says otherwise
    #[arg(long, env = "RS_DEBUG_BOOTENV", value_name = "LEVEL", value_parser = level)]
    debug_bootenv: Option<String>,
    /// What is logged of DHCP, unless the preference `debugDhcp` says otherwise
    #[arg(long, env = "RS_DEBUG_DHCP", value_name = "LEVEL", value_parser = level)]
    debug_dhcp: Option<String>,
    /// What is logged of templates, unless the preference `debugRenderer` says otherwise
    #[arg(long, env = "RS_DEBUG_RENDERER", value_name = "LEVEL", value_parser = level)]
    debug_renderer: Option<String>,
    #[command(flatten)]
    accepted: AcceptedArgs,
}

/// Flags of `dr-provision` for services that this endpoint does not have, or does without being told. One that would ask
/// for something that is not here is refused at the start, and one that changes nothing is told in the log.
#[derive(Clone, Debug, Args)]
struct AcceptedArgs {
    #[arg(long, env = "RS_PLUGIN_COMM_ROOT", hide = true)]
    plugin_comm_root: Option<PathBuf>,
    #[arg(long, env = "RS_NO_WATCHER", hide = true)]
    no_watcher: bool,
    #[arg(long, env = "RS_DISABLE_PXE", hide = true)]
    disable_pxe: bool,
    #[arg(long, env = "RS_HUMANIZE", hide = true)]
    humanize: bool,
    #[arg(long, env = "RS_FORCE_STATIC", hide = true)]
    force_static: bool,
    #[arg(long, env = "RS_EXIT_ON_CHANGE", hide = true)]
    exit_on_change: bool,
    #[arg(long, env = "RS_LOCAL_UI", hide = true)]
    local_ui: Option<PathBuf>,
    #[arg(long, env = "RS_HA_ENABLED", hide = true)]
    ha_enabled: bool,
    #[arg(long, env = "RS_HA_PASSIVE", hide = true)]
    ha_passive: bool,
    #[arg(long, env = "RS_HA_JOIN", hide = true)]
    ha_join: Option<String>,
    #[arg(long, env = "RS_HA_LOAD_BALANCED", hide = true)]
    ha_load_balanced: bool,
    #[arg(long, env = "RS_HA_ADDRESS", hide = true)]
    ha_address: Option<String>,
    #[arg(long, env = "RS_HA_INTERFACE", hide = true)]
    ha_interface: Option<String>,
    #[arg(long, env = "RS_HA_INTERFACE_SCRIPT", hide = true)]
    ha_interface_script: Option<PathBuf>,
    #[arg(long, env = "RS_HA_TOKEN", hide = true, hide_env_values = true)]
    ha_token: Option<String>,
    #[arg(long, env = "RS_HA_CONSENSUS_ADDR", hide = true)]
    ha_consensus_addr: Option<String>,
}

impl AcceptedArgs {
    /// Refuses what asks for more than this endpoint is.
    fn check(&self) -> Result<()> {
        let asks = [
            ("--ha-enabled", self.ha_enabled),
            ("--ha-passive", self.ha_passive),
            ("--ha-load-balanced", self.ha_load_balanced),
            ("--ha-join", self.ha_join.is_some()),
        ];
        if let Some((flag, _)) = asks.iter().find(|(_, asked)| *asked) {
            bail!(UsageError(format!(
                "`{flag}`: this endpoint cannot be one of several hosts yet\nhint: leave the flag out"
            )));
        }
        if self.local_ui.is_some() {
            bail!(UsageError(String::from(
                "`--local-ui`: this endpoint serves no user interface\nhint: --ui-url sends browsers to one"
            )));
        }
        Ok(())
    }
}

impl AcceptedArgs {
    /// Returns the flags that were given and change nothing.
    fn idle(&self) -> Vec<&'static str> {
        let given = [
            ("--plugin-comm-root", self.plugin_comm_root.is_some()),
            ("--no-watcher", self.no_watcher),
            ("--disable-pxe", self.disable_pxe),
            ("--humanize", self.humanize),
            ("--force-static", self.force_static),
            ("--exit-on-change", self.exit_on_change),
            ("--ha-address", self.ha_address.is_some()),
            ("--ha-interface", self.ha_interface.is_some()),
            ("--ha-interface-script", self.ha_interface_script.is_some()),
            ("--ha-token", self.ha_token.is_some()),
            ("--ha-consensus-addr", self.ha_consensus_addr.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag).collect()
    }
}

/// Checks a level as preferences have it.
fn level(text: &str) -> Result<String, String> {
    match LogLevels::knows(text) {
        true => Ok(text.to_owned()),
        false => Err(String::from("a level is trace, debug, info, warn, error or off")),
    }
}

/// Reads where objects are kept; true for in memory alone. `file` and `directory` are the same here.
fn in_memory(text: &str) -> Result<bool, String> {
    let (scheme, place) = text.split_once(':').unwrap_or((text, ""));
    match (scheme, place.trim_matches('/')) {
        ("memory", "") => Ok(true),
        ("directory" | "file", "") => Ok(false),
        ("directory" | "file", folder) => Err(format!("give the folder by `--data-root {folder}`")),
        _ => Err(String::from("known are directory:///, file:/// and memory:///")),
    }
}

/// Reads a version of TLS as people and dr-provision write it; true for 1.3.
fn tls_version(text: &str) -> Result<bool, String> {
    match text.to_lowercase().trim_start_matches("tls").trim_start_matches('v') {
        "1.2" | "12" => Ok(false),
        "1.3" | "13" => Ok(true),
        _ => Err(String::from("only TLS 1.2 and 1.3 are spoken")),
    }
}

fn cipher(name: &str) -> Result<String, String> {
    match TlsRules::available().iter().any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(format!("no cipher suite `{name}`; --tls-ciphers-available prints all")),
    }
}

/// Returns how the flags want an endpoint to be run; `named` when the program is called as `dr-provision`.
///
/// # Errors
///
/// A flag asks for what cannot be, or is not here.
pub(super) fn options(args: ServeArgs, named: bool) -> Result<ServeOptions> {
    args.accepted.check()?;
    for flag in args.accepted.idle() {
        tracing::warn!(flag, "a flag is taken for compatibility and changes nothing");
    }
    let base_root = std::path::absolute(args.base_root.unwrap_or_else(base_root))
        .context("failed to find the working folder")?;
    let worker = env::current_exe().context("failed to find this program")?;
    let off_unless = |on: bool, port: u16| if on { port } else { 0 };
    let subnet = match (&args.dhcp_subnet, &args.dhcp_range) {
        (Some(subnet), Some(range)) => Some(dhcp_subnet(subnet, range, args.dhcp_router)?),
        _ => None,
    };
    let first_user = match &args.first_user {
        Some(key) => Some(first_user(key)?),
        None => named.then(|| (KNOWN_USER.0.to_owned(), KNOWN_USER.1.to_owned())),
    };
    let usual = ServeOptions::new(base_root.clone(), worker);
    Ok(ServeOptions {
        file_root: base_root.join(args.file_root.unwrap_or_else(|| PathBuf::from("tftpboot"))),
        tls_key: base_root.join(args.tls_key),
        tls_cert: base_root.join(args.tls_cert),
        static_ip: args.static_ip,
        listen: args.listen,
        api_port: args.api_port,
        static_port: off_unless(!args.disable_provisioner, args.static_port),
        static_secure_port: match args.disable_provisioner {
            true => Port::usual(0),
            false => port(args.static_secure_port, usual.static_secure_port),
        },
        static_tls: args
            .static_tls_cert
            .zip(args.static_tls_key)
            .map(|(cert, key)| (base_root.join(cert), base_root.join(key))),
        metrics_port: port(args.metrics_port, usual.metrics_port),
        tls: TlsRules { only_1_3: args.tls_min_version, ciphers: args.tls_cipher_list },
        ui_url: args.ui_url,
        data_root: args.data_root.map_or_else(|| base_root.clone(), |folder| base_root.join(folder)),
        log_levels: [
            ("debugBootEnv", args.debug_bootenv),
            ("debugDhcp", args.debug_dhcp),
            ("debugRenderer", args.debug_renderer),
        ]
        .into_iter()
        .filter_map(|(name, level)| Some((name, level?)))
        .collect(),
        create_self: args.create_self || args.start_runner,
        ha_id: args.ha_id,
        tftp_port: off_unless(!args.disable_provisioner, args.tftp_port),
        dhcp_port: off_unless(!args.disable_dhcp, args.dhcp_port),
        fake_pinger: args.fake_pinger,
        binl_port: port(args.binl_port, usual.binl_port),
        // DHCP at another port is a trial, which hosts of the network must not hear of.
        dhcp6_port: port(
            args.dhcp6_port,
            if args.dhcp_port == 67 { usual.dhcp6_port } else { Port::usual(0) },
        ),
        dhcp_interfaces: args.dhcp_ifs.into_iter().filter(|name| !name.is_empty()).collect(),
        dhcp_subnet: subnet,
        id: args.drp_id,
        memory: args.backend,
        as_dr_provision: named,
        default_content: args.default_content,
        local_content: args.local_content,
        first_user,
        allow_unsigned: args.allow_unsigned,
        component_limits: component_limits(&args.component_limit)?,
        record_calls: args.record_calls,
        ..usual
    })
}

fn port(asked: Option<u16>, usual: Port) -> Port {
    asked.map_or(usual, |number| Port { number, is_asked_for: true })
}

/// Reads the site's limits. Those that are not named are the usual ones.
pub(super) fn component_limits(arguments: &[String]) -> Result<Limits> {
    let pair = |argument: &String| {
        let (name, value) = argument.split_once('=')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    let pairs: Option<BTreeMap<String, u64>> = arguments.iter().map(pair).collect();
    let pairs = pairs.ok_or_else(|| {
        UsageError(format!(
            "`--component-limit {}` is not NAME=NUMBER, such as fuel=20000000000",
            arguments.join(" ")
        ))
    })?;
    Ok(Limits::site().with(&pairs).map_err(|error| UsageError(error.to_string()))?)
}

fn first_user(key: &str) -> Result<(String, String)> {
    match key.split_once(':') {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => {
            Ok((user.to_owned(), password.to_owned()))
        }
        _ => bail!(UsageError(String::from("the first user is not of the form USER:PASSWORD"))),
    }
}

pub(super) fn dhcp_subnet(subnet: &str, range: &str, router: Option<Ipv4Addr>) -> Result<DhcpSubnet> {
    let parsed = subnet.split_once('/').and_then(|(address, prefix)| {
        Some((address.parse().ok()?, prefix.parse().ok().filter(|prefix| (1..=32).contains(prefix))?))
    });
    let Some((address, prefix)) = parsed else {
        bail!(UsageError(format!("subnet `{subnet}` is not of the form ADDRESS/PREFIX, as 10.0.0.1/24")));
    };
    let parsed =
        range.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let within = |one: Ipv4Addr| {
        let mask = u32::MAX << (32 - u32::from(prefix));
        (one.to_bits() ^ Ipv4Addr::to_bits(address)) & mask == 0
    };
    match parsed {
        Some((first, last)) if first <= last && within(first) && within(last) => {
            Ok(DhcpSubnet { address, prefix, first, last, router, lease_seconds: LEASE_SECONDS })
        }
        _ => bail!(UsageError(format!("range `{range}` is not of the form FIRST-LAST within `{subnet}`"))),
    }
}

/// Returns where data is kept when nothing else was said: the system's place for root, the user's for others.
fn base_root() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/formwork");
    }
    let data = env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
    data.or(home).unwrap_or_else(env::temp_dir).join("formwork")
}
