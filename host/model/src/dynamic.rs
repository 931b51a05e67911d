//! Objects of types that somebody declared: store objects, and plugin providers (drp-api.md 7.26, 7A.10, 7.20).
//!
//! A declared type has a [`Kind`] as ours have, made by [`crate::declare`] when it is first needed. It stays for the life of the
//! process; whether the type is declared now, and how, says a set of objects.

use std::{any::Any, collections::BTreeSet, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    Choice, DecodeError, Header, Kind, NameGrammar, Object, Objects, ObjectsExt, Params, PluginProvider,
    Record, StoreObject,
    canonical::{canonical_numbers, strip_nulls},
    kind_of, kinds, name_problem, object, pick, scopes,
};

/// The member that says of which type an object is.
const TYPE: &str = "Type";

/// The members of an object of a declared type. What its type has besides is free.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
#[schemars(rename = "DynamicObject")]
struct Members {
    /// The prefix of the type.
    r#type: String,
    /// The key.
    id: String,
    /// One line for people.
    description: String,
    /// More for people, in Markdown or reStructuredText.
    documentation: String,
    /// Parameters of its own.
    params: Params,
    #[serde(flatten)]
    header: Header,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// An object of a declared type.
#[derive(Clone, Debug)]
pub struct DynamicObject {
    kind: &'static Kind,
    members: Members,
}

impl DynamicObject {
    /// Returns what a schema of the type is about: the members that are its own, and of those that all types have the ones
    /// that the schema names.
    #[must_use]
    pub fn described_by(&self, schema: &Value) -> Value {
        let names = |name: &str| {
            schema.get("properties").is_some_and(|properties| properties.get(name).is_some())
                || schema
                    .get("required")
                    .and_then(Value::as_array)
                    .is_some_and(|all| all.iter().any(|own| own == name))
        };
        let mut described = self.members.rest.clone();
        for name in [TYPE, "Id", "Description", "Documentation", "Params", "Meta"] {
            if let Some(value) = names(name).then(|| self.member(name)).flatten() {
                described.insert(name.to_owned(), value);
            }
        }
        Value::Object(described)
    }
}

impl Object for DynamicObject {
    fn kind(&self) -> &'static Kind {
        self.kind
    }

    fn key(&self) -> String {
        self.members.id.clone()
    }

    fn header(&self) -> &Header {
        &self.members.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.members.header
    }

    fn params(&self) -> Option<&Params> {
        Some(&self.members.params)
    }

    fn params_mut(&mut self) -> Option<&mut Params> {
        Some(&mut self.members.params)
    }

    fn problems(&self) -> Vec<String> {
        name_problem(NameGrammar::Id, &self.members.id, &self.members.id).into_iter().collect()
    }

    fn to_json(&self) -> Value {
        serde_json::to_value(&self.members).unwrap_or(Value::Null)
    }

    fn members(&self, names: &[&str], found: &mut dyn FnMut(usize, Value)) {
        pick::pick(&self.members, names, found);
    }

    fn write(&self, out: &mut Vec<u8>, choose: &mut dyn FnMut(&str) -> Choice) {
        pick::write(&self.members, out, choose);
    }

    fn boxed(&self) -> Box<dyn Object> {
        Box::new(self.clone())
    }

