//! Why a parameter has the value that it has: every level with its value, the one that wins, and what composing gives.

use formwork_model::{Object, Objects, ObjectsExt, Param};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Found, levels, merged};

/// What is known of one parameter of an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Explained {
    /// The parameter.
    pub name: String,
    /// True when its values are sealed.
    pub secure: bool,
    /// Every object that is looked at, the most specific first.
    pub levels: Vec<ExplainedLevel>,
    /// The value that wins; null for none.
    pub value: Value,
    /// All values merged: maps key by key, lists one after the other; null for none.
    pub composed: Value,
    /// The default of the schema; null for none.
    pub default: Value,
}

/// An object whose parameters apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExplainedLevel {
    /// The type of the object.
    pub prefix: String,
    /// Its key.
    pub key: String,
    /// The value that it has; null for none.
    pub value: Value,
    /// True for the level whose value wins.
    pub wins: bool,
}

/// Explains a parameter of an object. `open` turns a value that was found into the one that is shown.
#[must_use]
pub fn explain(
    objects: &(impl Objects + ?Sized),
    object: &dyn Object,
    name: &str,
    open: impl Fn(Found) -> Value,
) -> Explained {
    let param = objects.get::<Param>(name);
    let default = param.as_ref().and_then(|param| param.default_value().cloned());
    let mut explained = Explained {
        name: name.to_owned(),
        secure: param.is_some_and(|param| param.secure),
        default: default.clone().unwrap_or_default(),
        ..Explained::default()
    };
    let mut values = Vec::new();
    for level in levels(objects, object) {
        let value = Found::at(&level, name).map(&open);
        explained.levels.push(ExplainedLevel {
            prefix: level.object().kind().prefix.to_owned(),
            key: level.object().key(),
            value: value.clone().unwrap_or_default(),
            wins: value.is_some() && values.is_empty(),
        });
        values.extend(value);
    }
    explained.value = values.first().cloned().or_else(|| default.clone()).unwrap_or_default();
    explained.composed = merged(values.into_iter().chain(default)).unwrap_or_default();
    explained
}

#[cfg(test)]
mod tests {
    use formwork_model::{Machine, Profile};
    use serde_json::json;

    use super::*;
    use crate::machine::tests::Shelf;

    #[test]
    fn explain_shows_every_level_winner_composed_and_default() {
        let with = |name: &str, value: Value| Profile {
            name: name.into(),
            params: [(String::from("net/map"), value)].into(),
            ..Profile::default()
        };
        let param = Param {
            name: "net/map".into(),
            schema: json!({"type": "object", "default": {"z": 0}}),
            ..Param::default()
        };
        let plain = Profile { name: "plain".into(), ..Profile::default() };
        let shelf =
            Shelf::default().with(with("p1", json!({"a": 1}))).with(with("global", json!({"a": 2, "b": 2})));
        let shelf = shelf.with(param).with(plain);
        let machine =
            Machine { uuid: "u-1".into(), profiles: vec!["plain".into(), "p1".into()], ..Machine::default() };
        let told = explain(&shelf, &machine, "net/map", |found| found.value);
        let levels: Vec<(&str, bool)> =
            told.levels.iter().map(|level| (level.key.as_str(), level.wins)).collect();
        assert_eq!(levels, [("u-1", false), ("plain", false), ("p1", true), ("global", false)]);
        assert_eq!((told.value, told.default), (json!({"a": 1}), json!({"z": 0})));
        assert_eq!(told.composed, json!({"a": 1, "b": 2, "z": 0}));
        let none = explain(&shelf, &machine, "not/there", |found| found.value);
        assert_eq!((none.value, none.levels.len()), (Value::Null, 4));
    }
}
