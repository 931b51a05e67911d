//! The endpoint under load, what it is filled with, and what the system says of its process.

use std::io::Result;

use formwork_bench::{Stopwatch, busy_seconds};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::wire::{Target, Wire};

/// Machines of the endpoint.
pub(crate) const MACHINES: usize = 100_000;

/// Connections over which machines are made and changed.
pub(crate) const WRITERS: usize = 64;

/// Profiles that the machines are spread over, one each.
const PROFILES: usize = 10;

/// An endpoint in a process of its own.
pub(crate) struct Site {
    pub(crate) endpoint: Endpoint,
    /// Where requests of its first user go.
    pub(crate) target: Target,
    /// The keys of the machines, in the order of their numbers.
    pub(crate) machines: Vec<String>,
}

impl Site {
    /// Starts an endpoint without machines.
    pub(crate) async fn start() -> Self {
        let endpoint = Endpoint::start();
        let client = endpoint.client().logged_in("1d").await.expect("a token");
        let token = format!("Authorization: Bearer {}\r\n", client.token().unwrap_or_default());
        let target = Target::secure(endpoint.ports.api, &token);
        Self { endpoint, target, machines: Vec::new() }
    }

    /// Makes the machines, as any client does.
    pub(crate) async fn fill(&mut self) {
        let mut wire = self.target.connect().await.expect("a connection");
        for number in 0..PROFILES {
            let profile = json!({ "Name": format!("rack-{number}") }).to_string();
            let made = wire.ask("POST", "/api/v3/profiles", profile.as_bytes()).await;
            made.and_then(|answer| answer.good()).expect("a profile");
        }
        let writers = (0..WRITERS).map(|writer| {
            let target = self.target.clone();
            tokio::spawn(async move { make(&target, writer).await.expect("machines") })
        });
        for writer in writers.collect::<Vec<_>>() {
            self.machines.extend(writer.await.expect("a writer that ends"));
        }
    }

    /// Stops the endpoint and starts it again on what it has stored; returns how many seconds the start took.
    pub(crate) fn start_again(&mut self) -> f64 {
        self.endpoint.stop();
        let clock = Stopwatch::start();
        self.endpoint.start_again();
        clock.millis() / 1e3
    }

    /// Returns how much memory the process has resident, in bytes.
    #[expect(clippy::cast_precision_loss, reason = "no process has so much that digits are lost")]
    pub(crate) fn resident(&self) -> f64 {
        self.endpoint.resident_kib() as f64 * 1024.0
    }

    /// Returns how many seconds the process has kept processors busy.
    pub(crate) fn busy(&self) -> f64 {
        busy_seconds(self.endpoint.process_id()).expect("the threads of the endpoint")
    }
}

/// Makes the share of machines that one writer makes; returns their keys.
async fn make(target: &Target, writer: usize) -> Result<Vec<String>> {
    let mut wire = target.connect().await?;
    let mut keys = Vec::new();
    for number in (writer..MACHINES).step_by(WRITERS) {
        let body = machine(number).to_string();
        wire.ask("POST", "/api/v3/machines", body.as_bytes()).await?.good()?;
        keys.push(uuid(number));
    }
    Ok(keys)
}

fn uuid(number: usize) -> String {
    // The order of keys is not that of names.
    format!("{:08x}-0000-4000-8000-{number:012x}", number.wrapping_mul(0x9e37_79b1) & 0xffff_ffff)
}

/// A machine with 20 params, as an inventory fills them in.
fn machine(number: usize) -> Value {
    let (rack, slot, low) = (number / 40, number % 40, number & 0xff);
    let (high, middle) = (number >> 16, (number >> 8) & 0xff);
    let mut params = json!({
        "rack/name": format!("rack-{rack}"),
        "rack/slot": slot,
        "bmc/address": format!("172.{high}.{middle}.{low}"),
        "bmc/driver": "redfish",
        "cpu/cores": 32,
        "cpu/model": "EPYC 9354P 32-Core",
        "memory/bytes": 274_877_906_944_u64,
        "disks/root": "/dev/nvme0n1",
        "disks/all": ["/dev/nvme0n1", "/dev/nvme1n1"],
        "network/ports": {"ens1f0": "up", "ens1f1": "down"},
        "owner/team": format!("team-{}", number % 23),
        "owner/cost": 1.5,
        "is/secure-boot": true,
        "serial/number": format!("SN{number:010}"),
    });
    if let Some(params) = params.as_object_mut() {
        params.extend(
            (params.len()..20).map(|more| (format!("site/note-{more}"), json!(format!("note {number}")))),
        );
    }
    json!({
        "Uuid": uuid(number),
        "Name": format!("m{number:06}.example.com"),
        "Address": format!("10.{high}.{middle}.{low}"),
        "HardwareAddrs": [format!("52:54:00:{high:02x}:{middle:02x}:{low:02x}")],
        "Profiles": [format!("rack-{}", number % PROFILES)],
        "Params": params,
    })
}

/// A connection of the endpoint's first user.
pub(crate) async fn connect(site: &Site) -> Wire {
    site.target.connect().await.expect("a connection")
}

#[expect(clippy::cast_precision_loss, reason = "far below where numbers of this kind lose digits")]
pub(crate) fn as_number(count: usize) -> f64 {
    count as f64
}
