//! Which machines are in which pool, and how they stand there (drp-api.md 13).
//!
//! Membership is of machines: the calls that fill a pool and hand out of it take nothing else, and what is told of a pool is
//! what they can take. Clusters and resource brokers name a pool as machines do, but are no members of it; one that was
//! allocated elsewhere can be released (13.4).

mod transition;

use std::collections::{BTreeMap, BTreeSet};

use formwork_model::{Machine, Objects, Record, SortKey, Span};
use schemars::JsonSchema;
use serde::Serialize;

pub use self::transition::{
    DESTINATION, Instead, Operation, Wanted, begin, hold, is_under_way, parent, settle, told,
};

/// A machine in its pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct PoolResult {
    /// The machine's name.
    pub name: String,
    /// The machine's UUID.
    pub uuid: String,
    /// True from allocation to release.
    pub allocated: bool,
    /// Where it stands: `Free`, `InUse`, `Joining` ...
    pub status: String,
}

/// Returns the machines of a pool by their status. A pool needs no object, and one that has no machines has none.
#[must_use]
pub fn status(objects: &(impl Objects + ?Sized), pool: &str) -> BTreeMap<String, Vec<PoolResult>> {
    let mut found: BTreeMap<String, Vec<PoolResult>> = BTreeMap::new();
    let span = Span::equal(Machine::KIND.prefix, "Pool", SortKey::of("Pool", &pool.into()));
    objects.range(&span, &mut |object| {
        if let Some(machine) = object.as_any().downcast_ref::<Machine>() {
            let result = result(machine);
            found.entry(result.status.clone()).or_default().push(result);
        }
        true
    });
    found
}

/// Returns the names of all pools that have machines which `counts` by their UUIDs.
#[must_use]
pub fn active(objects: &(impl Objects + ?Sized), counts: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    objects.visit(Machine::KIND.prefix, &mut |object| {
        if let Some(machine) = object.as_any().downcast_ref::<Machine>()
            && !found.contains(&machine.pool)
            && counts(&machine.uuid)
        {
            found.insert(machine.pool.clone());
        }
        true
    });
    found
}

/// Returns how a machine stands in its pool.
#[must_use]
pub fn result(machine: &Machine) -> PoolResult {
    PoolResult {
        name: machine.name.clone(),
        uuid: machine.uuid.clone(),
        allocated: machine.pool_allocated,
        status: machine.pool_status.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use formwork_model::Object;

    use super::*;

    struct Site(Vec<Arc<dyn Object>>);

    impl Objects for Site {
        fn find(&self, _: &str, key: &str) -> Option<Arc<dyn Object>> {
            self.0.iter().find(|object| object.key() == key).cloned()
        }

        fn visit(&self, _: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
            let _ = self.0.iter().all(visit);
        }

        fn count(&self, _: &str) -> usize {
            self.0.len()
        }
    }

    #[test]
    fn machines_are_told_by_pool_and_status() {
        let machine = |name: &str, pool: &str, status: &str| {
            Arc::new(Machine {
                name: name.into(),
                uuid: format!("u-{name}"),
                pool: pool.into(),
                pool_status: status.into(),
                pool_allocated: status == "InUse",
                ..Machine::default()
            }) as Arc<dyn Object>
        };
        let site = Site(vec![
            machine("a", "lab", "InUse"),
            machine("b", "lab", "Free"),
            machine("c", "default", "Free"),
        ]);
        let lab = status(&site, "lab");
        assert_eq!(lab.keys().collect::<Vec<_>>(), ["Free", "InUse"]);
        assert_eq!((lab["InUse"][0].name.as_str(), lab["InUse"][0].allocated), ("a", true));
        assert_eq!(status(&site, "default")["Free"][0].name, "c");
        assert!(status(&site, "none").is_empty());
        assert_eq!(active(&site, |uuid| uuid == "u-c"), [String::from("default")].into());
        assert_eq!(active(&site, |_| true), [String::from("default"), String::from("lab")].into());
    }
}
