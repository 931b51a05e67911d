//! DHCP leases (drp-api.md 7.11).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Timestamp,
    object::{decode, object},
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
    /// `OFFER`, `ACK`, `EXPIRED` or `INVALID`.
    pub state: String,
    /// When the lease ends.
    pub expire_time: Timestamp,
    /// Seconds that the lease was given for.
    pub duration: i64,
    /// The boot server that was named.
    pub next_server: String,
    /// The local or relay address that chose the subnet.
    pub via: String,
    /// The machine whose hardware address the token is; empty when unknown.
    pub machine_uuid: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    prefix: "leases",
    key: "Addr",
    noun: "lease",
    unique: &[],
    hidden: &[],
    read_only: &[],
    opaque: &[],
    decode: decode::<Lease>,
    schema: |generator| generator.subschema_for::<Lease>(),
    columns: &["Addr", "Token", "State", "ExpireTime"],
};

object!(Lease, KIND, key = |lease| hex_address(&lease.addr).unwrap_or_else(|| lease.addr.clone()));

/// Returns the eight upper-case hexadecimal digits of a dotted IPv4 address.
#[must_use]
pub(crate) fn hex_address(address: &str) -> Option<String> {
    let address: std::net::Ipv4Addr = address.parse().ok()?;
    Some(address.octets().iter().map(|octet| format!("{octet:02X}")).collect())
}
