//! Groups of objects with equal values (drp-api.md 4.2).

use std::collections::BTreeMap;

use formwork_model::SortKey;
use serde_json::Value;

/// Objects with the same value of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Group<T> {
    /// The value; null where objects have none.
    pub value: Value,
    /// How many objects there are, those of inner groups counted.
    pub count: usize,
    /// The objects in the order in which they came.
    pub items: Vec<T>,
}

/// Divides objects by a value of each; groups come in the order of their values. `member` names the values, see
/// [`SortKey::of`].
pub fn group<T>(
    items: impl IntoIterator<Item = T>,
    member: &str,
    value_of: impl Fn(&T) -> Option<Value>,
) -> Vec<Group<T>> {
    let mut groups: BTreeMap<SortKey, Group<T>> = BTreeMap::new();
    for item in items {
        let value = value_of(&item).unwrap_or_default();
        let key = SortKey::of(member, &value);
        let group = groups.entry(key).or_insert_with(|| Group { value, count: 0, items: Vec::new() });
        group.count += 1;
        group.items.push(item);
    }
    groups.into_values().collect()
}
