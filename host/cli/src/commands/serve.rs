//! `formwork serve`: runs an endpoint. The flags are those of `dr-provision` (drp-api.md 16.1) and a few more.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    io::{self, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use formwork_sandbox::Limits;
use formwork_server::{DhcpSubnet, FirstUser, OwnMachine, Port, ServeOptions, Started, TlsRules};
use tokio_util::sync::CancellationToken;

use crate::{failure::UsageError, shutdown};

/// Under this name the program serves without a subcommand.
pub(crate) const SERVER_NAME: &str = "dr-provision";

/// The first user under the name `dr-provision`, whose clients expect it (drp-api.md 2.1).
const KNOWN_USER: (&str, &str) = ("rocketskates", "r0cketsk8ts");

/// Seconds that an address is given for.
const LEASE_SECONDS: u32 = 3600;

/// Flags of the endpoint.
#[derive(Clone, Debug, Args)]
struct ServeArgs {
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
    tls_ciphers_available: bool,
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
    /// Run the jobs of this host's machine; implies --create-self
    #[arg(long, env = "RS_START_RUNNER")]
    start_runner: bool,
    /// The name of the high-availability set [default: that of the endpoint]
    #[arg(long, env = "RS_HA_ID", value_name = "NAME")]
    ha_id: Option<String>,
    /// The port of TFTP
    #[arg(long, env = "RS_TFTP_PORT", value_name = "PORT", default_value_t = 69)]
    tftp_port: u16,
    /// The port of DHCP
    #[arg(long, env = "RS_DHCP_PORT", value_name = "PORT", default_value_t = 67)]
    dhcp_port: u16,
    /// The network card that DHCP listens on [default: all]
    #[arg(long, env = "RS_DHCP_IFS", value_name = "NAME")]
    dhcp_ifs: Option<String>,
    /// Give addresses in this network
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
    /// Where objects are kept: `memory:///` keeps them nowhere
    #[arg(long, env = "RS_BACKEND", value_name = "URL", default_value = "directory:///")]
    backend: String,
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
    #[command(flatten)]
    accepted: AcceptedArgs,
}

