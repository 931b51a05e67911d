//! How much work it is to look at a value by a schema, before that is done.
//!
//! A schema may apply two parts of itself to the same value, each of which applies two more, and so on: thirty short lines
//! make a thousand million looks at a single number, and who looks cannot be stopped. So the looks are counted first. Each
//! pair of a part of the schema and a place in the value is counted once and remembered, so the count itself is short however
//! long the work would be.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// The most looks that a value may take: some tenths of a second.
const MOST: u64 = 2_000_000;

/// The most different pairs that are counted.
const PAIRS: usize = 1 << 20;

/// The most parts of a schema that lead to each other: who looks goes as deep.
const DEPTH: usize = 512;

/// What one item counts of a list whose items are compared with each other.
const COMPARED: u64 = 32;

/// Members of a schema that hold one schema for the value itself.
const SAME: &[&str] = &["not", "if", "then", "else"];

/// Members that hold a list of schemas for the value itself.
const SAME_EACH: &[&str] = &["allOf", "anyOf", "oneOf"];

/// Members that hold one schema for each item or member of the value.
const EACH: &[&str] = &[
    "additionalItems",
    "additionalProperties",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// The most references of a schema: the time to compile it grows faster than their number.
const REFERENCES: usize = 1_000;

/// What a schema has that makes more work of it than a look of each of its parts at each place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    references: usize,
    comparisons: usize,
}

impl Counted {
    /// Counts in a schema.
    pub(crate) fn of(schema: &Value) -> Self {
        let mut counted = Self::default();
        let mut waiting = vec![schema];
        while let Some(part) = waiting.pop() {
            match part {
                Value::Object(members) => {
                    counted.references += usize::from(members.contains_key("$ref"));
                    counted.comparisons += usize::from(members.contains_key("uniqueItems"));
                    waiting.extend(members.values());
                }
                Value::Array(parts) => waiting.extend(parts),
                _ => {}
            }
        }
        counted
    }

    /// Tells whether the work has to be counted for each value.
    pub(crate) fn is_any(self) -> bool {
        self != Self::default()
    }

    /// Returns why a schema is not compiled.
    pub(crate) fn problem(self) -> Option<String> {
        let Self { references, .. } = self;
        (references > REFERENCES).then(|| format!("has {references} references, more than {REFERENCES}"))
    }
}

/// Tells whether a look at a value by a schema is short enough.
pub(crate) fn is_bearable(schema: &Value, value: &Value) -> bool {
    let mut count = Count { root: schema, known: HashMap::new(), depth: 0 };
    count.of(schema, value) <= MOST
}

/// The looks at pairs that were counted, by where both are in memory; nothing while one is being counted.
struct Count<'a> {
    root: &'a Value,
    known: HashMap<(usize, usize), Option<u64>>,
    depth: usize,
}

impl Count<'_> {
    fn of(&mut self, schema: &Value, value: &Value) -> u64 {
        let Some(members) = schema.as_object() else { return 1 };
        let pair = (std::ptr::from_ref(schema).addr(), std::ptr::from_ref(value).addr());
        match self.known.get(&pair) {
            Some(Some(count)) => return *count,
            // A part that leads to itself without going down in the value has no end.
            Some(None) => return u64::MAX,
            None if self.known.len() >= PAIRS || self.depth >= DEPTH => return u64::MAX,
            None => {}
        }
        self.known.insert(pair, None);
        self.depth += 1;
        let count = self.looks(members, value);
        self.depth -= 1;
        self.known.insert(pair, Some(count));
        count
    }

    fn looks(&mut self, schema: &Map<String, Value>, value: &Value) -> u64 {
        let mut count = 1 + own(schema, value);
        let mut add = |more: u64| count = count.saturating_add(more);
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            // One to elsewhere is refused when the schema is compiled.
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(&decoded(pointer)));
            add(target.map_or(1, |target| self.of(target, value)));
        }
        for part in SAME.iter().filter_map(|name| schema.get(*name)) {
            add(self.of(part, value));
        }
        for part in SAME_EACH.iter().filter_map(|name| schema.get(*name)?.as_array()).flatten() {
            add(self.of(part, value));
        }
        for parts in
            ["dependencies", "dependentSchemas"].iter().filter_map(|name| schema.get(*name)?.as_object())
        {
            parts.values().for_each(|part| add(self.of(part, value)));
        }
        if let (Some(named), Some(members)) =
            (schema.get("properties").and_then(Value::as_object), value.as_object())
        {
            for (name, part) in named {
                add(members.get(name).map_or(0, |member| self.of(part, member)));
            }
        }
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let listed = ["items", "prefixItems"].iter().filter_map(|name| schema.get(*name));
        let (lists, single): (Vec<_>, Vec<_>) = listed.partition(|part| part.is_array());
        let each = EACH.iter().filter_map(|name| schema.get(*name)).chain(single);
        for part in each.chain(patterns.into_iter().flat_map(Map::values)) {
            children(value).for_each(|child| add(self.of(part, child)));
        }
        for parts in lists.into_iter().filter_map(Value::as_array) {
            for (part, child) in parts.iter().zip(children(value)) {
                add(self.of(part, child));
            }
        }
        count
    }
}

