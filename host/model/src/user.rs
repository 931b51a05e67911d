//! Users (drp-api.md 7.15).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Missing, NameGrammar, Reference, name_problem,
    object::{decode, object},
};

/// Somebody who may call the API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct User {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// The hash of the password; it never leaves the server.
    pub password_hash: String,
    /// Changing it to anything revokes all tokens of the user; the server picks the new value.
    pub secret: String,
    /// Roles; none means self-service only.
    pub roles: Vec<String>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    prefix: "users",
    key: "Name",
    noun: "user",
    unique: &[],
    hidden: &["PasswordHash", "Secret"],
    read_only: &[],
    opaque: &[],
    decode: decode::<User>,
    schema: |generator| generator.subschema_for::<User>(),
    columns: &["Name", "Roles", "Description"],
};

object!(User, KIND, key = |user| user.name.clone(), problems = problems, references = references);

fn problems(user: &User) -> Vec<String> {
    name_problem(NameGrammar::User, &user.name, &user.name).into_iter().collect()
}

fn references(user: &User) -> Vec<Reference> {
    user.roles
        .iter()
        .map(|role| Reference {
            prefix: "roles",
            key: role.clone(),
            missing: Missing::Unavailable,
            message: format!("{}: Role {role} does not exist", user.name),
            unavailable: None,
        })
        .collect()
}
