//! Preferences: some hold secrets of the endpoint, which no event tells (drp-api.md 2.2, 12.4).

use formwork_model::{Object, Preference};
use serde_json::Value;

use super::Behaviour;

/// The preferences that all tokens hang on.
const SECRET: [&str; 2] = ["baseTokenSecret", "systemGrantorSecret"];

/// How preferences behave.
pub(super) struct Preferences;

impl Behaviour for Preferences {
    fn shown(&self, object: &dyn Object) -> Option<Value> {
        let preference = object.as_any().downcast_ref::<Preference>()?;
        if !SECRET.contains(&preference.name.as_str()) {
            return None;
        }
        let mut shown = object.to_json();
        if let Some(value) = shown.get_mut("Val") {
            *value = Value::String(String::new());
        }
        Some(shown)
    }
}
