//! DHCP leases (drp-api.md 7.11).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    DhcpOption, Header, Kind, Layers, Timestamp,
    dhcp::{address_problem, canonical_address},
    names::word_problem,
    object::object,
};

/// An address that was given to a client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Lease {
    /// The address; the key is its eight hexadecimal digits.
    pub addr: String,
    /// Who the client is under the strategy: a MAC address.
    pub token: String,
    /// How clients are told apart: `MAC`.
    pub strategy: String,
    /// Where it stands: one of [`Lease::STATES`].
    pub state: String,
    /// When the lease ends.
    pub expire_time: Timestamp,
    /// Seconds that the lease was given for.
    pub duration: i64,
    /// The boot server that was named.
    pub next_server: String,
    /// The local or relay address that chose the subnet.
    pub via: String,
    /// The options that the client was sent.
    pub options: Vec<DhcpOption>,
    /// The options that the client sent.
    pub provided_options: Vec<DhcpOption>,
    /// True when the client was told nothing about booting.
    pub skip_boot: bool,
    /// The machine whose hardware address the token is; empty when unknown.
    pub machine_uuid: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Lease {
    /// Where a lease can stand.
    pub const STATES: &'static [&'static str] = &["PROBE", "OFFER", "ACK", "EXPIRED", "INVALID", "FAKE"];
}

pub(crate) static KIND: Kind = Kind {
    indexed: &["Token", "Strategy", "State", "ExpireTime", "MachineUuid"],
    columns: &["Addr", "Token", "State", "ExpireTime"],
    layers: Layers::None,
    address_key: true,
    ..Kind::of::<Lease>("leases", "Addr", "lease")
};

object!(
    Lease,
    KIND,
    key = |lease| hex_address(&lease.addr).unwrap_or_else(|| lease.addr.clone()),
    normalise = normalise,
    problems = problems
);

fn normalise(lease: &mut Lease) {
    for address in [&mut lease.addr, &mut lease.next_server, &mut lease.via] {
        canonical_address(address);
    }
}

fn problems(lease: &Lease) -> Vec<String> {
    let key = crate::Object::key(lease);
    let mut found: Vec<String> = address_problem(&key, &lease.addr).into_iter().collect();
    found.extend(word_problem(&key, "State", &lease.state, Lease::STATES));
    found
}

/// Returns the eight upper-case hexadecimal digits of a dotted IPv4 address.
#[must_use]
pub(crate) fn hex_address(address: &str) -> Option<String> {
    let address: std::net::Ipv4Addr = address.parse().ok()?;
    Some(address.octets().iter().map(|octet| format!("{octet:02X}")).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn lease_keeps_all_members_and_its_key_is_hexadecimal() {
        let members = json!({
            "Addr": "10.7.0.171", "Token": "52:54:00:01:02:03", "Strategy": "MAC", "State": "ACK",
            "ExpireTime": "2031-01-01T00:00:00.25Z", "Duration": 600, "NextServer": "10.7.0.1", "Via": "10.7.0.2",
            "Options": [{"Code": 3, "Value": "10.7.0.1"}], "ProvidedOptions": [{"Code": 12, "Value": "printer"}],
            "SkipBoot": true, "MachineUuid": "0d9c8b7a-6f5e-4d3c-8b2a-190817263544",
        });
        assert_eq!(round_trip("leases", members).key(), "0A0700AB");
    }

    #[test]
    fn lease_is_of_one_host_and_in_a_known_state() {
        let lease = Lease { addr: "10.7".into(), state: "LOST".into(), ..Lease::default() };
        let wanted = ["10.7: 10.7 is not a valid IP address for dr-provision", "10.7: Invalid State `LOST`"];
        assert_eq!(problems(&lease), wanted);
    }
}
