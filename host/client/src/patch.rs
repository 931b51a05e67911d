//! JSON patches (RFC 6902) and how they are made.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One operation of a JSON patch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum PatchOp {
    /// Fails the patch unless the value is there.
    Test {
        /// A JSON pointer.
        path: String,
        /// What must be there.
        value: Value,
    },
    /// Adds or replaces a member, or inserts into a list.
    Add {
        /// A JSON pointer.
        path: String,
        /// The new value.
        value: Value,
    },
    /// Replaces what is there.
    Replace {
        /// A JSON pointer.
        path: String,
        /// The new value.
        value: Value,
    },
    /// Removes what is there.
    Remove {
        /// A JSON pointer.
        path: String,
    },
    /// Takes a value away from one place and adds it at another.
    Move {
        /// Where it is, a JSON pointer.
        from: String,
        /// Where it goes, a JSON pointer.
        path: String,
    },
    /// Adds a value of one place at another.
    Copy {
        /// Where it is, a JSON pointer.
        from: String,
        /// Where it goes, a JSON pointer.
        path: String,
    },
}

impl PatchOp {
    /// Tests the value at a pointer.
    pub fn test(path: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::Test { path: path.into(), value: value.into() }
    }

    /// Adds a value at a pointer.
    pub fn add(path: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::Add { path: path.into(), value: value.into() }
    }

    /// Replaces the value at a pointer.
    pub fn replace(path: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::Replace { path: path.into(), value: value.into() }
    }

    /// Removes the value at a pointer.
    pub fn remove(path: impl Into<String>) -> Self {
        Self::Remove { path: path.into() }
    }

    /// Returns what turns one value into another. Each change is preceded by a test of what it replaces, so that it
    /// fails when somebody else was faster (drp-api.md 5.7). Objects are compared member by member, all else whole.
    #[must_use]
    pub fn between(old: &Value, new: &Value) -> Vec<Self> {
        let mut operations = Vec::new();
        differences("", old, new, &mut operations);
        operations
    }
}

/// Returns `target` with a merge document applied (RFC 7396): objects are merged, null removes, all else replaces.
#[must_use]
pub fn merged(target: &Value, merge: &Value) -> Value {
    let Value::Object(changes) = merge else { return merge.clone() };
    let mut members = match target {
        Value::Object(members) => members.clone(),
        _ => Map::new(),
    };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            let value = merged(members.get(name).unwrap_or(&Value::Null), change);
            members.insert(name.clone(), value);
        }
    }
    Value::Object(members)
}

fn differences(path: &str, old: &Value, new: &Value, operations: &mut Vec<PatchOp>) {
    if old == new {
        return;
    }
    let (Value::Object(old_members), Value::Object(new_members)) = (old, new) else {
        operations.push(PatchOp::test(path, old.clone()));
        operations.push(PatchOp::replace(path, new.clone()));
        return;
    };
    for (name, before) in old_members {
        let path = format!("{path}/{}", escaped(name));
        match new_members.get(name) {
            Some(after) => differences(&path, before, after, operations),
            None => {
                operations.push(PatchOp::test(&path, before.clone()));
                operations.push(PatchOp::remove(path));
            }
        }
    }
    for (name, value) in new_members.iter().filter(|(name, _)| !old_members.contains_key(*name)) {
        operations.push(PatchOp::add(format!("{path}/{}", escaped(name)), value.clone()));
    }
}

/// Writes a member's name as a part of a JSON pointer (RFC 6901).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_changed_is_tested_and_replaced() {
        let old = json!({"Name": "a", "Params": {"x/y": 1, "z": 2}, "Tasks": ["t"]});
        let new = json!({"Name": "a", "Params": {"x/y": 3, "n": 4}, "Tasks": ["t", "u"]});
        assert_eq!(
            PatchOp::between(&old, &new),
            [
                PatchOp::test("/Params/x~1y", 1),
                PatchOp::replace("/Params/x~1y", 3),
                PatchOp::test("/Params/z", 2),
                PatchOp::remove("/Params/z"),
                PatchOp::add("/Params/n", 4),
                PatchOp::test("/Tasks", json!(["t"])),
                PatchOp::replace("/Tasks", json!(["t", "u"])),
            ]
        );
        assert!(PatchOp::between(&old, &old).is_empty());
    }

    #[test]
    fn merge_keeps_what_it_does_not_name_and_null_removes() {
        let old = json!({"a": {"b": 1, "c": 2}, "l": [1], "k": 5});
        let new = merged(&old, &json!({"a": {"b": null, "d": 3}, "l": [2]}));
        assert_eq!(new, json!({"a": {"c": 2, "d": 3}, "l": [2], "k": 5}));
    }

    #[test]
    fn operations_look_as_rfc_6902_says() {
        let text = serde_json::to_value([PatchOp::test("/State", "created"), PatchOp::remove("/x")]).unwrap();
        assert_eq!(
            text,
            json!([{"op": "test", "path": "/State", "value": "created"}, {"op": "remove", "path": "/x"}])
        );
    }
}
