//! Profiles: named sets of parameters (drp-api.md 7.7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Missing, NameGrammar, Reference, Values, name_problem,
    object::{decode, object},
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
    pub params: Values,
    /// Nested profiles, of lower precedence than the own parameters.
    pub profiles: Vec<String>,
    /// True when an answer left members out.
    pub partial: bool,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    prefix: "profiles",
    key: "Name",
    noun: "profile",
    unique: &[],
    hidden: &[],
    read_only: &[],
    opaque: &["Params"],
    decode: decode::<Profile>,
    schema: |generator| generator.subschema_for::<Profile>(),
    columns: &["Name", "Profiles", "Description", "Bundle"],
};

object!(
    Profile,
    KIND,
    key = |profile| profile.name.clone(),
    params = params,
    normalise = |profile: &mut Profile| profile.partial = false,
    problems = problems,
    references = references
);

fn problems(profile: &Profile) -> Vec<String> {
    let key = profile.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    for nested in profile.profiles.iter().filter(|nested| !NameGrammar::Name.accepts(nested)) {
        found.push(format!("{key}: Invalid Profile `{nested}`"));
    }
    found
}

fn references(profile: &Profile) -> Vec<Reference> {
    profile
        .profiles
        .iter()
        .enumerate()
        .map(|(index, nested)| Reference {
            prefix: "profiles",
            key: nested.clone(),
            missing: Missing::Unavailable,
            message: format!("{}: Profile {nested} (at {index}) does not exist", profile.name),
            unavailable: None,
        })
        .collect()
}
