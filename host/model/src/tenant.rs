//! Tenants: which users see which objects (drp-api.md 2.5, 7.17).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Header, Kind, NameGrammar, Objects, Reference, name_problem, object::object, reference::Needs,
    scopes::is_type,
};

/// Users who see only some objects of some types. Types that are not named here are not restricted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tenant {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// The keys that its users see, by prefix.
    ///
    /// A list that is null is an empty one, of which they see nothing (drp-api.md 3.1).
    #[serde(deserialize_with = "lists")]
    pub members: BTreeMap<String, Vec<String>>,
    /// Its users; nobody is in two tenants.
    pub users: Vec<String>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    columns: &["Name", "Users", "Description", "Bundle"],
    opaque: &["Members"],
    ..Kind::of::<Tenant>("tenants", "Name", "tenant")
};

/// Reads lists, none of which is lost because it is null: what is not named is not restricted.
fn lists<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let members = Option::<BTreeMap<String, Option<Vec<Option<String>>>>>::deserialize(from)?;
    let keys = |keys: Option<Vec<Option<String>>>| keys.into_iter().flatten().flatten().collect();
    Ok(members.into_iter().flatten().map(|(prefix, listed)| (prefix, keys(listed))).collect())
}

object!(
    Tenant,
    KIND,
    key = |tenant| tenant.name.clone(),
    problems = problems,
    references = references,
    conflicts = conflicts
);

fn problems(tenant: &Tenant) -> Vec<String> {
    let key = tenant.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    let broken = tenant.users.iter().filter(|user| !NameGrammar::User.accepts(user));
    found.extend(broken.map(|user| format!("{key}: Invalid User `{user}`")));
    found
}

fn references(tenant: &Tenant) -> Vec<Reference> {
    Needs::soft(&tenant.name).list("users", "User", &tenant.users).done()
}

fn conflicts(tenant: &Tenant, others: &dyn Objects) -> Vec<String> {
    let key = tenant.name.as_str();
    let unknown = tenant.members.keys().filter(|prefix| !is_type(others, prefix));
    let mut found: Vec<String> =
        unknown.map(|prefix| format!("{key}: Invalid Member type `{prefix}`")).collect();
    others.visit(KIND.prefix, &mut |object| {
        if let Some(other) = object.as_any().downcast_ref::<Tenant>().filter(|other| other.name != key) {
            let shared = tenant.users.iter().filter(|user| other.users.contains(user));
            found
                .extend(shared.map(|user| format!("{key}: User {user} is in tenant {} already", other.name)));
        }
        true
    });
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        StoreObject,
        object::{Few, round_trip},
    };

    #[test]
    fn tenant_keeps_all_members() {
        let members = json!({
            "Name": "north", "Description": "the hall", "Documentation": "Since May.",
            "Members": {"machines": ["m1", "m2"], "profiles": []}, "Users": ["ann", "bob@hall"],
        });
        assert_eq!(round_trip("tenants", members).references().len(), 2);
    }

    #[test]
    fn tenant_restricts_known_types_and_nobody_is_in_two() {
        let tenant = |name: &str, users: &[&str]| Tenant {
            name: name.into(),
            users: users.iter().map(|user| (*user).to_owned()).collect(),
            members: ["machines", "lamps", "cakes"].map(|prefix| (prefix.to_owned(), Vec::new())).into(),
            ..Tenant::default()
        };
        let few = Few(vec![
            std::sync::Arc::new(tenant("north", &["ann"])),
            std::sync::Arc::new(StoreObject { name: "lamps".into(), ..StoreObject::default() }),
        ]);
        let wanted = ["south: Invalid Member type `cakes`", "south: User ann is in tenant north already"];
        assert_eq!(conflicts(&tenant("south", &["bob", "ann"]), &few), wanted);
        assert_eq!(problems(&tenant("south", &["1"])), ["south: Invalid User `1`"]);
    }

    #[test]
    fn list_of_members_that_is_null_is_empty_and_restricts() {
        let json = json!({"Name": "red", "Members": {"machines": null, "profiles": ["p1", null]}});
        let tenant = KIND.read(json).unwrap();
        let tenant = tenant.as_any().downcast_ref::<Tenant>().unwrap();
        assert_eq!(tenant.members["machines"], Vec::<String>::new());
        assert_eq!(tenant.members["profiles"], ["p1"]);
    }
}
