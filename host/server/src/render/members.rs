//! Objects of which templates see the members by their JSON names, and little else.

use std::sync::Arc;

use formwork_template::{Object, Value};
use serde_json::Value as Json;

/// A record with its members.
pub(super) struct Members {
    name: &'static str,
    json: Arc<Json>,
}

impl Members {
    /// Shows the members of a JSON object under the name of its type.
    pub(super) fn value(name: &'static str, json: Json) -> Value {
        Value::object(Self { name, json: Arc::new(json) })
    }
}

impl Object for Members {
    fn type_name(&self) -> &str {
        self.name
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.json.get(name).map(Value::from)
    }

    fn json(&self) -> Json {
        self.json.as_ref().clone()
    }
}
