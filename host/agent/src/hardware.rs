//! By what a machine is known again: its network cards and what its firmware says (drp-behaviour.md 4.2).
//!
//! Under a hypervisor only the network cards count: virtual machines are copied together with their firmware's data.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use formwork_model::MachineFingerprint;
use sha2::{Digest as _, Sha256};

use crate::memory;

/// Most bytes of a file that are read.
const MAX_FILE: u64 = 1 << 20;

/// Ethernet, as the kernel numbers kinds of network cards.
const ARPHRD_ETHER: &str = "1";

/// What vendors leave in a serial number that nobody filled in; compared without case, spaces and punctuation.
const UNFILLED: &[&str] = &[
    "none",
    "na",
    "null",
    "nil",
    "unknown",
    "empty",
    "default",
    "defaultstring",
    "notspecified",
    "notavailable",
    "notapplicable",
    "notprovided",
    "notset",
    "notdefined",
    "unspecified",
    "undefined",
    "invalid",
    "tobefilledbyoem",
    "tobefilledbyoe",
    "tobefilled",
    "oem",
    "oemstring",
    "filledbyoem",
    "systemserialnumber",
    "chassisserialnumber",
    "baseboardserialnumber",
    "boardserialnumber",
    "serialnumber",
    "serial",
    "serialno",
    "sernum",
    "sn",
    "system",
    "chassis",
    "test",
    "sample",
    "todo",
    "tbd",
    "blank",
    "noserial",
    "noasset",
    "number",
    "string",
    "123456",
    "1234567",
    "12345678",
    "123456789",
    "0123456789",
    "1234567890",
    "01234567890123456789",
    "012345678",
    "00000000000000000123",
    "abcdefgh",
    "badindex",
    "outofspec",
];

/// Where the kernel and the tools of the system tell about the hardware.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// `/sys`.
    pub(crate) sys: PathBuf,
    /// `/proc`.
    pub(crate) proc: PathBuf,
    /// `/run`.
    pub(crate) run: PathBuf,
}

impl Default for Sources {
    fn default() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into(), run: "/run".into() }
    }
}

impl Sources {
    /// Returns the addresses of the physical Ethernet cards, sorted. A card of a virtual machine counts: it has a device.
    pub(crate) fn macs(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.sys.join("class/net")) else { return Vec::new() };
        let mut macs: Vec<String> =
            entries.flatten().filter_map(|entry| physical_mac(&entry.path())).collect();
        macs.sort();
        macs.dedup();
        macs
    }

    /// Returns what the firmware says.
    pub(crate) fn fingerprint(&self) -> MachineFingerprint {
        let cloud_instance_id = self.cloud_instance().unwrap_or_default();
        if self.is_virtual() {
            return MachineFingerprint { cloud_instance_id, ..MachineFingerprint::default() };
        }
        let maker = format!("{}{}", self.dmi("sys_vendor"), self.dmi("product_name"));
        let hash = |serial: String| match usable_serial(&serial) {
            Some(serial) => sha256(&format!("{maker}{serial}")),
            None => String::new(),
        };
        MachineFingerprint {
            ssn_hash: hash(self.dmi("product_serial")),
            csn_hash: hash(self.dmi("chassis_serial")),
            system_uuid: usable_uuid(&self.dmi("product_uuid")).unwrap_or_default(),
            memory_ids: memory::ids(&self.memory_devices()),
            cloud_instance_id,
        }
    }

    /// Tells whether a hypervisor is below: processors say so where they have a flag for it.
    pub(crate) fn is_virtual(&self) -> bool {
        let flags = read(&self.proc.join("cpuinfo"));
        let flagged = flags
            .lines()
            .filter(|line| line.starts_with("flags"))
            .any(|line| line.split_whitespace().any(|flag| flag == "hypervisor"));
        flagged || self.sys.join("hypervisor/type").exists()
    }

    pub(crate) fn dmi(&self, name: &str) -> String {
        read(&self.sys.join("class/dmi/id").join(name)).trim().to_owned()
    }

    /// Returns the raw SMBIOS records of the memory devices; readable by root only.
    fn memory_devices(&self) -> Vec<Vec<u8>> {
        let Ok(entries) = fs::read_dir(self.sys.join("firmware/dmi/entries")) else { return Vec::new() };
        entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("17-"))
            .map(|entry| read_bytes(&entry.path().join("raw")))
            .collect()
    }

    /// Returns `CLOUD:INSTANCE` where cloud-init has found both.
    fn cloud_instance(&self) -> Option<String> {
        let text = read(&self.run.join("cloud-init/instance-data.json"));
        let data: serde_json::Value = serde_json::from_str(&text).ok()?;
        let member = |name| data.pointer(name)?.as_str().filter(|text: &&str| !text.is_empty());
        Some(format!("{}:{}", member("/v1/cloud_name")?, member("/v1/instance_id")?))
    }
}

/// Returns a serial number that tells one machine from another; `None` for what a vendor left in.
pub(crate) fn usable_serial(serial: &str) -> Option<&str> {
    let serial = serial.trim();
    let plain: String =
        serial.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let mut characters = plain.chars();
    // Rows of one character: XXXXXX, 000000, 111.
    let row = characters.next().is_none_or(|first| characters.all(|c| c == first));
    (!row && !UNFILLED.contains(&plain.as_str())).then_some(serial)
}

