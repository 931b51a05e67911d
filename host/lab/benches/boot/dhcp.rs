//! Addresses a second, by perfdhcp, which stands for a relay with many clients behind it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use formwork_bench::{Row, Samples, Target};
use serde_json::json;

use crate::peers::{Peers, with};
use crate::place::{LOAD, Place, Processors, SERVER};
use crate::{RUNS, SUITE};

/// How many clients come again and again.
const CLIENTS: &str = "20000";

/// How long one rate is held.
const SECONDS: u32 = 3;

/// The greatest rate that is tried.
const GREATEST: u32 = 60_000;

/// What a server is left in peace between two rates.
const REST: Duration = Duration::from_secs(1);

/// The addresses that are given, of the network of both hosts.
const RANGE: [&str; 2] = ["10.78.4.0", "10.78.195.255"];

const UNIT: &str = "exchanges/s";

/// Starts a peer and returns its greatest rate, or why there is none.
type Measure = fn(&Place, &Peers) -> Result<f64, String>;

/// What a rate gave.
struct Held {
    /// Exchanges a second that were completed.
    completed: f64,
    /// Less than one of a hundred was lost, and perfdhcp kept the rate.
    holds: bool,
}

pub(crate) fn measure(place: &Place, peers: &Peers) {
    let own = own(place);
    let case = "dhcp: four-packet exchanges, < 1 % lost, each lease durable before its ACK";
    let row = || Row::new(SUITE, case, own, UNIT);
    let all: [(&str, Option<f64>, Measure); 3] = [
        ("Kea without persistence", Some(1.0), kea),
        ("isc-dhcpd, leases on disk", Some(10.0), isc),
        ("dnsmasq, leases on disk", None, dnsmasq),
    ];
    for (peer, factor, measure) in all {
        match (measure(place, peers), factor) {
            (Ok(best), Some(factor)) => row().beside(peer, best).reaches(Target::AtLeast(best * factor)),
            (Ok(best), None) => row().beside(peer, best),
            (Err(reason), _) => row().with_note(reason),
        }
        .print();
    }
}

fn own(place: &Place) -> f64 {
    let folder = place.folder("dhcp-own");
    let endpoint = place.endpoint(&folder, Processors::All);
    let subnet = json!({
        "Name": "bench", "Subnet": "10.78.0.0/16", "Enabled": true, "ActiveStart": RANGE[0], "ActiveEnd": RANGE[1],
        "ActiveLeaseTime": 3600, "Options": [{"Code": 3, "Value": SERVER}],
    });
    endpoint.create("subnets", &subnet).expect("a subnet");
    best(place, 4_000)
}

fn kea(place: &Place, peers: &Peers) -> Result<f64, String> {
    let words = peers.find("kea-dhcp4")?;
    let folder = place.folder("dhcp-kea");
    let settings = json!({"Dhcp4": {
        "interfaces-config": {"interfaces": ["s0"], "dhcp-socket-type": "raw"},
        "lease-database": {"type": "memfile", "persist": false},
        "valid-lifetime": 3600,
        "subnet4": [{"subnet": "10.78.0.0/16", "pools": [{"pool": RANGE.join("-")}], "next-server": SERVER}],
        "loggers": [{"name": "kea-dhcp4", "severity": "ERROR", "output_options": [{"output": folder.join("kea.log")}]}],
    }});
    let file = folder.join("kea.json");
    fs::write(&file, settings.to_string()).expect("settings");
    let mut environment: Vec<OsString> = ["KEA_PIDFILE_DIR", "KEA_LOCKFILE_DIR"]
        .map(|name| format!("{name}={}", folder.display()).into())
        .to_vec();
    environment.extend(words);
    Ok(run(place, &with(environment, &["-c", &text(&file)]), &folder, 4_000))
}

