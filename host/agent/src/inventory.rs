//! What `formwork gohai` shows: the hardware and the system of this computer (drp-behaviour.md 10.3).
//!
//! The serial numbers are as the firmware tells them, not hashed and not sorted out as in a fingerprint. What cannot be
//! read, most of it for want of root, is left out.

use std::fs;

use nix::sys::utsname::uname;
use serde_json::{Map, Value, json};

use crate::hardware::{Sources, read};

/// The bytes of a block as `/sys/block` counts them, whatever the disk has.
const SECTOR: u64 = 512;

/// Disks of the kernel's own making.
const NO_DISKS: [&str; 3] = ["loop", "ram", "zram"];

/// What the firmware tells: the section, and its members by the name of the file.
const DMI: [(&str, &[(&str, &str)]); 4] = [
    (
        "System",
        &[
            ("Manufacturer", "sys_vendor"),
            ("ProductName", "product_name"),
            ("Version", "product_version"),
            ("SerialNumber", "product_serial"),
            ("UUID", "product_uuid"),
            ("SKUNumber", "product_sku"),
            ("Family", "product_family"),
        ],
    ),
    ("BIOS", &[("Vendor", "bios_vendor"), ("Version", "bios_version"), ("ReleaseDate", "bios_date")]),
    (
        "Baseboard",
        &[
            ("Manufacturer", "board_vendor"),
            ("ProductName", "board_name"),
            ("Version", "board_version"),
            ("SerialNumber", "board_serial"),
        ],
    ),
    (
        "Chassis",
        &[
            ("Manufacturer", "chassis_vendor"),
            ("Type", "chassis_type"),
            ("Version", "chassis_version"),
            ("SerialNumber", "chassis_serial"),
        ],
    ),
];

/// Returns the hardware and the system of this computer: `System`, `DMI`, `Networking` and `Storage`.
#[must_use]
pub fn inventory() -> Value {
    let mut found = Sources::default().inventory();
    // What the kernel tells of itself is in no file.
    if let (Ok(names), Some(system)) = (uname(), found.get_mut("System").and_then(Value::as_object_mut)) {
        for (member, text) in
            [("HostName", names.nodename()), ("Kernel", names.release()), ("Architecture", names.machine())]
        {
            system.insert(member.to_owned(), json!(text.to_string_lossy()));
        }
    }
    found
}

impl Sources {
    /// Returns what files tell.
    fn inventory(&self) -> Value {
        json!({
            "System": {"Processors": self.processors(), "Memory": self.memory()},
            "DMI": self.firmware(),
            "Networking": self.networking(),
            "Storage": {"Disks": self.disks()},
        })
    }

    fn firmware(&self) -> Value {
        let section = |members: &[(&str, &str)]| {
            let told = members.iter().map(|(member, file)| (*member, self.dmi(file)));
            let told = told.filter(|(_, text)| !text.is_empty());
            told.map(|(member, text)| (member.to_owned(), json!(text))).collect::<Map<_, _>>()
        };
        let sections = DMI.iter().map(|(name, members)| (*name, section(members)));
        let sections = sections.filter(|(_, members)| !members.is_empty());
        let mut all: Map<_, _> =
            sections.map(|(name, members)| (name.to_owned(), Value::Object(members))).collect();
        all.insert(String::from("Hypervisor"), json!(self.is_virtual()));
        Value::Object(all)
    }

    fn processors(&self) -> Value {
        let text = read(&self.proc.join("cpuinfo"));
        let member = |name: &str| {
            let named = move |line: &&str| line.split(':').next().is_some_and(|key| key.trim() == name);
            let value = |line: &str| line.split_once(':').map(|(_, value)| value.trim().to_owned());
            text.lines().filter(named).filter_map(value).collect::<Vec<String>>()
        };
        let mut sockets = member("physical id");
        sockets.sort();
        sockets.dedup();
        json!({
            "Model": member("model name").first(),
            "ThreadCount": member("processor").len(),
            "SocketCount": sockets.len().max(1),
        })
    }

