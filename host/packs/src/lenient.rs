//! Reads content as the tools that wrote it do: with Go's YAML reader and no great care (drp-behaviour.md 7.2).
//!
//! Unknown members are accepted, words like `yes` are booleans, a TAB may follow the colon of a key, and a number or
//! boolean where a text belongs is taken for its digits. `pack.yaml` and the objects of our own folders are read strictly.

use std::{collections::BTreeMap, sync::LazyLock};

use formwork_model::{Content, KINDS, Kind};
use schemars::SchemaGenerator;
use serde_json::{Map, Value};
use serde_saphyr::NonFiniteFloatPolicy;

use crate::{PackError, manifest::MAX_REPEATED};

/// The most nodes of a YAML text: ten times those of the largest known bundles.
const MAX_NODES: usize = 1_000_000;

/// How deep schemas and values are followed together; no type of the API nests deeper.
const MAX_DEPTH: usize = 64;

/// Reads a content bundle from JSON or YAML text, whose length the caller bounds.
///
/// # Errors
///
/// Those of [`parse_bundle`], and a `meta` or `sections` that are not what they must be.
pub fn parse_content(text: &[u8]) -> Result<Content, PackError> {
    serde_json::from_value(parse_bundle(text)?).map_err(|error| refused(error.to_string()))
}

/// Reads a content bundle without leaving anything out: members that are not known here stay, for whom it is sent to.
///
/// What is null where a map must be counts as empty, as in Go.
///
/// # Errors
///
/// Text that is neither JSON nor YAML, or no map.
pub fn parse_bundle(text: &[u8]) -> Result<Value, PackError> {
    let mut value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(_) => parse_lenient(text).map_err(refused)?,
    };
    CONTENT.soften(&mut value);
    let Some(members) = value.as_object_mut() else {
        return Err(refused(String::from("it must be a map with `meta` and `sections`")));
    };
    members.retain(|_, member| !member.is_null());
    for member in members.values_mut().filter_map(Value::as_object_mut) {
        member.retain(|_, value| !value.is_null());
    }
    Ok(value)
}

fn refused(reason: String) -> PackError {
    PackError::refused("bundle", reason)
}

/// Reads one YAML document. A key that is there twice is an error.
///
/// # Errors
///
/// What does not fit, in one line that has the line and column.
pub(crate) fn parse_lenient(text: &[u8]) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        strict_booleans: false,
        legacy_octal_numbers: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPEATED },
        budget: serde_saphyr::budget! { max_events: 4 * MAX_NODES, max_nodes: MAX_NODES },
    };
    serde_saphyr::from_slice_with_options(text, options).map_err(|error| error.to_string())
}

/// Turns numbers and booleans of an object into texts where its type has texts.
pub(crate) fn soften(kind: &Kind, value: &mut Value) {
    if let Some(shape) = SHAPES.get(kind.prefix) {
        shape.soften(value);
    }
}

/// What a value must look like.
struct Shape {
    schema: Value,
    definitions: Map<String, Value>,
}

/// The shapes of all types, by prefix.
static SHAPES: LazyLock<BTreeMap<&'static str, Shape>> =
    LazyLock::new(|| KINDS.iter().map(|kind| (kind.prefix, Shape::of(kind.schema))).collect());

/// The shape of a bundle.
static CONTENT: LazyLock<Shape> =
    LazyLock::new(|| Shape::of(|generator| generator.subschema_for::<Content>()));

impl Shape {
    fn of(schema: fn(&mut SchemaGenerator) -> schemars::Schema) -> Self {
        let mut generator = SchemaGenerator::default();
        let schema = schema(&mut generator).to_value();
        Self { schema, definitions: generator.take_definitions(true) }
    }

    fn soften(&self, value: &mut Value) {
        self.walk(&self.schema, value, MAX_DEPTH);
    }

    fn walk(&self, schema: &Value, value: &mut Value, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = target.rsplit('/').next().and_then(|name| self.definitions.get(name));
            return target.into_iter().for_each(|target| self.walk(target, value, depth));
        }
        match value {
            Value::Number(number) if is_text(schema) => *value = Value::String(number.to_string()),
            Value::Bool(flag) if is_text(schema) => *value = Value::String(flag.to_string()),
            Value::Array(items) => {
                if let Some(schema) = schema.get("items") {
                    items.iter_mut().for_each(|item| self.walk(schema, item, depth));
                }
            }
            Value::Object(members) => {
                let others = schema.get("additionalProperties");
                for (name, member) in members {
                    let own = schema.get("properties").and_then(|properties| properties.get(name));
                    own.or(others).into_iter().for_each(|schema| self.walk(schema, member, depth));
                }
            }
            _ => {}
        }
    }
}

