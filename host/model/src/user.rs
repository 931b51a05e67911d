//! Users (drp-api.md 7.15).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Reference, name_problem, names::list_problems, object::object,
    reference::Needs,
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
    hidden: &["PasswordHash", "Secret"],
    columns: &["Name", "Roles", "Description"],
    private: &["PasswordHash"],
    more_actions: &["token", "password"],
    ..Kind::of::<User>("users", "Name", "user")
};

object!(User, KIND, key = |user| user.name.clone(), problems = problems, references = references);

fn problems(user: &User) -> Vec<String> {
    let key = user.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::User, key, key).into_iter().collect();
    found.extend(list_problems(key, "Role", &user.roles));
    found
}

fn references(user: &User) -> Vec<Reference> {
    let needs = Needs::soft(&user.name);
    user.roles.iter().fold(needs, |needs, role| needs.one("roles", "Role", role)).done()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn user_keeps_all_members_and_needs_no_role_to_be_stored() {
        let members = json!({
            "Name": "ann@hall", "Description": "staff", "PasswordHash": "aGFzaA==", "Secret": "c2VjcmV0",
            "Roles": ["reader"],
        });
        let needed = round_trip("users", members).references();
        assert_eq!(needed[0].message, "ann@hall: Role reader does not exist");
        assert_eq!(needed[0].missing, crate::Missing::Unavailable);
        let user = User { name: "u1".into(), roles: vec!["1".into()], ..User::default() };
        assert_eq!(problems(&user), ["u1: Invalid Role `1`"]);
    }
}
