//! What objects of declared types may hold (drp-api.md 7.26, 7A.10).

use formwork_model::{DynamicObject, Object, Objects, StoreObject, declaration};
use jsonschema::Validator;
use serde_json::Value;

use crate::params::{TOO_MUCH, effort};

/// Returns what is wrong with an object of a declared type by the schema of its declaration, each with the member that
/// does not fit; nothing for objects of our own types.
///
/// An object whose type nobody declares any more is refused: it can be looked at and deleted.
#[must_use]
pub fn problems(objects: &(impl Objects + ?Sized), object: &dyn Object) -> Vec<String> {
    let Some(dynamic) = object.as_any().downcast_ref::<DynamicObject>() else { return Vec::new() };
    let (prefix, key) = (object.kind().prefix, object.key());
    let Some(declaration) = declaration(objects, prefix) else {
        return vec![format!("{key}: nobody declares the type `{prefix}`")];
    };
    let validator = match compiled(&declaration.schema) {
        Ok(validator) => validator,
        Err(error) => return vec![format!("{key}: {}:{}: Schema: {error}", declaration.by, declaration.key)],
    };
    let described = dynamic.described_by(&declaration.schema);
    if !effort::is_bearable(&declaration.schema, &described) {
        return vec![format!("{key}: {TOO_MUCH}")];
    }
    validator
        .iter_errors(&described)
        .map(|error| format!("{key}: {error} at `{}`", error.instance_path()))
        .collect()
}

/// Returns what is wrong with the schemas of a declaration themselves.
#[must_use]
pub fn definition_problems(object: &dyn Object) -> Vec<String> {
    let Some(declaring) = object.as_any().downcast_ref::<StoreObject>() else { return Vec::new() };
    let wrong = compiled(&declaring.schema()).err();
    wrong.map(|error| format!("{}: Properties: {error}", declaring.name)).into_iter().collect()
}

/// Compiles a schema: that of a whole object, for which draft 7 is understood; no schema of another place is fetched.
fn compiled(schema: &Value) -> Result<Validator, String> {
    if let Some(problem) = effort::Counted::of(schema).problem() {
        return Err(problem);
    }
    jsonschema::draft7::new(schema).map_err(|error| error.to_string())
}
