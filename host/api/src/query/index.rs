//! What lists can be filtered and sorted by (drp-api.md 4.1, 4.3).

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, OnceLock},
};

use formwork_model::{KINDS, Kind, Native, Object, Objects, Param, Record, declaration};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::QueryError;

/// A member of a type, a parameter or a key of the meta map, by which lists are filtered and sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Where the values are.
    pub subject: Subject,
    /// How they look.
    pub shape: Shape,
    /// As what they are compared; nothing when each value says so itself, as those of a parameter without a schema do.
    pub native: Option<Native>,
}

/// Where the values of an index are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// In a member of the objects, by its JSON name.
    Member(String),
    /// In a parameter, looked up in all sources of an object (drp-api.md 6.2).
    Param(String),
    /// In the meta map.
    Meta(String),
}

/// How the values of an index look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Each object has one.
    One,
    /// Each object has a list of them; filters look for items.
    List,
    /// They have members of their own and no order.
    Map,
    /// Nothing is known of them.
    Unknown,
}

/// An index as clients see it (drp-api.md 4.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct IndexInfo {
    /// What the values are, in words for people.
    pub r#type: String,
    /// True when no two objects have the same value: objects can be named by it.
    pub unique: bool,
    /// True when lists cannot be sorted by it.
    pub unordered: bool,
    /// True when values can be compared with an expression.
    pub regex: bool,
}

impl Index {
    /// Finds what a name in a query means for a type: a member, else a parameter, else a key of the meta map.
    ///
    /// A parameter is known when it is declared or any object has a value of it, a key when any object of the type has
    /// it.
    ///
    /// # Errors
    ///
    /// It means nothing, or a member that no query may look at.
    pub fn find(name: &str, kind: &'static Kind, objects: &dyn Objects) -> Result<Self, QueryError> {
        let unknown = || QueryError::UnknownIndex(name.to_owned());
        if kind.hidden.contains(&name) {
            return Err(unknown());
        }
        let name = if name == "Key" { kind.key } else { name };
        if let Some((shape, native)) = members(kind).and_then(|members| members.get(name)) {
            let subject = Subject::Member(name.to_owned());
            return Ok(Self { subject, shape: *shape, native: Some(*native) });
        }
        if let Some(index) = Self::of_free(name, kind, objects) {
            return Ok(index);
        }
        let explicit = name.strip_prefix("Params.");
        let param = explicit.unwrap_or(name);
        if kind.bears_params {
            if let Some(index) = Self::of_param(param, objects) {
                return Ok(index);
            }
            if explicit.is_some() || is_a_value(param, kind, objects) {
                let subject = Subject::Param(param.to_owned());
                return Ok(Self { subject, shape: Shape::Unknown, native: None });
            }
        }
        let key = name.strip_prefix("Meta.").unwrap_or(name);
        let known = any(objects, kind.prefix, |object| object.header().meta.contains_key(key));
        known.then(|| Self::meta(key)).ok_or_else(unknown)
    }

    /// Returns the index of a member of `Meta`, whether any object has it or not.
    #[must_use]
    pub fn meta(key: &str) -> Self {
        Self { subject: Subject::Meta(key.to_owned()), shape: Shape::One, native: Some(Native::Text) }
    }

    /// Finds a member that only a declared type has: one that its declaration tells, or that any object has.
    fn of_free(name: &str, kind: &'static Kind, objects: &dyn Objects) -> Option<Self> {
        if !kind.is_declared() {
            return None;
        }
        if let Some((_, index)) = Self::declared(kind, objects).into_iter().find(|(own, _)| own == name) {
            return Some(index);
        }
        let subject = Subject::Member(name.to_owned());
        any(objects, kind.prefix, |object| object.member(name).is_some()).then_some(Self {
            subject,
            shape: Shape::Unknown,
            native: None,
        })
    }

    /// Returns the members that the declaration of a type tells, where somebody declared it (drp-api.md 7.26).
    #[must_use]
    pub fn declared(kind: &'static Kind, objects: &dyn Objects) -> Vec<(String, Self)> {
        let declaration = kind.is_declared().then(|| declaration(objects, kind.prefix)).flatten();
        let properties =
            declaration.as_ref().and_then(|declared| declared.schema.get("properties")?.as_object());
        let index = |(name, schema): (&String, &Value)| {
            let (shape, native) = of_schema(name, schema);
            (name.clone(), Self { subject: Subject::Member(name.clone()), shape, native })
        };
        let common = members(kind);
        let is_free = |name: &String| common.is_none_or(|members| !members.contains_key(name));
        properties.into_iter().flatten().filter(|(name, _)| is_free(name)).map(index).collect()
    }