/// Returns a UUID in lower case; `None` for one that firmware makers copy into every board.
pub(crate) fn usable_uuid(text: &str) -> Option<String> {
    let uuid = uuid::Uuid::try_parse(text.trim()).ok()?;
    let copied = [[0x0a; 16], [0x00; 16], [0xff; 16]].contains(uuid.as_bytes());
    let no_node = uuid.as_bytes().ends_with(&[0; 6]);
    let versions = 1..=8;
    (!copied && !no_node && versions.contains(&uuid.get_version_num())).then(|| uuid.to_string())
}

/// Returns the base64 of the SHA-256 of a text.
pub(crate) fn sha256(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

fn physical_mac(card: &Path) -> Option<String> {
    let wireless = card.join("wireless").exists() || card.join("phy80211").exists();
    let ethernet = read(&card.join("type")).trim() == ARPHRD_ETHER;
    let physical = card.join("device").exists();
    let mac = read(&card.join("address")).trim().to_lowercase();
    let usable = mac.len() == 17 && mac != "00:00:00:00:00:00";
    (ethernet && physical && !wireless && usable).then_some(mac)
}

/// Reads a small file; one that cannot be read is as empty as one that is not there.
pub(crate) fn read(path: &Path) -> String {
    String::from_utf8_lossy(&read_bytes(path)).into_owned()
}

fn read_bytes(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    if read.is_ok() { bytes } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lab {
        folder: tempfile::TempDir,
    }

    impl Lab {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn write(&self, path: &str, text: impl AsRef<[u8]>) {
            let path = self.folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn sources(&self) -> Sources {
            let at = |name| self.folder.path().join(name);
            Sources { sys: at("sys"), proc: at("proc"), run: at("run") }
        }

        fn card(&self, name: &str, mac: &str) {
            self.write(&format!("sys/class/net/{name}/type"), "1\n");
            self.write(&format!("sys/class/net/{name}/address"), format!("{mac}\n"));
        }
    }

    #[test]
    fn only_physical_ethernet_cards_count() {
        let lab = Lab::new();
        for (name, mac) in [("eth1", "52:54:00:00:00:02"), ("eth0", "52:54:00:00:00:01")] {
            lab.card(name, mac);
            lab.write(&format!("sys/class/net/{name}/device/vendor"), "0x1af4");
        }
        lab.card("br0", "52:54:00:00:00:03");
        lab.card("wlan0", "52:54:00:00:00:04");
        lab.write("sys/class/net/wlan0/device/vendor", "x");
        lab.write("sys/class/net/wlan0/wireless/x", "");
        lab.write("sys/class/net/lo/type", "772");
        assert_eq!(lab.sources().macs(), ["52:54:00:00:00:01", "52:54:00:00:00:02"]);
    }

    #[test]
    fn serials_that_nobody_filled_in_are_dropped() {
        for junk in ["", "  ", "To Be Filled By O.E.M.", "0123456789", "N/A", "XXXXXXXX", "0000", "None"] {
            assert_eq!(usable_serial(junk), None, "{junk}");
        }
        assert_eq!(usable_serial(" FW-0077 "), Some("FW-0077"));
    }

    #[test]
    fn uuids_of_firmware_makers_are_dropped() {
        for junk in [
            "03000200-0400-0500-0006-000000000000",
            "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "12345678-1234-0234-8234-123456789abc",
            "no uuid",
        ] {
            assert_eq!(usable_uuid(junk), None, "{junk}");
        }
        let uuid = "C0FFEE00-77AA-4C3D-9E1F-525400770001";
        assert_eq!(usable_uuid(uuid), Some(uuid.to_lowercase()));
    }

    #[test]
    fn firmware_is_read_on_bare_metal_and_left_alone_under_a_hypervisor() {
        let lab = Lab::new();
        lab.write("proc/cpuinfo", "processor : 0\nflags\t\t: fpu vme\n");
        lab.write("sys/class/dmi/id/sys_vendor", "Maker\n");
        lab.write("sys/class/dmi/id/product_name", "Box\n");
        lab.write("sys/class/dmi/id/product_serial", "S1\n");
        lab.write("sys/class/dmi/id/chassis_serial", "Default string\n");
        lab.write("sys/class/dmi/id/product_uuid", "c0ffee00-77aa-4c3d-9e1f-525400770001\n");
        let fingerprint = lab.sources().fingerprint();
        assert_eq!(fingerprint.ssn_hash, sha256("MakerBoxS1"));
        assert_eq!(fingerprint.csn_hash, "");
        assert_eq!(fingerprint.system_uuid, "c0ffee00-77aa-4c3d-9e1f-525400770001");
        lab.write("proc/cpuinfo", "flags\t\t: fpu hypervisor\n");
        lab.write(
            "run/cloud-init/instance-data.json",
            r#"{"v1": {"cloud_name": "aws", "instance_id": "i-1"}}"#,
        );
        let expected =
            MachineFingerprint { cloud_instance_id: "aws:i-1".into(), ..MachineFingerprint::default() };
        assert_eq!(lab.sources().fingerprint(), expected);
    }
}
