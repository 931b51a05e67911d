//! What values of parameters may be (drp-api.md 7.6, drp-behaviour.md 1.3).

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use formwork_model::{Objects, ObjectsExt, Param, Values};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::effort::{self, Counted};
use crate::secure::Shape;

/// The definitions whose schemas are kept compiled; when there are more, all are forgotten.
const MAX_COMPILED: usize = 4096;

/// What is told of a value that would keep everybody waiting.
pub(crate) const TOO_MUCH: &str = "a look at this value by the schema takes too much work\nhint: have the schema apply fewer \
                                   of its parts to the same value";

/// The compiled schemas of definitions by where these are in memory, each with the definition that it is of: another that
/// takes the place of one that is gone is not taken for it.
static COMPILED: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

/// Definitions with their compiled schemas, by place.
type Known = HashMap<usize, (Weak<Param>, Compiled)>;

/// A schema, where it is one, and whether the work by it has to be counted.
type Compiled = Option<(Arc<Validator>, bool)>;

/// Returns the compiled schema of a definition; each is compiled once as long as it is the same.
fn compiled(param: &Arc<Param>) -> Compiled {
    if param.schema.is_null() {
        return None;
    }
    let place = Arc::as_ptr(param).addr();
    let mut known = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, compiled)) = known.get(&place)
        && std::ptr::eq(of.as_ptr(), Arc::as_ptr(param))
        && of.strong_count() > 0
    {
        return compiled.clone();
    }
    let counted = Counted::of(&param.schema);
    let made = counted.problem().is_none().then(|| jsonschema::draft4::new(&param.schema).ok()).flatten();
    let made = made.map(|validator| (Arc::new(validator), counted.is_any()));
    if known.len() >= MAX_COMPILED {
        known.clear();
    }
    known.insert(place, (Arc::downgrade(param), made.clone()));
    made
}

/// Returns what is wrong with parameter values by their definitions; values without a definition are free.
///
/// What is sealed is looked at by whoever can open it; only its form is looked at here.
#[must_use]
pub fn problems(objects: &(impl Objects + ?Sized), key: &str, values: &Values) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in values {
        if !formwork_model::NameGrammar::Param.accepts(name) {
            found.push(format!("{key}: Invalid Param `{name}`"));
            continue;
        }
        if let Some(param) = objects.get::<Param>(name) {
            let wrong = match param.secure.then(|| Shape::of(value)) {
                Some(Shape::Sealed(_)) => Vec::new(),
                Some(Shape::Malformed(words)) => vec![words.to_owned()],
                Some(Shape::Clear) | None => value_problems(&param, value),
            };
            found.extend(wrong.iter().map(|text| format!("{key}: Key `{name}`: {text}")));
        }
    }
    found
}

/// Returns what is wrong with a clear value of a parameter by its schema. The value of a secure one is not repeated.
#[must_use]
pub fn value_problems(param: &Arc<Param>, value: &Value) -> Vec<String> {
    let Some((validator, is_counted)) = compiled(param) else { return Vec::new() };
    if is_counted && !effort::is_bearable(&param.schema, value) {
        return vec![String::from(TOO_MUCH)];
    }
    let words: fn(&ValidationError<'_>) -> String =
        if param.secure { |error| error.masked().to_string() } else { |error| error.to_string() };
    schema_problems(&validator, value, words)
}

/// Returns what is wrong with the schema of a definition itself, or with the default in it.
#[must_use]
pub fn definition_problems(param: &Param) -> Vec<String> {
    if param.schema.is_null() {
        return Vec::new();
    }
    if let Some(problem) = Counted::of(&param.schema).problem() {
        return vec![format!("{}: Schema: {problem}", param.name)];
    }
    let validator = match jsonschema::draft4::new(&param.schema) {
        Ok(validator) => validator,
        Err(error) => return vec![format!("{}: Schema: {error}", param.name)],
    };
    let Some(default) = param.default_value() else { return Vec::new() };
    if !effort::is_bearable(&param.schema, default) {
        return vec![format!("{}: Error in default value: {TOO_MUCH}", param.name)];
    }
    schema_problems(&validator, default, |error| error.to_string())
        .iter()
        .map(|text| format!("{}: Error in default value: {text}", param.name))
        .collect()
}

fn schema_problems(
    validator: &Validator,
    value: &Value,
    words: fn(&ValidationError<'_>) -> String,
) -> Vec<String> {
    validator
        .iter_errors(value)
        .map(|error| format!("{} at `{}`", words(&error), error.instance_path()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schema_compiles_once_per_revision() {
        let param = |kind: &str| Arc::new(Param { schema: json!({"type": kind}), ..Param::default() });
        let (one, other) = (param("integer"), param("string"));
        let (first, _) = compiled(&one).unwrap();
        assert!(Arc::ptr_eq(&first, &compiled(&one).unwrap().0));
        assert!(!Arc::ptr_eq(&first, &compiled(&other).unwrap().0));
        assert!(value_problems(&one, &json!(1)).is_empty());
        assert_eq!(value_problems(&other, &json!(1)).len(), 1);
    }

    #[test]
    fn definition_in_the_place_of_one_that_is_gone_has_its_own_schema() {
        for round in 0..64 {
            let kind = if round % 2 == 0 { "integer" } else { "string" };
            let param = Arc::new(Param { schema: json!({"type": kind}), ..Param::default() });
            assert_eq!(value_problems(&param, &json!(1)).is_empty(), kind == "integer", "{round}");
        }
    }

    #[test]
    fn value_that_takes_too_much_work_is_refused_before_that_is_done() {
        let below = |name: &str| json!({"allOf": [{"$ref": name}, {"$ref": name}]});
        let mut definitions = serde_json::Map::from_iter([(String::from("n0"), json!({}))]);
        definitions.extend((1..40).map(|n| (format!("n{n}"), below(&format!("#/definitions/n{}", n - 1)))));
        let schema = json!({"definitions": definitions, "$ref": "#/definitions/n39"});
        let param = Arc::new(Param { schema, ..Param::default() });
        assert_eq!(value_problems(&param, &json!(1)), [TOO_MUCH]);
    }

    #[test]
    fn chain_of_references_is_followed_or_refused_by_its_length() {
        let param = |length: usize| {
            let link = |n: usize| (format!("n{n}"), json!({"$ref": format!("#/definitions/n{}", n + 1)}));
            let mut links: serde_json::Map<String, Value> = (0..length).map(link).collect();
            links.insert(format!("n{length}"), json!({"type": "integer"}));
            let schema = json!({"definitions": links, "$ref": "#/definitions/n0", "default": 1});
            Arc::new(Param { schema, ..Param::default() })
        };
        assert!(definition_problems(&param(500)).is_empty());
        assert_eq!(value_problems(&param(500), &json!("one")).len(), 1);
        assert_eq!(value_problems(&param(900), &json!(1)), [TOO_MUCH]);
        assert!(definition_problems(&param(20_000))[0].contains("references"));
    }

    #[test]
    fn refused_value_of_a_secure_param_is_not_repeated() {
        let param = Arc::new(Param { schema: json!({"type": "integer"}), secure: true, ..Param::default() });
        let told = value_problems(&param, &json!("hunter2"));
        assert!(told.len() == 1 && !told[0].contains("hunter2"), "{told:?}");
    }
}
