//! What a simulated machine tells of itself.

use formwork_api::Whoami;
use formwork_model::MachineFingerprint;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{chance::Chance, profile::HardwareKind};

/// The invented hardware of one machine.
#[derive(Clone, Debug)]
pub(crate) struct Hardware {
    macs: Vec<String>,
    system_uuid: String,
    /// What `formwork gohai` would show there.
    pub(crate) inventory: Value,
}

impl Hardware {
    /// Invents a machine of a kind.
    pub(crate) fn new(chance: Chance, kind: &HardwareKind) -> Self {
        let macs: Vec<String> = (0..kind.nics).map(|card| mac(chance, card)).collect();
        let bits = (u128::from(chance.number("uuid", 0)) << 64) | u128::from(chance.number("uuid", 1));
        let system_uuid = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
        let inventory = inventory(chance, kind, &macs, system_uuid);
        Self { macs, system_uuid: system_uuid.to_string(), inventory }
    }

    /// Returns by what an endpoint knows the machine.
    pub(crate) fn whoami(&self) -> Whoami {
        let system_uuid = self.system_uuid.clone();
        Whoami {
            fingerprint: MachineFingerprint { system_uuid, ..MachineFingerprint::default() },
            mac_addrs: self.macs.clone(),
            ..Whoami::default()
        }
    }
}

/// Returns the address of a card: a locally administered one of the seed, the machine and the card.
fn mac(chance: Chance, card: u8) -> String {
    let [_, high, middle, low] = chance.machine.to_be_bytes();
    let [.., seed] = Chance { machine: 0, ..chance }.number("mac", 0).to_be_bytes();
    format!("02:{seed:02x}:{high:02x}:{middle:02x}:{low:02x}:{card:02x}")
}

/// Returns the sections of an inventory as an agent's own has them.
fn inventory(chance: Chance, kind: &HardwareKind, macs: &[String], uuid: Uuid) -> Value {
    let serial = format!("{:010X}", chance.number("serial", 0) >> 24);
    let cards = macs.iter().enumerate().map(|(number, mac)| {
        json!({
            "Name": format!("eth{number}"), "HardwareAddr": mac, "Physical": true, "State": "up",
            "MTU": 1500, "SpeedMbps": 10_000, "Driver": "sim",
        })
    });
    let names: Map<String, Value> =
        macs.iter().enumerate().map(|(number, mac)| (mac.clone(), json!(format!("eth{number}")))).collect();
    let disks = kind.disks.iter().zip(0_u64..).map(|(size, number)| {
        json!({
            "Name": format!("nvme{number}n1"), "Size": chance.within(size.0, "disk", number),
            "Rotational": false, "Removable": false, "Vendor": kind.vendor, "Model": "Disk",
            "Serial": format!("{:012X}", chance.number("disk-serial", number) >> 16),
        })
    });
    json!({
        "System": {
            "Processors": {"Model": "Simulated", "ThreadCount": kind.processors, "SocketCount": 1},
            "Memory": {"Total": chance.within(kind.memory.0, "memory", 0), "SwapTotal": 0},
        },
        "DMI": {
            "System": {
                "Manufacturer": kind.vendor, "ProductName": kind.model, "SerialNumber": serial,
                "UUID": uuid.to_string(),
            },
            "Hypervisor": false,
        },
        "Networking": {"Interfaces": cards.collect::<Vec<_>>(), "HardwareAddrs": names},
        "Storage": {"Disks": disks.collect::<Vec<_>>()},
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Profile;

    fn machines(seed: u64) -> Vec<Whoami> {
        let profile = Profile::parse("hardware: [{nics: 2}, {nics: 1, weight: 3}]").unwrap();
        let of = |machine| {
            let chance = Chance { seed, machine };
            Hardware::new(chance, profile.kind(chance).unwrap()).whoami()
        };
        (0..50).map(of).collect()
    }

    #[test]
    fn seed_gives_the_same_machines_again_and_no_two_alike() {
        let (first, again, other) = (machines(1), machines(1), machines(2));
        assert_eq!(
            serde_json::to_value(&first).unwrap(),
            serde_json::to_value(&again).unwrap(),
            "the same seed"
        );
        let macs = |fleet: &[Whoami]| -> BTreeSet<String> {
            fleet.iter().flat_map(|machine| machine.mac_addrs.clone()).collect()
        };
        let cards: usize = first.iter().map(|machine| machine.mac_addrs.len()).sum();
        assert_eq!(macs(&first).len(), cards);
        assert!(cards > 50 && cards < 100, "both kinds are there");
        assert!(macs(&first).is_disjoint(&macs(&other)));
        let uuids = |fleet: &[Whoami]| -> BTreeSet<String> {
            fleet.iter().map(|machine| machine.fingerprint.system_uuid.clone()).collect()
        };
        assert_eq!(uuids(&first).union(&uuids(&other)).count(), 100);
    }
}
