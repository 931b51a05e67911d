//! The traits that make a type an object, and the list of all kinds.

use std::{any::Any, fmt::Debug, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Header, Reference, Values};

/// The description of one object type, from which its routes, verbs, events and documents follow.
#[derive(Debug)]
pub struct Kind {
    /// The name of the type in URLs, events and bundles.
    pub prefix: &'static str,
    /// The JSON name of the key member.
    pub key: &'static str,
    /// What one object is called in a sentence: `machine`, `boot environment`.
    pub noun: &'static str,
    /// Members besides the key whose values are unique among all objects of the type.
    pub unique: &'static [&'static str],
    /// Members that are no index and that no filter may look at.
    pub hidden: &'static [&'static str],
    /// Members, beside those of [`Header::READ_ONLY`], that clients cannot write.
    pub read_only: &'static [&'static str],
    /// Members whose values are free JSON; nulls inside them are kept.
    pub opaque: &'static [&'static str],
    /// Turns JSON into an object of this type.
    pub decode: fn(Value) -> Result<Arc<dyn Object>, DecodeError>,
    /// Writes the JSON schema of the type.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// The columns that a table for people shows, by JSON name.
    pub columns: &'static [&'static str],
}

/// All stored types, in the order of their prefixes.
pub static KINDS: &[&Kind] = &[
    &crate::bootenv::KIND,
    &crate::content::KIND,
    &crate::plugin_state::LETTER,
    &crate::job::KIND,
    &crate::lease::KIND,
    &crate::machine::KIND,
    &crate::plugin_state::VALUE,
    &crate::pack::KIND,
    &crate::param::KIND,
    &crate::plugin_state::CURSOR,
    &crate::plugin_provider::KIND,
    &crate::plugin::KIND,
    &crate::preference::KIND,
    &crate::profile::KIND,
    &crate::publisher::KIND,
    &crate::role::KIND,
    &crate::stage::KIND,
    &crate::task::KIND,
    &crate::template::KIND,
    &crate::user::KIND,
    &crate::workflow::KIND,
];

/// Types that are the endpoint's own: no generic routes, no events, part of no bundle.
const INTERNAL: &[&str] = &["dead_letters", "pack_values", "plugin_cursors"];

/// Tells whether a type is the endpoint's own, which clients do not know as objects.
#[must_use]
pub fn is_internal(prefix: &str) -> bool {
    INTERNAL.contains(&prefix)
}

/// Returns the kind with a prefix.
#[must_use]
pub fn kind_of(prefix: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|kind| kind.prefix == prefix)
}

/// JSON that is not an object of the type that it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The prefix of the type.
    pub prefix: &'static str,
    /// What does not fit and where.
    pub message: String,
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "not an object of type `{}`: {}", self.prefix, self.message)
    }
}

impl std::error::Error for DecodeError {}

/// An object of any type.
pub trait Object: Any + Debug + Send + Sync {
    /// Returns the description of the type.
    fn kind(&self) -> &'static Kind;
    /// Returns the native key.
    fn key(&self) -> String;
    /// Returns the common members.
    fn header(&self) -> &Header;
    /// Returns the common members for a change.
    fn header_mut(&mut self) -> &mut Header;
    /// Returns the parameters of the object, when its type bears parameters.
    fn params(&self) -> Option<&Values> {
        None
    }
    /// Returns the parameters for a change.
    fn params_mut(&mut self) -> Option<&mut Values> {
        None
    }
    /// Brings members into the canonical form of the API (drp-api.md 3.1) before the object is checked.
    fn normalise(&mut self) {}
    /// Returns what is wrong with the object by itself, one message a problem; a stored object has none.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }
    /// Returns what the object needs of others.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }
    /// Returns the object as the API shows it.
    fn to_json(&self) -> Value;
    /// Returns a copy behind a box, for a change.
    fn boxed(&self) -> Box<dyn Object>;
    /// Turns a box into a shared object.
    fn shared(self: Box<Self>) -> Arc<dyn Object>;
    /// Returns the object as its concrete type's `Any`.
    fn as_any(&self) -> &dyn Any;
    /// Returns the shared object as its concrete type's `Any`.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A concrete object type.
pub trait Record: Object + Clone + Default + Serialize + DeserializeOwned + JsonSchema + Sized {
    /// The description of the type.
    const KIND: &'static Kind;
}

/// A readable set of objects at one revision: a snapshot of the store, or a transaction over one.
pub trait Objects {
    /// Returns the object with a prefix and a native key.
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>>;
    /// Calls `visit` for all objects of a type in key order, until it returns false.
    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool);
    /// Returns the number of objects of a type.
    fn count(&self, prefix: &str) -> usize;
}

/// Typed access to a set of objects.
pub trait ObjectsExt: Objects {
    /// Returns the object of a type with a native key.
    fn get<R: Record>(&self, key: &str) -> Option<Arc<R>> {
        self.find(R::KIND.prefix, key)?.into_any().downcast().ok()
    }