    fn shared(self: Box<Self>) -> Arc<dyn Object> {
        Arc::new(*self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// Describes a declared type.
pub(crate) fn kind(prefix: &'static str) -> Kind {
    Kind {
        columns: &["Id", "Description", "Bundle"],
        ..Kind::bearer(prefix, "Id", prefix, decode, decode_text, |generator| {
            generator.subschema_for::<Members>()
        })
    }
}

fn decode_text(text: &[u8]) -> Result<Arc<dyn Object>, DecodeError> {
    decode(object::parsed("", text)?)
}

/// Decodes an object of a declared type, of which there is a kind already. The members that its type has besides those of all
/// types stay as they are; numbers take their canonical form, and members that are null count as missing.
fn decode(mut value: Value) -> Result<Arc<dyn Object>, DecodeError> {
    let Some(kind) = type_of(&value).and_then(kind_of).filter(|kind| kind.is_declared()) else {
        return Err(DecodeError::new("", "its `Type` is no declared type"));
    };
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
        members.iter_mut().filter(|(name, _)| *name == "Meta").for_each(|(_, meta)| strip_nulls(meta, &[]));
    }
    canonical_numbers(&mut value);
    let members =
        serde_json::from_value(value).map_err(|error| DecodeError::new(kind.prefix, error.to_string()))?;
    Ok(Arc::new(DynamicObject { kind, members }))
}

/// Returns the type that an object says it is of.
#[must_use]
pub fn type_of(object: &Value) -> Option<&str> {
    object.get(TYPE).and_then(Value::as_str)
}

/// Writes the type of an object into it; it may be there already, and no other.
pub(crate) fn name_type(prefix: &'static str, members: &mut Map<String, Value>) -> Result<(), DecodeError> {
    let own = members.entry(TYPE).or_insert_with(|| json!(prefix));
    if own.is_null() || own == "" {
        *own = json!(prefix);
    }
    if own == prefix {
        return Ok(());
    }
    Err(DecodeError::new(prefix, format!("its `{TYPE}` is {own}, not `{prefix}`")))
}

/// Returns why a type cannot have a prefix, which is a part of URLs, events and claims.
pub(crate) fn prefix_problem(prefix: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !NameGrammar::Name.accepts(prefix) || !prefix.chars().all(plain) {
        return Some(format!("Invalid Name `{prefix}`"));
    }
    scopes::is_taken(prefix).then(|| format!("{prefix} is a part of the API already"))
}

/// How a type is declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// The prefix of the object that declares it.
    pub by: &'static str,
    /// The key of that object.
    pub key: String,
    /// The JSON Schema of its objects; see [`DynamicObject::described_by`].
    pub schema: Value,
}

/// Finds how a type is declared: by a store object, else by the first plugin provider that declares it.
#[must_use]
pub fn declaration(objects: &(impl Objects + ?Sized), prefix: &str) -> Option<Declaration> {
    if prefix_problem(prefix).is_some() {
        return None;
    }
    if let Some(own) = objects.get::<StoreObject>(prefix) {
        let (by, key) = (StoreObject::KIND.prefix, own.name.clone());
        return Some(Declaration { by, key, schema: own.schema() });
    }
    let provider =
        objects.find_by::<PluginProvider>(|provider| provider.store_objects.contains_key(prefix))?;
    let schema = provider.store_objects.get(prefix).cloned().unwrap_or_default();
    Some(Declaration { by: PluginProvider::KIND.prefix, key: provider.name.clone(), schema })
}

/// Returns the prefixes of all types that are declared now.
#[must_use]
pub fn declared(objects: &(impl Objects + ?Sized)) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    found.extend(objects.list::<StoreObject>().iter().map(|own| own.name.clone()));
    for provider in objects.list::<PluginProvider>() {
        found.extend(provider.store_objects.keys().cloned());
    }
    found.retain(|prefix| prefix_problem(prefix).is_none());
    found
}

/// Returns the kind of a type that clients of a set of objects know though it is none of ours: one that is declared, or
/// of which there are objects still.
#[must_use]
pub fn declared_kind(objects: &(impl Objects + ?Sized), prefix: &str) -> Option<&'static Kind> {
    if declaration(objects, prefix).is_some() {
        return crate::declare(prefix).ok();
    }
    kind_of(prefix).filter(|kind| kind.is_declared() && objects.count(prefix) > 0)
}

