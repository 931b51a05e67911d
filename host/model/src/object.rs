//! The traits that make a type an object.

use std::{any::Any, fmt::Debug, sync::Arc};

use schemars::{JsonSchema, Schema};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Header, Kind, Native, Params, Reference, SortKey, Span,
    canonical::{canonical_numbers, strip_nulls},
    pick::{self, Choice, pick},
    span, word,
};

/// JSON that is not an object of the type that it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The prefix of the type.
    pub prefix: &'static str,
    /// What does not fit and where.
    pub message: String,
    /// True when all members have their JSON types, up to one with a word that it does not know.
    pub is_unknown_word: bool,
}

impl DecodeError {
    /// Says that JSON is no object of a type.
    pub(crate) fn new(prefix: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { prefix, is_unknown_word: word::is_unknown(&message), message }
    }
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
    fn params(&self) -> Option<&Params> {
        None
    }
    /// Returns the parameters for a change.
    fn params_mut(&mut self) -> Option<&mut Params> {
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
    /// Tells whether it surely refers to what another object of its type refers to, faster than by comparing the references.
    fn refers_alike(&self, _other: &dyn Object) -> bool {
        false
    }
    /// Returns what is wrong with the object among the others, one message a problem: overlaps, circles, words that
    /// only another object can declare. They refuse it, as [`Object::problems`] do.
    fn conflicts(&self, others: &dyn Objects) -> Vec<String> {
        let _ = others;
        Vec::new()
    }
    /// Returns the object as the API shows it.
    fn to_json(&self) -> Value;
    /// Calls `found` with the members that have one of the names, each with the place of its name, as [`Object::to_json`]
    /// writes them, without writing the others.
    fn members(&self, names: &[&str], found: &mut dyn FnMut(usize, Value));
    /// Returns one member of the object as [`Object::members`] does.
    fn member(&self, name: &str) -> Option<Value> {
        let mut member = None;
        self.members(&[name], &mut |_, value| member = Some(value));
        member
    }
    /// Appends the object as [`Object::to_json`] writes it to a text, each member as `choose` wants it by its name.
    fn write(&self, out: &mut Vec<u8>, choose: &mut dyn FnMut(&str) -> Choice);
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
    /// True when objects have parameters of their own.
    const BEARS_PARAMS: bool;
}

/// A readable set of objects at one revision: a snapshot of the store, or a transaction over one.
pub trait Objects {
    /// Returns the object with a prefix and a native key.
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>>;
    /// Calls `visit` for all objects of a type in key order, until it returns false.
    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool);
    /// Returns the number of objects of a type.
    fn count(&self, prefix: &str) -> usize;

    /// Calls `visit` for all objects that refer to one, in the order of prefixes and keys, until it returns false.
    ///
    /// Whether the object that is referred to exists does not matter. A set without indexes looks at all objects.
    fn users_of(&self, prefix: &str, key: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        span::scan_users(self, prefix, key, visit);
    }

    /// Calls `visit` for the objects with a member in a span of values, in the order of the values and, of equal
    /// values, of the keys, until it returns false.
    ///
    /// An object with several values in the span, all out of one list, comes once for each. Without an index of the
    /// member all objects of the type are looked at and sorted.
    fn range(&self, span: &Span<'_>, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        span::scan(self, span, visit);
    }

    /// Returns the object of a type of which a member has a value or holds it in its list; of several the first by
    /// key. `text` is the value as it stands in a URL.
    fn by_unique(&self, prefix: &str, member: &str, text: &str) -> Option<Arc<dyn Object>> {
        let value = SortKey::parse(Native::of_text(member), text)?;
        let mut found = None;
        self.range(&Span::equal(prefix, member, value), &mut |object| {
            found = Some(Arc::clone(object));
            false
        });
        found
    }
}

impl<T: Objects + ?Sized> Objects for &T {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        (**self).find(prefix, key)
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        (**self).visit(prefix, visit);
    }

    fn count(&self, prefix: &str) -> usize {
        (**self).count(prefix)
    }

    fn users_of(&self, prefix: &str, key: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        (**self).users_of(prefix, key, visit);
    }

    fn range(&self, span: &Span<'_>, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        (**self).range(span, visit);
    }
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

