//! The parameters of an object, in the form in which a hundred thousand objects fit into memory.

use std::{borrow::Cow, collections::btree_map, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::{Value, value::RawValue};

use crate::Values;

/// Parameter values by name, kept as one JSON text in name order.
///
/// As a map of values twenty parameters have several times the memory of their text, and most objects are never asked for
/// one. Looking for one goes through the text and parses that one; a change parses and writes all of it. For many
/// questions about one object take [`Params::values`] once.
#[derive(Clone, Default)]
pub struct Params(Option<Box<RawValue>>);

impl Params {
    /// Makes an empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Returns the JSON text of all values, an object in name order.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.as_ref().map_or("{}", |text| text.get())
    }

    /// Tells whether there is no value.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys().count()
    }

    /// Returns all values.
    #[must_use]
    pub fn values(&self) -> Values {
        // What is kept was written here, and parses.
        self.0.as_ref().and_then(|text| serde_json::from_str(text.get()).ok()).unwrap_or_default()
    }

    /// Returns the value with a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.find(name)?.get()).ok()
    }

    /// Tells whether there is a value with a name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Returns the names in order.
    pub fn keys(&self) -> impl Iterator<Item = String> + use<> {
        let members = self.0.as_ref().and_then(|text| serde_json::from_str::<Names>(text.get()).ok());
        members.map(|names| names.0).unwrap_or_default().into_iter()
    }

    /// Returns names and values in the order of names.
    pub fn iter(&self) -> btree_map::IntoIter<String, Value> {
        self.values().into_iter()
    }

    /// Sets a value and returns what it was before.
    pub fn insert(&mut self, name: String, value: Value) -> Option<Value> {
        self.change(|values| values.insert(name, value))
    }

    /// Removes a value and returns it.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        if self.contains_key(name) { self.change(|values| values.remove(name)) } else { None }
    }

    /// Keeps the values that a test accepts.
    pub fn retain(&mut self, keeps: impl FnMut(&String, &mut Value) -> bool) {
        self.change(|values| values.retain(keeps));
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Values) -> T) -> T {
        let mut values = self.values();
        let told = change(&mut values);
        *self = values.into();
        told
    }

    fn find(&self, name: &str) -> Option<&RawValue> {
        let text = self.0.as_ref()?.get();
        // Most objects are asked for what they do not have, and a text without escapes says so without being parsed.
        if !text.contains('\\') && !text.contains(name) {
            return None;
        }
        let mut parser = serde_json::Deserializer::from_str(text);
        Member(name).deserialize(&mut parser).ok()?
    }
}

impl From<Values> for Params {
    fn from(values: Values) -> Self {
        if values.is_empty() {
            return Self(None);
        }
        // Values in a map with names for keys can always be written.
        Self(serde_json::value::to_raw_value(&values).ok())
    }
}

impl FromIterator<(String, Value)> for Params {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(values: I) -> Self {
        values.into_iter().collect::<Values>().into()
    }
}

impl<const COUNT: usize> From<[(String, Value); COUNT]> for Params {
    fn from(values: [(String, Value); COUNT]) -> Self {
        Values::from(values).into()
    }
}

impl Extend<(String, Value)> for Params {
    fn extend<I: IntoIterator<Item = (String, Value)>>(&mut self, more: I) {
        let mut more = more.into_iter().peekable();
        if more.peek().is_some() {
            self.change(|values| values.extend(more));
        }
    }
}

impl IntoIterator for &Params {
    type Item = (String, Value);
    type IntoIter = btree_map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Params {
    type Item = (String, Value);
    type IntoIter = btree_map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Params {
    /// Members of a value may stand in any order.
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() || self.values() == other.values()
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

impl Serialize for Params {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(text) => text.serialize(serializer),
            None => serializer.serialize_map(Some(0))?.end(),
        }
    }
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        // What was written here is kept as it is: most texts are rows of a store.
        if let Ok(InOrder { is_empty }) = serde_json::from_str(text.get()) {
            return Ok(Self((!is_empty).then_some(text)));
        }
        serde_json::from_str::<Values>(text.get()).map(Self::from).map_err(D::Error::custom)
    }
}

impl JsonSchema for Params {
    fn schema_name() -> Cow<'static, str> {
        Values::schema_name()
    }

    fn inline_schema() -> bool {
        Values::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Values::json_schema(generator)
    }
}

