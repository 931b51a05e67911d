//! The hosts: an endpoint with a card in two networks, a client in each, a relay with a third network behind it, and a stranger.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use formwork_lab::{Endpoint, Namespace};
use serde_json::{Value, json};

/// The card of every client.
pub(super) const CARD: &str = "eth0";

/// What the three networks begin with; the endpoint is `.1` in the first two, and the relay in the third.
pub(super) const NETWORKS: [&str; 3] = ["10.81.0", "10.82.0", "10.83.0"];

/// The file that TFTP clients fetch, and its size.
pub(super) const FILE: (&str, usize) = ("five.bin", 5 << 20);

/// The loader of machines with BIOS, here a file that nobody runs.
pub(super) const LOADER: &str = "undionly.kpxe";

/// The hosts. The endpoint's is last: it has the bridges that the others are joined to.
#[derive(Debug)]
pub(super) struct Hosts {
    /// A client in the first network.
    one: Namespace,
    /// A client in the second network.
    two: Namespace,
    /// A client behind the relay.
    far: Namespace,
    /// A relay, between the first network and the third.
    relay: Namespace,
    /// Another DHCP server in the first network.
    rogue: Namespace,
    server: Namespace,
}

/// The hosts with a running endpoint that serves all three networks.
pub(super) struct Networks<'a> {
    pub(super) one: &'a Namespace,
    pub(super) two: &'a Namespace,
    pub(super) far: &'a Namespace,
    pub(super) relay: &'a Namespace,
    pub(super) rogue: &'a Namespace,
    pub(super) endpoint: Endpoint<'a>,
    /// Where clients write.
    pub(super) folder: PathBuf,
}

impl Hosts {
    /// Makes the hosts and joins them.
    pub(super) fn make() -> Result<Self> {
        let server = Namespace::make("server")?;
        let (one, two) = (Namespace::make("one")?, Namespace::make("two")?);
        let (far, relay) = (Namespace::make("far")?, Namespace::make("relay")?);
        let rogue = Namespace::make("rogue")?;
        let [first, second, third] = NETWORKS;
        server.bridge("lan0", &format!("{first}.1/24"))?;
        server.bridge("lan1", &format!("{second}.1/24"))?;
        server.plug("lan0", &one, CARD)?;
        server.plug("lan1", &two, CARD)?;
        server.plug("lan0", &rogue, CARD)?;
        server.plug("lan0", &relay, "up0")?;
        relay.join("down0", &far, CARD)?;
        relay.address("up0", &format!("{first}.2/24"))?;
        relay.address("down0", &format!("{third}.1/24"))?;
        rogue.address(CARD, &format!("{first}.3/24"))?;
        server.ip(&["route", "add", &format!("{third}.0/24"), "via", &format!("{first}.2")])?;
        formwork_lab::output(relay.command("sh").args(["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]))?;
        Ok(Self { one, two, far, relay, rogue, server })
    }

    /// Starts the endpoint, with a subnet for each network and the file to fetch.
    pub(super) fn serve(&self, program: &Path, folder: &Path) -> Result<Networks<'_>> {
        let endpoint = Endpoint::start(&self.server, program, folder, &[], &[])?;
        for network in NETWORKS {
            let subnet = json!({
                "Name": format!("net-{}", network.replace('.', "-")), "Subnet": format!("{network}.0/24"), "Enabled": true,
                "ActiveStart": format!("{network}.50"), "ActiveEnd": format!("{network}.199"), "ActiveLeaseTime": 60,
                "Options": [{"Code": 3, "Value": format!("{network}.1")}, {"Code": 58, "Value": "3"}],
            });
            endpoint.create("subnets", &subnet)?;
        }
        // A machine that nobody knows is sent to a loader only when there is one.
        endpoint.ask(&["prefs", "set", "unknownBootEnv", "discovery"])?;
        let loader = endpoint.files().join(LOADER);
        fs::write(&loader, "no program")
            .with_context(|| format!("failed to write `{}`", loader.display()))?;
        let file = endpoint.files().join(FILE.0);
        // Numbers that no two blocks of any size have alike.
        let bytes: Vec<u8> =
            (0_u32..).flat_map(|word| word.wrapping_mul(2_654_435_761).to_be_bytes()).take(FILE.1).collect();
        fs::write(&file, bytes).with_context(|| format!("failed to write `{}`", file.display()))?;
        let (one, two, far) = (&self.one, &self.two, &self.far);
        Ok(Networks {
            one,
            two,
            far,
            relay: &self.relay,
            rogue: &self.rogue,
            endpoint,
            folder: folder.to_owned(),
        })
    }
}

impl Networks<'_> {
    /// Returns the lease of an address, or nothing when there is none.
    pub(super) fn lease(&self, address: &str) -> Result<Option<Value>> {
        let all = self.endpoint.ask(&["leases", "list"])?;
        let all = all.as_array().ok_or_else(|| anyhow!("no list of leases: {all}"))?;
        Ok(all.iter().find(|lease| lease.get("Addr").and_then(Value::as_str) == Some(address)).cloned())
    }
}

/// Gives the card of a client another MAC address, whose last two parts are a number, and forgets its addresses.
pub(super) fn become_machine(host: &Namespace, number: u16) -> Result<String> {
    let [high, low] = number.to_be_bytes();
    let mac = format!("52:54:00:81:{high:02x}:{low:02x}");
    host.ip(&["addr", "flush", "dev", CARD])?;
    host.ip(&["link", "set", CARD, "down", "address", &mac])?;
    host.ip(&["link", "set", CARD, "up"])?;
    Ok(mac)
}
