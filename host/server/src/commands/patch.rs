//! JSON Patch as clients of this API send it (RFC 6902; drp-api.md 1.5, 5.3).

use formwork_api::ApiError;
use formwork_core::secure::Shape;
use formwork_model::{canonical_numbers, kind_of};
use json_patch::{Patch, PatchErrorKind, PatchOperation};
use serde_json::{Value, json};

/// The most operations that one patch may have.
const MAX_OPERATIONS: usize = 10_000;

/// The most values that all `copy` operations of a patch may copy together.
const MAX_COPIED: usize = 100_000;

/// The most levels that a patch may make, as deep as JSON that is parsed. What the store takes is less, and decides: the same
/// object is taken or refused whatever request brings it.
const MAX_DEPTH: usize = 128;

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

/// What a refusal that repeats its patch leaves out: the values of secure params, unless they are sealed.
#[derive(Clone, Copy)]
pub(crate) struct Hidden<'a> {
    /// Where the document has its params, as a pointer; `None` when it has none.
    pub(crate) params: Option<&'a str>,
    /// Tells whether a param is secure.
    pub(crate) is_secret: &'a dyn Fn(&str) -> bool,
}

/// Applies a patch to an object of a type and a key, or to a part of it: all of the patch or nothing. The numbers of the
/// document take their canonical form.
///
/// What operations copy is counted: a few of them could otherwise make a document of any size out of a small one.
pub(crate) fn apply(
    document: &mut Value,
    patch: &Patch,
    (prefix, key): (&str, &str),
    hidden: Hidden<'_>,
) -> Result<(), ApiError> {
    canonical_numbers(document);
    let failed = |operation: usize, reason: String| {
        let mut failed = ApiError::new(409, "PATCH", format!("Patch error at line {operation}: {reason}"));
        failed.messages.push(format!("Patch: {}", shown(patch, prefix, hidden)));
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
/// repeated either (drp-api.md 2.6), nor a secret that came in the clear.
fn shown(patch: &Patch, prefix: &str, hidden: Hidden<'_>) -> String {
    let private = kind_of(prefix).map_or(&[][..], |kind| kind.private);
    let operations: Vec<Value> = patch
        .iter()
        .filter_map(|operation| serde_json::to_value(operation).ok())
        .map(|mut operation| {
            private.iter().for_each(|name| blank(&mut operation, name));
            hidden.blank(&mut operation);
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

impl Hidden<'_> {
    /// Empties secure params in an operation, whether its path leads to one, into one, or to what has them.
    fn blank(self, operation: &mut Value) {
        let Some(params) = self.params else { return };
        let path = operation.get("path").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(value) = operation.get_mut("value") else { return };
        if let Some(below) = path.strip_prefix(params).and_then(|rest| rest.strip_prefix('/')) {
            let name = below.split('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
            self.blank_param(&name, value);
        } else if let Some(within) = params.strip_prefix(path.as_str())
            && let Some(members) = value.pointer_mut(within).and_then(Value::as_object_mut)
        {
            members.iter_mut().for_each(|(name, value)| self.blank_param(name, value));
        }
    }

    fn blank_param(self, name: &str, value: &mut Value) {
        if Shape::of(value) == Shape::Clear && (self.is_secret)(name) {
            *value = json!("");
        }
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    /// `pin` is the one secure param.
    fn applied(document: &mut Value, body: &Value, prefix: &str, params: &str) -> Result<(), ApiError> {
        let hidden = Hidden { params: Some(params), is_secret: &|name| name == "a/pin" };
        apply(document, &parse(body, prefix, "k").unwrap(), (prefix, "k"), hidden)
    }

    #[test]
    fn secure_params_are_not_repeated_in_the_clear() {
        let sealed = json!({"Key": STANDARD.encode([7; 32]), "Nonce": STANDARD.encode([7; 24]),
            "Payload": STANDARD.encode([7; 16])});
        for (params, path, value) in [
            ("/Params", "/Params/a~1pin", json!("s3cret")),
            ("/Params", "/Params/a~1pin/deep/er", json!("s3cret")),
            ("/Params", "/Params", json!({"a/pin": "s3cret", "b": "kept"})),
            ("/Params", "", json!({"Params": {"a/pin": ["s3cret"]}, "Name": "kept"})),
            ("", "/a~1pin", json!({"s3cret": 1})),
            ("", "", json!({"a/pin": "s3cret", "b": "kept"})),
        ] {
            let body = json!([{"op": "add", "path": path, "value": value}, {"op": "test", "path": "/b", "value": 1}]);
            let words = applied(&mut json!({}), &body, "machines", params).unwrap_err().to_string();
            assert!(!words.contains("s3cret") && words.contains("\"test\""), "{words}");
            assert_eq!(words.contains("kept"), body.to_string().contains("kept"), "{words}");
        }
        let body = json!([{"op": "test", "path": "/Params/a~1pin", "value": sealed}]);
        let words = applied(&mut json!({}), &body, "machines", "/Params").unwrap_err().to_string();
        assert!(words.contains(sealed["Payload"].as_str().unwrap()), "{words}");
        let body = json!([{"op": "test", "path": "/Params/free", "value": "kept"}]);
        let words = applied(&mut json!({}), &body, "machines", "/Params").unwrap_err().to_string();
        assert!(words.contains("kept"), "{words}");
    }

    #[test]
    fn private_members_are_not_repeated() {
        let body = json!([
            {"op": "test", "path": "", "value": {"Name": "u", "PasswordHash": "c2VjcmV0"}},
            {"op": "add", "path": "/PasswordHash", "value": "c2VjcmV0"},
            {"op": "add", "path": "/Secret", "value": "kept"},
        ]);
        let error = applied(&mut json!({}), &body, "users", "/Params").unwrap_err();
        assert!(!error.to_string().contains("c2VjcmV0") && error.to_string().contains("kept"), "{error}");
        assert!(error.messages[1].contains("\"PasswordHash\": \"\""), "{error}");
    }

    #[test]
    fn patch_that_copies_again_and_again_is_refused() {
        let doubling: Vec<Value> = (0..40)
            .map(|number| json!({"op": "copy", "from": "/a", "path": format!("/a/b{number}")}))
            .collect();
        let mut document = json!({"a": {"x": 1}});
        let error = applied(&mut document, &json!(doubling), "machines", "/Params").unwrap_err();
        assert!(error.messages[0].contains("copies more than 100000 values"), "{error}");
        assert_eq!(document, json!({"a": {"x": 1}}), "nothing is half done");
        let nesting = vec![json!({"op": "copy", "from": "/a", "path": "/a/a"}); 10_000];
        let error = applied(&mut document, &json!(nesting), "machines", "/Params").unwrap_err();
        assert!(error.messages[0].contains("levels deep"), "{error}");
        assert_eq!(document, json!({"a": {"x": 1}}));
    }

    #[test]
    fn failed_test_names_its_place_and_changes_nothing() {
        let mut document = json!({"a": 1});
        let body =
            json!([{"op": "replace", "path": "/a", "value": 2}, {"op": "test", "path": "/a", "value": 1}]);
        let error = applied(&mut document, &body, "machines", "/Params").unwrap_err();
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
        applied(&mut document, &body, "x", "/Params").unwrap();
        assert_eq!(document.to_string(), r#"{"a":1,"b":[2,{"c":3}],"d":0.5,"e":4}"#);
        let body = json!([{"op": "test", "path": "/a", "value": 1.5}]);
        assert!(applied(&mut document, &body, "x", "/Params").is_err());
    }

    #[test]
    fn from_may_be_empty_on_any_operation() {
        let body = json!([{"op": "add", "path": "/a", "from": "", "value": 2}]);
        let mut document = json!({});
        applied(&mut document, &body, "x", "/Params").unwrap();
        assert_eq!(document, json!({"a": 2}));
    }
}
