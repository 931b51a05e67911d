//! Hosts of a network inside this machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{output, until};

/// What the name of every namespace begins with; behind it are the process number of its program and its own word.
const PREFIX: &str = "fwlab-";

/// Where `ip` keeps the names.
const NAMES: &str = "/run/netns";

/// A network namespace: a host with links and ports of its own. Dropping it removes it and its links.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a host with nothing but a loopback; `word` tells it from the others of this program.
    ///
    /// # Errors
    /// Not root, or no `ip`.
    pub fn make(word: &str) -> Result<Self> {
        let name = format!("{PREFIX}{}-{word}", process::id());
        ip(&["netns", "add", &name]).context("failed to make a network namespace")?;
        let namespace = Self { name };
        // An IPv6 address would otherwise be of no use for a second, while the kernel asks for others that have it.
        let settings = "for i in all default; do echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done";
        let _ = output(namespace.command("sh").args(["-c", settings]));
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Returns its name, as `ip netns` takes it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns a command that runs `program` on this host.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program.as_ref());
        command
    }

    /// Returns the same with an end: after `limit` the program is ended.
    #[must_use]
    pub fn command_within(&self, limit: Duration, program: impl AsRef<Path>) -> Command {
        let mut command = self.command("timeout");
        command.args(["--kill-after=2", &limit.as_secs_f64().to_string()]).arg(program.as_ref());
        command
    }

    /// Runs `ip` on this host.
    ///
    /// # Errors
    /// It failed.
    pub fn ip(&self, arguments: &[&str]) -> Result<()> {
        ip(&[&["-n", self.name.as_str()], arguments].concat())
    }

    /// Makes a bridge that holds `address` (with prefix length): a network whose sockets are in [`Namespace::plug`].
    ///
    /// # Errors
    /// `ip` failed.
    pub fn bridge(&self, name: &str, address: &str) -> Result<()> {
        self.ip(&["link", "add", name, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"])?;
        self.ip(&["addr", "add", address, "dev", name])?;
        self.ip(&["link", "set", name, "up"])
    }

    /// Joins another host to a bridge of this one. Its link `link` has no address yet.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn plug(&self, bridge: &str, other: &Self, link: &str) -> Result<()> {
        let port = port(other, link);
        self.join(&port, other, link)?;
        self.ip(&["link", "set", &port, "master", bridge])
    }

    /// Joins another host to this one with a cable between `here` and `there`.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn join(&self, here: &str, other: &Self, there: &str) -> Result<()> {
        let peer = ["peer", "name", there, "netns", other.name()];
        self.ip(&[&["link", "add", here, "type", "veth"], peer.as_slice()].concat())?;
        other.ip(&["link", "set", there, "up"])?;
        self.ip(&["link", "set", here, "up"])
    }

    /// Gives a link an address with its prefix length.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn address(&self, link: &str, address: &str) -> Result<()> {
        self.ip(&["addr", "add", address, "dev", link])
    }

    /// Loses a share of the UDP packets that arrive here, in hundredths of a percent of all; 0 loses none again. Needs `nft`.
    ///
    /// # Errors
    /// `nft` failed.
    pub fn lose(&self, hundredths: u16) -> Result<()> {
        let mut script = "flush ruleset\n".to_owned();
        if hundredths > 0 {
            let rule = format!("meta l4proto udp numgen random mod 10000 < {hundredths} drop");
            let hook = "type filter hook input priority -300";
            script.push_str(&format!("table inet lab {{\nchain arrive {{\n{hook}\n{rule}\n}}\n}}\n"));
        }
        output(self.command("nft").arg(&script)).map(drop)
    }

    /// Moves the calling thread into this host, for good: its sockets, and those of threads that it starts, are there.
    ///
    /// # Errors
    /// The namespace is gone.
    pub fn enter(&self) -> Result<()> {
        let path = Path::new(NAMES).join(&self.name);
        let file = File::open(&path).with_context(|| format!("failed to open `{}`", path.display()))?;
        setns(file, CloneFlags::CLONE_NEWNET).context("failed to enter a network namespace")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes what programs of this kind have left that were killed.
pub fn sweep() {
    for entry in fs::read_dir(NAMES).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if owner(&name).is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists()) {
            remove(&name);
        }
    }
}

/// Returns the process that a namespace belongs to, when it is one of ours.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

/// Ends what still runs in a namespace, such as a client that went into the background, and removes it.
fn remove(name: &str) {
    let processes = output(Command::new("ip").args(["netns", "pids", name])).unwrap_or_default();
    let processes: Vec<i32> = processes.split_whitespace().filter_map(|id| id.parse().ok()).collect();
    for id in &processes {
        let _ = kill(Pid::from_raw(*id), Signal::SIGKILL);
    }
    let gone = || {
        let gone = |id: &i32| !Path::new("/proc").join(id.to_string()).exists();
        Ok(processes.iter().all(gone).then_some(()))
    };
    let _ = until(Duration::from_secs(2), "the end of a client", gone);
    let _ = ip(&["netns", "del", name]);
}

/// Returns the name of the port of a bridge that another host is joined to: at most 15 letters (IFNAMSIZ).
fn port(other: &Namespace, link: &str) -> String {
    let word = other.name.rsplit('-').next().unwrap_or_default();
    format!("{word}.{link}").chars().take(15).collect()
}

fn ip(arguments: &[&str]) -> Result<()> {
    output(Command::new(program("ip")?).args(arguments)).map(drop)
}

/// Returns where a program of the system is; those of administrators are not on everybody's `PATH`.
fn program(name: &str) -> Result<PathBuf> {
    let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
    let found = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    found.ok_or_else(|| anyhow!("no program `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_is_in_the_name_of_a_namespace_and_those_of_others_are_left_alone() {
        assert_eq!(owner("fwlab-123-server"), Some(123));
        assert_eq!(owner("fwlab-x-server"), None);
        assert_eq!(owner("formwork-123"), None);
    }

    #[test]
    fn name_of_a_port_is_one_that_the_kernel_takes() {
        let host = Namespace { name: "fwlab-1-averylongwordindeed".to_owned() };
        assert_eq!(port(&host, "eth0").len(), 15);
        // Dropping it would look for a namespace of that name.
        std::mem::forget(host);
    }
}
