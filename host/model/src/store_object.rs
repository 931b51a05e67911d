//! Store objects: types of objects that are declared through the API (drp-api.md 7A.10, 7.26).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Header, Kind, Objects, ObjectsExt, PluginProvider, Values, dynamic::prefix_problem, object::object,
};

/// The declaration of a type of objects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct StoreObject {
    /// The key: the prefix of the new type.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// A JSON Schema for each member of its objects, by member.
    pub properties: Values,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Properties"],
    columns: &["Name", "Description", "Bundle"],
    ..Kind::of::<StoreObject>("store_objects", "Name", "store object")
};

object!(StoreObject, KIND, key = |object| object.name.clone(), problems = problems, conflicts = conflicts);

impl StoreObject {
    /// Returns the JSON Schema of the objects of the type.
    #[must_use]
    pub fn schema(&self) -> Value {
        json!({ "type": "object", "properties": self.properties })
    }
}

/// The name is a part of URLs and claims, so it holds less than other names, and none that has a meaning already.
fn problems(object: &StoreObject) -> Vec<String> {
    let key = object.name.as_str();
    let mut found: Vec<String> =
        prefix_problem(key).map(|problem| format!("{key}: {problem}")).into_iter().collect();
    let schemas = object.properties.iter().filter(|(_, schema)| !schema.is_object() && !schema.is_boolean());
    found.extend(schemas.map(|(name, _)| format!("{key}: Property `{name}` is no JSON schema")));
    found
}

/// A type is declared once.
fn conflicts(object: &StoreObject, others: &dyn Objects) -> Vec<String> {
    let key = object.name.as_str();
    let provider = others.find_by::<PluginProvider>(|provider| provider.store_objects.contains_key(key));
    let words = |provider: &PluginProvider| {
        format!("{key}: plugin provider {} declares {key} already", provider.name)
    };
    provider.map(|provider| words(&provider)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::round_trip;

    #[test]
    fn store_object_keeps_all_members() {
        let members = json!({
            "Name": "lamps", "Description": "in the hall", "Documentation": "All of them.",
            "Properties": {"Watts": {"type": "integer", "default": null}},
        });
        round_trip("store_objects", members);
    }

    #[test]
    fn store_object_declares_a_new_word_that_can_stand_in_a_url() {
        let object = |name: &str| StoreObject {
            name: name.into(),
            properties: [(String::from("Watts"), json!(3))].into(),
            ..StoreObject::default()
        };
        let wanted = ["a b: Invalid Name `a b`", "a b: Property `Watts` is no JSON schema"];
        assert_eq!(problems(&object("a b")), wanted);
        for taken in ["machines", "isos", "pools-active", "system"] {
            assert_eq!(problems(&object(taken))[0], format!("{taken}: {taken} is a part of the API already"));
        }
    }
}
