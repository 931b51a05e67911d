//! Plugins: configured instances of plugin providers (drp-api.md 7.19).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Header, Kind, NameGrammar, Params, Reference, name_problem, object::object, reference::Needs};

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
    pub params: Params,
    /// What is not in order while it runs: a try that failed, events in the dead-letter list, events that are lost.
    pub plugin_errors: Vec<String>,
    /// True when an answer left members out.
    pub partial: bool,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    read_only: &["PluginErrors"],
    opaque: &["Params"],
    columns: &["Name", "Provider", "Available", "PluginErrors", "Description"],
    has_partial: true,
    ..Kind::of::<Plugin>("plugins", "Name", "plugin")
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
    Needs::soft(&plugin.name).usable("plugin_providers", "Plugin Provider", &plugin.provider).done()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Object as _;
    use crate::object::round_trip;

    #[test]
    fn plugin_without_a_provider_is_no_plugin() {
        let plugin = Plugin { name: "hooks".into(), ..Plugin::default() };
        assert_eq!(plugin.problems(), ["hooks: Invalid Provider ``"]);
    }

    #[test]
    fn plugin_keeps_all_members() {
        let members = json!({
            "Name": "ipmi", "Description": "power", "Documentation": "By wire.", "Provider": "ipmi-tool",
            "Params": {"ipmi/user": "ann"}, "PluginErrors": ["no wire"], "Partial": false,
        });
        let needed = round_trip("plugins", members).references();
        assert_eq!(needed[0].message, "ipmi: Plugin Provider ipmi-tool does not exist");
    }
}
