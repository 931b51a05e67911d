//! Roles and claims (drp-api.md 2.4, 7.16).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, name_problem,
    object::{decode, object},
};

/// A right: what may be done to which objects of which type. Each member is `*`, a word or a comma list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Claim {
    /// The type of object.
    pub scope: String,
    /// What may be done: `list`, `get`, `create`, `update:/Pointer`, `delete`, `action:name` ...
    pub action: String,
    /// The native keys of the objects.
    pub specific: String,
}

impl Claim {
    /// Makes a claim out of its three parts.
    #[must_use]
    pub fn new(scope: &str, action: &str, specific: &str) -> Self {
        Self { scope: scope.to_owned(), action: action.to_owned(), specific: specific.to_owned() }
    }

    /// Tells whether the claim allows one action on one object. An empty `specific` asks about no object.
    #[must_use]
    pub fn allows(&self, scope: &str, action: &str, specific: &str) -> bool {
        let listed =
            |list: &str, word: &str| list.split(',').map(str::trim).any(|item| item == "*" || item == word);
        let acts = |item: &str| item == "*" || item == action || wider(item, action);
        listed(&self.scope, scope)
            && self.action.split(',').map(str::trim).any(acts)
            && (specific.is_empty() || listed(&self.specific, specific))
    }
}

/// Tells whether an action with a shorter refinement covers a longer one: `update` covers `update:/A`.
fn wider(granted: &str, asked: &str) -> bool {
    let (Some((asked_verb, asked_path)), (verb, path)) =
        (asked.split_once(':'), granted.split_once(':').unwrap_or((granted, "")))
    else {
        return granted.strip_suffix(':') == Some(asked);
    };
    verb == asked_verb
        && (path.is_empty() || asked_path == path || asked_path.starts_with(&format!("{path}/")))
}

/// A named list of claims.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Role {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people.
    pub documentation: String,
    /// What the role allows.
    pub claims: Vec<Claim>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    prefix: "roles",
    key: "Name",
    noun: "role",
    unique: &[],
    hidden: &[],
    read_only: &[],
    opaque: &[],
    decode: decode::<Role>,
    schema: |generator| generator.subschema_for::<Role>(),
    columns: &["Name", "Description", "Bundle"],
};

object!(Role, KIND, key = |role| role.name.clone(), problems = problems);

fn problems(role: &Role) -> Vec<String> {
    name_problem(NameGrammar::Name, &role.name, &role.name).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn update_covers_every_pointer_and_a_pointer_covers_what_is_below() {
        assert!(Claim::new("machines", "update", "*").allows("machines", "update:/Params/x", "u"));
        assert!(Claim::new("machines", "update:/Params", "u").allows("machines", "update:/Params/x", "u"));
        assert!(!Claim::new("machines", "update:/Par", "u").allows("machines", "update:/Params", "u"));
        assert!(!Claim::new("machines", "update:/Params", "v").allows("machines", "update:/Params", "u"));
        assert!(Claim::new("*", "*", "*").allows("jobs", "log", "x"));
        assert!(!Claim::default().allows("jobs", "log", ""));
    }
}
