//! How parameters are looked up and checked (drp-api.md 6.1, 6.2; drp-behaviour.md part 1).

pub(crate) mod effort;
mod explain;
mod levels;
mod schema;

use formwork_model::{Object, Objects, ObjectsExt, Param, Values, WorkOrder, kinds_of};
use serde_json::Value;

pub(crate) use self::schema::TOO_MUCH;
pub use self::{
    explain::{Explained, ExplainedLevel, explain},
    levels::{Level, levels, levels_of},
    schema::{definition_problems, problems, value_problems},
};

/// A value of a parameter, with whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Prefix and key of the object that has the value; nothing for the default of a schema.
    pub owner: Option<(&'static str, String)>,
    /// The value.
    pub value: Value,
}

impl Found {
    /// Returns the value that a level has of a parameter.
    #[must_use]
    pub fn at(level: &Level<'_>, name: &str) -> Option<Self> {
        let value = level.value(name)?;
        Some(Self { owner: Some((level.object().kind().prefix, level.object().key())), value })
    }
}

/// Returns the value of one parameter for an object: the most specific source, else the schema's default.
#[must_use]
pub fn resolve(objects: &(impl Objects + ?Sized), object: &dyn Object, name: &str) -> Option<Value> {
    find(objects, object, name).map(|found| found.value)
}

/// Returns what [`resolve`] does, with whose value it is.
#[must_use]
pub fn find(objects: &(impl Objects + ?Sized), object: &dyn Object, name: &str) -> Option<Found> {
    find_at(objects, &levels(objects, object), name)
}

/// Returns what [`find`] does for an object of which the levels are known already.
#[must_use]
pub fn find_at(objects: &(impl Objects + ?Sized), levels: &[Level<'_>], name: &str) -> Option<Found> {
    let own = levels.iter().find_map(|level| Found::at(level, name));
    own.or_else(|| {
        let value = objects.get::<Param>(name)?.default_value().cloned()?;
        Some(Found { owner: None, value })
    })
}

/// Returns all parameters of all sources as one map; the most specific value wins.
#[must_use]
pub fn aggregate(objects: &(impl Objects + ?Sized), object: &dyn Object) -> Values {
    let mut merged = Values::new();
    for level in levels(objects, object) {
        for (name, value) in level.values() {
            if !merged.contains_key(name) {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
    merged
}

/// Returns one parameter merged over all sources: maps key by key, lists one after the other, most specific
/// first; of anything else the most specific value.
#[must_use]
pub fn compose(objects: &(impl Objects + ?Sized), object: &dyn Object, name: &str) -> Option<Value> {
    let levels = levels(objects, object);
    let values = levels.iter().filter_map(|level| level.value(name));
    merged(values.chain(objects.get::<Param>(name).and_then(|param| param.default_value().cloned())))
}

/// Merges the values of one parameter as [`compose`] does, the most specific first.
#[must_use]
pub fn merged(values: impl IntoIterator<Item = Value>) -> Option<Value> {
    values.into_iter().reduce(merge)
}

/// Returns the objects that have a value of their own of a parameter, as `prefix:key` (drp-behaviour.md 1.3). Looks at all
/// objects that can have one. What a work order had that is over is history and holds nothing.
#[must_use]
pub fn holders(objects: &(impl Objects + ?Sized), name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for kind in kinds_of(objects).into_iter().filter(|kind| kind.bears_params) {
        objects.visit(kind.prefix, &mut |object| {
            let is_over = object.as_any().downcast_ref::<WorkOrder>().is_some_and(WorkOrder::is_final);
            if !is_over && object.params().is_some_and(|params| params.contains_key(name)) {
                found.push(format!("{}:{}", kind.prefix, object.key()));
            }
            true
        });
    }
    found
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
