//! Plugin providers: what components of the world `plugin` say of themselves (drp-api.md 7.20).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Layers, NameGrammar, Values, dynamic::prefix_problem, name_problem, object::object,
};

/// The version of the protocol between endpoint and plugin that clients know (drp-api.md 7.20).
pub const PLUGIN_PROTOCOL: i64 = 4;

/// Something that an operator or a task list may ask a plugin to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableAction {
    /// The name of the provider.
    pub provider: String,
    /// The prefix of the objects that it is for; `system` for the endpoint, empty for the plugin object itself.
    pub model: String,
    /// Its name.
    pub command: String,
    /// Params without which it is not offered.
    pub required_params: Vec<String>,
    /// Params that it gets as well when they have a value.
    pub optional_params: Vec<String>,
}

/// What an installed plugin component says of itself. Made and removed by the endpoint together with the pack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct PluginProvider {
    /// The key: the name of the component in its pack.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of the protocol; always [`PLUGIN_PROTOCOL`].
    pub plugin_version: i64,
    /// More for people.
    pub documentation: String,
    /// True when the endpoint makes a plugin of the provider's name by itself.
    pub auto_start: bool,
    /// True when it wants events.
    pub has_publish: bool,
    /// What it can be asked to do.
    pub available_actions: Vec<AvailableAction>,
    /// Params that a plugin must have before it is used.
    pub required_params: Vec<String>,
    /// Params that a plugin may have.
    pub optional_params: Vec<String>,
    /// Types of objects that it declares, each with the JSON Schema of its objects. Components declare none: their packs
    /// bring store objects.
    pub store_objects: Values,
    /// A content bundle as YAML; the content of a component is in its pack instead.
    pub content: String,
    /// True when events are not for it after all.
    pub ignore_events: bool,
    /// The component, as `PACK/COMPONENT`. An extension of ours, as are the two below.
    pub component: String,
    /// The BLAKE3 digest of the component's bytes.
    pub component_digest: String,
    /// Which events it wants, each as `TYPE.ACTION.KEY`.
    pub events: Vec<String>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Default for PluginProvider {
    fn default() -> Self {
        Self {
            name: String::new(),
            version: String::new(),
            plugin_version: PLUGIN_PROTOCOL,
            documentation: String::new(),
            auto_start: false,
            has_publish: false,
            available_actions: Vec::new(),
            required_params: Vec::new(),
            optional_params: Vec::new(),
            store_objects: Values::new(),
            content: String::new(),
            ignore_events: false,
            component: String::new(),
            component_digest: String::new(),
            events: Vec::new(),
            header: Header::default(),
        }
    }
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["StoreObjects"],
    columns: &["Name", "Version", "AutoStart", "Component", "Bundle"],
    layers: Layers::None,
    ..Kind::of::<PluginProvider>("plugin_providers", "Name", "plugin provider")
};

object!(PluginProvider, KIND, key = |provider| provider.name.clone(), problems = problems);

fn problems(provider: &PluginProvider) -> Vec<String> {
    let key = &provider.name;
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    for (prefix, schema) in &provider.store_objects {
        found.extend(prefix_problem(prefix).map(|problem| format!("{key}: {problem}")));
        if !schema.is_object() {
            found.push(format!("{key}: Store object `{prefix}` is no JSON schema"));
        }
    }
    found
}
