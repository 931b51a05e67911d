//! Which objects are acceptable and which are usable now (drp-api.md 3.2, 5.5).

use std::{collections::BTreeMap, sync::Arc};

use formwork_model::{BootEnv, KINDS, Machine, Missing, Object, Objects, ObjectsExt, Param, SortKey, Span};

use crate::{Refusal, declared, params, plugins, staged::Staged};

/// Checks an object that is to be stored and marks whether it is available.
///
/// `faults` are what else keeps it from being used, such as missing boot files; they never refuse it.
///
/// # Errors
///
/// Everything that is wrong with the object by itself, plus references that may not dangle.
pub fn admit(objects: &impl Objects, object: &mut dyn Object, faults: Vec<String>) -> Result<(), Refusal> {
    let key = object.key();
    let stored = objects.find(object.kind().prefix, &key);
    let mut refused = object.problems();
    // Those that stay as they are were looked at when they came: a definition that became stricter since then refuses no
    // change of anything else.
    let kept = stored.as_ref().and_then(|stored| stored.params());
    if let Some(values) = object.params().filter(|own| kept.is_none_or(|kept| kept.text() != own.text())) {
        refused.extend(params::problems(objects, &key, &values.values()));
    }
    if let Some(param) = object.as_any().downcast_ref::<Param>() {
        refused.extend(params::definition_problems(param));
    }
    refused.extend(declared::definition_problems(object));
    refused.extend(declared::problems(objects, object));
    refused.extend(duplicates(objects, stored.as_deref(), object));
    refused.extend(object.conflicts(objects));
    let mut unusable = faults;
    unusable.extend(plugins::faults(objects, object));
    for reference in object.references() {
        let Some(found) = objects.find(reference.prefix, &reference.key) else {
            match reference.missing {
                Missing::Refused => refused.push(reference.message),
                Missing::Unavailable => unusable.push(reference.message),
                Missing::Allowed => {}
            }
            continue;
        };
        if let Some(message) = reference.unavailable.filter(|_| !found.header().available) {
            match reference.missing {
                Missing::Refused => refused.push(message),
                Missing::Unavailable => unusable.push(message),
                Missing::Allowed => {}
            }
        }
    }
    refused.extend(unknown_only(objects, object));
    if !refused.is_empty() {
        return Err(Refusal::Invalid(refused));
    }
    object.header_mut().set_errors(unusable);
    Ok(())
}

/// Returns why a stored object cannot be used at present, besides its own `faults`.
#[must_use]
pub fn errors(objects: &(impl Objects + ?Sized), object: &dyn Object, faults: Vec<String>) -> Vec<String> {
    let mut found = faults;
    found.extend(plugins::faults(objects, object));
    for reference in object.references().into_iter().filter(|found| found.missing != Missing::Allowed) {
        match objects.find(reference.prefix, &reference.key) {
            None => found.push(reference.message),
            Some(other) if !other.header().available => found.extend(reference.unavailable),
            Some(_) => {}
        }
    }
    found
}

/// Returns the objects whose availability changes because others came, went or changed theirs, with the new
/// state set; also those that change in turn because of them. `faults` says what else keeps an object away.
pub fn dependants(
    objects: &(impl Objects + ?Sized),
    changed: Vec<(&'static str, String)>,
    faults: &dyn Fn(&dyn Object) -> Vec<String>,
) -> Vec<Arc<dyn Object>> {
    let mut staged = Staged::new(objects);
    let mut waiting = changed;
    // A round follows one edge; no chain of references is longer than there are kinds.
    for _ in 0..KINDS.len() {
        if waiting.is_empty() {
            break;
        }
        waiting = staged.round(&waiting, faults);
    }
    staged.into_changed()
}

impl<O: Objects + ?Sized> Staged<'_, O> {
    fn round(
        &mut self,
        causes: &[(&'static str, String)],
        faults: &dyn Fn(&dyn Object) -> Vec<String>,
    ) -> Vec<(&'static str, String)> {
        let mut touched = BTreeMap::new();
        for (prefix, key) in causes {
            self.users_of(prefix, key, &mut |object| {
                touched.insert((object.kind().prefix, object.key()), Arc::clone(object));
                true
            });
        }
        let mut next = Vec::new();
        for ((prefix, key), object) in touched {
            let object = self.changed(prefix, &key).map_or(object, Arc::clone);
            let errors = errors(self, object.as_ref(), faults(object.as_ref()));
            if errors != object.header().errors {
                let mut changed = object.boxed();
                changed.header_mut().set_errors(errors);
                self.put(changed.shared());
                next.push((prefix, key));
            }
        }
        next
    }
}

/// Returns the objects that still need one that is to be deleted, as `prefix:key`.
#[must_use]
pub fn users(objects: &(impl Objects + ?Sized), prefix: &str, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    let needs = |object: &dyn Object| {
        let mut references = object.references().into_iter();
        references
            .any(|needed| needed.prefix == prefix && needed.key == key && needed.missing != Missing::Allowed)
    };
    objects.users_of(prefix, key, &mut |object| {
        if needs(object.as_ref()) {
            found.push(format!("{}:{}", object.kind().prefix, object.key()));
        }
        true
    });
    found
}

/// Returns what an object has that only one of its type may have, and another has already (drp-api.md 5.5).
///
/// What the object has in the store already is its own.
fn duplicates(objects: &impl Objects, stored: Option<&dyn Object>, object: &dyn Object) -> Vec<String> {
    let (kind, key) = (object.kind(), object.key());
    let mut found = Vec::new();
    for member in kind.unique {
        let value = object.member(member);
        if stored.is_some_and(|stored| stored.member(member) == value) {
            continue;
        }
        let value = SortKey::of(member, &value.unwrap_or_default());
        let mut taken = false;
        objects.range(&Span::equal(kind.prefix, member, value.clone()), &mut |other| {
            taken = other.key() != key;
            !taken
        });
        if taken {
            let (first, rest) = kind.noun.split_at(1);
            let noun = format!("{}{rest}", first.to_uppercase());
            found.push(format!("{key}: {noun} {member} {value} is already in use"));
        }
    }
    found
}

/// A known machine cannot be put into an environment for unknown ones.
fn unknown_only(objects: &(impl Objects + ?Sized), object: &dyn Object) -> Option<String> {
    let machine = Machine::of(object)?;
    let bootenv = objects.get::<BootEnv>(&machine.boot_env)?;
    bootenv.only_unknown.then(|| {
        format!(
            "BootEnv {} does not allow Machine assignments, it has the OnlyUnknown flag.",
            machine.boot_env
        )
    })
}
