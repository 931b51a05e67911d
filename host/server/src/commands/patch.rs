//! JSON Patch as clients of this API send it (RFC 6902; drp-api.md 1.5, 5.3).

use formwork_api::ApiError;
use formwork_model::{canonical_numbers, kind_of};
use json_patch::{Patch, PatchErrorKind, PatchOperation};
use serde_json::{Value, json};

/// The most operations that one patch may have.
const MAX_OPERATIONS: usize = 10_000;

/// The most values that all `copy` operations of a patch may copy together.
const MAX_COPIED: usize = 100_000;

/// The most levels that a patch may make; the store takes no document that is deeper.
const MAX_DEPTH: usize = 100;

/// Parses a patch; the numbers in it take their canonical form, so that a `test` compares them by value.
pub(crate) fn parse(body: &Value, prefix: &str, key: &str) -> Result<Patch, ApiError> {
    let bad = |message: String| ApiError::new(400, "PATCH", message).about(prefix, key);
    let operations = body.as_array().ok_or_else(|| {
        bad(String::from(
            "a patch is a JSON array of operations (RFC 6902)\nhint: use PUT to replace an object",
        ))
    })?;
    if operations.len() > MAX_OPERATIONS {
        return Err(bad(format!(
            "a patch has at most {MAX_OPERATIONS} operations, not {}",
            operations.len()
        )));
    }
    let mut body = body.clone();
    canonical_numbers(&mut body);
    serde_json::from_value(body).map_err(|error| bad(format!("not a patch: {error}")))
}

/// Applies a patch, all of it or nothing. The numbers of the document take their canonical form.
///
/// What operations copy is counted: a few of them could otherwise make a document of any size out of a small one.
pub(crate) fn apply(document: &mut Value, patch: &Patch, prefix: &str, key: &str) -> Result<(), ApiError> {
    canonical_numbers(document);
    let failed = |operation: usize, reason: String| {
        let mut failed = ApiError::new(409, "PATCH", format!("Patch error at line {operation}: {reason}"));
        failed.messages.push(format!("Patch: {}", shown(patch, prefix)));
        failed.about(prefix, key)
    };
    let before = document.clone();
    let mut room = MAX_COPIED;
    for (index, operation) in patch.iter().enumerate() {
        let applied = bounded(document, operation, &mut room).and_then(|()| {
            json_patch::patch(document, std::slice::from_ref(operation)).map_err(|error| match error.kind {
                PatchErrorKind::TestFailed => String::from("Test op failed."),
                other => format!("{other} at `{}`", error.path),
            })
        });
        if let Err(reason) = applied {
            *document = before;
            return Err(failed(index, reason));
        }
    }
    Ok(())
}

/// Returns the place that an operation reads, and those that it writes.
pub(super) fn places(operation: &PatchOperation) -> (Option<&str>, [Option<&str>; 2]) {
    match operation {
        PatchOperation::Add(add) => (None, [Some(add.path.as_str()), None]),
        PatchOperation::Remove(remove) => (None, [Some(remove.path.as_str()), None]),
        PatchOperation::Replace(replace) => (None, [Some(replace.path.as_str()), None]),
        PatchOperation::Test(test) => (Some(test.path.as_str()), [None, None]),
        PatchOperation::Copy(copy) => (Some(copy.from.as_str()), [Some(copy.path.as_str()), None]),
        PatchOperation::Move(moved) => {
            (Some(moved.from.as_str()), [Some(moved.path.as_str()), Some(moved.from.as_str())])
        }
    }
}