fn isc(place: &Place, peers: &Peers) -> Result<f64, String> {
    let words = peers.find("dhcpd")?;
    let folder = place.folder("dhcp-isc");
    let settings = format!(
        "authoritative; ping-check false; default-lease-time 3600; max-lease-time 3600; ddns-update-style none;\n\
         subnet 10.78.0.0 netmask 255.255.0.0 {{ range {}; next-server {SERVER}; option routers {SERVER}; }}\n",
        RANGE.join(" ")
    );
    let [conf, leases, pid] = ["conf", "leases", "pid"].map(|name| folder.join(name));
    fs::write(&conf, settings).expect("settings");
    fs::write(&leases, "").expect("a file of leases");
    let arguments =
        ["-f", "-q", "-4", "-user", "root", "-group", "root", "-cf", &text(&conf), "-lf", &text(&leases)];
    Ok(run(place, &with(with(words, &arguments), &["-pf", &text(&pid), "s0"]), &folder, 400))
}

fn dnsmasq(place: &Place, peers: &Peers) -> Result<f64, String> {
    let words = peers.find("dnsmasq")?;
    let folder = place.folder("dhcp-dnsmasq");
    let range = format!("--dhcp-range={},255.255.0.0,1h", RANGE.join(","));
    let leases = format!("--dhcp-leasefile={}", text(&folder.join("leases")));
    let arguments =
        ["-k", "-C", "/dev/null", "--port=0", "--interface=s0", "--bind-interfaces", "--dhcp-authoritative"];
    let more = ["--dhcp-lease-max=60000", "--no-ping", "--quiet-dhcp", "--user=root", &range, &leases];
    Ok(run(place, &with(with(words, &arguments), &more), &folder, 100))
}

fn run(place: &Place, words: &[OsString], folder: &Path, start: u32) -> f64 {
    let _server = place.peer(words, folder, Processors::All, |place| hold(place, 10, 1).completed > 0.0);
    best(place, start)
}

/// Returns the greatest rate that the server holds: doubled until it does not, from `start`, and then halved in to a twentieth.
fn best(place: &Place, start: u32) -> f64 {
    // A rate that was not held gets a second chance: the machine may have been busy.
    let holds = |rate: u32| (0..2).any(|_| hold(place, rate, SECONDS).holds);
    let (mut good, mut bad) = (0, start);
    while bad <= GREATEST && holds(bad) {
        (good, bad) = (bad, bad * 2);
    }
    while bad - good > good / 20 + 1 {
        let middle = good.midpoint(bad);
        if holds(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    // What held once by luck does not count: most of the runs have to.
    loop {
        let (mut completed, mut held) = (Samples::default(), 0);
        for _ in 0..RUNS {
            let run = hold(place, good, SECONDS);
            completed.add(run.completed);
            held += usize::from(run.holds);
        }
        if held > RUNS / 2 || good < 20 {
            return completed.median();
        }
        good -= good / 20;
    }
}

/// Has perfdhcp begin as many exchanges a second as `rate` for some time.
fn hold(place: &Place, rate: u32, seconds: u32) -> Held {
    let mut command = place.load.command("perfdhcp");
    command.args(["-4", "-r", &rate.to_string(), "-R", CLIENTS, "-p", &seconds.to_string()]);
    // How many microseconds it waits for the last answers.
    command.args(["-W", "1000000", "-l", LOAD, SERVER]);
    let printed = command.output().expect("perfdhcp").stdout;
    thread::sleep(REST);
    let printed = String::from_utf8_lossy(&printed);
    let counts = |what: &str| -> Vec<f64> {
        let lines = printed.lines().filter_map(|line| line.strip_prefix(what));
        lines.filter_map(|rest| rest.split_whitespace().next()?.parse().ok()).collect()
    };
    let (sent, received) = (counts("sent packets:"), counts("received packets:"));
    let discovers = sent.first().copied().unwrap_or_default();
    let acknowledged = received.get(1).copied().unwrap_or_default();
    // Its own rate counts the time in which it waits for the end.
    let completed = acknowledged / f64::from(seconds);
    let holds = discovers > 0.0 && acknowledged > 0.99 * discovers && completed >= 0.95 * f64::from(rate);
    Held { completed, holds }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
