//! An endpoint of its own for each test.

use std::{
    io::{BufRead, BufReader},
    net::{TcpListener, UdpSocket},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use formwork_client::{Client, Credentials, Endpoint as Place};
use formwork_model::Machine;
use serde_json::json;

/// The user of all tests.
const USER: &str = "rocketskates:test-password";

/// The longest that anything here may take; reached only when something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Ports that were free a moment ago.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) api: u16,
    pub(crate) files: u16,
    pub(crate) tftp: u16,
    pub(crate) dhcp: u16,
}

impl Ports {
    fn free() -> Self {
        let tcp = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let udp = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let datagrams = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        Self { api: port(&tcp[0]), files: port(&tcp[1]), tftp: datagrams(&udp[0]), dhcp: datagrams(&udp[1]) }
    }
}

/// A running endpoint; it is killed when dropped.
pub(crate) struct Endpoint {
    pub(crate) ports: Ports,
    folder: tempfile::TempDir,
    process: Child,
    flags: &'static [&'static str],
}

/// Returns a port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns a command of the program under test.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_formwork"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RS_")) {
        command.env_remove(name);
    }
    command.env("RUST_LOG", "info");
    command
}

impl Endpoint {
    /// Starts an endpoint with a fresh folder that has files to discover machines with.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with some more flags.
    pub(crate) fn start_with(flags: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tftpboot/discovery/install");
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::write(tree.join("vmlinuz"), vec![0; 100_000]).unwrap();
        std::fs::write(tree.join("initrd.img"), vec![1; 200_000]).unwrap();
        std::fs::write(folder.path().join("tftpboot/lpxelinux.0"), vec![2; 70_000]).unwrap();
        let ports = Ports::free();
        let process = serve(folder.path(), ports, flags);
        Self { ports, folder, process, flags }
    }

    /// Kills the endpoint at once, as a power failure would, and starts it again on the same data.
    pub(crate) fn kill_and_start_again(&mut self) {
        self.kill();
        self.start_again();
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.start_again_with(&[]);
    }

    /// The same, with some more flags.
    pub(crate) fn start_again_with(&mut self, flags: &[&str]) {
        self.process = serve(self.folder.path(), self.ports, &[self.flags, flags].concat());
    }

    /// Starts another endpoint on a copy of this one's folder, which nobody may write to meanwhile.
    pub(crate) fn start_copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let all = self.folder.path().join(".");
        let copied = Command::new("cp").arg("-a").arg(all).arg(folder.path()).status().unwrap();
        assert!(copied.success());
        let ports = Ports::free();
        let process = serve(folder.path(), ports, self.flags);
        Self { ports, folder, process, flags: self.flags }
    }

    /// Tells the endpoint to end, and returns what it has logged once it has.
    pub(crate) fn stop(&mut self) -> String {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Returns how much memory the endpoint has resident, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Returns how many files and connections the endpoint has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process_id())).unwrap().count()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.api)
    }

    /// Returns a client of the first user.
    pub(crate) fn client(&self) -> Client {
        self.client_with(Credentials::from_key(USER))
    }

    pub(crate) fn client_with(&self, credentials: Credentials) -> Client {
        Client::connect(Place { url: self.url(), credentials }).unwrap()
    }

    /// Runs a command of an operator.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Returns a command of an operator that is not run yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.env("RS_ENDPOINT", self.url()).env("RS_KEY", USER).args(arguments);
        command.env("RS_TOKEN_CACHE", self.folder.path().join("tokens")).stdin(Stdio::null());
        command
    }

    /// Returns once something is so that no event tells; looks again and again, until patience ends.
    pub(crate) fn eventually(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let pause = Duration::from_millis(50);
        for _ in 0..PATIENCE.as_millis() / pause.as_millis() {
            if is_so() {
                return;
            }
            std::thread::sleep(pause);
        }
        panic!("never: {what}");
    }

    /// Makes a machine.
    pub(crate) async fn machine(&self, name: &str) -> Machine {
        let object = self.client().collection("machines").create(&json!({ "Name": name })).await.unwrap();
        serde_json::from_value(object).unwrap()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn arguments(folder: &Path, ports: Ports) -> Vec<String> {
    let mut words = vec![String::from("serve"), String::from("--base-root"), folder.display().to_string()];
    let flags = [
        ("--api-port", ports.api.to_string()),
        ("--static-port", ports.files.to_string()),
        ("--tftp-port", ports.tftp.to_string()),
        ("--dhcp-port", ports.dhcp.to_string()),
        ("--static-ip", String::from("127.0.0.1")),
        ("--listen", String::from("127.0.0.1")),
        ("--dhcp-subnet", String::from("127.0.0.1/8")),
        ("--dhcp-range", String::from("127.0.77.50-127.0.77.99")),
    ];
    words.extend(flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
    words
}

/// Returns the command of an endpoint on a folder.
pub(crate) fn serve_command(folder: &Path, ports: Ports) -> Command {
    let mut command = program();
    command.env("FORMWORK_FIRST_USER", USER).args(arguments(folder, ports));
    // Tests that look for these services give ports of their own.
    command.env("RS_STATIC_SECURE_PORT", "0").env("RS_METRICS_PORT", "0");
    command
}

/// Starts an endpoint and returns when it says that it answers.
fn serve(folder: &Path, ports: Ports, flags: &[&str]) -> Child {
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut command = serve_command(folder, ports);
    let mut process =
        command.args(flags).stdout(Stdio::piped()).stderr(log).stdin(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if !line.starts_with("endpoint") {
        let _ = process.kill();
        panic!("the endpoint did not start: {}", std::fs::read_to_string(folder.join("log")).unwrap());
    }
    process
}
