//! Ways to change an object, and what each makes of its JSON (drp-api.md 5.2, 5.3).

use formwork_api::ApiError;
use formwork_core::plugins::is_secure;
use formwork_model::{Kind, Objects, Values};
use json_patch::Patch;
use serde_json::{Map, Value};

use super::patch::{self, Hidden};

/// How an object is to be changed.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// All writable members are replaced.
    Put(Value),
    /// RFC 6902 over the object.
    Patch(Patch),
    /// RFC 6902 over the meta map.
    PatchMeta(Patch),
    /// RFC 6902 over the params.
    PatchParams(Patch),
    /// All params are replaced.
    PutParams(Values),
    /// One param is set, or removed.
    Param(String, Option<Value>),
}

impl Change {
    /// Tells whether it is a patch without operations: a successful update of nothing (drp-api.md 5.3).
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Self::Patch(patch) | Self::PatchMeta(patch) | Self::PatchParams(patch) => patch.is_empty(),
            Self::Put(_) | Self::PutParams(_) | Self::Param(..) => false,
        }
    }

    /// Returns the members that the change reads or writes, where they are known before it is tried: none when it is of the
    /// object as a whole.
    pub(super) fn touched(&self) -> Option<Vec<String>> {
        match self {
            Self::Put(_) => None,
            Self::Patch(operations) => patch::touched(operations),
            Self::PatchMeta(_) => Some(vec![String::from("Meta")]),
            Self::PatchParams(_) | Self::PutParams(_) | Self::Param(..) => Some(vec![String::from("Params")]),
        }
    }
}

/// Returns the JSON that a change makes of an object. The objects tell which params are secure.
///
/// # Errors
///
/// A patch that cannot be applied.
pub(super) fn changed(
    objects: &(impl Objects + ?Sized),
    before: Value,
    change: &Change,
    kind: &'static Kind,
    key: &str,
) -> Result<Value, ApiError> {
    let is_secret: &dyn Fn(&str) -> bool = &|name| is_secure(objects, name);
    let mut after = before;
    match change {
        Change::Put(body) => {
            let mut body = body.clone();
            let own = || after.get(kind.key).and_then(Value::as_str).unwrap_or_default().to_owned();
            complete_text(&mut body, kind.key, own);
            return Ok(body);
        }
        Change::Patch(operations) => {
            let hidden = Hidden { params: Some("/Params"), is_secret };
            patch::apply(&mut after, operations, (kind.prefix, key), hidden)?;
        }
        Change::PatchMeta(operations) => {
            let hidden = Hidden { params: None, is_secret };
            patch::apply(member(&mut after, "Meta"), operations, (kind.prefix, key), hidden)?;
        }
        Change::PatchParams(operations) => {
            let hidden = Hidden { params: Some(""), is_secret };
            patch::apply(member(&mut after, "Params"), operations, (kind.prefix, key), hidden)?;
        }
        Change::PutParams(values) => {
            *member(&mut after, "Params") = serde_json::to_value(values).unwrap_or_default();
        }
        Change::Param(name, value) => {
            if let Some(params) = member(&mut after, "Params").as_object_mut() {
                match value {
                    Some(value) => params.insert(name.clone(), value.clone()),
                    None => params.remove(name),
                };
            }
        }
    }
    Ok(after)
}

/// Returns a member of an object's JSON for a change.
fn member<'a>(object: &'a mut Value, name: &str) -> &'a mut Value {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    match object {
        Value::Object(members) => members.entry(name.to_owned()).or_insert(Value::Null),
        other => other,
    }
}

/// Fills in a member of an object that is missing or empty.
pub(super) fn complete_text(object: &mut Value, name: &str, text: impl FnOnce() -> String) {
    let lacks = object.get(name).is_none_or(|own| own.is_null() || own == "");
    if let (Some(members), true) = (object.as_object_mut(), lacks) {
        members.insert(name.to_owned(), Value::String(text()));
    }
}
