//! What templates compute with.
//!
//! Strings and lists are shared and never change. Maps are shared and may change, because `set` and `unset` write
//! through every name that a map has, as they do in Go. Objects are the caller's own things with fields and methods.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;

use crate::error::CallError;
use crate::render::Engine;

/// A value in a template. Cloning is cheap; a cloned map is the same map.
#[derive(Clone)]
#[non_exhaustive]
pub enum Value {
    /// Go's `nil`, and what a missing map key gives.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number. JSON numbers without a fraction become these, so that 1000000 prints as 1000000.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(Arc<str>),
    /// A list that cannot change.
    List(List),
    /// A map by text keys that can change.
    Map(Map),
    /// A thing of the caller's with fields and methods.
    Object(Arc<dyn Object>),
}

/// A thing with fields and methods, such as the root of a render or `.Machine`.
///
/// A name that is neither a field nor a method is an error of the render, as for a Go struct.
pub trait Object: Send + Sync {
    /// Returns the name that messages use for this kind of thing, such as `Machine`.
    fn type_name(&self) -> &str;

    /// Returns the field `name`. A field that is given arguments is an error of the render.
    fn field(&self, name: &str) -> Option<Value>;

    /// Calls the method `name`, asked when there is no field of that name. `None` means that there is no such method.
    ///
    /// The number and types of `args` are the template's and unchecked; see [`Arguments`](crate::Arguments). A method
    /// that renders text in turn does so through `engine`, and so under the limits of the running render.
    ///
    /// # Errors
    ///
    /// Any error ends the render and carries the place of the call.
    fn call(&self, name: &str, args: &[Value], engine: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
        let _ = (name, args, engine);
        Ok(None)
    }

    /// Returns what `index` finds under a key. `None` means that the thing cannot be indexed by it.
    fn item(&self, key: &Value) -> Option<Value> {
        let _ = key;
        None
    }

    /// Returns the text that printing the thing gives.
    fn text(&self) -> String {
        self.type_name().to_owned()
    }

    /// Returns what `toJson` makes of the thing.
    fn json(&self) -> Json {
        Json::Null
    }
}

/// A shared list.
#[derive(Clone)]
pub struct List {
    items: Arc<[Value]>,
    depth: u16,
}

impl List {
    /// Returns the items.
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    /// Returns how many lists are stacked inside each other here, maps not counted. The engine bounds it, so that
    /// dropping a list never exhausts the stack.
    pub(crate) fn depth(&self) -> u16 {
        self.depth
    }
}

impl From<Vec<Value>> for List {
    fn from(items: Vec<Value>) -> Self {
        let below = items.iter().map(|item| if let Value::List(list) = item { list.depth } else { 0 }).max();
        Self { items: items.into(), depth: below.unwrap_or(0).saturating_add(1) }
    }
}

/// A shared map that can change. Cloning gives another name for the same map.
#[derive(Clone, Default)]
pub struct Map {
    entries: Arc<Mutex<Entries>>,
}

pub(crate) type Entries = BTreeMap<Arc<str>, Value>;

impl Map {
    /// Makes an empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the value of `key`.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.with(|entries| entries.get(key).cloned())
    }

    /// Writes `value` under `key`.
    pub fn insert(&self, key: impl Into<Arc<str>>, value: Value) {
        let before = self.with(|entries| entries.insert(key.into(), value));
        drop(before);
    }

    /// Removes `key`.
    pub fn remove(&self, key: &str) {
        let before = self.with(|entries| entries.remove(key));
        drop(before);
    }

    /// Returns whether there is a `key`.
    pub fn contains_key(&self, key: &str) -> bool {
        self.with(|entries| entries.contains_key(key))
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.with(|entries| entries.len())
    }

    /// Returns whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the entries as they are now, sorted by key.
    pub fn entries(&self) -> Vec<(Arc<str>, Value)> {
        self.with(|entries| entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    /// Swaps the content and returns the old one, so that it is dropped outside of the lock.
    pub(crate) fn replace(&self, with: Entries) -> Entries {
        self.with(|entries| std::mem::replace(entries, with))
    }

    pub(crate) fn snapshot(&self) -> Entries {
        self.with(|entries| entries.clone())
    }

    /// Returns what tells this map from another one that lives at the same time.
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.entries).addr()
    }

    fn with<R>(&self, act: impl FnOnce(&mut Entries) -> R) -> R {
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Into<Arc<str>>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(pairs: I) -> Self {
        let entries = pairs.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Self { entries: Arc::new(Mutex::new(entries)) }
    }
}

impl Value {
    /// Makes an object of `thing`.
    pub fn object(thing: impl Object + 'static) -> Self {
        Self::Object(Arc::new(thing))
    }

    /// Returns whether `if` takes its first branch.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::String(text) => !text.is_empty(),
            Self::List(list) => !list.items().is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Object(_) => true,
        }
    }

    /// Returns the text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// Returns the name of the Go type, as `%T` prints it.
    pub fn type_name(&self) -> &str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Object(object) => object.type_name(),
        }
    }

    /// Returns the name of the Go kind, as `kindOf` prints it.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Self::Nil => "invalid",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Object(_) => "struct",
        }
    }
}

impl fmt::Debug for Value {
    /// Shows one level only: a map may hold itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("Nil"),
            Self::Bool(truth) => write!(f, "Bool({truth})"),
            Self::Int(number) => write!(f, "Int({number})"),
            Self::Float(number) => write!(f, "Float({number:?})"),
            Self::String(text) => write!(f, "String({text:?})"),
            Self::List(list) => write!(f, "List(of {})", list.items().len()),
            Self::Map(map) => write!(f, "Map(of {})", map.len()),
            Self::Object(object) => write!(f, "Object({})", object.type_name()),
        }
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => {
                number.as_i64().map_or_else(|| Self::Float(number.as_f64().unwrap_or(f64::NAN)), Self::Int)
            }
            Json::String(text) => Self::from(text.as_str()),
            Json::Array(items) => items.iter().map(Self::from).collect::<Vec<_>>().into(),
            Json::Object(members) => {
                Self::Map(members.iter().map(|(key, member)| (key.as_str(), Self::from(member))).collect())
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(items.into())
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}
