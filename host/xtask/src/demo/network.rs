//! The boot network of the demo: a network namespace with a bridge, a tap for the machine, and no way out.
//!
//! A second link joins the namespace with this machine, so that a browser and the command line reach the endpoint.
//! It is not part of the bridge: the demo's DHCP never meets this machine's own network.

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{self, Command, Stdio};

use anyhow::{Context as _, Result};

use super::journal::Journal;
use crate::report::say;
use crate::shell;

/// The endpoint's address in the boot network.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// The prefix length of the boot network.
pub(super) const PREFIX: u8 = 24;

/// The addresses that machines get.
pub(super) const RANGE: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(10, 77, 0, 50), Ipv4Addr::new(10, 77, 0, 200));

/// The interface on which the endpoint answers.
pub(super) const BRIDGE: &str = "br0";

/// The interface of the machine.
pub(super) const TAP: &str = "tap0";

/// What the name of every namespace begins with; the rest is the process number of its demo.
const NAMESPACE: &str = "formwork-";

/// What the name of every link on this machine begins with; the rest is the same number.
const LINK: &str = "fw";

/// A network namespace. Dropping it removes it and all links in it.
#[derive(Debug)]
pub(super) struct Network {
    name: String,
    address: Ipv4Addr,
}

impl Network {
    /// Makes the namespace with its bridge, tap and link to this machine. Needs root.
    pub(super) fn make(journal: &mut Journal) -> Result<Self> {
        let id = process::id();
        let name = format!("{NAMESPACE}{id}");
        journal.namespace(&name)?;
        ip(["netns", "add", &name]).context("failed to make a network namespace")?;
        let (here, there) = link_addresses(id);
        let network = Self { name, address: there };
        network.make_bridge()?;
        network.make_link(&format!("{LINK}{id}"), here, there)?;
        Ok(network)
    }

    /// Returns the address at which this machine reaches the endpoint.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Returns a command that runs `program` inside the namespace.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(shell::find_program("ip").unwrap_or_else(|| "ip".into()));
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    fn make_bridge(&self) -> Result<()> {
        // Duplicate address detection would keep the bridge's IPv6 address, from which router advertisements are
        // sent, unusable for a second.
        let mut dad = self.command(Path::new("sh"));
        dad.args(["-c", "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad"]).stderr(Stdio::null());
        let _ = dad.status();
        self.ip(["link", "set", "lo", "up"])?;
        self.ip(["link", "add", BRIDGE, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"])?;
        self.ip(["addr", "add", &format!("{ADDRESS}/{PREFIX}"), "dev", BRIDGE])?;
        self.ip(["link", "set", BRIDGE, "up"])?;
        // A port that is always up: without one the bridge has no carrier until the machine runs.
        self.ip(["link", "add", "port0", "type", "veth", "peer", "name", "port1"])?;
        self.ip(["link", "set", "port0", "master", BRIDGE, "up"])?;
        self.ip(["link", "set", "port1", "up"])?;
        self.ip(["tuntap", "add", TAP, "mode", "tap"])?;
        self.ip(["link", "set", TAP, "master", BRIDGE, "up"])
    }

    fn make_link(&self, name: &str, here: Ipv4Addr, there: Ipv4Addr) -> Result<()> {
        ip(["link", "add", name, "type", "veth", "peer", "name", "host0", "netns", &self.name])?;
        ip(["addr", "add", &format!("{here}/30"), "dev", name])?;
        ip(["link", "set", name, "up"])?;
        self.ip(["addr", "add", &format!("{there}/30"), "dev", "host0"])?;
        self.ip(["link", "set", "host0", "up"])
    }

    fn ip<const N: usize>(&self, arguments: [&str; N]) -> Result<()> {
        let mut command = self.command(Path::new("ip"));
        shell::stdout(command.args(arguments)).map(drop)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes the namespace `name`, if there is one, with its link to this machine.
pub(super) fn remove(name: &str) {
    if let Some(id) = name.strip_prefix(NAMESPACE) {
        // It goes with its namespace too, but only some time after the last process in there.
        let link = format!("{LINK}{id}");
        if Path::new("/sys/class/net").join(&link).exists() {
            let _ = ip(["link", "del", &link]);
        }
    }
    if Path::new("/run/netns").join(name).exists()
        && let Err(error) = ip(["netns", "del", name])
    {
        say(&format!("the network namespace `{name}` stays: {error:#}"));
    }
}

fn ip<const N: usize>(arguments: [&str; N]) -> Result<()> {
    let program = shell::find_program("ip").unwrap_or_else(|| "ip".into());
    shell::stdout(Command::new(program).args(arguments)).map(drop)
}

/// Returns the two link-local addresses (RFC 3927) of the link to the demo with process number `id`: this machine's
/// and the namespace's, in a network of four of its own. The first and the last 256 addresses are reserved.
fn link_addresses(id: u32) -> (Ipv4Addr, Ipv4Addr) {
    const NETWORKS: u32 = (256 - 2) * 64;
    let first = u32::from(Ipv4Addr::new(169, 254, 1, 0)) + id % NETWORKS * 4;
    (Ipv4Addr::from(first + 1), Ipv4Addr::from(first + 2))
}

/// Returns the first and last address of [`RANGE`] as the endpoint's flag takes them.
pub(super) fn range() -> impl Display {
    format!("{}-{}", RANGE.0, RANGE.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_addresses_stay_in_the_range_that_is_not_reserved() {
        for id in [0, 1, 4_000, 16_255, 16_256, 4_194_304] {
            let (here, there) = link_addresses(id);
            for address in [here, there] {
                let octets = address.octets();
                assert!(octets[0] == 169 && octets[1] == 254 && (1..=254).contains(&octets[2]), "{address}");
            }
            assert_eq!(u32::from(here) / 4, u32::from(there) / 4);
        }
    }
}
