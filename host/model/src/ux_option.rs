//! UX options: what user interfaces can be set to (drp-api.md 7A.13).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Header, Kind, NameGrammar, Params, name_problem, object::object};

/// Something of user interfaces that can be set, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct UxOption {
    /// The key.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// What its values are.
    pub kind: String,
    /// The value when none is set.
    pub default: String,
    /// True when it can be set for everybody.
    pub global: bool,
    /// True when it can be set for a role.
    pub role: bool,
    /// True when it can be set for a user.
    pub user: bool,
    /// True when it is not offered.
    pub hidden: bool,
    /// Parameters by name.
    pub params: Params,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Params"],
    columns: &["Id", "Kind", "Default", "Description", "Bundle"],
    ..Kind::of::<UxOption>("ux_options", "Id", "UX option")
};

object!(UxOption, KIND, key = |option| option.id.clone(), params = params, problems = problems);

fn problems(option: &UxOption) -> Vec<String> {
    name_problem(NameGrammar::Id, &option.id, &option.id).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn ux_option_keeps_all_members_and_has_an_id() {
        let members = json!({
            "Id": "ux.theme", "Description": "colours", "Documentation": "Bright.", "Kind": "string",
            "Default": "dark", "Global": true, "Role": true, "User": true, "Hidden": true, "Params": {"a": 1},
        });
        round_trip("ux_options", members);
        assert_eq!(problems(&UxOption::default()), [": Invalid Name ``"]);
    }
}
