//! How parameters are looked up and checked (drp-api.md 6.1, 6.2; drp-behaviour.md part 1).

use formwork_model::{Machine, Object, Objects, ObjectsExt, Param, Profile, Stage, Values};
use serde_json::Value;

/// The parameter maps that apply to an object, the most specific first, without schema defaults.
///
/// For a machine: its own, its profiles with what they nest, its stage's, the stage's profiles, `global`. For
/// a profile or stage its own and those of its profiles.
#[must_use]
pub fn sources(objects: &(impl Objects + ?Sized), object: &dyn Object) -> Vec<Values> {
    let mut look = Lookup { objects, seen: Vec::new(), found: Vec::new() };
    look.found.extend(object.params().cloned());
    if let Some(machine) = Machine::of(object) {
        look.profiles(&machine.profiles);
        if let Some(stage) = objects.get::<Stage>(&machine.stage) {
            look.found.push(stage.params.clone());
            look.profiles(&stage.profiles);
        }
        look.profiles(&[String::from("global")]);
    } else if let Some(profile) = object.as_any().downcast_ref::<Profile>() {
        look.seen.push(profile.name.clone());
        look.profiles(&profile.profiles);
    } else if let Some(stage) = object.as_any().downcast_ref::<Stage>() {
        look.profiles(&stage.profiles);
    }
    look.found
}

struct Lookup<'a, O: Objects + ?Sized> {
    objects: &'a O,
    seen: Vec<String>,
    found: Vec<Values>,
}

impl<O: Objects + ?Sized> Lookup<'_, O> {
    /// Visits profiles depth first; one that was met before is passed over, which also breaks loops.
    fn profiles(&mut self, names: &[String]) {
        for name in names {
            if self.seen.contains(name) {
                continue;
            }
            self.seen.push(name.clone());
            if let Some(profile) = self.objects.get::<Profile>(name) {
                self.found.push(profile.params.clone());
                self.profiles(&profile.profiles);
            }
        }
    }
}

/// Returns the value of one parameter for an object: the most specific source, else the schema's default.
#[must_use]
pub fn resolve(objects: &(impl Objects + ?Sized), object: &dyn Object, name: &str) -> Option<Value> {
    sources(objects, object)
        .iter()
        .find_map(|values| values.get(name).cloned())
        .or_else(|| objects.get::<Param>(name)?.default_value().cloned())
}

/// Returns all parameters of all sources as one map; the most specific value wins.
#[must_use]
pub fn aggregate(objects: &(impl Objects + ?Sized), object: &dyn Object) -> Values {
    let mut merged = Values::new();
    for values in sources(objects, object) {
        for (name, value) in values {
            merged.entry(name).or_insert(value);
        }
    }
    merged
}

/// Returns one parameter merged over all sources: maps key by key, lists one after the other, most specific
/// first; of anything else the most specific value.
#[must_use]
pub fn compose(objects: &(impl Objects + ?Sized), object: &dyn Object, name: &str) -> Option<Value> {
    let mut values: Vec<Value> =
        sources(objects, object).into_iter().filter_map(|mut values| values.remove(name)).collect();
    values.extend(objects.get::<Param>(name).and_then(|param| param.default_value().cloned()));
    let mut values = values.into_iter();
    let first = values.next()?;
    Some(values.fold(first, merge))
}

fn merge(specific: Value, general: Value) -> Value {
    match (specific, general) {
        (Value::Object(mut specific), Value::Object(general)) => {
            for (key, value) in general {
                let merged = match specific.remove(&key) {
                    Some(own) => merge(own, value),
                    None => value,
                };
                specific.insert(key, merged);
            }
            Value::Object(specific)
        }
        (Value::Array(mut specific), Value::Array(general)) => {
            specific.extend(general);
            Value::Array(specific)
        }
        (specific, _) => specific,
    }
}

/// Returns what is wrong with parameter values by their definitions; values without a definition are free.
#[must_use]
pub fn problems(objects: &(impl Objects + ?Sized), key: &str, values: &Values) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in values {
        if !formwork_model::NameGrammar::Param.accepts(name) {
            found.push(format!("{key}: Invalid Param `{name}`"));
            continue;
        }
        if let Some(param) = objects.get::<Param>(name) {
            found.extend(
                schema_problems(&param.schema, value).map(|text| format!("{key}: Key `{name}`: {text}")),
            );
        }
    }
    found
}

/// Returns what is wrong with the schema of a definition itself, or with the default in it.
#[must_use]
pub fn definition_problems(param: &Param) -> Vec<String> {
    if param.schema.is_null() {
        return Vec::new();
    }
    if let Err(error) = jsonschema::draft4::new(&param.schema) {
        return vec![format!("{}: Schema: {error}", param.name)];
    }
    let Some(default) = param.default_value() else { return Vec::new() };
    schema_problems(&param.schema, default)
        .map(|text| format!("{}: Error in default value: {text}", param.name))
        .collect()
}

fn schema_problems(schema: &Value, value: &Value) -> impl Iterator<Item = String> {
    let found: Vec<String> = match jsonschema::draft4::new(schema) {
        Ok(validator) if !schema.is_null() => validator
            .iter_errors(value)
            .map(|error| format!("{error} at `{}`", error.instance_path()))
            .collect(),
        _ => Vec::new(),
    };
    found.into_iter()
}
