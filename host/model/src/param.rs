//! Params: the definitions of parameters (drp-api.md 7.6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Header, Kind, NameGrammar, name_problem, object::object};

/// The definition of a parameter: what its values look like and what stands for a missing one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Param {
    /// The key; parts are divided by slashes.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people.
    pub documentation: String,
    /// True when values travel and rest encrypted.
    pub secure: bool,
    /// A JSON Schema, kept as written; null accepts anything.
    pub schema: Value,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Param {
    /// Returns the value that stands for a missing one.
    #[must_use]
    pub fn default_value(&self) -> Option<&Value> {
        self.schema.get("default")
    }
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Schema"],
    columns: &["Name", "Description", "Secure", "Bundle"],
    slashed_key: true,
    plugin_actions: None,
    ..Kind::of::<Param>("params", "Name", "param")
};

object!(Param, KIND, key = |param| param.name.clone(), problems = problems);

fn problems(param: &Param) -> Vec<String> {
    name_problem(NameGrammar::Param, &param.name, &param.name).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn param_keeps_all_members_and_the_nulls_of_its_schema() {
        let members = json!({
            "Name": "rack/unit", "Description": "height", "Documentation": "From below.", "Secure": true,
            "Schema": {"type": ["integer", "null"], "default": null},
        });
        round_trip("params", members);
        let param = Param { name: "1".into(), ..Param::default() };
        assert_eq!(problems(&param), ["1: Invalid Name `1`"]);
    }
}
