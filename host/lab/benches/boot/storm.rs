//! Many machines that are switched on at the same instant, each from its firmware's first packet to a machine object.

mod firmware;
mod registration;
mod relay;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Arc, Barrier};
use std::thread;

use formwork_bench::{Row, Samples, Stopwatch, Target};
use serde_json::json;

use crate::place::{Place, Processors, SERVER, bytes};
use crate::{RUNS, SUITE};

use firmware::Firmware;
use relay::Relay;

const MACHINES: u32 = 1_000;

/// What a machine has on its stack is little.
const STACK: usize = 128 << 10;

/// What is fetched by TFTP and by HTTP: a loader of usual size; of kernel and initrd together 4 MiB, so that the figure is the
/// endpoint's and not that of copying.
const FILES: [(&str, usize); 3] = [
    ("snponly.efi", 256 << 10),
    ("discovery/install/vmlinuz", 1 << 20),
    ("discovery/install/initrd.img", 3 << 20),
];

pub(crate) fn measure(place: &Place) {
    let case = format!("storm: {MACHINES} machines at once, power-on to agent registered, 4 MiB each");
    let mut samples = Samples::default();
    for _ in 0..RUNS {
        match storm(place) {
            Ok(seconds) => samples.add(seconds),
            Err(words) => return Row::without(SUITE, case, "s", words).print(),
        }
    }
    Row::new(SUITE, case, samples.median(), "s").reaches(Target::Below(5.0)).print();
}

/// Returns after how many seconds the last machine was registered, or how some failed.
fn storm(place: &Place) -> Result<f64, String> {
    let folder = place.folder("storm");
    let endpoint = place.endpoint(&folder, Processors::All);
    for (name, size) in FILES {
        let file = endpoint.files().join(name);
        fs::create_dir_all(file.parent().unwrap()).expect("a folder");
        fs::write(file, bytes(size)).expect("a file");
    }
    let subnet = json!({
        "Name": "bench", "Subnet": "10.78.0.0/16", "Enabled": true,
        "ActiveStart": "10.78.4.0", "ActiveEnd": "10.78.195.255", "ActiveLeaseTime": 3600,
        "Options": [{"Code": 3, "Value": SERVER}],
    });
    endpoint.create("subnets", &subnet).expect("a subnet");
    endpoint.ask(&["prefs", "set", "unknownBootEnv", "discovery"]).expect("a preference");
    let ended = place.on_load(Processors::All, all);
    let (mut seconds, mut failures, mut addresses) = (0.0_f64, BTreeMap::new(), BTreeSet::new());
    for end in ended {
        match end {
            Ok((time, address)) => {
                seconds = seconds.max(time);
                addresses.insert(address);
            }
            Err(words) => *failures.entry(words).or_insert(0_u32) += 1,
        }
    }
    let registered = endpoint.ask(&["machines", "count"]).expect("a count");
    if !failures.is_empty() {
        return Err(format!("failed: {failures:?}"));
    }
    if addresses.len() != MACHINES as usize || registered != json!(MACHINES) {
        return Err(format!("{} addresses, {registered} machines", addresses.len()));
    }
    Ok(seconds)
}

/// Boots all machines and returns when each was registered, and its address.
fn all() -> Vec<Result<(f64, [u8; 4]), String>> {
    let relay = Relay::start();
    let tls = Arc::new(formwork_tls::client_config(formwork_tls::Trust::Anybody).expect("settings of TLS"));
    let start = Barrier::new(MACHINES as usize + 1);
    thread::scope(|scope| {
        let (relay, start, tls) = (&relay, &start, &tls);
        let machines: Vec<_> = (0..MACHINES)
            .map(|number| {
                let boot = move || {
                    start.wait();
                    let clock = Stopwatch::start();
                    let booted = Firmware::new(number, relay).boot()?;
                    registration::register(tls, number, &booted.token)?;
                    Ok((clock.elapsed().as_secs_f64(), booted.address))
                };
                thread::Builder::new().stack_size(STACK).spawn_scoped(scope, boot).expect("a thread")
            })
            .collect();
        start.wait();
        machines.into_iter().map(|machine| machine.join().expect("a machine")).collect()
    })
}
