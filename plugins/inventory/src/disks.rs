//! The disks.

use serde_json::{Map, Value, json};

use crate::source;

/// Names of block devices that are no disks of the machine: made by software, or drives for media.
const NOT_DISKS: [&str; 9] = ["dm-", "drbd", "fd", "loop", "md", "nbd", "ram", "sr", "zram"];

/// The kernel counts in these, whatever the disk's own sectors are.
const SECTOR_BYTES: u64 = 512;

/// Reads name, size, model, vendor, serial number, and whether it rotates or can be taken out.
pub(crate) fn read() -> Vec<Map<String, Value>> {
    let mut folder = "/sys/block";
    let mut names = source::names(folder);
    if names.is_empty() {
        folder = "/sys/class/block";
        names = source::names(folder);
    }
    names.iter().filter(|name| !is_other(name)).filter_map(|name| disk(folder, name)).collect()
}

/// Whether a name is that of something else: one of the known prefixes and then a number.
fn is_other(name: &str) -> bool {
    NOT_DISKS.iter().any(|prefix| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    })
}

/// One disk; `None` for a partition and for a drive without a medium.
fn disk(folder: &str, name: &str) -> Option<Map<String, Value>> {
    let at = |file: &str| format!("{folder}/{name}/{file}");
    if source::text(&at("partition")).is_some() {
        return None;
    }
    let size = source::number(&at("size"))?.checked_mul(SECTOR_BYTES).filter(|size| *size > 0)?;
    let mut disk = Map::new();
    disk.insert("name".to_owned(), json!(name));
    disk.insert("size_bytes".to_owned(), json!(size));
    // Where each fact stands depends on the driver: SCSI, NVMe, virtio.
    let facts: [(&str, &[&str]); 4] = [
        ("model", &["device/model", "device/name"]),
        ("vendor", &["device/vendor"]),
        ("serial", &["device/serial", "serial"]),
        ("wwid", &["device/wwid", "wwid"]),
    ];
    for (fact, files) in facts {
        if let Some(text) = files.iter().find_map(|file| source::text(&at(file))) {
            disk.insert(fact.to_owned(), Value::String(text));
        }
    }
    for (fact, file) in [("rotational", "queue/rotational"), ("removable", "removable")] {
        if let Some(flag) = source::number(&at(file)) {
            disk.insert(fact.to_owned(), json!(flag != 0));
        }
    }
    Some(disk)
}

#[cfg(test)]
mod tests {
    use formwork_sdk::testing::Host;

    use super::*;

    #[test]
    fn disks_are_listed_with_what_their_driver_tells() {
        let machine = Host::new()
            .file("/sys/block/sda/size", "2048\n")
            .file("/sys/block/sda/device/model", "Made Up Disk   \n")
            .file("/sys/block/sda/queue/rotational", "1\n")
            .file("/sys/block/nvme0n1/size", "4096\n")
            .file("/sys/block/nvme0n1/device/serial", "S 1\n")
            .file("/sys/block/nvme0n1/queue/rotational", "0\n");
        let expected = json!([
            {"name": "nvme0n1", "size_bytes": 2_097_152, "serial": "S 1", "rotational": false},
            {"name": "sda", "size_bytes": 1_048_576, "model": "Made Up Disk", "rotational": true},
        ]);
        assert_eq!(json!(machine.enter(read)), expected);
    }

    #[test]
    fn what_is_no_disk_is_left_out() {
        let mut machine = Host::new().file("/sys/block/sdb/size", "0\n").file("/sys/block/sdc/size", "odd");
        for name in ["loop0", "dm-1", "ram3", "zram0", "sr0", "md127", "nbd0"] {
            machine = machine.file(&format!("/sys/block/{name}/size"), "9\n");
        }
        assert!(machine.enter(read).is_empty());
    }

    #[test]
    fn partitions_are_left_out_where_they_stand_beside_the_disks() {
        let machine = Host::new()
            .file("/sys/class/block/vda/size", "8")
            .file("/sys/class/block/vda1/size", "4")
            .file("/sys/class/block/vda1/partition", "1");
        assert_eq!(json!(machine.enter(read)), json!([{"name": "vda", "size_bytes": 4096}]));
    }
}
