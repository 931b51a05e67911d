//! What was seen of the boots of machines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A network card that was seen to boot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct BootSeen {
    /// Its hardware address.
    pub mac: String,
    /// All addresses that it was given.
    pub addresses: Vec<String>,
    /// How many programs asked to boot: firmware, loaders, operating systems.
    pub attempts: usize,
    /// In one sentence, how its boot ended.
    pub conclusion: String,
}

/// What became of the boot of a machine, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct BootExplanation {
    /// The hardware address of its network card.
    pub mac: String,
    /// The UUID of the machine; empty for an unknown one.
    pub machine: String,
    /// In one sentence, how its boot ended.
    pub conclusion: String,
    /// The file or script that it is told to boot now; empty when it is told nothing.
    pub boots: String,
    /// The rule that decides that; empty when no program asked to boot.
    pub rule: String,
    /// What the rules before it looked at in vain.
    pub passed_over: Vec<String>,
    /// The smallest change with which it would boot; nothing when it boots or no such change is known.
    pub changes: Vec<String>,
    /// What was seen, as a text for people.
    pub text: String,
    /// What was seen, as data: packets, attempts, findings.
    pub story: Value,
}