/// Tells whether a schema wants a text and nothing else.
fn is_text(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("string")
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use formwork_model::kind_of;
    use serde_json::json;

    use super::*;

    fn softened(prefix: &str, text: &str) -> Value {
        let mut value = parse_lenient(text.as_bytes()).unwrap();
        soften(kind_of(prefix).unwrap(), &mut value);
        value
    }

    #[test]
    fn tab_after_the_colon_of_a_key_is_a_blank() {
        let value = softened("tasks", "Name:\tone\nMeta:\n  icon:\t \"cube\"\nDescription:\t|\n  a\tb\n");
        assert_eq!(value, json!({"Name": "one", "Meta": {"icon": "cube"}, "Description": "a\tb\n"}));
    }

    #[test]
    fn numbers_and_words_for_text_members_become_texts() {
        let text = "Name: 10\nDescription: 1.5\nMeta: {feature-flags: true, order: 7}\n\
                    Templates: [{Name: 3, Path: 4, Contents: yes}]\nRequiredParams: [1, two]\n";
        assert_eq!(
            softened("tasks", text),
            json!({"Name": "10", "Description": "1.5", "Meta": {"feature-flags": "true", "order": "7"},
                   "Templates": [{"Name": "3", "Path": "4", "Contents": "true"}], "RequiredParams": ["1", "two"]})
        );
    }

    #[test]
    fn members_that_are_no_texts_stay_what_they_are() {
        let text = "Name: aa\nReboot: yes\nParams: {a: 1, b: true, c: {d: 2.5}}\nUnheard: 3\n";
        assert_eq!(
            softened("stages", text),
            json!({"Name": "aa", "Reboot": true, "Params": {"a": 1, "b": true, "c": {"d": 2.5}}, "Unheard": 3})
        );
        let schema = softened("params", "Name: p1\nSchema: {type: integer, default: 3, enum: [1, 3]}\n");
        assert_eq!(schema["Schema"], json!({"type": "integer", "default": 3, "enum": [1, 3]}));
    }

    #[test]
    fn key_that_is_there_twice_is_an_error_and_so_is_what_multiplies() {
        assert!(parse_lenient(b"Name: a\nName: b\n").unwrap_err().contains("Name"));
        let bomb = (1..12).fold(String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n"), |mut text, level| {
            text.push_str(&format!("a{level}: &a{level} [{}]\n", format!("*a{},", level - 1).repeat(9)));
            text
        });
        assert!(parse_lenient(bomb.as_bytes()).is_err());
        assert!(parse_lenient("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn bundle_is_read_from_json_and_from_yaml_with_numbers_in_its_meta_data() {
        let yaml = "meta: {Name: xy, Version: 4.1, Order: 10, Beeblebrox: 2, Writable: no}\nsections:\n  tasks:\n    t1: {Timeout: 5}\n";
        let content = parse_content(yaml.as_bytes()).unwrap();
        assert_eq!((content.meta.version.as_str(), content.meta.order.as_str()), ("4.1", "10"));
        assert_eq!(content.sections["tasks"]["t1"], json!({"Timeout": 5}));
        let json = serde_json::to_vec(&content).unwrap();
        assert_eq!(parse_content(&json).unwrap(), content);
        for text in ["", "[]", "words", "{", "meta: 3", "\u{0}"] {
            assert!(parse_content(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn maps_that_are_null_are_empty_and_unknown_members_are_kept_for_others() {
        let yaml = "meta:\n  Name: xy\n  Color:\nsections:\n  tasks:\n  params: {}\nextras: {a: 1}\n";
        let content = parse_content(yaml.as_bytes()).unwrap();
        assert_eq!((content.meta.name.as_str(), content.meta.color.as_str()), ("xy", ""));
        assert!(content.sections.values().all(|section| section.is_empty()));
        assert!(parse_content(b"{meta: {Name: xy}, sections: }").unwrap().sections.is_empty());
        let bundle = parse_bundle(yaml.as_bytes()).unwrap();
        assert_eq!(bundle, json!({"meta": {"Name": "xy"}, "sections": {"params": {}}, "extras": {"a": 1}}));
    }
}