/// Returns all kinds that clients of a set of objects know, in the order of their prefixes.
#[must_use]
pub fn kinds_of(objects: &(impl Objects + ?Sized)) -> Vec<&'static Kind> {
    // Those that are declared and were never needed have no kind before this.
    declared(objects).iter().for_each(|prefix| drop(crate::declare(prefix)));
    let mut found = kinds();
    found.retain(|kind| !kind.is_declared() || declared_kind(objects, kind.prefix).is_some());
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{declare, object::Few};

    #[test]
    fn object_keeps_what_only_its_type_has() {
        let kind = declare("gauges").unwrap();
        assert!(
            std::ptr::eq(kind, declare("gauges").unwrap()) && std::ptr::eq(kind, kind_of("gauges").unwrap())
        );
        let members = json!({
            "Id": "g1", "Description": "d", "Meta": {"a": "b", "c": null}, "Params": {"x/y": {"z": null}}, "Scale": [1.0, null],
            "Deep": {"x": null}, "Gone": null, "Validated": true,
        });
        let object = kind.read(members).unwrap();
        let json = object.to_json();
        assert_eq!(
            (&json["Type"], &json["Scale"], &json["Deep"]),
            (&json!("gauges"), &json!([1, null]), &json!({"x": null}))
        );
        assert_eq!((&json["Meta"], json.get("Gone")), (&json!({"a": "b"}), None));
        assert_eq!((object.key(), object.header().validated), (String::from("g1"), true));
        assert_eq!(object.params().unwrap().get("x/y").unwrap(), json!({"z": null}));
        assert_eq!((kind.decode)(json.clone()).unwrap().to_json(), json);
        for (wrong, part) in [
            (json!({"Type": "machines", "Id": "g1"}), "machines"),
            (json!({"Id": 3}), "string"),
            (json!([]), "no declared type"),
        ] {
            let error = kind.read(wrong).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_member_is_picked_and_written_as_it_is(free in prop::collection::btree_map("[A-Za-z~/ \"]{0,8}", any::<i32>(), 0..6)) {
            let kind = declare("gauges").unwrap();
            let common = ["Id", "Type", "Description", "Documentation", "Params", "Meta", "Errors"];
            let mut members: Map<String, Value> = free.into_iter().map(|(name, value)| (name, json!(value))).collect();
            members.retain(|name, _| !common.contains(&name.as_str()) && !Header::READ_ONLY.contains(&name.as_str()));
            members.insert(String::from("Id"), json!("g1"));
            let object = kind.read(Value::Object(members.clone())).unwrap();
            let json = object.to_json();
            for (name, value) in json.as_object().unwrap() {
                let picked = object.member(name);
                prop_assert_eq!(picked.as_ref(), Some(value));
            }
            prop_assert!(members.iter().all(|(name, value)| json.get(name) == Some(value)));
            let mut text = Vec::new();
            object.write(&mut text, &mut |_| Choice::Keep);
            prop_assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), json);
        }
    }

    #[test]
    fn type_is_known_while_somebody_declares_it_or_it_has_objects() {
        let own = StoreObject { name: "dials".into(), ..StoreObject::default() };
        let provider = PluginProvider {
            name: "p1".into(),
            store_objects: [
                (String::from("knobs"), json!({"required": ["x"]})),
                (String::from("jobs"), json!({})),
            ]
            .into(),
            ..PluginProvider::default()
        };
        let objects = Few(vec![Arc::new(own), Arc::new(provider)]);
        assert_eq!(declared(&objects).into_iter().collect::<Vec<_>>(), ["dials", "knobs"]);
        assert_eq!(declaration(&objects, "knobs").unwrap().schema, json!({"required": ["x"]}));
        assert_eq!(declaration(&objects, "jobs"), None);
        assert_eq!(declared_kind(&objects, "knobs").unwrap().prefix, "knobs");
        let known: Vec<&str> =
            kinds_of(&objects).iter().filter(|kind| kind.is_declared()).map(|kind| kind.prefix).collect();
        assert_eq!(known, ["dials", "knobs"]);
        let knob = declare("knobs").unwrap().read(json!({"Id": "k1"})).unwrap();
        assert!(declared_kind(&Few(Vec::new()), "knobs").is_none());
        assert!(declared_kind(&Few(vec![knob]), "knobs").is_some());
    }

    #[test]
    fn prefix_is_a_plain_word_that_means_nothing_yet() {
        for prefix in ["machines", "files", "a b", "x", "1a", "a/b", "", "prefs", "plugin_cursors"] {
            assert!(declare(prefix).is_err(), "{prefix}");
        }
    }
}
