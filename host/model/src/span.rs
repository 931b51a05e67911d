//! Looking for objects by a member or by what they refer to, the slow way: what every index must agree with.

use std::{
    ops::{Bound, RangeBounds},
    sync::Arc,
};

use crate::{Kind, Object, Objects, SortKey, kinds};

/// A span of the values of one member of a type.
#[derive(Clone, Debug)]
pub struct Span<'a> {
    /// The type.
    pub prefix: &'a str,
    /// The JSON name of the member.
    pub member: &'a str,
    /// Where the span begins and where it ends.
    pub bounds: (Bound<SortKey>, Bound<SortKey>),
    /// True when it is walked from its end, keys in falling order too.
    pub backwards: bool,
}

impl<'a> Span<'a> {
    /// Makes the span of all values.
    #[must_use]
    pub const fn all(prefix: &'a str, member: &'a str) -> Self {
        Self { prefix, member, bounds: (Bound::Unbounded, Bound::Unbounded), backwards: false }
    }

    /// Makes the span of one value.
    #[must_use]
    pub fn equal(prefix: &'a str, member: &'a str, value: SortKey) -> Self {
        let bounds = (Bound::Included(value.clone()), Bound::Included(value));
        Self { prefix, member, bounds, backwards: false }
    }
}

impl Kind {
    /// Returns the members that a store keeps sorted, the unique ones first.
    pub fn indexes(&self) -> impl Iterator<Item = &'static str> {
        let (unique, indexed) = (self.unique, self.indexed);
        unique.iter().chain(indexed.iter().filter(|member| !unique.contains(member))).copied()
    }
}

/// Returns the values under which an object is found, each with the position of its member among
/// [`Kind::indexes`]; sorted, each once.
#[must_use]
pub fn index_entries(object: &dyn Object) -> Vec<(usize, SortKey)> {
    let names: Vec<&'static str> = object.kind().indexes().collect();
    if names.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::with_capacity(names.len());
    let mut is_met = vec![false; names.len()];
    object.members(&names, &mut |position, member| {
        if let (Some(name), Some(is_met)) = (names.get(position), is_met.get_mut(position)) {
            *is_met = true;
            SortKey::each(name, &member, &mut |value| found.push((position, value)));
        }
    });
    let unmet = is_met.iter().enumerate().filter(|(_, is_met)| !**is_met);
    found.extend(unmet.map(|(position, _)| (position, SortKey::NOTHING)));
    found.sort_unstable();
    found.dedup();
    found
}

/// Visits what [`Objects::users_of`] asks for by looking at all objects.
pub(crate) fn scan_users<O: Objects + ?Sized>(
    objects: &O,
    prefix: &str,
    key: &str,
    visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool,
) {
    let refers = |object: &dyn Object| {
        object.references().iter().any(|needed| needed.prefix == prefix && needed.key == key)
    };
    let mut goes_on = true;
    for kind in kinds() {
        objects.visit(kind.prefix, &mut |object| {
            goes_on = !refers(object.as_ref()) || visit(object);
            goes_on
        });
        if !goes_on {
            return;
        }
    }
}

/// Does what [`Objects::range`] promises by looking at all objects of the type: for a set that has no index of the
/// member.
pub fn scan<O: Objects + ?Sized>(
    objects: &O,
    span: &Span<'_>,
    visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool,
) {
    let mut found = Vec::new();
    objects.visit(span.prefix, &mut |object| {
        let value = object.member(span.member).unwrap_or_default();
        let mut values = SortKey::all(span.member, &value);
        values.sort_unstable();
        values.dedup();
        let within = values.into_iter().filter(|value| span.bounds.contains(value));
        found.extend(within.map(|value| (value, Arc::clone(object))));
        true
    });
    // The sort is stable and the objects came in the order of their keys.
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    if span.backwards {
        found.reverse();
    }
    let _ = found.iter().all(|(_, object)| visit(object));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Machine, Profile, object::Few};

    fn machine(uuid: &str, address: &str, profiles: &[&str]) -> Arc<dyn Object> {
        let profiles = profiles.iter().map(ToString::to_string).collect();
        Arc::new(Machine { uuid: uuid.into(), address: address.into(), profiles, ..Machine::default() })
    }

    fn machines() -> Few {
        Few(vec![
            machine("u-1", "10.0.0.10", &["rack", "gpu", "rack"]),
            machine("u-2", "10.0.0.9", &["rack"]),
            machine("u-3", "", &[]),
            machine("u-4", "10.0.0.9", &[]),
            Arc::new(Profile { name: "all".into(), profiles: vec!["rack".into()], ..Profile::default() }),
        ])
    }

    fn keys(span: &Span<'_>) -> Vec<String> {
        let mut found = Vec::new();
        machines().range(span, &mut |object| {
            found.push(object.key());
            true
        });
        found
    }

    #[test]
    fn values_come_in_order_and_equal_ones_by_key() {
        let span = Span::all("machines", "Address");
        assert_eq!(keys(&span), ["u-3", "u-2", "u-4", "u-1"]);
        assert_eq!(keys(&Span { backwards: true, ..span }), ["u-1", "u-4", "u-2", "u-3"]);
    }

    #[test]
    fn list_is_found_by_each_of_its_items_once() {
        let rack = SortKey::of("Profiles", &"rack".into());
        assert_eq!(keys(&Span::equal("machines", "Profiles", rack)), ["u-1", "u-2"]);
        assert_eq!(keys(&Span::all("machines", "Profiles")), ["u-1", "u-1", "u-2"]);
    }

    #[test]
    fn visit_that_says_no_is_the_last() {
        let mut visits = 0;
        machines().users_of("profiles", "rack", &mut |_| {
            visits += 1;
            false
        });
        machines().range(&Span::all("machines", "Address"), &mut |_| {
            visits += 1;
            visits < 3
        });
        assert_eq!(visits, 3);
    }

    #[test]
    fn first_by_key_has_the_value_and_users_are_of_all_types() {
        let found = |member: &str, text: &str| {
            machines().by_unique("machines", member, text).map(|machine| machine.key())
        };
        assert_eq!(found("Address", "10.0.0.9").as_deref(), Some("u-2"));
        assert_eq!(found("Profiles", "gpu").as_deref(), Some("u-1"));
        assert_eq!(found("Address", "not one"), None);
        let mut users = Vec::new();
        machines().users_of("profiles", "rack", &mut |object| {
            users.push(format!("{}:{}", object.kind().prefix, object.key()));
            true
        });
        assert_eq!(users, ["machines:u-1", "machines:u-2", "profiles:all"]);
    }
}
