//! Plugins: what goes into a call and what comes out, the same for all tracks.

use serde::{Deserialize, Serialize};

/// What a plugin is, in its own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct PluginDescription {
    /// Name of the provider.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Shown in place of the name.
    pub display_name: String,
    /// Markdown for the operator.
    pub documentation: String,
    /// What it can do.
    pub actions: Vec<PluginAction>,
    /// The events that it wants, each as `TYPE.ACTION.KEY`; `*` matches anything.
    pub events: Vec<String>,
    /// Parameters that a plugin object must have.
    pub required_params: Vec<String>,
    /// Parameters that it may have.
    pub optional_params: Vec<String>,
    /// Whether the endpoint makes one plugin object by itself.
    pub auto_start: bool,
}

/// An action of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct PluginAction {
    /// Its name.
    pub name: String,
    /// Prefix of the objects that it is for; `system`, or empty for the plugin object itself.
    pub model: String,
    /// Parameters without which it is not offered.
    pub required_params: Vec<String>,
    /// Parameters that it gets as well.
    pub optional_params: Vec<String>,
}

/// An action that somebody asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct ActionCall {
    /// The plugin object that it goes to.
    pub plugin: String,
    /// The action.
    pub action: String,
    /// Prefix of the object; empty for the plugin object itself.
    pub model: String,
    /// Key of the object; empty for the plugin object itself.
    pub key: String,
    /// The object as JSON text.
    pub object: String,
    /// The parameters that the action named, as a JSON object.
    pub params: String,
    /// The plugin object's own parameters, as a JSON object.
    pub config: String,
}

/// Something that happened, for a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct PluginEvent {
    /// Its type, mostly the prefix of an object.
    pub kind: String,
    /// What happened to it.
    pub action: String,
    /// The object's key.
    pub key: String,
    /// The object as JSON text.
    pub object: String,
    /// When, in milliseconds since 1970-01-01 00:00 UTC.
    pub time_ms: u64,
    /// Number of the change.
    pub revision: u64,
}

/// An event and the parameters of the plugin object that it is delivered to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct EventCall {
    /// The event.
    pub event: PluginEvent,
    /// The plugin object's own parameters, as a JSON object.
    pub config: String,
}