    /// Returns the index of a declared parameter.
    #[must_use]
    pub fn of_param(name: &str, objects: &dyn Objects) -> Option<Self> {
        let declared = objects.find(Param::KIND.prefix, name)?;
        let schema = &declared.as_any().downcast_ref::<Param>()?.schema;
        let (shape, native) = of_schema("", schema);
        Some(Self { subject: Subject::Param(name.to_owned()), shape, native })
    }

    /// Returns all members of a type by which its lists can be filtered.
    pub fn all(kind: &'static Kind) -> impl Iterator<Item = (&'static str, Self)> {
        let visible = |name: &str| !kind.hidden.contains(&name);
        members(kind).into_iter().flatten().filter(move |(name, _)| visible(name)).map(
            |(name, (shape, native))| {
                let subject = Subject::Member(name.clone());
                (name.as_str(), Self { subject, shape: *shape, native: Some(*native) })
            },
        )
    }

    /// Returns the name under which values are ordered, see [`formwork_model::SortKey::of`]: only members are called as
    /// their types are.
    #[must_use]
    pub fn member(&self) -> &str {
        match &self.subject {
            Subject::Member(name) => name,
            Subject::Param(_) | Subject::Meta(_) => "",
        }
    }

    /// Returns the name as a query says it.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.subject {
            Subject::Member(name) | Subject::Param(name) | Subject::Meta(name) => name,
        }
    }

    /// Tells whether lists can be sorted by it.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        matches!(self.shape, Shape::One | Shape::Unknown)
    }

    /// Tells whether values can be compared with an expression.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!((self.shape, self.native), (Shape::One | Shape::Unknown, None | Some(Native::Text)))
    }

    /// Describes the index of a type to clients.
    #[must_use]
    pub fn info(&self, kind: &Kind) -> IndexInfo {
        let name = self.member();
        let words = match (self.shape, self.native) {
            (Shape::List, _) => "list",
            (Shape::Map, _) => "map",
            (_, Some(Native::Boolean)) => "boolean",
            (_, Some(Native::Number)) => "number",
            (_, Some(Native::Address)) => "IP Address",
            (_, Some(Native::Time)) => "DateTime",
            _ if name.ends_with("Uuid") || name == "UUID" => "UUID",
            _ => "string",
        };
        IndexInfo {
            r#type: words.to_owned(),
            unique: name == kind.key || kind.unique.contains(&name),
            unordered: !self.is_ordered(),
            regex: self.is_text(),
        }
    }
}

type Member = (Shape, Native);

/// The members of all types, as their schemas tell them.
static MEMBERS: LazyLock<BTreeMap<&'static str, BTreeMap<String, Member>>> =
    LazyLock::new(|| KINDS.iter().map(|kind| (kind.prefix, told(kind))).collect());

fn members(kind: &Kind) -> Option<&'static BTreeMap<String, Member>> {
    // What all declared types have is the same.
    static DECLARED: OnceLock<BTreeMap<String, Member>> = OnceLock::new();
    MEMBERS.get(kind.prefix).or_else(|| kind.is_declared().then(|| DECLARED.get_or_init(|| told(kind))))
}

/// Reads the schema of a type. Members that an empty object leaves out are in it as well.
fn told(kind: &Kind) -> BTreeMap<String, Member> {
    let mut generator = SchemaGenerator::default();
    let mut schema = (kind.schema)(&mut generator).to_value();
    let definitions = generator.take_definitions(true);
    resolve(&mut schema, &definitions);
    let properties = schema.get("properties").and_then(Value::as_object);
    let member = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        resolve(&mut schema, &definitions);
        if let Some(items) = schema.get_mut("items") {
            resolve(items, &definitions);
        }
        let (shape, native) = of_schema(name, &schema);
        (name.clone(), (shape, native.unwrap_or_else(|| Native::of_text(name))))
    };
    properties.into_iter().flatten().map(member).collect()
}

/// Follows references to the definitions of a document.
fn resolve(schema: &mut Value, definitions: &Map<String, Value>) {
    // A chain of references is no longer than there are definitions.
    for _ in 0..=definitions.len() {
        let Some(target) = schema.get("$ref").and_then(Value::as_str) else { return };
        let name = target.rsplit('/').next().unwrap_or_default();
        *schema = definitions.get(name).cloned().unwrap_or_default();
    }
}

