//! Alerts: what somebody should look at (drp-api.md 7A.2, 14.1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Layers, NameGrammar, Params, Timestamp, name_problem,
    names::{uuid_problem, word_problem},
    object::{object, tell},
};

/// Something that happened and waits for somebody to acknowledge it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
#[schemars(transform = tell::<Alert>)]
pub struct Alert {
    /// The key, a UUID.
    pub uuid: String,
    /// What happened, in a word or a few.
    pub name: String,
    /// How grave it is: one of [`Alert::LEVELS`]; `Info` when it is not said.
    pub level: String,
    /// Who raised it.
    pub principal: String,
    /// When it was raised last.
    pub time: Timestamp,
    /// The long text.
    pub contents: String,
    /// Free remarks.
    pub note: String,
    /// How often it was raised; not negative.
    pub count: i64,
    /// Parameters by name.
    pub params: Params,
    /// True once somebody has seen it.
    pub acknowledged: bool,
    /// Who has seen it.
    pub acknowledge_user: String,
    /// When.
    pub acknowledge_time: Timestamp,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Alert {
    /// How grave an alert can be, gravest first.
    pub const LEVELS: &'static [&'static str] = &["Error", "Warn", "Info", "Debug"];
}

pub(crate) static KIND: Kind = Kind {
    indexed: &["Name", "Level", "Principal", "Acknowledged", "Time"],
    read_only: &["Principal", "AcknowledgeUser", "AcknowledgeTime"],
    opaque: &["Params"],
    absent: &["Meta", "Bundle"],
    columns: &["Time", "Level", "Name", "Count", "Acknowledged", "Uuid"],
    layers: Layers::None,
    ..Kind::of::<Alert>("alerts", "Uuid", "alert")
};

object!(
    Alert,
    KIND,
    key = |alert| alert.uuid.clone(),
    params = params,
    normalise = normalise,
    problems = problems
);

fn normalise(alert: &mut Alert) {
    if alert.level.is_empty() {
        alert.level = String::from("Info");
    }
}

fn problems(alert: &Alert) -> Vec<String> {
    let key = alert.uuid.as_str();
    let mut found: Vec<String> = uuid_problem(key, "Uuid", key).into_iter().collect();
    found.extend(name_problem(NameGrammar::Id, key, &alert.name));
    found.extend(word_problem(key, "Level", &alert.level, Alert::LEVELS));
    if alert.count < 0 {
        found.push(format!("{key}: Count {} is negative", alert.count));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn alert_keeps_all_members_and_has_neither_meta_nor_bundle() {
        let members = json!({
            "Uuid": "1f0c2b3a-4d5e-4f60-8a7b-9c0d1e2f3a4b", "Name": "disk almost full", "Level": "Warn",
            "Principal": "user:ann", "Time": "2031-02-03T04:05:06.7Z", "Contents": "93 of 100", "Note": "later",
            "Count": 2, "Params": {"disk/free": 7}, "Acknowledged": true, "AcknowledgeUser": "bob",
            "AcknowledgeTime": "2031-02-04T00:00:00Z",
        });
        let json = round_trip("alerts", members).to_json();
        assert!(json.get("Meta").is_none() && json.get("Bundle").is_none());
    }

    #[test]
    fn alert_has_a_name_and_a_known_level_which_is_info_unless_said() {
        let alert = Alert { uuid: "x".into(), level: "Loud".into(), count: -2, ..Alert::default() };
        let wanted = [
            "x: Invalid Uuid `x`",
            "x: Invalid Name ``",
            "x: Invalid Level `Loud`",
            "x: Count -2 is negative",
        ];
        assert_eq!(problems(&alert), wanted);
        assert_eq!((KIND.decode)(json!({})).unwrap().to_json()["Level"], "Info");
    }
}
