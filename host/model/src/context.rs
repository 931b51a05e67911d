//! Contexts: where tasks run beside machines (drp-api.md 7.18).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Header, Kind, NameGrammar, name_problem, names::other_problem, object::object};

/// An environment that runs tasks for a machine which has no agent of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Context {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// What is started, such as the name of a container image; may be empty.
    pub image: String,
    /// The plugin that starts it; may be empty.
    pub engine: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    columns: &["Name", "Engine", "Image", "Description", "Bundle"],
    ..Kind::of::<Context>("contexts", "Name", "context")
};

object!(Context, KIND, key = |context| context.name.clone(), problems = problems);

fn problems(context: &Context) -> Vec<String> {
    let key = context.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    found.extend(other_problem(key, "Engine", &context.engine));
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn context_keeps_all_members() {
        let members = json!({
            "Name": "shelf", "Description": "for bare disks", "Documentation": "Small.", "Image": "shelf:v3",
            "Engine": "containers",
        });
        round_trip("contexts", members);
    }

    #[test]
    fn context_needs_neither_image_nor_engine_but_a_name() {
        assert!(problems(&Context { name: "c1".into(), ..Context::default() }).is_empty());
        let context = Context { engine: "/".into(), ..Context::default() };
        assert_eq!(problems(&context), [": Invalid Name ``", ": Invalid Engine `/`"]);
    }
}