/// Decodes JSON into a record: nulls count as missing, missing members get their defaults, numbers take their canonical
/// form (drp-api.md 3.1).
///
/// # Errors
///
/// A member of the wrong JSON type, or something that is no JSON object.
pub(crate) fn decode<R: Record>(mut value: Value) -> Result<Arc<dyn Object>, DecodeError> {
    if !value.is_object() {
        return Err(DecodeError::new(R::KIND.prefix, "it must be a JSON object"));
    }
    strip_nulls(&mut value, R::KIND.opaque);
    canonical_numbers(&mut value);
    let mut record: R =
        serde_json::from_value(value).map_err(|error| DecodeError::new(R::KIND.prefix, error.to_string()))?;
    record.normalise();
    Ok(Arc::new(record))
}

/// Decodes the text of an object that [`Object::write`] wrote whole. It is read as any other JSON where it does not fit: a
/// release may have written what another one does not expect.
pub(crate) fn decode_text<R: Record>(text: &[u8]) -> Result<Arc<dyn Object>, DecodeError> {
    if text.first() == Some(&b'{')
        && let Ok(mut record) = serde_json::from_slice::<R>(text)
    {
        record.normalise();
        return Ok(Arc::new(record));
    }
    decode::<R>(parsed(R::KIND.prefix, text)?)
}

/// Parses the text of an object of a type.
pub(crate) fn parsed(prefix: &'static str, text: &[u8]) -> Result<Value, DecodeError> {
    serde_json::from_slice(text).map_err(|error| DecodeError::new(prefix, error.to_string()))
}

/// Writes an object as the API shows it, without the common members that its type does not have.
pub(crate) fn encode<R: Record>(record: &R) -> Value {
    let mut value = serde_json::to_value(record).unwrap_or(Value::Null);
    if let Value::Object(members) = &mut value {
        R::KIND.absent.iter().for_each(|name| drop(members.remove(*name)));
    }
    value
}

/// Writes some members of an object as [`encode`] does.
pub(crate) fn members<R: Record>(record: &R, names: &[&str], found: &mut dyn FnMut(usize, Value)) {
    pick(record, names, &mut |place, value| {
        if names.get(place).is_some_and(|name| !R::KIND.absent.contains(name)) {
            found(place, value);
        }
    });
}

/// Writes an object as [`encode`] does, each member as `choose` wants it.
pub(crate) fn write<R: Record>(record: &R, out: &mut Vec<u8>, choose: &mut dyn FnMut(&str) -> Choice) {
    pick::write(record, out, &mut |name| {
        if R::KIND.absent.contains(&name) { Choice::Skip } else { choose(name) }
    });
}

/// Takes the common members that a type does not have out of its schema.
pub(crate) fn tell<R: Record>(schema: &mut Schema) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        R::KIND.absent.iter().for_each(|name| drop(properties.remove(*name)));
    }
}

