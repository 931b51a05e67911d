//! Preferences: some hold secrets of the endpoint, which no event tells (drp-api.md 2.2, 12.4).

use formwork_model::{Object, Preference};
use serde_json::Value;

use super::Behaviour;

/// The preferences that all tokens hang on.
const SECRET: [&str; 2] = ["baseTokenSecret", "systemGrantorSecret"];

/// How preferences behave.
pub(super) struct Preferences;

impl Behaviour for Preferences {
    fn shown(&self, object: &dyn Object) -> Value {
        let is_secret = object
            .as_any()
            .downcast_ref::<Preference>()
            .is_some_and(|preference| SECRET.contains(&preference.name.as_str()));
        let mut shown = object.to_json();
        if let Some(value) = shown.get_mut("Val").filter(|_| is_secret) {
            *value = Value::String(String::new());
        }
        shown
    }
}
