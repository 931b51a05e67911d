//! Preferences: some hold secrets of the endpoint, which no event tells (drp-api.md 2.2, 12.4).

use formwork_model::{Claim, Object, Objects};
use serde_json::Value;

use super::Behaviour;
use crate::commands::preferences::is_secret;

/// How preferences behave.
pub(super) struct Preferences;

impl Behaviour for Preferences {
    /// Whoever loads a bundle sets what it brings.
    fn given(&self, _objects: &dyn Objects, _old: Option<&dyn Object>, new: &dyn Object) -> Vec<Claim> {
        vec![Claim::new(new.kind().prefix, "post", "*")]
    }

    fn shown(&self, object: &dyn Object) -> Option<Value> {
        if !is_secret(object.kind().prefix, &object.key()) {
            return None;
        }
        let mut shown = object.to_json();
        if let Some(value) = shown.get_mut("Val") {
            *value = Value::String(String::new());
        }
        Some(shown)
    }
}
