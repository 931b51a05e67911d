//! What the firmware says about the machine.

use serde_json::{Map, Value};

use crate::source;

/// The facts that the kernel shows of DMI.
const FACTS: [&str; 19] = [
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_type",
    "chassis_vendor",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "product_version",
    "sys_vendor",
];

/// Boards without DMI describe themselves in a device tree; these are its names for two of the facts.
const DEVICE_TREE: [(&str, &str); 2] = [("product_name", "model"), ("product_serial", "serial-number")];

/// Reads the facts by the kernel's names.
pub(crate) fn read() -> Map<String, Value> {
    let fact = |name: &&str| {
        Some(((*name).to_owned(), Value::String(source::text(&format!("/sys/class/dmi/id/{name}"))?)))
    };
    let facts: Map<_, _> = FACTS.iter().filter_map(fact).collect();
    if !facts.is_empty() {
        return facts;
    }
    let fact = |(name, file): &(&str, &str)| {
        let text = source::text(&format!("/sys/firmware/devicetree/base/{file}"))?;
        Some(((*name).to_owned(), Value::String(text)))
    };
    DEVICE_TREE.iter().filter_map(fact).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use formwork_sdk::testing::Host;

    use super::*;

    #[test]
    fn facts_are_trimmed_and_empty_ones_left_out() {
        let machine = Host::new()
            .file("/sys/class/dmi/id/sys_vendor", "Made Up Inc. \n")
            .file("/sys/class/dmi/id/product_name", b"Box\xff 3\n")
            .file("/sys/class/dmi/id/board_serial", "  \n");
        let expected = json!({"product_name": "Box\u{fffd} 3", "sys_vendor": "Made Up Inc."});
        assert_eq!(Value::Object(machine.enter(read)), expected);
    }

    #[test]
    fn a_board_without_dmi_is_known_by_its_device_tree() {
        let machine = Host::new().file("/sys/firmware/devicetree/base/model", b"Small Board 4\0");
        assert_eq!(Value::Object(machine.enter(read)), json!({"product_name": "Small Board 4"}));
        assert_eq!(Value::Object(Host::new().enter(read)), json!({}));
    }
}
