//! Objects that are like others in all but a few members.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    Choice, DecodeError, Object,
    canonical::{canonical_numbers, strip_nulls},
};

/// Returns an object that is like `old` in all members but those of some names: these are as `members` has them, and have
/// their defaults where it has none. What `members` has besides does not count. Of the same type as [`crate::Kind::read`]
/// would make of the whole, at the cost of what changes: the other members go from text to text.
///
/// # Errors
///
/// A member of the wrong JSON type.
pub fn overlaid(
    old: &dyn Object,
    names: &[&str],
    mut members: Value,
) -> Result<Arc<dyn Object>, DecodeError> {
    let kind = old.kind();
    strip_nulls(&mut members, kind.opaque);
    canonical_numbers(&mut members);
    let mut left: Vec<&str> = names.to_vec();
    let mut text = Vec::new();
    old.write(&mut text, &mut |name| {
        let Some(place) = left.iter().position(|left| *left == name) else { return Choice::Keep };
        left.swap_remove(place);
        members.get(name).map_or(Choice::Skip, |value| Choice::Instead(value.to_string()))
    });
    // Members that are not written where they are empty.
    for (name, value) in left.iter().filter_map(|name| Some((*name, members.get(name)?))) {
        text.truncate(text.len().saturating_sub(1));
        if text.len() > 1 {
            text.push(b',');
        }
        text.extend_from_slice(format!("{}:{value}}}", Value::from(name)).as_bytes());
    }
    kind.read_text(&text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::KINDS;

    #[test]
    fn object_with_members_replaced_is_the_one_that_is_read_from_the_whole() {
        for kind in KINDS {
            let old = (kind.decode)(json!({kind.key: "10.7.0.9", "Description": "old", "Meta": {"a": "b"}}))
                .unwrap();
            let whole = old.to_json();
            for (name, value) in whole.as_object().unwrap() {
                for new in [value.clone(), Value::Null, json!("x"), json!(["x", null]), json!({"y": 1.0})] {
                    let mut all = whole.clone();
                    all[name] = new.clone();
                    let expected = (kind.decode)(all.clone());
                    let made = overlaid(old.as_ref(), &[name], all);
                    match (expected, made) {
                        (Ok(expected), Ok(made)) => {
                            assert_eq!(made.to_json(), expected.to_json(), "{}.{name} = {new}", kind.prefix);
                        }
                        (Err(expected), Err(made)) => assert_eq!(made, expected),
                        (expected, made) => panic!("{}.{name} = {new}: {expected:?} {made:?}", kind.prefix),
                    }
                }
            }
        }
    }

    #[test]
    fn member_that_is_removed_has_its_default_and_a_stranger_does_not_count() {
        let decode = crate::kind_of("machines").unwrap().decode;
        let old = decode(json!({"Name": "a", "Description": "b", "Params": {"x": 1}})).unwrap();
        let names = ["Description", "Stranger"];
        let made = overlaid(old.as_ref(), &names, json!({"Stranger": 1, "Name": "z"})).unwrap();
        let expected = decode(json!({"Name": "a", "Params": {"x": 1}})).unwrap();
        assert_eq!(made.to_json(), expected.to_json());
    }
}
