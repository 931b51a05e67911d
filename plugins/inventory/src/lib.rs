//! Looks at the machine that it runs on and writes what it finds to the parameters `inventory/*`.
//!
//! It reads `/sys`, `/proc/cpuinfo` and `/proc/meminfo`, and nothing on the machine changes. What is not there is left out:
//! a machine without DMI, an odd driver or a broken table makes an inventory shorter, never fails it.

mod cpu;
mod disks;
mod dmi;
mod memory;
mod nics;
mod smbios;
mod source;

use formwork_sdk::{Call, Failure, Outcome, Task, log, params};

struct Inventory;

impl Task for Inventory {
    fn run(_call: &Call) -> Result<Outcome, Failure> {
        let disks = disks::read();
        let nics = nics::read();
        params::write("inventory/dmi", &dmi::read())?;
        params::write("inventory/cpu", &cpu::read())?;
        params::write("inventory/memory", &memory::read())?;
        params::write("inventory/disks", &disks)?;
        params::write("inventory/nics", &nics)?;
        log::info!("found {} disks and {} network interfaces", disks.len(), nics.len());
        Ok(Outcome::Done)
    }
}

formwork_sdk::export_task!(Inventory);

#[cfg(test)]
mod tests {
    use formwork_sdk::testing::Host;
    use serde_json::json;

    use super::*;

    /// What the manifest of the core pack asks for.
    const GRANTS: [&str; 4] =
        ["params: write inventory/*", "files: /sys ro", "files: /proc/cpuinfo ro", "files: /proc/meminfo ro"];

    #[test]
    fn everything_that_is_found_is_written() {
        let host = Host::new()
            .grants(GRANTS)
            .unwrap()
            .file("/sys/class/dmi/id/product_name", "Made Up Box\n")
            .file("/sys/devices/pci0/block/sda/size", "4096\n")
            .link("/sys/block/sda", "../devices/pci0/block/sda")
            .file("/sys/devices/pci0/net/eth0/address", "52:54:00:00:00:01\n")
            .link("/sys/class/net/eth0", "../../devices/pci0/net/eth0")
            .file("/proc/cpuinfo", "processor : 0\nmodel name : Made Up 9\n")
            .file("/proc/meminfo", "MemTotal: 16 kB\n");
        assert_eq!(host.run::<Inventory>(), Ok(Outcome::Done));
        let written = |name: &str| host.own_param(name).unwrap();
        assert_eq!(written("inventory/dmi"), json!({"product_name": "Made Up Box"}));
        assert_eq!(written("inventory/disks"), json!([{"name": "sda", "size_bytes": 2_097_152}]));
        assert_eq!(written("inventory/nics"), json!([{"name": "eth0", "mac": "52:54:00:00:00:01"}]));
        assert_eq!(written("inventory/memory"), json!({"total_bytes": 16_384}));
        let cpu = json!({"threads": 1, "cores": 1, "sockets": 1, "model": "Made Up 9"});
        assert_eq!(written("inventory/cpu"), cpu);
        let line = "found 1 disks and 1 network interfaces".to_owned();
        assert_eq!(host.lines(), [(log::Level::Info, line)]);
    }

    #[test]
    fn what_leads_out_of_the_grant_is_left_out_and_told() {
        let host = Host::new()
            .grants(GRANTS)
            .unwrap()
            .file("/etc/address", "52:54:00:00:00:01\n")
            .link("/sys/class/net/evil", "/etc");
        assert_eq!(host.run::<Inventory>(), Ok(Outcome::Done));
        assert_eq!(host.own_param("inventory/nics"), Some(json!([])));
        let warned =
            |(level, line): &(log::Level, String)| *level == log::Level::Warn && line.contains("net/evil");
        assert!(host.lines().iter().any(warned), "{:?}", host.lines());
    }

    #[test]
    fn inventory_that_cannot_be_written_fails_the_job() {
        let host = Host::new().grants(["params: write inventory/cpu", "files: /sys ro"]).unwrap();
        let failure = host.run::<Inventory>().unwrap_err();
        assert_eq!(failure.message, "param `inventory/dmi` is not granted to this component");
    }
}
