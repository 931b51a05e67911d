//! Secure params in the clear, for a caller who may see them: each value takes a right on the object that has it
//! (drp-api.md 2.4, 6.3).

use formwork_core::{
    params::{self, Found},
    secure::Shape,
};
use formwork_model::{Object, Objects as _, ObjectsExt as _, Param, Values};
use formwork_store::Snapshot;
use serde_json::Value;

use super::{params::GET_SECURE, request::Target};
use crate::{
    auth::Caller,
    kinds,
    secure::{Unopened, Vault},
};

/// What opens secure params for a caller.
pub(super) struct Secrets<'a> {
    vault: &'a Vault,
    caller: &'a Caller,
    snapshot: &'a Snapshot,
}

impl<'a> Secrets<'a> {
    /// Prepares to open what the caller of a request may see.
    pub(super) fn of(target: &'a Target, snapshot: &'a Snapshot) -> Self {
        Self { vault: &target.endpoint.vault, caller: &target.caller, snapshot }
    }

    /// Returns a value in the clear; sealed as it is when the caller may not see it, or when it cannot be opened.
    pub(super) fn shown(&self, name: &str, found: Found) -> Value {
        let sealed = found.value.clone();
        if !self.may_open(&found) {
            return sealed;
        }
        self.vault.used_or_none(self.snapshot, name, found).unwrap_or(sealed)
    }

    /// Returns a value as [`Self::shown`] does; one that cannot be opened is an error.
    pub(super) fn opened(&self, name: &str, found: Found) -> Result<Value, Unopened> {
        if self.may_open(&found) { self.vault.used(self.snapshot, name, found) } else { Ok(found.value) }
    }

    /// Returns one param merged over all sources.
    pub(super) fn compose(&self, object: &dyn Object, name: &str) -> Option<Value> {
        let levels = params::levels(self.snapshot, object);
        let values = levels.iter().filter_map(|level| Some(self.shown(name, Found::at(level, name)?)));
        let definition = self.snapshot.get::<Param>(name);
        params::merged(values.chain(definition.and_then(|param| param.default_value().cloned())))
    }

    /// Returns the params of an object that a test accepts, its own or those of all sources.
    pub(super) fn all(&self, object: &dyn Object, aggregate: bool, keeps: impl Fn(&str) -> bool) -> Values {
        // The first source is the object itself.
        let count = if aggregate { usize::MAX } else { 1 };
        let mut merged = Values::new();
        for level in params::levels(self.snapshot, object).iter().take(count) {
            for name in level.values().keys() {
                if !keeps(name) || merged.contains_key(name) {
                    continue;
                }
                if let Some(found) = Found::at(level, name) {
                    merged.insert(name.clone(), self.shown(name, found));
                }
            }
        }
        merged
    }

    /// Tells whether the caller may see a value, if it is sealed at all.
    fn may_open(&self, found: &Found) -> bool {
        let Shape::Sealed(_) = Shape::of(&found.value) else { return true };
        let Some((prefix, key)) = &found.owner else { return true };
        let owner = self.snapshot.find(prefix, key);
        owner.is_some_and(|owner| self.caller.may(prefix, GET_SECURE, &kinds::claim_key(owner.as_ref())))
    }
}
