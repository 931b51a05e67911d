//! What stands between clients and the endpoint, beside it, or for many clients: a relay, a second server, a load.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use formwork_lab::{Daemon, output, until};

use super::Outcome;
use super::dhcp::{Dhclient, FIRMWARE, ask_as_udhcpc, in_range, released};
use super::networks::{CARD, NETWORKS, Networks, become_machine};

/// How long a server may take to be ready.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn relay(networks: &Networks<'_>) -> Outcome {
    let mut command = networks.relay.command("dhcrelay");
    // With -a it adds option 82 to what it hands on, and takes it off the replies, which must have it.
    command.args(["-4", "-d", "-a", "-id", "down0", "-iu", "up0", &format!("{}.1", NETWORKS[0])]);
    let mut relay = Daemon::start(command, &networks.folder.join("dhcrelay.log"))?;
    ready(&mut relay, "Sending on   Socket/fallback")?;
    become_machine(networks.far, 6)?;
    let told = ask_as_udhcpc(networks, networks.far, "far-udhcpc", FIRMWARE)?;
    let first = told.get("address").cloned().unwrap_or_default();
    in_range(&first, NETWORKS[2])?;
    become_machine(networks.far, 7)?;
    let client = Dhclient::new(networks, networks.far, "far-dhclient")?;
    let (daemon, second) = client.start().with_context(|| relay.tail(4))?;
    in_range(&second, NETWORKS[2])?;
    ensure!(first != second, "two machines have {first}");
    drop(daemon);
    // A release goes straight to the endpoint, so there must be a way.
    networks.far.ip(&["route", "replace", "default", "via", &format!("{}.1", NETWORKS[2])])?;
    // It is one datagram that nobody repeats, so that all hosts on the way know each other first.
    let mut ping = networks.far.command_within(PATIENCE, "busybox");
    output(ping.args(["ping", "-c", "1", "-W", "3", &format!("{}.1", NETWORKS[0])]))?;
    client.release()?;
    released(networks, &second).with_context(|| relay.tail(4))?;
    Ok(format!("{first}, and {second} released"))
}

pub(super) fn perfdhcp(networks: &Networks<'_>) -> Outcome {
    become_machine(networks.one, 8)?;
    let own = format!("{}.4", NETWORKS[0]);
    networks.one.address(CARD, &format!("{own}/24"))?;
    let mut command = networks.one.command_within(Duration::from_secs(20), "perfdhcp");
    command.args(["-4", "-r", "100", "-R", "50", "-p", "2", "-W", "500000", "-l", &own]);
    command.arg(format!("{}.1", NETWORKS[0]));
    // Its exit code says whether anything was lost, which the counts say better.
    let text = command.output().context("failed to start perfdhcp")?.stdout;
    let text = String::from_utf8_lossy(&text).into_owned();
    let counts = |what: &str| -> Vec<u32> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(what));
        lines.filter_map(|rest| rest.split_whitespace().next()?.parse().ok()).collect()
    };
    let (sent, received) = (counts("sent packets:"), counts("received packets:"));
    let both = sent.first().zip(received.get(1));
    let (sent, acknowledged) = both.ok_or_else(|| anyhow!("perfdhcp printed no counts: {text}"))?;
    ensure!(
        *sent > 100 && acknowledged * 100 >= sent * 99,
        "of {sent} exchanges {acknowledged} were completed"
    );
    Ok(format!("{acknowledged} of {sent} completed"))
}

pub(super) fn rogue(networks: &Networks<'_>) -> Outcome {
    const MACHINES: u16 = 6;
    let network = NETWORKS[0];
    let stranger = format!("{network}.3");
    let mut command = networks.rogue.command("dnsmasq");
    command.args(["-k", "-C", "/dev/null", "--port=0", "--bind-interfaces", "--no-ping", "--log-dhcp"]);
    command.args(["--log-facility=-", "--user=root", "--dhcp-leasefile=/dev/null"]);
    command.args([
        &format!("--interface={CARD}"),
        &format!("--dhcp-range={network}.220,{network}.250,255.255.255.0,2m"),
    ]);
    let mut rogue = Daemon::start(command, &networks.folder.join("dnsmasq.log"))?;
    ready(&mut rogue, "IP range")?;
    // With -B it asks for answers that all can hear, as much firmware does.
    let flags = [FIRMWARE, &["-B"]].concat();
    let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
    for number in 300..300 + MACHINES {
        let mac = become_machine(networks.one, number)?;
        let told = ask_as_udhcpc(networks, networks.one, &format!("udhcpc-{number}"), &flags)?;
        let story = output(networks.endpoint.client().args(["boot", "explain", &mac]))?;
        ensure!(
            story.contains(&stranger),
            "`boot explain` does not name the other server {stranger}: {story}"
        );
        let of = |name: &str| told.get(name).cloned().unwrap_or_default();
        let address = of("address");
        let fresh = if of("serverid") == format!("{network}.1") {
            in_range(&address, network)?;
            ensure!(networks.lease(&address)?.is_some(), "the endpoint has no lease of {address}");
            ours.insert(address.clone())
        } else {
            theirs.insert(address.clone())
        };
        ensure!(fresh, "`{address}` was given twice");
    }
    let heard = rogue.words().matches("DHCPDISCOVER").count();
    ensure!(heard >= usize::from(MACHINES), "the other server heard {heard} of {MACHINES}");
    drop(rogue);
    // A client that took the other's address comes back when that server is gone.
    become_machine(networks.one, 300)?;
    let told = ask_as_udhcpc(networks, networks.one, "after-rogue", &[])?;
    in_range(told.get("address").map(String::as_str).unwrap_or_default(), network)?;
    Ok(format!("{} took ours, {} theirs; `boot explain` names the other", ours.len(), theirs.len()))
}

/// Waits until a server has said this.
fn ready(server: &mut Daemon, words: &str) -> Result<()> {
    until(PATIENCE, words, || {
        server.check()?;
        Ok(server.words().contains(words).then_some(()))
    })
    .with_context(|| server.tail(4))
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_ends_before_it_is_ready_is_told() {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "echo no such card; exit 1"]);
        let log = std::env::temp_dir().join(format!("xtask-lab-{}", std::process::id()));
        let mut server = Daemon::start(command, &log).unwrap();
        let error = format!("{:#}", ready(&mut server, "up").unwrap_err());
        assert!(error.contains("no such card"), "{error}");
        let _ = std::fs::remove_file(log);
    }
}
