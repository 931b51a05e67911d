//! What an endpoint says of itself (drp-api.md 12.1).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The description of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Info {
    /// The architecture of the host, as Go names it.
    pub arch: String,
    /// The operating system of the host.
    pub os: String,
    /// The version, `v4.N.N` with a suffix.
    pub version: String,
    /// The name of the endpoint.
    pub id: String,
    /// The address of the first network card that is up.
    pub local_id: String,
    /// The name of the high-availability set; as `id` when there is none.
    pub ha_id: String,
    /// The port of the API.
    pub api_port: u16,
    /// The port of the file server; 0 when it is off.
    pub file_port: u16,
    /// The port of the file server over TLS; 0 when it is off.
    pub secure_file_port: u16,
    /// The port of the DHCP server.
    pub dhcp_port: u16,
    /// The port of the boot server.
    pub binl_port: u16,
    /// The port of the TFTP server.
    pub tftp_port: u16,
    /// True when TFTP is served.
    pub tftp_enabled: bool,
    /// True when DHCP is served.
    pub dhcp_enabled: bool,
    /// True when the boot server is on.
    pub binl_enabled: bool,
    /// True when files are served by HTTP.
    pub prov_enabled: bool,
    /// True when files are served by HTTPS.
    pub secure_prov_enabled: bool,
    /// The local address that the request came in on, or the configured one.
    pub address: String,
    /// The configured host name.
    pub server_hostname: String,
    /// True when the endpoint manages others.
    pub manager: bool,
    /// Numbers of objects.
    pub stats: Vec<Stat>,
    /// Words for what the endpoint can do.
    pub features: Vec<String>,
    /// Actions by scope; the values are empty objects.
    pub scopes: BTreeMap<String, BTreeMap<String, Map<String, Value>>>,
    /// Licences; there are none to have.
    #[serde(rename = "License")]
    pub license: LicenseBundle,
    /// What is wrong with the endpoint.
    pub errors: Vec<String>,
    /// True in a high-availability set.
    pub ha_enabled: bool,
    /// The address of the set.
    pub ha_virtual_address: String,
    /// True on the active host; true stand-alone.
    pub ha_is_active: bool,
    /// `Up` on the active host.
    pub ha_status: String,
    /// The active host.
    pub ha_active_id: String,
    /// The passive hosts.
    pub ha_passive_state: Vec<Value>,
    /// The set as a whole.
    #[serde(rename = "ClusterState")]
    pub cluster_state: ClusterState,
    /// True when DNS is served.
    pub dns_enabled: bool,
    /// The port of the DNS server.
    pub dns_port: u16,
    /// The name of the host in the set.
    pub ha_consensus_id: String,
    /// A UUID of the endpoint.
    pub uuid: String,
}

/// A number with a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Stat {
    /// What is counted, as `machines.count`.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// The state of a high-availability set; empty stand-alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct ClusterState {
    /// The hosts.
    pub nodes: Vec<Value>,
    /// The certificates that they trust.
    pub roots: Vec<Value>,
    /// The name of the set.
    #[serde(rename = "HaID")]
    pub ha_id: String,
    /// True in a set.
    pub enabled: bool,
    /// True when the hosts elect the active one.
    pub consensus_enabled: bool,
    /// The URL of the active host.
    pub consensus_join: String,
    /// True behind a load balancer.
    pub load_balanced: bool,
    /// The address of the set.
    pub virt_addr: String,
    /// The host name of the set.
    pub server_hostname: String,
    /// The URL of the active host.
    pub active_uri: String,
    /// The token of the set.
    pub token: String,
    /// True when the state is in order.
    pub valid: bool,
}

/// Licences, as older servers had them. Ours is always empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct LicenseBundle {
    /// Whom to ask.
    pub contact: String,
    /// Their address.
    pub contact_email: String,
    /// Their number.
    pub contact_id: String,
    /// Endpoints that are covered.
    pub endpoints: Vec<String>,
    /// The version that made it.
    pub generation_version: String,
    /// Who granted it.
    pub grantor: String,
    /// Their address.
    pub grantor_email: String,
    /// The licences.
    pub licenses: Vec<Value>,
    /// The newest version that is covered.
    pub max_drp_version: String,
    /// Who owns it.
    pub owner: String,
    /// Their address.
    pub owner_email: String,
    /// Their number.
    pub owner_id: String,
    /// The version.
    pub version: String,
}