/// Flags of `dr-provision` for services that this endpoint does not have, or does without being told. One that would ask
/// for something that is not here is refused at the start.
#[derive(Clone, Debug, Args)]
struct AcceptedArgs {
    #[arg(long, env = "RS_BINL_PORT", hide = true)]
    binl_port: Option<u16>,
    #[arg(long, env = "RS_PLUGIN_COMM_ROOT", hide = true)]
    plugin_comm_root: Option<PathBuf>,
    #[arg(long, env = "RS_FAKE_PINGER", hide = true)]
    fake_pinger: bool,
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
    #[arg(long, env = "RS_DEBUG_BOOTENV", hide = true)]
    debug_bootenv: Option<String>,
    #[arg(long, env = "RS_DEBUG_DHCP", hide = true)]
    debug_dhcp: Option<String>,
    #[arg(long, env = "RS_DEBUG_RENDERER", hide = true)]
    debug_renderer: Option<String>,
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

pub(super) fn command(as_server: bool) -> Command {
    let command = ServeArgs::augment_args(Command::new("serve")).about("Runs an endpoint").long_about(None);
    if as_server { command.version(super::version::AS_SERVER) } else { command }
}

/// Returns the arguments of a program that was started as `dr-provision`: its flags are those of `serve`.
pub(crate) fn arguments_of_server(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_default();
    [program, OsString::from("serve")].into_iter().chain(arguments).collect()
}

pub(super) async fn run(matches: &ArgMatches) -> Result<()> {
    let named = env::args_os()
        .next()
        .is_some_and(|program| Path::new(&program).file_name().is_some_and(|name| name == SERVER_NAME));
    let args = ServeArgs::from_arg_matches(matches)?;
    if args.tls_ciphers_available {
        io::stdout().write_all(format!("{}\n", TlsRules::available().join("\n")).as_bytes())?;
        return Ok(());
    }
    let starts_runner = args.start_runner;
    let options = options(args, named)?;
    let (program, port) = (options.worker.clone(), options.api_port);
    let shutdown = shutdown::on_signal()?;
    let runs = shutdown.clone();
    let started = move |started: &Started| {
        announce(started);
        if let (true, Some(machine)) = (starts_runner, started.own_machine.clone()) {
            tokio::spawn(run_agent(program, port, machine, runs));
        }
    };
    formwork_server::serve(options, started, async move { shutdown.cancelled().await }).await?;
    Ok(())
}

/// How long the agent of this host rests before it is started again.
const AGENT_REST: Duration = Duration::from_secs(5);

/// Keeps the agent of this host running as long as the endpoint does.
async fn run_agent(program: PathBuf, port: u16, machine: OwnMachine, shutdown: CancellationToken) {
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
            () = tokio::time::sleep(AGENT_REST) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Tells where the endpoint is.
fn announce(started: &Started) {
    // A closed standard output does not keep an endpoint from serving.
    io::stdout().write_all(announcement(started).as_bytes()).ok();
}

/// Says where the endpoint is and who its first user is. A password that was made up is told, once and never again; one
/// that the operator gave is not repeated.
fn announcement(started: &Started) -> String {
    let url = &started.url;
    let Some(FirstUser { name, made_password }) = &started.first_user else {
        return format!("endpoint  {url}\n");
    };
    match made_password {
        Some(password) => format!(
            "endpoint  {url}\nuser      {name}\npassword  {password}  (shown this once)\n\
             export RS_ENDPOINT={url} RS_KEY='{name}:{password}'\n"
        ),
        None => format!("endpoint  {url}\nuser      {name}\n"),
    }
}

fn options(args: ServeArgs, named: bool) -> Result<ServeOptions> {
    args.accepted.check()?;
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
        create_self: args.create_self || args.start_runner,
        ha_id: args.ha_id,
        tftp_port: off_unless(!args.disable_provisioner, args.tftp_port),
        dhcp_port: off_unless(!args.disable_dhcp, args.dhcp_port),
        dhcp_interface: args.dhcp_ifs,
        dhcp_subnet: subnet,
        id: args.drp_id,
        memory: args.backend.starts_with("memory:"),
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
fn component_limits(arguments: &[String]) -> Result<Limits> {
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

fn dhcp_subnet(subnet: &str, range: &str, router: Option<Ipv4Addr>) -> Result<DhcpSubnet> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_site_are_named_and_checked() {
        let limits = component_limits(&["fuel=7".into(), "wall-time-ms=9".into()]).unwrap();
        let expected = Limits { fuel: 7, wall_time: std::time::Duration::from_millis(9), ..Limits::site() };
        assert_eq!(limits, expected);
        for (argument, word) in
            [("fuel", "NAME=NUMBER"), ("fuel=x", "NAME=NUMBER"), ("speed=1", "no such limit")]
        {
            let error = component_limits(&[argument.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    fn parse(line: &str, named: bool) -> Result<ServeOptions> {
        let matches = super::super::command(named).try_get_matches_from(line.split_whitespace())?;
        let (_, matches) = matches.subcommand().unwrap();
        options(ServeArgs::from_arg_matches(matches)?, named)
    }

    #[test]
    fn flags_of_the_clients_own_tests_are_understood() {
        let line = "dr-provision --base-root /b --tls-key server.key --tls-cert server.crt --api-port 1 \
                    --static-port 2 --tftp-port 3 --dhcp-port 4 --binl-port 5 --metrics-port 6 \
                    --static-secure-port 7 --fake-pinger --drp-id Fred --plugin-comm-root /c --backend memory:///";
        let line: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let line =
            arguments_of_server(line).iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ");
        let options = parse(&line, true).unwrap();
        assert_eq!(
            (options.api_port, options.static_port, options.tftp_port, options.dhcp_port),
            (1, 2, 3, 4)
        );
        assert_eq!(options.tls_key, Path::new("/b/server.key"));
        assert_eq!((options.memory, options.id.as_deref()), (true, Some("Fred")));
        assert_eq!(options.first_user, Some(("rocketskates".to_owned(), "r0cketsk8ts".to_owned())));
    }

    #[test]
    fn every_flag_has_its_variable() {
        let without: Vec<String> = command(false)
            .get_arguments()
            .filter(|argument| argument.get_env().is_none())
            .filter_map(|argument| argument.get_long().map(str::to_owned))
            .collect();
        // These say what this one start does, or are a matter of trust that no surroundings should decide.
        assert_eq!(without, ["tls-ciphers-available", "allow-unsigned", "component-limit"]);
    }

    #[test]
    fn flags_of_dr_provision_do_what_they_say() {
        let parsed = |flags: &str| parse(&format!("formwork serve --base-root /b {flags}"), false);
        let options = parsed(
            "--static-secure-port 7 --metrics-port 0 --tls-min-version tls1.3 --data-root data --ha-id set \
             --ui-url http://ui --start-runner --static-tls-cert c --static-tls-key k \
             --tls-cipher-list TLS_AES_128_GCM_SHA256",
        )
        .unwrap();
        assert_eq!(options.static_secure_port, Port { number: 7, is_asked_for: true });
        assert_eq!(options.metrics_port, Port { number: 0, is_asked_for: true });
        assert!(options.tls.only_1_3 && options.create_self);
        assert_eq!(options.tls.ciphers, ["TLS_AES_128_GCM_SHA256"]);
        assert_eq!(options.data_root, Path::new("/b/data"));
        assert_eq!((options.ha_id.as_deref(), options.ui_url.as_deref()), (Some("set"), Some("http://ui")));
        assert_eq!(options.static_tls, Some(("/b/c".into(), "/b/k".into())));
        assert_eq!(parsed("").unwrap().metrics_port, Port::usual(8080));
        for (flags, words) in [
            ("--ha-enabled", "cannot be one of several hosts yet"),
            ("--ha-join x", "cannot be one of several hosts yet"),
            ("--local-ui x", "serves no user interface"),
            ("--tls-min-version 1.1", "only TLS 1.2 and 1.3"),
            ("--tls-cipher-list NONE", "--tls-ciphers-available"),
        ] {
            let error = parsed(flags).unwrap_err().to_string();
            assert!(error.contains(words), "{flags}: {error}");
        }
    }

    #[test]
    fn password_is_told_only_when_it_was_made_up() {
        let started = |made_password: Option<&str>| Started {
            url: "https://h:8092".into(),
            first_user: Some(FirstUser {
                name: "anna".into(),
                made_password: made_password.map(str::to_owned),
            }),
            own_machine: None,
        };
        assert_eq!(announcement(&started(None)), "endpoint  https://h:8092\nuser      anna\n");
        let told = announcement(&started(Some("made-up")));
        assert!(told.contains("password  made-up  (shown this once)\n"), "{told}");
        assert!(told.ends_with("RS_KEY='anna:made-up'\n"), "{told}");
        let again = Started { first_user: None, ..started(None) };
        assert_eq!(announcement(&again), "endpoint  https://h:8092\n");
    }

    #[test]
    fn network_of_dhcp_is_read_and_checked() {
        let options = parse(
            "formwork serve --base-root /b --dhcp-subnet 10.7.0.1/24 --dhcp-range 10.7.0.50-10.7.0.99",
            false,
        );
        let subnet = options.unwrap().dhcp_subnet.unwrap();
        assert_eq!((subnet.prefix, subnet.first), (24, "10.7.0.50".parse().unwrap()));
        for (subnet, range) in [
            ("10.7.0.1", "10.7.0.50-10.7.0.99"),
            ("10.7.0.1/33", "10.7.0.50-10.7.0.99"),
            ("10.7.0.1/0", "10.7.0.50-10.7.0.99"),
            ("10.7.0.1/24", "10.7.0.99-10.7.0.50"),
            ("10.7.0.1/24", "10.8.0.50-10.8.0.99"),
        ] {
            assert!(dhcp_subnet(subnet, range, None).is_err(), "{subnet} {range}");
        }
    }

    #[test]
    fn services_that_are_off_have_port_0() {
        let options =
            parse("formwork serve --base-root /b --disable-dhcp --disable-provisioner", false).unwrap();
        assert_eq!((options.dhcp_port, options.tftp_port, options.static_port), (0, 0, 0));
        assert_eq!(options.first_user, None);
    }
}