/// Writes the parts of [`Object`] and [`Record`] that are the same for every type.
macro_rules! object {
    ($type:ident, $kind:path, key = $key:expr $(, params = $params:ident)? $(, normalise = $normalise:expr)?
     $(, problems = $problems:path)? $(, references = $references:path)? $(, refers_alike = $alike:path)?
     $(, conflicts = $conflicts:path)?) => {
        impl crate::Object for $type {
            fn kind(&self) -> &'static crate::Kind { &$kind }
            fn key(&self) -> String { let key: fn(&$type) -> String = $key; key(self) }
            fn header(&self) -> &crate::Header { &self.header }
            fn header_mut(&mut self) -> &mut crate::Header { &mut self.header }
            $(
                fn params(&self) -> Option<&crate::Params> { Some(&self.$params) }
                fn params_mut(&mut self) -> Option<&mut crate::Params> { Some(&mut self.$params) }
            )?
            $(fn normalise(&mut self) { let normalise: fn(&mut $type) = $normalise; normalise(self) })?
            $(fn problems(&self) -> Vec<String> { $problems(self) })?
            $(fn references(&self) -> Vec<crate::Reference> { $references(self) })?
            $(fn refers_alike(&self, other: &dyn crate::Object) -> bool { $alike(self, other) })?
            $(
                fn conflicts(&self, others: &dyn crate::Objects) -> Vec<String> { $conflicts(self, others) }
            )?
            fn to_json(&self) -> serde_json::Value { crate::object::encode(self) }
            fn members(&self, names: &[&str], found: &mut dyn FnMut(usize, serde_json::Value)) {
                crate::object::members(self, names, found);
            }
            fn write(&self, out: &mut Vec<u8>, choose: &mut dyn FnMut(&str) -> crate::Choice) {
                crate::object::write(self, out, choose);
            }
            fn boxed(&self) -> Box<dyn crate::Object> { Box::new(self.clone()) }
            fn shared(self: Box<Self>) -> std::sync::Arc<dyn crate::Object> { std::sync::Arc::new(*self) }
            fn as_any(&self) -> &dyn std::any::Any { self }
            fn into_any(self: std::sync::Arc<Self>) -> std::sync::Arc<dyn std::any::Any + Send + Sync> { self }
        }
        impl crate::Record for $type {
            const KIND: &'static crate::Kind = &$kind;
            const BEARS_PARAMS: bool = !<[&str]>::is_empty(&[$(stringify!($params))?]);
        }
    };
}

pub(crate) use object;

/// Decodes the members of an object and proves that they are all that its type has beside the common ones, that they
/// come back as they were, and that nothing is wrong with them. Returns the object.
#[cfg(test)]
pub(crate) fn round_trip(prefix: &str, members: Value) -> Arc<dyn Object> {
    let object = (crate::kind_of(prefix).unwrap().decode)(members.clone()).unwrap();
    let mut json = object.to_json();
    let common = serde_json::to_value(Header::default()).unwrap();
    let here = json.as_object_mut().unwrap();
    for name in common.as_object().unwrap().keys() {
        assert_eq!(here.remove(name).is_none(), object.kind().absent.contains(&name.as_str()), "{name}");
    }
    assert_eq!(json, members);
    assert_eq!(object.problems(), Vec::<String>::new());
    object
}

/// A few objects, for rules about one among others.
#[cfg(test)]
pub(crate) struct Few(pub(crate) Vec<Arc<dyn Object>>);

#[cfg(test)]
impl Objects for Few {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        self.0.iter().find(|object| object.kind().prefix == prefix && object.key() == key).map(Arc::clone)
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        let _ = self.0.iter().filter(|object| object.kind().prefix == prefix).all(visit);
    }

    fn count(&self, prefix: &str) -> usize {
        self.0.iter().filter(|object| object.kind().prefix == prefix).count()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::KINDS;

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
    fn numbers_are_canonical_and_nulls_are_no_items_of_lists() {
        let members =
            json!({"Name": "ab", "CurrentTask": 2.0, "Profiles": [null, "x"], "Params": {"a": [1.0, null]}});
        let json = decode::<crate::Machine>(members).unwrap().to_json();
        assert_eq!((&json["CurrentTask"], &json["Profiles"]), (&json!(2), &json!(["x"])));
        assert_eq!(serde_json::to_string(&json["Params"]).unwrap(), r#"{"a":[1,null]}"#);
    }

    #[test]
    fn every_kind_decodes_an_empty_object_and_writes_no_null_but_where_an_object_may_be_missing() {
        // An object or null (drp-api.md 7A.3).
        let optional = [("batches", "WorkOrderTemplate"), ("batches", "PostWorkOrderTemplate")];
        for kind in KINDS {
            let object = (kind.decode)(json!({})).unwrap();
            let json = object.to_json();
            for (name, member) in json.as_object().unwrap() {
                assert!(
                    !member.is_null()
                        || kind.opaque.contains(&name.as_str())
                        || optional.contains(&(kind.prefix, name)),
                    "{}.{name} is null",
                    kind.prefix
                );
            }
        }
    }
}
