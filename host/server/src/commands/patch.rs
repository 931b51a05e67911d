//! JSON Patch as clients of this API send it (RFC 6902; drp-api.md 1.5, 5.3).

use formwork_api::ApiError;
use json_patch::{Patch, PatchErrorKind};
use serde_json::{Value, json};

/// The most operations that one patch may have.
const MAX_OPERATIONS: usize = 10_000;

/// Parses a patch.
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
    serde_json::from_value(body.clone()).map_err(|error| bad(format!("not a patch: {error}")))
}

/// Applies a patch, all of it or nothing.
pub(crate) fn apply(document: &mut Value, patch: &Patch, prefix: &str, key: &str) -> Result<(), ApiError> {
    json_patch::patch(document, patch).map_err(|error| {
        let reason = match error.kind {
            PatchErrorKind::TestFailed => String::from("Test op failed."),
            other => format!("{other} at `{}`", error.path),
        };
        let mut failed =
            ApiError::new(409, "PATCH", format!("Patch error at line {}: {reason}", error.operation));
        failed.messages.push(format!("Patch: {}", shown(patch)));
        failed.about(prefix, key)
    })
}

/// Writes a patch with the members of each operation in the order that clients compare.
fn shown(patch: &Patch) -> String {
    let operations: Vec<Value> = patch
        .iter()
        .filter_map(|operation| serde_json::to_value(operation).ok())
        .map(|operation| {
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn from_may_be_empty_on_any_operation() {
        let body = json!([{"op": "add", "path": "/a", "from": "", "value": 2}]);
        let mut document = json!({});
        apply(&mut document, &parse(&body, "x", "y").unwrap(), "x", "y").unwrap();
        assert_eq!(document, json!({"a": 2}));
    }
}
