//! Network interfaces of the endpoint's host (drp-api.md 7.14).

use formwork_model::{Meta, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network interface that is up. It is looked up for each request and never stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Interface {
    /// What the system calls it.
    pub name: String,
    /// The system's number of it.
    pub index: u32,
    /// Its addresses with the lengths of their prefixes: `10.0.0.1/24`.
    pub addresses: Vec<String>,
    /// The address that machines would be told, in the same form; empty without any.
    pub active_address: String,
    /// The gateway of a default route through it; empty without one.
    pub gateway: String,
    /// The name servers of the host.
    pub dns_servers: Vec<String>,
    /// The domain of the host.
    pub dns_domain: String,
    /// Always true: nobody can write it.
    pub read_only: bool,
    /// Always empty.
    pub meta: Meta,
    /// Never set.
    pub created_at: Timestamp,
    /// Always empty.
    pub created_by: String,
    /// Never set.
    pub last_modified_at: Timestamp,
    /// Always empty.
    pub last_modified_by: String,
}
