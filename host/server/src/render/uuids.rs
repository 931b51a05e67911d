//! Files that loaders ask for by the UUID of a machine (boot-lab.md part 2).
//!
//! pxelinux asks for `pxelinux.cfg/UUID` first; scripts of iPXE and grub can name `UUID.ipxe` and `grub/UUID.cfg`. Whoever
//! reads a UUID out of SMBIOS may take its first three fields for little-endian or not, and loaders differ in it: both
//! forms name the machine. A loader that asks by a UUID does not say which network card it has, so where two machines have
//! the same one, as boards of one maker may, none of them has files by it: a machine must not boot what is for another.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use formwork_model::Machine;
use uuid::Uuid;

/// The folders and name endings of files that a loader asks for by a UUID.
const PLACES: &[(&str, &str)] = &[("pxelinux.cfg/", ""), ("", ".ipxe"), ("grub/", ".cfg")];

/// UUIDs that makers of boards leave in the firmware of all that they sell, in either byte order.
const NOBODYS: &[u128] =
    &[0x0300_0200_0400_0500_0006_0007_0008_0009, 0x0002_0003_0004_0005_0006_0007_0008_0009];

/// Which machine has which UUID.
#[derive(Default)]
pub(super) struct MachinesByUuid(HashMap<Uuid, BTreeSet<Arc<str>>>);

/// A path that names a file of a machine by its UUID.
pub(super) struct Asked {
    pub(super) uuid: Uuid,
    folder: &'static str,
    ending: &'static str,
}

/// Returns the UUIDs that a machine is asked for by: its key, and what SMBIOS says in both byte orders.
pub(super) fn uuids_of(machine: &Machine) -> Vec<Uuid> {
    let system = Uuid::parse_str(&machine.fingerprint.system_uuid).ok();
    let system = system.filter(|uuid| !uuid.is_nil() && !uuid.is_max() && !NOBODYS.contains(&uuid.as_u128()));
    let key = Uuid::parse_str(&machine.uuid).ok();
    let turned = system.map(|uuid| Uuid::from_bytes(uuid.to_bytes_le()));
    let all: BTreeSet<Uuid> = key.into_iter().chain(system).chain(turned).collect();
    all.into_iter().collect()
}

impl MachinesByUuid {
    pub(super) fn add(&mut self, uuids: &[Uuid], machine: &Arc<str>) {
        for uuid in uuids {
            self.0.entry(*uuid).or_default().insert(Arc::clone(machine));
        }
    }

    pub(super) fn remove(&mut self, uuids: &[Uuid], machine: &Arc<str>) {
        for uuid in uuids {
            let Some(machines) = self.0.get_mut(uuid) else { continue };
            machines.remove(machine);
            if machines.is_empty() {
                self.0.remove(uuid);
            }
        }
    }

    /// Returns the one machine with a UUID.
    pub(super) fn find(&self, uuid: Uuid) -> Option<&Arc<str>> {
        let machines = self.0.get(&uuid)?;
        machines.first().filter(|_| machines.len() == 1)
    }
}

impl Asked {
    /// Reads a clean path.
    pub(super) fn parse(path: &str) -> Option<Self> {
        PLACES.iter().find_map(|(folder, ending)| {
            let name = path.strip_prefix(folder)?.strip_suffix(ending)?;
            // Of the forms of a UUID only the usual one is meant.
            let uuid = Uuid::parse_str(name).ok().filter(|_| name.len() == 36)?;
            Some(Self { uuid, folder, ending })
        })
    }

    /// Tells whether a file is of the kind that is asked for.
    pub(super) fn is_kind_of(&self, path: &str) -> bool {
        let name = path.strip_prefix(self.folder).and_then(|name| name.strip_suffix(self.ending));
        name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "33221100-5544-7766-8899-aabbccddeeff";

    #[test]
    fn paths_with_a_uuid_are_those_that_loaders_ask_for() {
        for path in [UUID.to_owned() + ".ipxe", format!("pxelinux.cfg/{UUID}"), format!("grub/{UUID}.cfg")] {
            assert_eq!(Asked::parse(&path).unwrap().uuid.to_string(), UUID, "{path}");
        }
        for path in [
            "default.ipxe".to_owned(),
            format!("grub/{UUID}"),
            format!("other/{UUID}.cfg"),
            UUID.replace('-', "") + ".ipxe",
        ] {
            assert!(Asked::parse(&path).is_none(), "{path}");
        }
    }

    #[test]
    fn uuid_of_two_machines_or_of_all_boards_names_none() {
        let uuid = Uuid::parse_str(UUID).unwrap();
        let (one, two) = (Arc::from("one"), Arc::from("two"));
        let mut machines = MachinesByUuid::default();
        machines.add(&[uuid], &one);
        assert_eq!(machines.find(uuid), Some(&one));
        machines.add(&[uuid], &two);
        assert_eq!(machines.find(uuid), None);
        machines.remove(&[uuid], &one);
        assert_eq!(machines.find(uuid), Some(&two));
        let mut machine = Machine::default();
        for text in ["03000200-0400-0500-0006-000700080009", "ffffffff-ffff-ffff-ffff-ffffffffffff"] {
            machine.fingerprint.system_uuid = text.into();
            assert!(uuids_of(&machine).is_empty(), "{text}");
        }
    }

    #[test]
    fn machine_is_known_by_its_key_and_by_both_orders_of_its_system_uuid() {
        let mut machine =
            Machine { uuid: "c0ffee00-77aa-4c3d-9e1f-525400770001".into(), ..Machine::default() };
        assert_eq!(uuids_of(&machine).len(), 1);
        machine.fingerprint.system_uuid = "00112233-4455-6677-8899-AABBCCDDEEFF".into();
        let texts: Vec<String> = uuids_of(&machine).iter().map(Uuid::to_string).collect();
        assert_eq!(texts, ["00112233-4455-6677-8899-aabbccddeeff", UUID, &machine.uuid]);
        machine.fingerprint.system_uuid = "Not Settable".into();
        assert_eq!(uuids_of(&machine).len(), 1);
    }
}
