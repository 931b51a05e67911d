//! Activities: how much the endpoint is used (drp-api.md 7A.1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Layers, NameGrammar, name_problem,
    names::word_problem,
    object::{object, tell},
};

/// What was counted of one thing in one window of time. Written by the server as a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
#[schemars(transform = tell::<Activity>)]
pub struct Activity {
    /// The key.
    pub id: String,
    /// The prefix of the type: always `activities`.
    pub r#type: String,
    /// The prefix of what is counted.
    pub object_type: String,
    /// The UUID or key of what is counted.
    pub identity: String,
    /// Its architecture.
    pub arch: String,
    /// Its operating system.
    #[serde(rename = "OS")]
    pub os: String,
    /// The cloud that it is in; empty for none.
    pub cloud: String,
    /// Its context.
    pub context: String,
    /// What it is: one of [`Activity::PLATFORMS`], or empty.
    pub platform: String,
    /// The label of the window of time.
    pub span: String,
    /// How often it was seen; not negative.
    pub count: i64,
    /// True when it is gone.
    pub deleted: bool,
    /// By what it is known again.
    pub fingerprint: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Activity {
    /// What a thing can be.
    pub const PLATFORMS: &'static [&'static str] = &["meta", "physical", "virtual", "container"];
}

pub(crate) static KIND: Kind = Kind {
    indexed: &["ObjectType", "Identity", "Span"],
    absent: &["Meta"],
    columns: &["Id", "ObjectType", "Identity", "Span", "Count"],
    layers: Layers::None,
    ..Kind::of::<Activity>("activities", "Id", "activity")
};

object!(
    Activity,
    KIND,
    key = |activity| activity.id.clone(),
    normalise = |activity| activity.r#type = KIND.prefix.to_owned(),
    problems = problems
);

fn problems(activity: &Activity) -> Vec<String> {
    let key = activity.id.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Id, key, key).into_iter().collect();
    if !activity.platform.is_empty() {
        found.extend(word_problem(key, "Platform", &activity.platform, Activity::PLATFORMS));
    }
    if activity.count < 0 {
        found.push(format!("{key}: Count {} is negative", activity.count));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn activity_keeps_all_members_has_no_meta_and_always_the_type_of_activities() {
        let members = json!({
            "Id": "a1", "Type": "activities", "ObjectType": "machines", "Identity": "m-5", "Arch": "amd64",
            "OS": "sles-15", "Cloud": "nimbus", "Context": "", "Platform": "virtual", "Span": "2031-07", "Count": 4,
            "Deleted": true, "Fingerprint": "f0",
        });
        let activity = round_trip("activities", members);
        assert!(activity.to_json().get("Meta").is_none());
        let renamed = (KIND.decode)(json!({"Id": "a1", "Type": "machines"})).unwrap();
        assert_eq!(renamed.to_json()["Type"], "activities");
    }

    #[test]
    fn activity_has_a_known_platform_and_no_negative_count() {
        let activity = Activity { platform: "steam".into(), count: -1, ..Activity::default() };
        assert_eq!(
            problems(&activity),
            [": Invalid Name ``", ": Invalid Platform `steam`", ": Count -1 is negative"]
        );
    }
}
