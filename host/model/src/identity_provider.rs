//! Identity providers: where users sign on elsewhere (drp-api.md 7A.8).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Reference, name_problem,
    names::{list_problems, other_problem},
    object::object,
    reference::Needs,
};

/// A source of users by SAML. It holds no secret: what it says of itself is public.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct IdentityProvider {
    /// The key.
    pub name: String,
    /// What people call it.
    pub display_name: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// The path of its picture.
    pub logo_path: String,
    /// Where it tells of itself; either this or the next is set.
    pub meta_data_url: String,
    /// What it tells of itself, as XML.
    pub meta_data_blob: String,
    /// The attribute of an assertion that has the name of the user.
    pub user_attribute: String,
    /// The attribute of an assertion that has the groups of the user.
    pub group_attribute: String,
    /// The roles that the members of a group have, by group.
    pub group_to_roles: BTreeMap<String, Vec<String>>,
    /// The role of users without any other; empty for none.
    pub default_role: String,
    /// True when users without a known group are refused.
    pub deny_if_no_groups: bool,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    columns: &["Name", "DisplayName", "MetaDataUrl", "DefaultRole", "Description"],
    ..Kind::of::<IdentityProvider>("identity_providers", "Name", "identity provider")
};

object!(
    IdentityProvider,
    KIND,
    key = |provider| provider.name.clone(),
    problems = problems,
    references = references
);

fn problems(provider: &IdentityProvider) -> Vec<String> {
    let key = provider.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    let url = provider.meta_data_url.as_str();
    if url.is_empty() == provider.meta_data_blob.is_empty() {
        found.push(format!("{key}: either MetaDataUrl or MetaDataBlob must be set"));
    }
    if !url.is_empty() && !["https://", "http://"].iter().any(|scheme| url.starts_with(scheme)) {
        found.push(format!("{key}: Invalid MetaDataUrl `{url}`"));
    }
    found.extend(provider.group_to_roles.values().flat_map(|roles| list_problems(key, "Role", roles)));
    found.extend(other_problem(key, "DefaultRole", &provider.default_role));
    found
}

fn references(provider: &IdentityProvider) -> Vec<Reference> {
    let needs = Needs::soft(&provider.name).one("roles", "Role", &provider.default_role);
    let roles = provider.group_to_roles.values().flatten();
    roles.fold(needs, |needs, role| needs.one("roles", "Role", role)).done()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn identity_provider_keeps_all_members() {
        let members = json!({
            "Name": "keys", "DisplayName": "Key House", "Description": "staff", "Documentation": "Ask Ann.",
            "LogoPath": "files/keys.svg", "MetaDataUrl": "https://keys.example/meta", "MetaDataBlob": "",
            "UserAttribute": "mail", "GroupAttribute": "team", "GroupToRoles": {"ops": ["operator", "reader"]},
            "DefaultRole": "reader", "DenyIfNoGroups": true,
        });
        assert_eq!(round_trip("identity_providers", members).references().len(), 3);
    }

    #[test]
    fn identity_provider_tells_of_itself_by_url_or_by_text() {
        let mut provider = IdentityProvider { name: "keys".into(), ..IdentityProvider::default() };
        assert_eq!(problems(&provider), ["keys: either MetaDataUrl or MetaDataBlob must be set"]);
        provider.meta_data_url = String::from("file:///etc/passwd");
        provider.default_role = String::from("/");
        let wanted = ["keys: Invalid MetaDataUrl `file:///etc/passwd`", "keys: Invalid DefaultRole `/`"];
        assert_eq!(problems(&provider), wanted);
        provider.meta_data_blob = String::from("<x/>");
        assert_eq!(problems(&provider).len(), 3);
    }
}