/// Counts what a part of a schema does with a value beyond one look.
fn own(schema: &Map<String, Value>, value: &Value) -> u64 {
    // Items are compared whole with each other, or the value with each of those that it may be.
    let compares = schema.get("uniqueItems") == Some(&Value::Bool(true)) && value.is_array();
    let choices = schema.get("enum").and_then(Value::as_array).map_or(0, Vec::len);
    let factor = if compares { COMPARED } else { 0 };
    (children(value).count() as u64).saturating_mul(factor).saturating_add(choices as u64)
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// Returns a pointer without the escapes of a URL.
fn decoded(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escape = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A schema of which each level applies the one below twice to the same value.
    fn doubling(levels: usize) -> Value {
        let mut definitions = Map::from_iter([(String::from("n0"), json!({"type": "integer"}))]);
        for level in 1..=levels {
            let below = json!({"$ref": format!("#/definitions/n{}", level - 1)});
            definitions.insert(format!("n{level}"), json!({"allOf": [below, below]}));
        }
        json!({"definitions": definitions, "$ref": format!("#/definitions/n{levels}")})
    }

    #[test]
    fn schema_that_doubles_its_work_at_each_level_is_refused_where_it_would_take_long() {
        assert!(is_bearable(&doubling(10), &json!(1)));
        assert!(!is_bearable(&doubling(30), &json!(1)));
        assert!(!is_bearable(&doubling(5_000), &json!(1)));
    }

    #[test]
    fn chain_of_parts_that_is_too_long_to_follow_is_refused() {
        let chain = |length: usize| {
            let link = |n: usize| (format!("n{n}"), json!({"$ref": format!("#/definitions/n{}", n + 1)}));
            let mut links: Map<String, Value> = (0..length).map(link).collect();
            links.insert(format!("n{length}"), json!({"type": "integer"}));
            json!({"definitions": links, "$ref": "#/definitions/n0"})
        };
        assert!(is_bearable(&chain(100), &json!(1)));
        assert!(!is_bearable(&chain(5_000), &json!(1)));
    }

    #[test]
    fn doubling_that_goes_down_in_the_value_counts_too() {
        let schema = json!({"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
        let nested = |depth| (0..depth).fold(json!(1), |value, _| json!({ "a": value }));
        assert!(is_bearable(&schema, &nested(5)));
        assert!(!is_bearable(&schema, &nested(60)));
    }

    #[test]
    fn tree_that_looks_once_at_each_place_is_bearable_at_any_depth() {
        let schema = json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}});
        let tree = (0..14).fold(json!({}), |tree, _| json!({"left": tree, "right": tree}));
        assert!(is_bearable(&schema, &tree));
    }

    #[test]
    fn part_that_leads_to_itself_is_refused() {
        assert!(!is_bearable(&json!({"$ref": "#"}), &json!(1)));
        assert!(!is_bearable(&json!({"anyOf": [{"type": "string"}, {"$ref": "#"}]}), &json!(1)));
    }

    #[test]
    fn list_that_is_compared_with_itself_has_a_bound() {
        let schema = json!({"uniqueItems": true});
        let list = |length: usize| Value::from((0..length).collect::<Vec<_>>());
        assert!(is_bearable(&schema, &list(10_000)));
        assert!(!is_bearable(&schema, &list(100_000)));
    }

    #[test]
    fn pointers_are_read_with_their_escapes() {
        let schema =
            json!({"definitions": {"a b": {"$ref": "#/definitions/a%20b"}}, "$ref": "#/definitions/a%20b"});
        assert!(!is_bearable(&schema, &json!(1)));
    }
}
