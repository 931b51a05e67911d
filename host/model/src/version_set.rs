//! Version sets: what is to be installed on endpoints (drp-api.md 7.23).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Header, Kind, NameGrammar, Plugin, Values, name_problem, names::word_problem, object::object};

/// What an endpoint is to have installed and how it is to be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct VersionSet {
    /// The key.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// True when endpoints are brought to it.
    pub apply: bool,
    /// The version of the server; empty for any.
    #[serde(rename = "DRPVersion")]
    pub drp_version: String,
    /// The version of the user interface; empty for any.
    #[serde(rename = "DRPUXVersion")]
    pub drpux_version: String,
    /// What is to be installed.
    pub components: Vec<Element>,
    /// The plugins that are to be there.
    pub plugins: Vec<Plugin>,
    /// Preferences that are to be set.
    pub prefs: BTreeMap<String, String>,
    /// Files that are to be there.
    pub files: Vec<FileData>,
    /// Parameters that the profile `global` is to have.
    pub global: Values,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

/// One thing that is, or is to be, installed on an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Element {
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

impl Element {
    /// What an element can be.
    pub const TYPES: &'static [&'static str] = &[
        "DRP",
        "DRPUX",
        "File",
        "Global",
        "Plugin",
        "Pref",
        "PluginProvider",
        "ContentPackage",
        "ContentArchive",
    ];
}

/// A file that is to be on an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct FileData {
    /// Where it goes, such as `files/folder/name`.
    pub path: String,
    /// Where it comes from: a URL, or a path on the manager.
    pub source: String,
    /// Its SHA-256, hexadecimal; empty for any.
    pub sha256_sum: String,
    /// True when it is an archive that is unpacked there.
    pub explode: bool,
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Global", "Params"],
    columns: &["Id", "Apply", "DRPVersion", "Description", "Bundle"],
    ..Kind::of::<VersionSet>("version_sets", "Id", "version set")
};

object!(VersionSet, KIND, key = |set| set.id.clone(), problems = problems);

fn problems(set: &VersionSet) -> Vec<String> {
    let key = set.id.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Id, key, key).into_iter().collect();
    found.extend(element_problems(key, &set.components, &set.plugins));
    let pathless = set.files.iter().enumerate().filter(|(_, file)| file.path.is_empty());
    found.extend(pathless.map(|(index, _)| format!("{key}: File[{index}] is missing a Path")));
    found
}

/// Returns what is wrong with what an endpoint has or is to have.
pub(crate) fn element_problems(key: &str, components: &[Element], plugins: &[Plugin]) -> Vec<String> {
    let types = components.iter();
    let mut found: Vec<String> = types
        .filter_map(|element| word_problem(key, "Component type", &element.r#type, Element::TYPES))
        .collect();
    let named = plugins.iter().map(|plugin| &plugin.name);
    found.extend(
        named
            .filter(|name| !NameGrammar::Name.accepts(name))
            .map(|name| format!("{key}: Invalid Plugin `{name}`")),
    );
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn version_set_keeps_all_members() {
        let members = json!({
            "Id": "autumn", "Description": "all sites", "Documentation": "Slowly.", "Apply": true,
            "DRPVersion": "stable", "DRPUXVersion": "tip",
            "Components": [{"Type": "ContentPackage", "Version": "v3.1.0", "Name": "lamps", "ActualVersion": "v3.1.0",
                            "ReplaceWritable": true}],
            "Plugins": [serde_json::to_value(Plugin { name: "ipmi".into(), ..Plugin::default() }).unwrap()],
            "Prefs": {"defaultStage": "none"},
            "Files": [{"Path": "files/a", "Source": "https://a.example", "Sha256Sum": "00", "Explode": true}],
            "Global": {"a": {"b": null}},
        });
        round_trip("version_sets", members);
    }

    #[test]
    fn elements_are_of_known_types_and_files_have_paths() {
        let set = VersionSet {
            id: "a".into(),
            components: vec![Element { r#type: "Cake".into(), ..Element::default() }],
            plugins: vec![Plugin::default()],
            files: vec![FileData::default()],
            ..VersionSet::default()
        };
        let wanted =
            ["a: Invalid Component type `Cake`", "a: Invalid Plugin ``", "a: File[0] is missing a Path"];
        assert_eq!(problems(&set), wanted);
    }
}