/// Finds the text of one member of a JSON object and parses nothing else.
struct Member<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = members.next_key_seed(IsName(self.0))? {
            if is_it {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Tells whether a name is the one looked for.
struct IsName<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// A JSON object whose names rise, and whose values can all be read.
struct InOrder {
    is_empty: bool,
}

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrderVisitor)
    }
}

struct InOrderVisitor;

impl<'de> Visitor<'de> for InOrderVisitor {
    type Value = InOrder;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object in name order")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<InOrder, A::Error> {
        let mut last: Option<Name<'de>> = None;
        while let Some((name, Readable)) = members.next_entry::<Name<'de>, Readable>()? {
            if last.is_some_and(|last| last.0 >= name.0) {
                return Err(Error::custom("the names do not rise"));
            }
            last = Some(name);
        }
        Ok(InOrder { is_empty: last.is_none() })
    }
}

/// A name, which is copied only when it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Any JSON that could be read as values. [`IgnoredAny`] would pass numbers that no value can hold.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<IgnoredAny, Self>()?.is_some() {}
        Ok(self)
    }
}

/// The names of the members of a JSON object.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Names, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = members.next_entry()? {
            names.push(name);
        }
        Ok(Names(names))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_in_name_order_and_none_is_an_empty_object() {
        let mut params = Params::new();
        assert_eq!((params.text(), params.len()), ("{}", 0));
        params.insert("b".into(), json!({"z": 1, "a": null}));
        assert_eq!(params.insert("a\"".into(), json!("x")), None);
        assert_eq!(params.text(), r#"{"a\"":"x","b":{"z":1,"a":null}}"#);
        assert_eq!(serde_json::to_string(&params).unwrap(), params.text());
        assert_eq!(serde_json::to_value(&params).unwrap(), json!({"a\"": "x", "b": {"z": 1, "a": null}}));
        assert_eq!((params.remove("b"), params.remove("c")), (Some(json!({"z": 1, "a": null})), None));
        assert_eq!(params.remove("a\""), Some(json!("x")));
        assert!(params.is_empty() && params == Params::new());
    }

    #[test]
    fn text_in_name_order_is_kept_and_any_other_is_brought_into_it() {
        let text = |json: &str| serde_json::from_str::<Params>(json).map(|params| params.text().to_owned());
        assert_eq!(text(r#"{"a":{"y":2.50,"x":1},"b":null}"#).unwrap(), r#"{"a":{"y":2.50,"x":1},"b":null}"#);
        assert_eq!(text(r#"{"b": 1, "a":2}"#).unwrap(), r#"{"a":2,"b":1}"#);
        assert_eq!(text(r#"{"a":1,"a":2}"#).unwrap(), r#"{"a":2}"#);
        assert_eq!(text(" { } ").unwrap(), "{}");
        assert_eq!(
            serde_json::from_value::<Params>(json!({"b": 1, "a\n": [2]})).unwrap().text(),
            r#"{"a\n":[2],"b":1}"#
        );
        for wrong in ["[]", "null", "1", r#"{"a":1e999}"#, r#"{"a":[{"b":1e999}]}"#] {
            assert!(text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn order_of_the_members_of_a_value_makes_no_difference() {
        let params = |text| serde_json::from_str::<Params>(text).unwrap();
        assert_eq!(params(r#"{"a":{"x":1,"y":2}}"#), params(r#"{"a": {"y": 2, "x": 1}}"#));
        assert_ne!(params(r#"{"a":{"x":1}}"#), params(r#"{"a":{"x":2}}"#));
    }

    proptest! {
        #[test]
        fn params_are_a_map(steps in prop::collection::vec((any::<bool>(), "[a-c\"\\\\\u{e9}]{1,2}", any::<i64>()), 0..30)) {
            let (mut params, mut model) = (Params::new(), Values::new());
            for (comes, name, number) in steps {
                if comes {
                    let value = json!([number, {"n": name}]);
                    prop_assert_eq!(params.insert(name.clone(), value.clone()), model.insert(name.clone(), value));
                } else {
                    prop_assert_eq!(params.remove(&name), model.remove(&name));
                }
                prop_assert_eq!(params.get(&name), model.get(&name).cloned());
                prop_assert_eq!(params.contains_key(&name), model.contains_key(&name));
                prop_assert_eq!(params.keys().collect::<Vec<_>>(), model.keys().cloned().collect::<Vec<_>>());
                prop_assert_eq!(params.values(), model.clone());
            }
        }
    }
}
