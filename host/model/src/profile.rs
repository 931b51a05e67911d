//! Profiles: named sets of parameters (drp-api.md 7.7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Objects, Params, Reference, name_problem,
    names::list_problems,
    object::object,
    reference::{Needs, circle_problem},
};

/// Parameters that machines and stages share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Profile {
    /// The key; `global` applies to everything, last.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people.
    pub documentation: String,
    /// Parameters by name.
    pub params: Params,
    /// Nested profiles, of lower precedence than the own parameters.
    pub profiles: Vec<String>,
    /// True when an answer left members out.
    pub partial: bool,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Params"],
    columns: &["Name", "Profiles", "Description", "Bundle"],
    has_partial: true,
    ..Kind::of::<Profile>("profiles", "Name", "profile")
};

object!(
    Profile,
    KIND,
    key = |profile| profile.name.clone(),
    params = params,
    normalise = |profile: &mut Profile| profile.partial = false,
    problems = problems,
    references = references,
    conflicts = conflicts
);

fn problems(profile: &Profile) -> Vec<String> {
    let key = profile.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    found.extend(list_problems(key, "Profile", &profile.profiles));
    found
}

fn references(profile: &Profile) -> Vec<Reference> {
    Needs::soft(&profile.name).list("profiles", "Profile", &profile.profiles).done()
}

/// A profile that comes to itself through nested ones would never be resolved (drp-api.md 7.7).
fn conflicts(profile: &Profile, others: &dyn Objects) -> Vec<String> {
    circle_problem(others, profile, "Profile", |profile| profile.profiles.clone()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::{Few, round_trip};

    #[test]
    fn profile_keeps_all_members() {
        let members = json!({
            "Name": "careful", "Description": "slow", "Documentation": "Twice.", "Params": {"a": {"b": null}},
            "Profiles": ["base"], "Partial": false,
        });
        let needed = round_trip("profiles", members).references();
        assert_eq!(needed[0].message, "careful: Profile base (at 0) does not exist");
    }

    #[test]
    fn profile_does_not_contain_itself() {
        let profile = |name: &str, nested: &str| Profile {
            name: name.into(),
            profiles: vec![nested.to_owned()],
            ..Profile::default()
        };
        let few = Few(vec![
            std::sync::Arc::new(profile("base", "root")),
            std::sync::Arc::new(profile("root", "top")),
        ]);
        assert_eq!(conflicts(&profile("top", "base"), &few), ["top: Profile top contains itself"]);
        assert!(conflicts(&profile("leaf", "base"), &few).is_empty());
        assert_eq!(problems(&profile("p1", "1")), ["p1: Invalid Profile `1`"]);
    }
}