    /// Returns all objects of a type in key order.
    fn list<R: Record>(&self) -> Vec<Arc<R>> {
        let mut found = Vec::new();
        self.visit(R::KIND.prefix, &mut |object| {
            found.extend(Arc::clone(object).into_any().downcast::<R>());
            true
        });
        found
    }

    /// Returns the first object of a type that a test accepts, in key order.
    fn find_by<R: Record>(&self, mut test: impl FnMut(&R) -> bool) -> Option<Arc<R>> {
        let mut found = None;
        self.visit(R::KIND.prefix, &mut |object| {
            if object.as_any().downcast_ref::<R>().is_some_and(&mut test) {
                found = Arc::clone(object).into_any().downcast::<R>().ok();
            }
            found.is_none()
        });
        found
    }
}

impl<T: Objects + ?Sized> ObjectsExt for T {}

/// Decodes JSON into a record: nulls count as missing, missing members get their defaults (drp-api.md 3.1).
///
/// # Errors
///
/// A member of the wrong JSON type, or something that is no JSON object.
pub(crate) fn decode<R: Record>(mut value: Value) -> Result<Arc<dyn Object>, DecodeError> {
    if !value.is_object() {
        return Err(DecodeError {
            prefix: R::KIND.prefix,
            message: String::from("it must be a JSON object"),
        });
    }
    strip_nulls(&mut value, R::KIND.opaque);
    let mut record: R = serde_json::from_value(value)
        .map_err(|error| DecodeError { prefix: R::KIND.prefix, message: error.to_string() })?;
    record.normalise();
    Ok(Arc::new(record))
}

/// Removes members that are null, outside of free JSON.
fn strip_nulls(value: &mut Value, opaque: &[&str]) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            for (name, member) in members.iter_mut() {
                if !opaque.contains(&name.as_str()) {
                    strip_nulls(member, opaque);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strip_nulls(item, opaque)),
        _ => {}
    }
}

/// Writes the parts of [`Object`] and [`Record`] that are the same for every type.
macro_rules! object {
    ($type:ident, $kind:path, key = $key:expr $(, params = $params:ident)? $(, normalise = $normalise:expr)?
     $(, problems = $problems:path)? $(, references = $references:path)?) => {
        impl crate::Object for $type {
            fn kind(&self) -> &'static crate::Kind { &$kind }
            fn key(&self) -> String { let key: fn(&$type) -> String = $key; key(self) }
            fn header(&self) -> &crate::Header { &self.header }
            fn header_mut(&mut self) -> &mut crate::Header { &mut self.header }
            $(
                fn params(&self) -> Option<&crate::Values> { Some(&self.$params) }
                fn params_mut(&mut self) -> Option<&mut crate::Values> { Some(&mut self.$params) }
            )?
            $(fn normalise(&mut self) { let normalise: fn(&mut $type) = $normalise; normalise(self) })?
            $(fn problems(&self) -> Vec<String> { $problems(self) })?
            $(fn references(&self) -> Vec<crate::Reference> { $references(self) })?
            fn to_json(&self) -> serde_json::Value {
                serde_json::to_value(self).unwrap_or(serde_json::Value::Null)
            }
            fn boxed(&self) -> Box<dyn crate::Object> { Box::new(self.clone()) }
            fn shared(self: Box<Self>) -> std::sync::Arc<dyn crate::Object> { std::sync::Arc::new(*self) }
            fn as_any(&self) -> &dyn std::any::Any { self }
            fn into_any(self: std::sync::Arc<Self>) -> std::sync::Arc<dyn std::any::Any + Send + Sync> { self }
        }
        impl crate::Record for $type {
            const KIND: &'static crate::Kind = &$kind;
        }
    };
}

pub(crate) use object;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_members_count_as_missing_but_free_json_keeps_them() {
        let machine =
            decode::<crate::Machine>(json!({"Name": "ab", "Profiles": null, "Params": {"x": {"y": null}}}))
                .unwrap();
        let json = machine.to_json();
        assert_eq!(json["Profiles"], json!([]));
        assert_eq!(json["Params"], json!({"x": {"y": null}}));
    }

    #[test]
    fn unknown_members_are_ignored_and_wrong_types_are_named() {
        assert!(decode::<crate::Machine>(json!({"Name": "ab", "Beeblebrox": 2})).is_ok());
        let error = decode::<crate::Machine>(json!({"Name": 3})).unwrap_err();
        assert!(error.to_string().contains("machines"), "{error}");
    }

    #[test]
    fn kinds_are_sorted_and_unique() {
        assert!(KINDS.windows(2).all(|pair| pair[0].prefix < pair[1].prefix));
    }

    #[test]
    fn every_kind_decodes_an_empty_object_and_writes_no_null() {
        for kind in KINDS {
            let object = (kind.decode)(json!({})).unwrap();
            let json = object.to_json();
            for (name, member) in json.as_object().unwrap() {
                assert!(
                    !member.is_null() || kind.opaque.contains(&name.as_str()),
                    "{}.{name} is null",
                    kind.prefix
                );
            }
        }
    }
}
