//! The canonical form of JSON that clients send (drp-api.md 3.1).

use serde_json::{Number, Value};

/// Where floating-point numbers end that are written as integers: the smallest power of two beyond `u64`.
const INTEGERS_END: f64 = 18_446_744_073_709_551_616.0;

/// Writes numbers without fraction as integers, as clients in Go do when they write what they have read: `1.0` becomes
/// `1`. Numbers beyond 64 bits stay as they are.
pub fn canonical_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = whole(number) {
                *number = whole;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(canonical_numbers),
        Value::Object(members) => members.values_mut().for_each(canonical_numbers),
        _ => {}
    }
}

/// Returns a floating-point number without fraction as the integer of the same value.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number has no fraction and is between the ends of the integers"
)]
fn whole(number: &Number) -> Option<Number> {
    if !number.is_f64() {
        return None;
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
    if (0.0..INTEGERS_END).contains(&float) {
        return Some(Number::from(float as u64));
    }
    (-INTEGERS_END / 2.0..0.0).contains(&float).then(|| Number::from(float as i64))
}

/// Removes members and items that are null, outside of free JSON, which members of the names in `opaque` hold.
pub fn strip_nulls(value: &mut Value, opaque: &[&str]) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            for (name, member) in members.iter_mut() {
                if !opaque.contains(&name.as_str()) {
                    strip_nulls(member, opaque);
                }
            }
        }
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(|item| strip_nulls(item, opaque));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_without_fraction_are_integers_and_others_stay() {
        let mut value =
            json!({"a": [1.0, -0.0, 1.5, -3.0], "b": {"c": 1e15}, "d": 1e300, "e": -1e19, "f": "1.0"});
        canonical_numbers(&mut value);
        let expected = json!({"a": [1, 0, 1.5, -3], "b": {"c": 1_000_000_000_000_000_u64}, "d": 1e300, "e": -1e19, "f": "1.0"});
        assert_eq!(value, expected);
        let mut ends =
            json!([18_446_744_073_709_549_568.0, 18_446_744_073_709_551_616.0, -9_223_372_036_854_775_808.0]);
        canonical_numbers(&mut ends);
        assert_eq!(ends, json!([18_446_744_073_709_549_568_u64, 18_446_744_073_709_551_616.0, i64::MIN]));
    }

    #[test]
    fn nulls_are_dropped_from_lists_and_maps_but_not_from_free_json() {
        let mut value =
            json!({"Profiles": [null, "a", null], "List": [{"x": null}], "Free": [null, {"y": null}]});
        strip_nulls(&mut value, &["Free"]);
        assert_eq!(value, json!({"Profiles": ["a"], "List": [{}], "Free": [null, {"y": null}]}));
    }
}
