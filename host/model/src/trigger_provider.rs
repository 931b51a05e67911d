//! Trigger providers: kinds of occasions (drp-api.md 7A.11, 14.7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Params, Reference, name_problem,
    names::{list_problems, param_problems, word_problem},
    object::object,
    reference::Needs,
};

/// A kind of occasion on which triggers fire.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct TriggerProvider {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// The HTTP method that its hooks are called with: one of [`TriggerProvider::METHODS`], or empty.
    pub method: String,
    /// True when it has no hooks: time and events.
    #[serde(rename = "NoURL")]
    pub no_url: bool,
    /// Params that a trigger must set.
    pub required_parameters: Vec<String>,
    /// Params that a trigger may set.
    pub optional_parameters: Vec<String>,
    /// Parameters by name.
    pub params: Params,
    /// Profiles in order of precedence.
    pub profiles: Vec<String>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl TriggerProvider {
    /// The methods that hooks can be called with.
    pub const METHODS: &'static [&'static str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Params"],
    columns: &["Name", "Method", "NoURL", "RequiredParameters", "Description"],
    ..Kind::of::<TriggerProvider>("trigger_providers", "Name", "trigger provider")
};

object!(
    TriggerProvider,
    KIND,
    key = |provider| provider.name.clone(),
    params = params,
    normalise = |provider| provider.method.make_ascii_uppercase(),
    problems = problems,
    references = references
);

fn problems(provider: &TriggerProvider) -> Vec<String> {
    let key = provider.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    if !provider.method.is_empty() {
        found.extend(word_problem(key, "Method", &provider.method, TriggerProvider::METHODS));
    }
    found.extend(param_problems(key, &provider.required_parameters, &provider.optional_parameters));
    found.extend(list_problems(key, "Profile", &provider.profiles));
    found
}

fn references(provider: &TriggerProvider) -> Vec<Reference> {
    Needs::soft(&provider.name).list("profiles", "Profile", &provider.profiles).done()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn trigger_provider_keeps_all_members() {
        let members = json!({
            "Name": "doorbell", "Description": "rings", "Documentation": "Twice.", "Method": "POST", "NoURL": true,
            "RequiredParameters": ["door/number"], "OptionalParameters": ["door/tone"], "Params": {"a": 1},
            "Profiles": ["lab-net"],
        });
        assert_eq!(round_trip("trigger_providers", members).references().len(), 1);
    }

    #[test]
    fn hook_is_called_with_a_known_method_in_upper_case() {
        let provider =
            (KIND.decode)(json!({"Name": "t1", "Method": "post", "RequiredParameters": ["1"]})).unwrap();
        assert_eq!(provider.problems(), ["t1: Invalid Required Param `1`"]);
        let brew = TriggerProvider { name: "t1".into(), method: "BREW".into(), ..TriggerProvider::default() };
        assert_eq!(problems(&brew), ["t1: Invalid Method `BREW`"]);
    }
}
