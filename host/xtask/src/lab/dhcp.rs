//! DHCP clients in the networks of the endpoint.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use formwork_lab::{Daemon, Namespace, output, until};
use serde_json::{Value, json};

use super::Outcome;
use super::networks::{CARD, LOADER, NETWORKS, Networks, become_machine};

/// How long a client may take for an address.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a client calls with its lease: writes it into the file that is named like this script and what happened, and gives the
/// card its address. It knows the words of both families of clients.
const SCRIPT: &str = r#"#!/bin/sh
happened=${reason:-$1}
address=${new_ip_address:-$ip}
case $happened in
deconfig | PREINIT) ip link set dev "$interface" up ;;
bound | renew | BOUND | RENEW | REBIND | REBOOT)
    ip addr replace "$address/24" dev "$interface"
    { echo "address=$address"; env; } >"$0.part" && mv "$0.part" "$0.$happened" ;;
RELEASE) : >"$0.$happened" ;;
esac
"#;

/// A client's script in a folder of its own, and what it has written there.
pub(super) struct Script(PathBuf);

impl Script {
    /// Writes it for the client `name`.
    pub(super) fn write(networks: &Networks<'_>, name: &str) -> Result<Self> {
        let folder = networks.folder.join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
        let path = folder.join("script");
        fs::write(&path, SCRIPT).with_context(|| format!("failed to write `{}`", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .context("failed to make a script run")?;
        Ok(Self(path))
    }

    /// Returns what the client was told when this happened, and forgets it.
    fn take(&self, happened: &str) -> Option<BTreeMap<String, String>> {
        let path = self.0.with_file_name(format!("script.{happened}"));
        let text = fs::read_to_string(&path).ok()?;
        let _ = fs::remove_file(path);
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Some(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Waits until one of these happened, and returns the address of then.
    fn wait(&self, happened: &[&str]) -> Result<String> {
        let told =
            until(PATIENCE, &happened.join(" or "), || Ok(happened.iter().find_map(|word| self.take(word))))?;
        Ok(told.get("address").cloned().unwrap_or_default())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.with_file_name(name)
    }
}

/// The flags that make busybox's client ask as a PXE firmware of a BIOS does.
pub(super) const FIRMWARE: &[&str] =
    &["-V", "PXEClient:Arch:00000:UNDI:002001", "-x", "0x5d:0000", "-O", "bootfile"];

/// Runs busybox's client once, with these flags, and returns what it was told.
pub(super) fn ask_as_udhcpc(
    networks: &Networks<'_>,
    host: &Namespace,
    name: &str,
    flags: &[&str],
) -> Result<BTreeMap<String, String>> {
    let script = Script::write(networks, name)?;
    let mut client = host.command_within(PATIENCE, "busybox");
    client.args(["udhcpc", "-i", CARD, "-f", "-q", "-n", "-t", "5", "-T", "2", "-s"]).arg(&script.0);
    client.args(flags);
    output(&mut client)?;
    script.take("bound").ok_or_else(|| anyhow!("it ended without a lease"))
}

/// Fails unless an address is in the range of a network.
pub(super) fn in_range(address: &str, network: &str) -> Result<()> {
    let host = address.strip_prefix(network).and_then(|rest| rest.strip_prefix('.'));
    let host: Option<u8> = host.and_then(|host| host.parse().ok());
    ensure!(
        host.is_some_and(|host| (50..200).contains(&host)),
        "`{address}` is not in the range of {network}.0/24"
    );
    Ok(())
}

pub(super) fn udhcpc(networks: &Networks<'_>) -> Outcome {
    let mut words = Vec::new();
    for (number, host, network) in [(1, networks.one, NETWORKS[0]), (2, networks.two, NETWORKS[1])] {
        become_machine(host, number)?;
        let told = ask_as_udhcpc(networks, host, &format!("udhcpc-{number}"), FIRMWARE)?;
        let of = |name: &str| told.get(name).cloned().unwrap_or_default();
        in_range(&of("address"), network)?;
        let here = format!("{network}.1");
        ensure!(of("router") == here, "the router is `{}`", of("router"));
        ensure!(
            of("siaddr") == here,
            "the boot server is `{}`, not the endpoint's address there, {here}",
            of("siaddr")
        );
        ensure!(of("boot_file") == LOADER, "the boot file is `{}`", of("boot_file"));
        ensure!(networks.lease(&of("address"))?.is_some(), "the endpoint has no lease of {}", of("address"));
        words.push(format!("{} of {}", of("address"), of("siaddr")));
    }
    Ok(words.join(", "))
}

pub(super) fn two_networks(networks: &Networks<'_>) -> Outcome {
    const MACHINES: u16 = 10;
    let ask = |host: &Namespace, first: u16, network: &str| -> Result<Vec<String>> {
        let mut given = Vec::new();
        for number in first..first + MACHINES {
            become_machine(host, number)?;
            let told = ask_as_udhcpc(networks, host, &format!("udhcpc-{number}"), &[])?;
            let address = told.get("address").cloned().unwrap_or_default();
            in_range(&address, network)?;
            ensure!(!given.contains(&address), "`{address}` was given twice");
            given.push(address);
        }
        Ok(given)
    };
    let ended = thread::scope(|scope| {
        let first = scope.spawn(|| ask(networks.one, 100, NETWORKS[0]));
        let second = scope.spawn(|| ask(networks.two, 200, NETWORKS[1]));
        [first.join(), second.join()]
    });
    let mut total = 0;
    for given in ended {
        total += given.map_err(|_| anyhow!("a thread panicked"))??.len();
    }
    Ok(format!("{total} leases"))
}

pub(super) fn reservation(networks: &Networks<'_>) -> Outcome {
    let mac = become_machine(networks.one, 3)?;
    // Outside of what is given to anybody.
    let address = format!("{}.40", NETWORKS[0]);
    let object = json!({"Addr": address, "Token": mac, "Strategy": "MAC", "Options": [{"Code": 12, "Value": "reserved"}]});
    networks.endpoint.create("reservations", &object)?;
    let told = ask_as_udhcpc(networks, networks.one, "reserved", &[])?;
    let of = |name: &str| told.get(name).cloned().unwrap_or_default();
    ensure!(of("address") == address, "it got `{}`, and {address} is reserved for it", of("address"));
    ensure!(of("hostname") == "reserved", "its own option is `{}`", of("hostname"));
    ensure!(of("lease") == "7200", "a reserved lease is of {} s", of("lease"));
    Ok(address)
}

/// The client of ISC, with files of its own.
pub(super) struct Dhclient<'a> {
    host: &'a Namespace,
    script: Script,
}

impl<'a> Dhclient<'a> {
    pub(super) fn new(networks: &Networks<'_>, host: &'a Namespace, name: &str) -> Result<Self> {
        let script = Script::write(networks, name)?;
        // No other client's settings, and no pause before the first packet or between two.
        let settings = "initial-interval 1; backoff-cutoff 2; retry 3; timeout 12;\n\
                        request subnet-mask, routers, dhcp-lease-time, dhcp-renewal-time;\n";
        fs::write(script.file("conf"), settings).context("failed to write dhclient's settings")?;
        Ok(Self { host, script })
    }

    /// Returns it with its files and these flags.
    fn command(&self, flags: &[&str]) -> Command {
        let mut command = self.host.command("dhclient");
        command.args(["-4", "-v"]).args(flags).arg("-sf").arg(&self.script.0);
        command.arg("-cf").arg(self.script.file("conf")).arg("-lf").arg(self.script.file("leases"));
        command.arg("-pf").arg(self.script.file("pid")).arg(CARD);
        command
    }

    /// Starts it and waits for its first lease.
    pub(super) fn start(&self) -> Result<(Daemon, String)> {
        let mut daemon = Daemon::start(self.command(&["-d", "-1"]), &self.script.file("log"))?;
        let address = self.script.wait(&["BOUND", "REBOOT"]);
        if address.is_err() {
            daemon.check()?;
        }
        Ok((daemon, address?))
    }

    /// Gives its lease back.
    pub(super) fn release(&self) -> Result<()> {
        output(&mut self.command(&["-r"])).map(drop)
    }
}

pub(super) fn dhclient(networks: &Networks<'_>) -> Outcome {
    become_machine(networks.one, 4)?;
    let client = Dhclient::new(networks, networks.one, "dhclient")?;
    let (daemon, address) = client.start()?;
    in_range(&address, NETWORKS[0])?;
    let first = expiry(networks, &address)?;
    // The endpoint says after how many seconds it is to renew.
    let renewed = client.script.wait(&["RENEW"]).with_context(|| daemon.tail(4))?;
    ensure!(renewed == address, "renewed `{renewed}` for {address}");
    let second = expiry(networks, &address)?;
    ensure!(second > first, "the lease ends at {second} after its renewal, and did so at {first}");
    drop(daemon);
    // It remembers its address and asks for it (RFC 2131 4.3.2, INIT-REBOOT).
    let (daemon, again) = client.start()?;
    ensure!(again == address, "it had {address} and got `{again}`");
    drop(daemon);
    client.release()?;
    released(networks, &address)?;
    Ok(format!("{address} kept, renewed at {second}, released"))
}

pub(super) fn dhcpcd(networks: &Networks<'_>) -> Outcome {
    become_machine(networks.two, 5)?;
    let script = Script::write(networks, "dhcpcd")?;
    // Its state is the whole machine's; `ip netns exec` gave it a list of mounts that is its own.
    let own = "for i in /run/dhcpcd /var/lib/dhcpcd; do mkdir -p $i && mount -t tmpfs none $i || exit; done; exec \"$@\"";
    let mut command = networks.two.command("sh");
    command.args(["-c", own, "sh", "dhcpcd", "-4", "-B", "-d", "--noarp", "-f", "/dev/null", "-c"]);
    command.arg(&script.0).arg(CARD);
    let daemon = Daemon::start(command, &script.file("log"))?;
    let address = script.wait(&["BOUND", "REBOOT"]).with_context(|| daemon.tail(6))?;
    in_range(&address, NETWORKS[1])?;
    let first = expiry(networks, &address)?;
    let id = daemon.id().to_string();
    let tell = |flag: &str| {
        let mut control = Command::new("nsenter");
        output(control.args(["-t", &id, "-m", "-n", "dhcpcd", "-4", flag, CARD]))
    };
    tell("-N")?;
    script.wait(&["RENEW"]).with_context(|| daemon.tail(6))?;
    let second = expiry(networks, &address)?;
    ensure!(second >= first, "the lease ends at {second} after its renewal, and did so at {first}");
    tell("-k")?;
    released(networks, &address)?;
    Ok(format!("{address} renewed, released"))
}

/// Returns when the lease of an address ends, as the endpoint says it: text of one form, so that later is greater.
fn expiry(networks: &Networks<'_>, address: &str) -> Result<String> {
    let lease = networks.lease(address)?.ok_or_else(|| anyhow!("the endpoint has no lease of {address}"))?;
    match lease.get("ExpireTime").and_then(Value::as_str) {
        Some(time) => Ok(time.to_owned()),
        None => bail!("a lease without an end: {lease}"),
    }
}

/// Waits until the endpoint has the address back.
pub(super) fn released(networks: &Networks<'_>, address: &str) -> Result<()> {
    until(PATIENCE, "the release", || {
        let lease = networks.lease(address)?;
        let state = lease.as_ref().and_then(|lease| lease.get("State")?.as_str());
        Ok((!matches!(state, Some("ACK" | "OFFER"))).then_some(()))
    })
}
