//! What values of parameters may be (drp-api.md 7.6, drp-behaviour.md 1.3).

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use formwork_model::{Objects, ObjectsExt, Param, Values};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::secure::Shape;

/// The definitions whose schemas are kept compiled; when there are more, all are forgotten.
const MAX_COMPILED: usize = 4096;

/// The compiled schemas of definitions by where these are in memory, each with the definition that it is of: another that
/// takes the place of one that is gone is not taken for it.
static COMPILED: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

/// Definitions with their compiled schemas, by place.
type Known = HashMap<usize, (Weak<Param>, Compiled)>;

/// A schema, where it is one.
type Compiled = Option<Arc<Validator>>;

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
    let made = jsonschema::draft4::new(&param.schema).ok().map(Arc::new);
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
    let Some(validator) = compiled(param) else { return Vec::new() };
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
    let validator = match jsonschema::draft4::new(&param.schema) {
        Ok(validator) => validator,
        Err(error) => return vec![format!("{}: Schema: {error}", param.name)],
    };
    let Some(default) = param.default_value() else { return Vec::new() };
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
        let first = compiled(&one).unwrap();
        assert!(Arc::ptr_eq(&first, &compiled(&one).unwrap()));
        assert!(!Arc::ptr_eq(&first, &compiled(&other).unwrap()));
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
    fn refused_value_of_a_secure_param_is_not_repeated() {
        let param = Arc::new(Param { schema: json!({"type": "integer"}), secure: true, ..Param::default() });
        let told = value_problems(&param, &json!("hunter2"));
        assert!(told.len() == 1 && !told[0].contains("hunter2"), "{told:?}");
    }
}