/// Returns the members of a document that a patch reads or writes, each once; nothing when it is about the document itself.
pub(super) fn touched(patch: &Patch) -> Option<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    for operation in patch.iter() {
        let (read, written) = places(operation);
        for place in read.into_iter().chain(written.into_iter().flatten()) {
            let name = place.strip_prefix('/')?.split('/').next()?.replace("~1", "/").replace("~0", "~");
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    Some(found)
}

/// Counts what an operation copies, and refuses what becomes too much or too deep.
fn bounded(document: &Value, operation: &PatchOperation, room: &mut usize) -> Result<(), String> {
    let (value, path) = match operation {
        PatchOperation::Add(add) => (Some(&add.value), &add.path),
        PatchOperation::Replace(replace) => (Some(&replace.value), &replace.path),
        PatchOperation::Copy(copy) => (copy.from.resolve(document).ok(), &copy.path),
        PatchOperation::Move(moved) => (moved.from.resolve(document).ok(), &moved.path),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => return Ok(()),
    };
    // What is not there is the operation's own error.
    let Some(value) = value else { return Ok(()) };
    let (count, depth) = extent(value, MAX_COPIED);
    if matches!(operation, PatchOperation::Copy(_)) {
        *room = room
            .checked_sub(count)
            .ok_or_else(|| format!("the patch copies more than {MAX_COPIED} values"))?;
    }
    if depth + path.count() > MAX_DEPTH {
        return Err(format!("what comes to `{path}` is more than {MAX_DEPTH} levels deep"));
    }
    Ok(())
}

/// Returns how many values there are in one, up to somewhat more than `most`, and how deep they lie.
fn extent(value: &Value, most: usize) -> (usize, usize) {
    let (mut count, mut deepest) = (0, 0);
    let mut waiting = vec![(value, 1)];
    while let Some((value, depth)) = waiting.pop() {
        count += 1;
        deepest = deepest.max(depth);
        if count > most {
            break;
        }
        match value {
            Value::Array(items) => waiting.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => waiting.extend(members.values().map(|member| (member, depth + 1))),
            _ => {}
        }
    }
    (count, deepest)
}

/// Writes a patch with the members of each operation in the order that clients compare. What never leaves the server is not
/// repeated either (drp-api.md 2.6).
fn shown(patch: &Patch, prefix: &str) -> String {
    let private = kind_of(prefix).map_or(&[][..], |kind| kind.private);
    let operations: Vec<Value> = patch
        .iter()
        .filter_map(|operation| serde_json::to_value(operation).ok())
        .map(|mut operation| {
            private.iter().for_each(|name| blank(&mut operation, name));
            let part = |name: &str| operation.get(name).cloned();
            json!({
                "op": part("op"),
                "path": part("path"),
                "from": part("from").unwrap_or_else(|| json!("")),
                "value": part("value"),
            })
        })
        .collect();
    serde_json::to_string_pretty(&operations).unwrap_or_default()
}

/// Empties a private member in an operation, whether its path names the member or the object that has it.
fn blank(operation: &mut Value, name: &str) {
    let path = operation.get("path").and_then(Value::as_str).unwrap_or_default();
    let value = match path.strip_prefix('/') {
        Some(member) if member == name => operation.get_mut("value"),
        _ => operation.pointer_mut(&format!("/value/{name}")),
    };
    if let Some(value) = value {
        *value = json!("");
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_members_are_not_repeated() {
        let body = json!([
            {"op": "test", "path": "", "value": {"Name": "u", "PasswordHash": "c2VjcmV0"}},
            {"op": "add", "path": "/PasswordHash", "value": "c2VjcmV0"},
            {"op": "add", "path": "/Secret", "value": "kept"},
        ]);
        let patch = parse(&body, "users", "u").unwrap();
        let error = apply(&mut json!({}), &patch, "users", "u").unwrap_err();
        assert!(!error.to_string().contains("c2VjcmV0") && error.to_string().contains("kept"), "{error}");
        assert!(error.messages[1].contains("\"PasswordHash\": \"\""), "{error}");
    }

    #[test]
    fn patch_that_copies_again_and_again_is_refused() {
        let doubling: Vec<Value> = (0..40)
            .map(|number| json!({"op": "copy", "from": "/a", "path": format!("/a/b{number}")}))
            .collect();
        let mut document = json!({"a": {"x": 1}});
        let patch = parse(&json!(doubling), "machines", "k").unwrap();
        let error = apply(&mut document, &patch, "machines", "k").unwrap_err();
        assert!(error.messages[0].contains("copies more than 100000 values"), "{error}");
        assert_eq!(document, json!({"a": {"x": 1}}), "nothing is half done");
        let nesting = vec![json!({"op": "copy", "from": "/a", "path": "/a/a"}); 10_000];
        let patch = parse(&json!(nesting), "machines", "k").unwrap();
        let error = apply(&mut document, &patch, "machines", "k").unwrap_err();
        assert!(error.messages[0].contains("levels deep"), "{error}");
        assert_eq!(document, json!({"a": {"x": 1}}));
    }

    #[test]
    fn failed_test_names_its_place_and_changes_nothing() {
        let mut document = json!({"a": 1});
        let body =
            json!([{"op": "replace", "path": "/a", "value": 2}, {"op": "test", "path": "/a", "value": 1}]);
        let patch = parse(&body, "machines", "k").unwrap();
        let error = apply(&mut document, &patch, "machines", "k").unwrap_err();
        assert_eq!((error.code, error.r#type.as_str()), (409, "PATCH"));
        assert_eq!(error.messages[0], "Patch error at line 1: Test op failed.");
        assert!(
            error.messages[1].starts_with("Patch: [\n  {\n    \"op\": \"replace\""),
            "{}",
            error.messages[1]
        );
        assert_eq!(document, json!({"a": 1}));
    }

    #[test]
    fn test_compares_numbers_by_value() {
        let mut document = json!({"a": 1, "b": [2.0, {"c": 3}], "d": 0.5});
        let body = json!([
            {"op": "test", "path": "/a", "value": 1.0},
            {"op": "test", "path": "/b", "value": [2, {"c": 3.0}]},
            {"op": "test", "path": "", "value": {"d": 0.5, "b": [2, {"c": 3}], "a": 1}},
            {"op": "add", "path": "/e", "value": 4.0},
        ]);
        apply(&mut document, &parse(&body, "x", "y").unwrap(), "x", "y").unwrap();
        assert_eq!(document.to_string(), r#"{"a":1,"b":[2,{"c":3}],"d":0.5,"e":4}"#);
        let body = json!([{"op": "test", "path": "/a", "value": 1.5}]);
        assert!(apply(&mut document, &parse(&body, "x", "y").unwrap(), "x", "y").is_err());
    }

    #[test]
    fn from_may_be_empty_on_any_operation() {
        let body = json!([{"op": "add", "path": "/a", "from": "", "value": 2}]);
        let mut document = json!({});
        apply(&mut document, &parse(&body, "x", "y").unwrap(), "x", "y").unwrap();
        assert_eq!(document, json!({"a": 2}));
    }
}
