//! What leases, reservations and subnets share: options and addresses (drp-api.md 7.13).

use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A DHCP option as people write it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct DhcpOption {
    /// The number of the option.
    pub code: u8,
    /// A template of the value; what comes out is read as the option's type.
    pub value: String,
}

/// Writes an IPv4 address in its one form; anything else stays as it is, for validation to name.
pub(crate) fn canonical_address(address: &mut String) {
    if let Ok(parsed) = address.trim().parse::<Ipv4Addr>() {
        *address = parsed.to_string();
    }
}

/// Returns the address that a client may be given: one host of one network, not the host itself.
pub(crate) fn usable_address(address: &str) -> Option<Ipv4Addr> {
    let parsed: Ipv4Addr = address.parse().ok()?;
    let special = parsed.is_unspecified()
        || parsed.is_loopback()
        || parsed.is_multicast()
        || parsed.is_broadcast()
        || parsed.is_link_local();
    (!special).then_some(parsed)
}

/// Returns the validation message for an address that must be usable.
pub(crate) fn address_problem(key: &str, address: &str) -> Option<String> {
    if address.is_empty() {
        return Some(format!("{key}: IP Address is nil"));
    }
    let message = || format!("{key}: {address} is not a valid IP address for dr-provision");
    usable_address(address).is_none().then(message)
}

/// Returns the validation message for an address that may be left out.
pub(crate) fn optional_address_problem(key: &str, address: &str) -> Option<String> {
    if address.is_empty() { None } else { address_problem(key, address) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn address_of_a_client_is_that_of_one_host() {
        for wrong in
            ["127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "169.254.1.1", "10.0.0", "fe80::1"]
        {
            let message = format!("s1: {wrong} is not a valid IP address for dr-provision");
            assert_eq!(address_problem("s1", wrong), Some(message));
        }
        assert_eq!(address_problem("s1", ""), Some(String::from("s1: IP Address is nil")));
        assert_eq!(optional_address_problem("s1", ""), None);
        assert_eq!(address_problem("s1", "10.0.0.1"), None);
    }

    #[test]
    fn option_has_a_code_of_one_byte_and_a_text() {
        let option: DhcpOption = serde_json::from_value(json!({"Code": 67, "Value": "lpxelinux.0"})).unwrap();
        assert_eq!(option, DhcpOption { code: 67, value: "lpxelinux.0".into() });
        assert!(serde_json::from_value::<DhcpOption>(json!({"Code": 256})).is_err());
    }
}
