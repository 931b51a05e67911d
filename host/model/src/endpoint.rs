//! Endpoints that a manager looks after (drp-api.md 7.22).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Element, Header, Kind, NameGrammar, Params, Plugin, Reference, Values, name_problem, object::object,
    reference::Needs, version_set::element_problems,
};

/// Another endpoint: how it is reached, what it has and what it is to have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Endpoint {
    /// The key.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// Its id among the nodes of a cluster.
    pub ha_id: String,
    /// Its architecture.
    pub arch: String,
    /// Its operating system.
    pub os: String,
    /// How the connection to it is.
    pub connection_status: String,
    /// True when the manager may change it.
    pub apply: bool,
    /// The one version set of old clients; empty for none.
    pub version_set: String,
    /// Its version sets; those that come first win.
    pub version_sets: Vec<String>,
    /// The version of its server.
    #[serde(rename = "DRPVersion")]
    pub drp_version: String,
    /// The version of its user interface.
    #[serde(rename = "DRPUXVersion")]
    pub drpux_version: String,
    /// What it has installed.
    pub components: Vec<Element>,
    /// Its plugins.
    pub plugins: Vec<Plugin>,
    /// Its preferences.
    pub prefs: BTreeMap<String, String>,
    /// The parameters of its profile `global`.
    pub global: Values,
    /// What would bring it to its version sets.
    pub actions: Vec<ElementAction>,
    /// How it is reached: `manager/url`, `manager/username`, `manager/password` ...
    pub params: Params,
    /// What went wrong when it was last brought to them.
    pub action_errors: Vec<String>,
    /// How often in a row that went wrong.
    pub action_error_count: i64,
    /// True when its objects are not shown on the manager.
    pub single_pane_disabled: bool,
    /// True when its version sets are not looked at.
    pub version_sets_disabled: bool,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

/// One step that brings an endpoint to its version sets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct ElementAction {
    /// What is done: `Set`, `AddOrUpdate` or `Delete`.
    pub action: String,
    /// What is set: a plugin, the value of a preference ...; absent for nothing.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// What it is: one of [`Element::TYPES`].
    pub r#type: String,
    /// The version: `tip`, `stable` or a full one.
    pub version: String,
    /// Its name.
    pub name: String,
    /// The full version, or where a file comes from.
    pub actual_version: String,
    /// True when objects of the same keys that were made by hand give way.
    pub replace_writable: bool,
}

pub(crate) static KIND: Kind = Kind {
    read_only: &["Actions", "ActionErrors", "ActionErrorCount"],
    opaque: &["Params", "Global", "Value"],
    columns: &["Id", "ConnectionStatus", "DRPVersion", "Apply", "VersionSets", "Description"],
    ..Kind::of::<Endpoint>("endpoints", "Id", "endpoint")
};

object!(
    Endpoint,
    KIND,
    key = |endpoint| endpoint.id.clone(),
    params = params,
    problems = problems,
    references = references
);

fn problems(endpoint: &Endpoint) -> Vec<String> {
    let key = endpoint.id.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Endpoint, key, key).into_iter().collect();
    found.extend(element_problems(key, &endpoint.components, &endpoint.plugins));
    found
}

fn references(endpoint: &Endpoint) -> Vec<Reference> {
    Needs::soft(&endpoint.id)
        .one("version_sets", "VersionSet", &endpoint.version_set)
        .list("version_sets", "VersionSet", &endpoint.version_sets)
        .done()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn endpoint_keeps_all_members() {
        let members = json!({
            "Id": "52:54:00:0a:0b:0c", "Description": "site 9", "Documentation": "By the sea.", "HaId": "h9",
            "Arch": "arm64", "Os": "linux", "ConnectionStatus": "up", "Apply": true, "VersionSet": "autumn",
            "VersionSets": ["winter", "autumn"], "DRPVersion": "v4.1.0", "DRPUXVersion": "v2.0.0",
            "Components": [{"Type": "Pref", "Version": "", "Name": "debugDhcp", "ActualVersion": "",
                            "ReplaceWritable": false}],
            "Plugins": [serde_json::to_value(Plugin { name: "ipmi".into(), ..Plugin::default() }).unwrap()],
            "Prefs": {"manager": "false"}, "Global": {"a": null},
            "Actions": [{"Action": "Set", "Value": {"b": null}, "Type": "Pref", "Version": "", "Name": "debugDhcp",
                         "ActualVersion": "", "ReplaceWritable": true}],
            "Params": {"manager/url": "https://site9.example"}, "ActionErrors": ["late"], "ActionErrorCount": 4,
            "SinglePaneDisabled": true, "VersionSetsDisabled": true,
        });
        assert_eq!(round_trip("endpoints", members).references().len(), 3);
    }

    #[test]
    fn endpoint_may_be_called_by_a_hardware_address() {
        let endpoint = Endpoint { id: "_".into(), plugins: vec![Plugin::default()], ..Endpoint::default() };
        assert_eq!(problems(&endpoint), ["_: Invalid Name `_`", "_: Invalid Plugin ``"]);
    }
}
