//! Plugins: configured instances of plugin providers (drp-api.md 7.19).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Missing, NameGrammar, Reference, Values, name_problem,
    object::{decode, object},
};

/// One configuration of a plugin provider. Its actions are offered and its events delivered while it is available.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Plugin {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people.
    pub documentation: String,
    /// The name of the plugin provider.
    pub provider: String,
    /// The configuration.
    pub params: Values,
    /// What is not in order while it runs: a try that failed, events in the dead-letter list, events that are lost.
    pub plugin_errors: Vec<String>,
    /// True when an answer left members out.
    pub partial: bool,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    prefix: "plugins",
    key: "Name",
    noun: "plugin",
    unique: &[],
    hidden: &[],
    read_only: &["PluginErrors"],
    opaque: &["Params"],
    decode: decode::<Plugin>,
    schema: |generator| generator.subschema_for::<Plugin>(),
    columns: &["Name", "Provider", "Available", "PluginErrors", "Description"],
};

object!(
    Plugin,
    KIND,
    key = |plugin| plugin.name.clone(),
    params = params,
    normalise = |plugin: &mut Plugin| plugin.partial = false,
    problems = problems,
    references = references
);

fn problems(plugin: &Plugin) -> Vec<String> {
    let key = plugin.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    if !NameGrammar::Name.accepts(&plugin.provider) {
        found.push(format!("{key}: Invalid Provider `{}`", plugin.provider));
    }
    found
}

fn references(plugin: &Plugin) -> Vec<Reference> {
    vec![Reference {
        prefix: "plugin_providers",
        key: plugin.provider.clone(),
        missing: Missing::Unavailable,
        message: format!("{}: Plugin Provider {} does not exist", plugin.name, plugin.provider),
        unavailable: Some(format!("{}: Plugin Provider {} is not available", plugin.name, plugin.provider)),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Object as _;

    #[test]
    fn plugin_without_a_provider_is_no_plugin() {
        let plugin = Plugin { name: "hooks".into(), ..Plugin::default() };
        assert_eq!(plugin.problems(), ["hooks: Invalid Provider ``"]);
    }
}
