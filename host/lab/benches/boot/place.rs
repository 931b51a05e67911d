//! The two hosts, and what runs on them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;
use std::time::Duration;

use formwork_lab::{Daemon, Endpoint, Namespace, output, until};

/// The address of every server, and of the load.
pub(crate) const SERVER: &str = "10.78.0.1";
pub(crate) const LOAD: &str = "10.78.0.2";

/// The processor that both sides share where each waits for the other: where they are on two, what is measured is how long the
/// kernel takes to wake an idle one.
const SHARED: &str = "0";

/// How long a server may take to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two hosts with a cable between, and a folder.
pub(crate) struct Place {
    pub(crate) load: Namespace,
    pub(crate) server: Namespace,
    folder: PathBuf,
}

/// Whether both sides are on one processor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Processors {
    /// Wherever the kernel puts them.
    All,
    /// On one.
    One,
}

/// Puts this thread, and all that it starts, before what else runs on this machine.
pub(crate) fn hurry() {
    output(Command::new("renice").args(["-n", "-15", "-p", &process::id().to_string()])).expect("root");
}

impl Place {
    /// Makes both, and an empty folder on a disk: leases are to be durable.
    pub(crate) fn make() -> Self {
        let folder = std::env::var_os("FORMWORK_BENCH_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = folder.join(format!("formwork-bench-boot-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let server = Namespace::make("server").expect("a namespace");
        let load = Namespace::make("load").expect("a namespace");
        server.join("s0", &load, "c0").expect("a cable");
        server.address("s0", &format!("{SERVER}/16")).expect("an address");
        load.address("c0", &format!("{LOAD}/16")).expect("an address");
        Self { load, server, folder }
    }

    /// Returns a new folder for one server.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// Starts the product.
    pub(crate) fn endpoint(&self, folder: &Path, processors: Processors) -> Endpoint<'_> {
        let program = std::env::var_os("FORMWORK_PROGRAM").expect("FORMWORK_PROGRAM");
        // Nobody else is asked whether an address is in use, as with all peers here.
        let flags = ["--static-ip", SERVER, "--fake-pinger"];
        Endpoint::start(&self.server, Path::new(&program), folder, &flags, before(processors))
            .expect("the endpoint")
    }

    /// Starts a peer and waits until `ready` says that it serves.
    pub(crate) fn peer(
        &self,
        words: &[OsString],
        folder: &Path,
        processors: Processors,
        ready: impl Fn(&Self) -> bool,
    ) -> Daemon {
        let mut command = self.server.command("env");
        command.args(before(processors)).args(words).current_dir(folder);
        let mut daemon = Daemon::start(command, &folder.join("log")).expect("a peer");
        until(PATIENCE, "a peer that serves", || {
            daemon.check()?;
            Ok(ready(self).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error:#}: {}", daemon.tail(5)));
        daemon
    }

    /// Tells whether a port is open on the server: `u` for UDP or `t` for TCP.
    pub(crate) fn is_open(&self, kind: &str, port: u16) -> bool {
        let sockets =
            self.server.command("ss").args([&format!("-Hln{kind}"), &format!("sport = :{port}")]).output();
        sockets.is_ok_and(|sockets| !sockets.stdout.is_empty())
    }

    /// Runs a part of the load on its host, in a thread.
    pub(crate) fn on_load<T: Send>(&self, processors: Processors, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.load.enter().expect("the host of the load");
                if processors == Processors::One {
                    let mut shared = nix::sched::CpuSet::new();
                    shared.set(SHARED.parse().unwrap()).unwrap();
                    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &shared)
                        .expect("a processor");
                }
                work()
            });
            thread.join().expect("the load")
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn before(processors: Processors) -> &'static [&'static str] {
    match processors {
        Processors::All => &[],
        Processors::One => &["taskset", "-c", SHARED],
    }
}

/// Returns bytes that no two blocks have alike.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    (0_u32..).flat_map(|word| word.wrapping_mul(2_654_435_761).to_be_bytes()).take(count).collect()
}
