//! The endpoint of the demo, and what the demo asks it through the product's own command line.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::network::{self, Network};
use super::process::{Process, Source, Starter};
use crate::shell;

/// The first user of a fresh endpoint, as `formwork serve` knows it too.
const USER: &str = "rocketskates";

/// A port of the endpoint for each thing that it serves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    /// HTTPS: the API.
    pub(super) api: u16,
    /// HTTP: boot files.
    pub(super) files: u16,
    /// UDP: TFTP.
    pub(super) tftp: u16,
    /// UDP: DHCP.
    pub(super) dhcp: u16,
}

impl Ports {
    /// The ports that firmware expects, and those that DRP's tools expect.
    pub(super) const STANDARD: Self = Self { api: 8092, files: 8091, tftp: 69, dhcp: 67 };

    /// Returns four ports of the loopback that are free now and need no root.
    pub(super) fn free() -> Result<Self> {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // All four are held until all are known, so that none is given twice.
        let bound = || {
            let tcp = [TcpListener::bind(here)?, TcpListener::bind(here)?];
            let udp = [UdpSocket::bind(here)?, UdpSocket::bind(here)?];
            let [api, files] = tcp.map(|socket| socket.local_addr());
            let [tftp, dhcp] = udp.map(|socket| socket.local_addr());
            std::io::Result::Ok(Self {
                api: api?.port(),
                files: files?.port(),
                tftp: tftp?.port(),
                dhcp: dhcp?.port(),
            })
        };
        bound().context("failed to find free ports on the loopback")
    }
}

/// Where the endpoint runs and under which ports.
#[derive(Debug)]
pub(super) struct Site<'a> {
    /// The boot network, or the loopback when there is none.
    pub(super) network: Option<&'a Network>,
    /// The ports.
    pub(super) ports: Ports,
    /// The `formwork` program.
    pub(super) program: PathBuf,
    /// The endpoint's data folder.
    pub(super) data: PathBuf,
}

impl Site<'_> {
    /// Returns the address that machines reach.
    fn address(&self) -> Ipv4Addr {
        if self.network.is_some() { network::ADDRESS } else { Ipv4Addr::LOCALHOST }
    }

    /// Returns `formwork serve` with the flags of this site.
    fn serve(&self) -> Command {
        let mut command = match self.network {
            Some(network) => network.command(&self.program),
            None => Command::new(&self.program),
        };
        let address = self.address();
        command.arg("serve").arg("--base-root").arg(&self.data);
        command.args(["--static-ip", &address.to_string()]);
        let ports = [
            ("--api-port", self.ports.api),
            ("--static-port", self.ports.files),
            ("--tftp-port", self.ports.tftp),
            ("--dhcp-port", self.ports.dhcp),
        ];
        for (flag, port) in ports {
            command.args([flag, &port.to_string()]);
        }
        let (interface, subnet, range) = if self.network.is_some() {
            (network::BRIDGE, format!("{address}/{}", network::PREFIX), network::range().to_string())
        } else {
            ("lo", format!("{address}/8"), "127.0.77.50-127.0.77.200".to_owned())
        };
        command.args(["--dhcp-ifs", interface, "--dhcp-subnet", &subnet, "--dhcp-range", &range]);
        command
    }
}

/// A running endpoint. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Endpoint {
    process: Process,
    program: PathBuf,
    url: String,
    key: String,
}

impl Endpoint {
    /// Starts `formwork serve`; it answers some time after.
    pub(super) fn start(site: &Site<'_>, starter: &mut Starter) -> Result<Self> {
        // A random UUID of the kernel: the demo needs no generator of its own.
        let password =
            fs::read_to_string("/proc/sys/kernel/random/uuid").context("failed to make a password")?;
        let key = format!("{USER}:{}", password.trim());
        let mut serve = site.serve();
        serve.env("FORMWORK_FIRST_USER", &key).env("NO_COLOR", "1");
        let process = starter.start("endpoint", Source::Endpoint, serve)?;
        let address = site.network.map_or(Ipv4Addr::LOCALHOST, Network::address);
        let url = format!("https://{address}:{}", site.ports.api);
        Ok(Self { process, program: site.program.clone(), url, key })
    }

    /// Returns the address of its API as this machine reaches it.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Returns its first user and that user's password, with a colon between.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Returns the process of `formwork serve`.
    pub(super) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Returns the `formwork` program with this endpoint as the one it talks to.
    pub(super) fn formwork(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("RS_ENDPOINT", &self.url).env("RS_KEY", &self.key).env_remove("RS_TOKEN");
        command
    }

    /// Runs one `formwork` command and returns the JSON that it printed.
    pub(super) fn ask<const N: usize>(&self, arguments: [&str; N]) -> Result<Value> {
        let mut command = self.formwork();
        let text = shell::stdout(command.args(["--format", "json"]).args(arguments))?;
        serde_json::from_str(&text).with_context(|| format!("`{}` printed no JSON", shell::line(&command)))
    }

    /// Returns all machines.
    pub(super) fn machines(&self) -> Result<Vec<Value>> {
        self.list("machines")
    }

    /// Returns all jobs.
    pub(super) fn jobs(&self) -> Result<Vec<Value>> {
        self.list("jobs")
    }

    /// Starts `formwork events watch`, which follows the feed.
    pub(super) fn watch(&self, starter: &mut Starter) -> Result<Process> {
        let mut watch = self.formwork();
        watch.args(["events", "watch"]);
        starter.start("events", Source::Feed, watch)
    }

    fn list(&self, kind: &str) -> Result<Vec<Value>> {
        match self.ask([kind, "list"])? {
            Value::Array(objects) => Ok(objects),
            other => anyhow::bail!("`formwork {kind} list` printed no list: {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_need_no_root() {
        let ports = Ports::free().unwrap();
        assert!([ports.api, ports.files, ports.tftp, ports.dhcp].iter().all(|port| *port > 1024));
        assert_ne!(ports.api, ports.files);
        assert_ne!(ports.tftp, ports.dhcp);
    }

    #[test]
    fn site_without_a_network_serves_on_the_loopback_alone() {
        let site = Site {
            network: None,
            ports: Ports { api: 2001, files: 2002, tftp: 2003, dhcp: 2004 },
            program: "formwork".into(),
            data: "data".into(),
        };
        let line = shell::line(&site.serve());
        assert_eq!(
            line,
            "formwork serve --base-root data --static-ip 127.0.0.1 --api-port 2001 --static-port 2002 --tftp-port 2003 \
             --dhcp-port 2004 --dhcp-ifs lo --dhcp-subnet 127.0.0.1/8 --dhcp-range 127.0.77.50-127.0.77.200"
        );
    }
}
