//! The values of objects by which lists are filtered, sorted and grouped.

use std::{cell::RefCell, collections::HashMap};

use formwork_api::{Index, Subject};
use formwork_core::params;
use formwork_model::{Machine, Object, Values};
use formwork_store::Snapshot;
use serde_json::Value;

/// Looks at objects of one snapshot. What machines have of profiles and stages is found once for all that name the same.
pub(crate) struct Look<'a> {
    /// All objects.
    pub(crate) snapshot: &'a Snapshot,
    inherited: RefCell<HashMap<Sources, Inherited>>,
}

/// Where a machine has the values from that are not its own: its profiles, its pipeline and its stage.
type Sources = (Vec<String>, String, String);

#[derive(Default)]
struct Inherited {
    single: HashMap<String, Option<Value>>,
    all: Option<Values>,
}

impl<'a> Look<'a> {
    /// Prepares to look at the objects of a snapshot.
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, inherited: RefCell::default() }
    }

    /// Returns the value of an index for an object. Members that are left out when they are empty are null.
    pub(crate) fn value(&self, index: &Index, object: &dyn Object) -> Option<Value> {
        match &index.subject {
            Subject::Member(name) => Some(object.member(name).unwrap_or_default()),
            Subject::Param(name) => self.param(name, object),
            Subject::Meta(key) => object.header().meta.get(key).map(|text| Value::String(text.clone())),
        }
    }

    fn param(&self, name: &str, object: &dyn Object) -> Option<Value> {
        if let Some(own) = object.params()?.get(name) {
            return Some(own);
        }
        let Some(machine) = Machine::of(object) else {
            return params::resolve(self.snapshot, object, name);
        };
        let mut inherited = self.inherited.borrow_mut();
        let known = &mut inherited.entry(sources(machine)).or_default().single;
        if let Some(value) = known.get(name) {
            return value.clone();
        }
        let value = params::resolve(self.snapshot, object, name);
        known.insert(name.to_owned(), value.clone());
        value
    }

    /// Returns the values of all sources, without the defaults of schemas (drp-behaviour.md 1.2).
    pub(crate) fn aggregate(&self, object: &dyn Object) -> Values {
        let (Some(machine), Some(own)) = (Machine::of(object), object.params()) else {
            return params::aggregate(self.snapshot, object);
        };
        let mut inherited = self.inherited.borrow_mut();
        let known = &mut inherited.entry(sources(machine)).or_default().all;
        let all = known.get_or_insert_with(|| {
            // The first source is the machine itself.
            let levels = params::levels(self.snapshot, object);
            levels.iter().skip(1).fold(Values::new(), |mut merged, level| {
                for (name, value) in level.values() {
                    if !merged.contains_key(name) {
                        merged.insert(name.clone(), value.clone());
                    }
                }
                merged
            })
        });
        let mut merged = all.clone();
        merged.extend(own);
        merged
    }
}

fn sources(machine: &Machine) -> Sources {
    (machine.profiles.clone(), machine.pipeline.clone(), machine.stage.clone())
}