    fn memory(&self) -> Value {
        let text = read(&self.proc.join("meminfo"));
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
        };
        json!({"Total": bytes("MemTotal"), "SwapTotal": bytes("SwapTotal")})
    }

    /// Returns all network cards but the loopback, and whose address is whose.
    fn networking(&self) -> Value {
        let (mut cards, mut addresses) = (Vec::new(), Map::new());
        for name in self.names("class/net").iter().filter(|name| *name != "lo") {
            let folder = self.sys.join("class/net").join(name);
            let text = |file: &str| read(&folder.join(file)).trim().to_owned();
            let mac = text("address").to_lowercase();
            let driver = fs::read_link(folder.join("device/driver")).unwrap_or_default();
            let driver = driver.file_name().map(|name| name.to_string_lossy().into_owned());
            // A card without a link tells -1, or nothing.
            let speed = text("speed").parse::<u64>().ok();
            let physical = folder.join("device").exists();
            if physical && !mac.is_empty() {
                addresses.insert(mac.clone(), json!(name));
            }
            cards.push(json!({
                "Name": name, "HardwareAddr": mac, "Physical": physical, "State": text("operstate"),
                "MTU": text("mtu").parse::<u64>().ok(), "SpeedMbps": speed, "Driver": driver,
            }));
        }
        json!({"Interfaces": cards, "HardwareAddrs": addresses})
    }

    fn disks(&self) -> Value {
        let names = self.names("block").into_iter();
        let names = names.filter(|name| !NO_DISKS.iter().any(|other| name.starts_with(other)));
        let disk = |name: String| {
            let folder = self.sys.join("block").join(&name);
            let text = |file: &str| read(&folder.join(file)).trim().to_owned();
            let size = text("size").parse::<u64>().ok().and_then(|count| count.checked_mul(SECTOR));
            json!({
                "Name": name, "Size": size, "Rotational": text("queue/rotational") == "1",
                "Removable": text("removable") == "1", "Vendor": text("device/vendor"), "Model": text("device/model"),
                "Serial": text("device/serial"),
            })
        };
        names.map(disk).collect()
    }

    /// Returns the names in a folder of `/sys`, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.sys.join(folder)) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_shown_and_what_is_not_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("sys/class/dmi/id/sys_vendor", "Maker\n");
        write("sys/class/dmi/id/product_serial", "S1\n");
        write("sys/class/dmi/id/bios_date", "01/02/2026\n");
        write("sys/class/net/eth0/address", "52:54:00:00:00:0A\n");
        write("sys/class/net/eth0/device/vendor", "0x1af4\n");
        write("sys/class/net/eth0/speed", "-1\n");
        write("sys/class/net/eth0/mtu", "1500\n");
        write("sys/class/net/lo/address", "00:00:00:00:00:00\n");
        write("sys/block/sda/size", "4096\n");
        write("sys/block/loop0/size", "8\n");
        write(
            "proc/cpuinfo",
            "processor\t: 0\nmodel name\t: Fast 9\nphysical id\t: 0\n\nprocessor\t: 1\nmodel name\t: Fast 9\nphysical id\t: 0\n",
        );
        write("proc/meminfo", "MemTotal:       16 kB\nSwapTotal: many\n");
        let at = |name| folder.path().join(name);
        let found = Sources { sys: at("sys"), proc: at("proc"), run: at("run") }.inventory();
        assert_eq!(found["DMI"]["System"], json!({"Manufacturer": "Maker", "SerialNumber": "S1"}));
        assert_eq!(found["DMI"]["BIOS"], json!({"ReleaseDate": "01/02/2026"}));
        assert!(found["DMI"].get("Chassis").is_none() && found["DMI"]["Hypervisor"] == json!(false));
        assert_eq!(found["Networking"]["HardwareAddrs"], json!({"52:54:00:00:00:0a": "eth0"}));
        let cards = found["Networking"]["Interfaces"].as_array().unwrap();
        assert_eq!(cards.len(), 1);
        assert_eq!((&cards[0]["SpeedMbps"], &cards[0]["MTU"]), (&Value::Null, &json!(1500)));
        let disks = found["Storage"]["Disks"].as_array().unwrap();
        assert_eq!((disks.len(), &disks[0]["Size"]), (1, &json!(2_097_152)));
        let processors = json!({"Model": "Fast 9", "ThreadCount": 2, "SocketCount": 1});
        assert_eq!(found["System"]["Processors"], processors);
        assert_eq!(found["System"]["Memory"], json!({"Total": 16_384, "SwapTotal": null}));
    }

    #[test]
    fn this_computer_has_a_kernel_and_memory() {
        let found = inventory();
        assert!(found["System"]["Kernel"].as_str().is_some_and(|kernel| !kernel.is_empty()));
        assert!(found["System"]["Memory"]["Total"].as_u64().is_some_and(|bytes| bytes > 0));
    }
}
