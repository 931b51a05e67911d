//! Params: the definitions of parameters (drp-api.md 7.6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Header, Kind, NameGrammar, name_problem,
    object::{decode, object},
};

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
    prefix: "params",
    key: "Name",
    noun: "param",
    unique: &[],
    hidden: &[],
    read_only: &[],
    opaque: &["Schema"],
    decode: decode::<Param>,
    schema: |generator| generator.subschema_for::<Param>(),
    columns: &["Name", "Description", "Secure", "Bundle"],
};

object!(Param, KIND, key = |param| param.name.clone(), problems = problems);

fn problems(param: &Param) -> Vec<String> {
    name_problem(NameGrammar::Param, &param.name, &param.name).into_iter().collect()
}
