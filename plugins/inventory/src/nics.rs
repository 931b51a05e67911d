//! The network interfaces.

use serde_json::{Map, Value, json};

use crate::source;

const FOLDER: &str = "/sys/class/net";

/// Reads name, address, driver, speed and state of each interface but the loopback.
pub(crate) fn read() -> Vec<Map<String, Value>> {
    let names = source::names(FOLDER);
    names.iter().filter(|name| *name != "lo").filter_map(|name| nic(name)).collect()
}

/// One interface; `None` for the other things that the kernel keeps in the folder, which have no address.
fn nic(name: &str) -> Option<Map<String, Value>> {
    let at = |file: &str| format!("{FOLDER}/{name}/{file}");
    let mut nic = Map::new();
    nic.insert("name".to_owned(), json!(name));
    nic.insert("mac".to_owned(), json!(source::text(&at("address"))?));
    if let Some(state) = source::text(&at("operstate")) {
        nic.insert("operstate".to_owned(), json!(state));
    }
    // The kernel says -1 or nothing while there is no carrier.
    if let Some(speed) = source::number(&at("speed")).filter(|speed| (1..u64::from(u32::MAX)).contains(speed))
    {
        nic.insert("speed_mbps".to_owned(), json!(speed));
    }
    if let Some(mtu) = source::number(&at("mtu")) {
        nic.insert("mtu".to_owned(), json!(mtu));
    }
    let driver = source::link(&at("device/driver"));
    if let Some(driver) =
        driver.as_deref().and_then(|link| link.rsplit('/').next()).filter(|name| !name.is_empty())
    {
        nic.insert("driver".to_owned(), json!(driver));
    }
    Some(nic)
}

#[cfg(test)]
mod tests {
    use formwork_sdk::testing::Host;

    use super::*;

    #[test]
    fn interfaces_but_the_loopback_are_listed() {
        let machine = Host::new()
            .file("/sys/class/net/lo/address", "00:00:00:00:00:00\n")
            .file("/sys/class/net/eth0/address", "52:54:00:00:00:01\n")
            .file("/sys/class/net/eth0/operstate", "up\n")
            .file("/sys/class/net/eth0/speed", "10000\n")
            .link("/sys/class/net/eth0/device/driver", "../../../bus/pci/drivers/e1000e")
            .file("/sys/class/net/eth1/address", "52:54:00:00:00:02\n")
            .file("/sys/class/net/eth1/speed", "-1\n")
            .file("/sys/class/net/bonding_masters", "\n");
        let expected = json!([
            {"name": "eth0", "mac": "52:54:00:00:00:01", "operstate": "up", "speed_mbps": 10_000, "driver": "e1000e"},
            {"name": "eth1", "mac": "52:54:00:00:00:02"},
        ]);
        assert_eq!(json!(machine.enter(read)), expected);
    }
}