/// Tells what values a schema allows.
fn of_schema(member: &str, schema: &Value) -> (Shape, Option<Native>) {
    let word = match schema.get("type") {
        Some(Value::String(word)) => word.as_str(),
        // One type or nothing.
        Some(Value::Array(words)) => {
            let mut words = words.iter().filter_map(Value::as_str).filter(|word| *word != "null");
            match (words.next(), words.next()) {
                (Some(word), None) => word,
                _ => "",
            }
        }
        _ => "",
    };
    match word {
        "boolean" => (Shape::One, Some(Native::Boolean)),
        "integer" | "number" => (Shape::One, Some(Native::Number)),
        "string" if member.is_empty() => (Shape::One, Some(Native::Text)),
        "string" => (Shape::One, Some(Native::of_text(member))),
        "array" => (Shape::List, schema.get("items").and_then(|items| of_schema(member, items).1)),
        "object" => (Shape::Map, None),
        _ if schema.get("enum").is_some() || schema.get("oneOf").is_some() => {
            (Shape::One, Some(Native::Text))
        }
        _ => (Shape::Unknown, None),
    }
}

/// Tells whether a parameter has a value anywhere: in an object of the type or in one that they take values from.
fn is_a_value(param: &str, kind: &Kind, objects: &dyn Objects) -> bool {
    let has = |object: &dyn Object| object.params().is_some_and(|values| values.contains_key(param));
    any(objects, kind.prefix, has) || any(objects, "profiles", has) || any(objects, "stages", has)
}

fn any(objects: &dyn Objects, prefix: &str, test: impl Fn(&dyn Object) -> bool) -> bool {
    let mut found = false;
    objects.visit(prefix, &mut |object: &Arc<dyn Object>| {
        found = test(object.as_ref());
        !found
    });
    found
}

#[cfg(test)]
mod tests {
    use formwork_model::kind_of;

    use super::*;

    fn member(prefix: &str, name: &str) -> IndexInfo {
        let kind = kind_of(prefix).unwrap();
        let index = Index::all(kind).find(|(own, _)| *own == name).unwrap().1;
        index.info(kind)
    }

    fn info(words: &str, unique: bool, unordered: bool, regex: bool) -> IndexInfo {
        IndexInfo { r#type: words.to_owned(), unique, unordered, regex }
    }

    #[test]
    fn members_are_described_by_their_types() {
        assert_eq!(member("machines", "Uuid"), info("UUID", true, false, true));
        assert_eq!(member("machines", "Name"), info("string", true, false, true));
        assert_eq!(member("machines", "Stage"), info("string", false, false, true));
        assert_eq!(member("machines", "Available"), info("boolean", false, false, false));
        assert_eq!(member("machines", "CurrentTask"), info("number", false, false, false));
        assert_eq!(member("machines", "Address"), info("IP Address", false, false, false));
        assert_eq!(member("machines", "Profiles"), info("list", false, true, false));
        assert_eq!(member("machines", "Meta"), info("map", false, true, false));
        assert_eq!(member("leases", "ExpireTime"), info("DateTime", false, false, false));
        assert_eq!(member("jobs", "State"), info("string", false, false, true));
    }

    #[test]
    fn hidden_members_are_no_indexes_and_those_left_out_when_empty_are() {
        let names = |prefix: &str| -> Vec<&str> {
            Index::all(kind_of(prefix).unwrap()).map(|(name, _)| name).collect()
        };
        assert!(!names("users").contains(&"PasswordHash"));
        assert!(!names("machines").contains(&"Secret"));
        for kind in KINDS.iter().filter(|kind| kind.prefix != "contents") {
            let blank = (kind.decode)(serde_json::json!({})).unwrap().to_json();
            let known = names(kind.prefix);
            for name in blank.as_object().unwrap().keys().filter(|name| !kind.hidden.contains(&name.as_str()))
            {
                assert!(known.contains(&name.as_str()), "{}.{name}", kind.prefix);
            }
            for name in kind.indexes() {
                let blank = blank.get(name).unwrap();
                let index = Index::all(kind).find(|(own, _)| *own == name).unwrap().1;
                let shape = if blank.is_array() { Shape::List } else { Shape::One };
                assert_eq!(index.shape, shape, "{}.{name}", kind.prefix);
                assert_eq!(index.native, Some(Native::of(name, blank)), "{}.{name}", kind.prefix);
            }
        }
    }
}
