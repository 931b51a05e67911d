//! UX settings: what user interfaces are set to (drp-api.md 7A.14).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Header, Kind, NameGrammar, Params, name_problem, object::object};

/// The value of a UX option for somebody.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct UxSetting {
    /// The key.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// The id of the UX option.
    pub option: String,
    /// For whom: `user++NAME`, `role++NAME` or `global`; empty for nobody yet.
    pub target: String,
    /// The value.
    pub value: String,
    /// Parameters by name.
    pub params: Params,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Params"],
    columns: &["Id", "Option", "Target", "Value", "Description"],
    ..Kind::of::<UxSetting>("ux_settings", "Id", "UX setting")
};

object!(UxSetting, KIND, key = |setting| setting.id.clone(), params = params, problems = problems);

fn problems(setting: &UxSetting) -> Vec<String> {
    let key = setting.id.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Id, key, key).into_iter().collect();
    let known = match setting.target.split_once("++") {
        Some(("user" | "role", name)) => !name.is_empty(),
        _ => matches!(setting.target.as_str(), "" | "global"),
    };
    if !known {
        found.push(format!("{key}: Invalid Target `{}`", setting.target));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn ux_setting_keeps_all_members() {
        let members = json!({
            "Id": "user++ann++ux.theme", "Description": "hers", "Documentation": "Since May.", "Option": "ux.theme",
            "Target": "user++ann", "Value": "light", "Params": {"a": 1},
        });
        round_trip("ux_settings", members);
    }

    #[test]
    fn ux_setting_is_for_a_user_a_role_or_everybody() {
        let setting =
            |target: &str| UxSetting { id: "s".into(), target: target.into(), ..UxSetting::default() };
        assert!(["", "global", "role++ops"].iter().all(|target| problems(&setting(target)).is_empty()));
        assert_eq!(problems(&setting("user++")), ["s: Invalid Target `user++`"]);
        assert_eq!(problems(&setting("cat++tom")), ["s: Invalid Target `cat++tom`"]);
    }
}
