//! What a change of an object needs to be allowed (drp-api.md 2.4): a claim for each place that it changes, and before that
//! for each place that it asks about.

use std::{borrow::Cow, sync::Arc};

use formwork_api::ApiError;
use formwork_model::{Kind, Object, Objects};
use json_patch::Patch;
use serde_json::Value;

use super::{
    objects::{Change, Request},
    patch,
};
use crate::{
    auth::{Caller, Wanted},
    kinds,
};

/// What lets somebody seal params.
pub(super) const UPDATE_SECURE: &str = "updateSecure";

/// Tries a change for a caller, who learns nothing of what he may not know: whoever may change nothing is refused before
/// anything is looked at, and whoever may not read what a patch tests or copies is refused before it is.
pub(super) fn tried(
    request: &Request,
    key: &str,
    change: &Change,
    make: impl FnOnce() -> Result<Value, ApiError>,
) -> Result<Value, ApiError> {
    let (caller, prefix) = (&request.caller, request.kind.prefix);
    if caller.may(prefix, "update", key) {
        return make();
    }
    require_some(caller, prefix, key)?;
    let (patch, below) = match change {
        Change::Patch(patch) => (patch, ""),
        Change::PatchMeta(patch) => (patch, "/Meta"),
        Change::PatchParams(patch) => (patch, "/Params"),
        Change::Put(_) | Change::PutParams(_) | Change::Param(..) => return make(),
    };
    require_places(caller, prefix, key, (patch, below))?;
    make()
}

/// Refuses a caller who may change nothing of an object.
pub(super) fn require_some(caller: &Caller, prefix: &str, key: &str) -> Result<(), ApiError> {
    match caller.touches(prefix, "", key) {
        true => Ok(()),
        false => caller.require(prefix, "update", key),
    }
}

/// Refuses a patch that reads what the caller cannot read, or writes where none of his claims reaches. Claims for exactly what
/// changes are looked at when that is known.
fn require_places(
    caller: &Caller,
    prefix: &str,
    key: &str,
    (patch, below): (&Patch, &str),
) -> Result<(), ApiError> {
    let reads_all = caller.may(prefix, "get", key);
    for operation in patch.iter() {
        let (read, written) = patch::places(operation);
        if let Some(path) = read.filter(|_| !reads_all) {
            caller.require(prefix, &format!("update:{below}{path}"), key)?;
        }
        for path in written.into_iter().flatten() {
            let path = format!("{below}{path}");
            if !caller.touches(prefix, &path, key) {
                caller.require(prefix, &format!("update:{path}"), key)?;
            }
        }
    }
    Ok(())
}

/// Refuses a caller of whose roles no single one has a claim for each place that a change touches, and for secure params
/// where it touches those. `places` are the object before and after it; nothing when the caller may change all of it.
pub(super) fn require_members(
    caller: &Caller,
    (kind, key): (&Kind, &str),
    places: Option<(&Value, &Value)>,
    is_secure: bool,
) -> Result<(), ApiError> {
    let mut actions = Vec::new();
    match places {
        Some((before, after)) => differences(before, after, &mut String::from("update:"), &mut actions),
        None => actions.push(String::from("update")),
    }
    actions.extend(is_secure.then(|| UPDATE_SECURE.to_owned()));
    let wanted =
        |action: &String| Wanted { scope: kind.prefix, action: Cow::Owned(action.clone()), specific: key };
    caller.permit(&actions.iter().map(wanted).collect::<Vec<_>>())
}

/// Refuses a caller who would give rights away that he does not have: by writing a role, or by giving one to a user
/// (drp-behaviour.md 8.2).
pub(super) fn require_given(
    caller: &Caller,
    objects: &dyn Objects,
    old: Option<&dyn Object>,
    new: &dyn Object,
) -> Result<(), ApiError> {
    let given = kinds::of(new.kind()).given(objects, old, new);
    let given: Vec<Wanted<'_>> = given
        .iter()
        .filter(|claim| !caller.rights.contain(std::slice::from_ref(claim)))
        .map(|claim| Wanted {
            scope: &claim.scope,
            action: Cow::Borrowed(&claim.action),
            specific: &claim.specific,
        })
        .collect();
    match given.is_empty() {
        true => Ok(()),
        false => Err(caller.deny(&given).about(new.kind().prefix, &new.key())),
    }
}

/// Refuses a caller of whose objects, which come together, any would give rights away that he does not have.
pub(crate) fn require_all_given(
    caller: &Caller,
    objects: &dyn Objects,
    new: &[Arc<dyn Object>],
) -> Result<(), ApiError> {
    new.iter().try_for_each(|new| {
        let old = objects.find(new.kind().prefix, &new.key());
        require_given(caller, objects, old.as_deref(), new.as_ref())
    })
}

/// Refuses a caller who makes an object with secure params and may not do both.
pub(super) fn require_secure(caller: &Caller, object: &dyn Object) -> Result<(), ApiError> {
    let (scope, key) = (object.kind().prefix, kinds::claim_key(object));
    let wanted = |action: &'static str, specific| Wanted { scope, action: Cow::Borrowed(action), specific };
    caller.permit(&[wanted("create", ""), wanted(UPDATE_SECURE, &key)])
}

/// Lists what differs, as `update:` and a JSON pointer each; lists of values count whole.
fn differences(before: &Value, after: &Value, place: &mut String, found: &mut Vec<String>) {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        if before != after {
            found.push(place.clone());
        }
        return;
    };
    let length = place.len();
    let added = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(added) {
        place.push('/');
        place.push_str(&name.replace('~', "~0").replace('/', "~1"));
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => differences(old, new, place, found),
            _ => found.push(place.clone()),
        }
        place.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_leaf_that_differs_is_a_place_and_a_list_is_one() {
        let before =
            json!({"A": 1, "Params": {"a/b": {"c~d": 1, "e": 2}, "l": [1, 2]}, "M": {"x": {}}, "": 1});
        let after = json!({"A": 1, "Params": {"a/b": {"c~d": 2, "e": 2}, "l": [1, 3], "n": {"y": 1}}, "M": {}, "": 2});
        let mut found = Vec::new();
        differences(&before, &after, &mut String::from("update:"), &mut found);
        let wanted =
            ["update:/Params/a~1b/c~0d", "update:/Params/l", "update:/Params/n", "update:/M/x", "update:/"];
        assert_eq!(found, wanted);
    }
}
