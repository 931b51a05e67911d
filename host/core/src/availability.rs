//! Which objects are acceptable and which are usable now (drp-api.md 3.2, 5.5).

use std::{collections::BTreeMap, sync::Arc};

use formwork_model::{BootEnv, KINDS, Machine, Missing, Object, Objects, ObjectsExt, Param};

use crate::{Refusal, params, plugins};

/// Checks an object that is to be stored and marks whether it is available.
///
/// `faults` are what else keeps it from being used, such as missing boot files; they never refuse it.
///
/// # Errors
///
/// Everything that is wrong with the object by itself, plus references that may not dangle.
pub fn admit(
    objects: &(impl Objects + ?Sized),
    object: &mut dyn Object,
    faults: Vec<String>,
) -> Result<(), Refusal> {
    let key = object.key();
    let mut refused = object.problems();
    if let Some(values) = object.params() {
        refused.extend(params::problems(objects, &key, values));
    }
    if let Some(param) = object.as_any().downcast_ref::<Param>() {
        refused.extend(params::definition_problems(param));
    }
    refused.extend(duplicates(objects, object));
    let mut unusable = faults;
    unusable.extend(plugins::faults(objects, object));
    let machine = object.as_any().is::<Machine>();
    for reference in object.references() {
        let Some(found) = objects.find(reference.prefix, &reference.key) else {
            match reference.missing {
                Missing::Refused => refused.push(reference.message),
                Missing::Unavailable => unusable.push(reference.message),
            }
            continue;
        };
        if let Some(message) = reference.unavailable.filter(|_| !found.header().available) {
            if machine { refused.push(message) } else { unusable.push(message) }
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
    for reference in object.references() {
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
    let mut staged = Staged { objects, changed: BTreeMap::new() };
    let mut waiting = changed;
    // A round follows one edge; no chain of references is longer than there are kinds.
    for _ in 0..KINDS.len() {
        if waiting.is_empty() {
            break;
        }
        waiting = staged.round(&waiting, faults);
    }
    staged.changed.into_values().collect()
}

/// Objects with changes over them that are not saved yet.
struct Staged<'a, O: Objects + ?Sized> {
    objects: &'a O,
    changed: BTreeMap<(&'static str, String), Arc<dyn Object>>,
}

impl<O: Objects + ?Sized> Staged<'_, O> {
    fn round(
        &mut self,
        causes: &[(&'static str, String)],
        faults: &dyn Fn(&dyn Object) -> Vec<String>,
    ) -> Vec<(&'static str, String)> {
        let mut next = Vec::new();
        for kind in KINDS {
            let mut touched = Vec::new();
            self.objects.visit(kind.prefix, &mut |object| {
                let refers = object.references().iter().any(|reference| {
                    causes.iter().any(|(prefix, key)| *prefix == reference.prefix && *key == reference.key)
                });
                if refers {
                    touched.push(Arc::clone(object));
                }
                true
            });
            for object in touched {
                let object = self.find(kind.prefix, &object.key()).unwrap_or(object);
                let errors = errors(self, object.as_ref(), faults(object.as_ref()));
                if errors != object.header().errors {
                    let mut changed = object.boxed();
                    changed.header_mut().set_errors(errors);
                    next.push((kind.prefix, object.key()));
                    self.changed.insert((kind.prefix, object.key()), changed.shared());
                }
            }
        }
        next
    }
}

impl<O: Objects + ?Sized> Objects for Staged<'_, O> {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        let staged = self.changed.iter().find(|((p, k), _)| *p == prefix && k == key);
        staged.map(|(_, object)| Arc::clone(object)).or_else(|| self.objects.find(prefix, key))
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        self.objects.visit(prefix, visit);
    }

    fn count(&self, prefix: &str) -> usize {
        self.objects.count(prefix)
    }
}

/// Returns the objects that still need one that is to be deleted, as `prefix:key`.
#[must_use]
pub fn users(objects: &(impl Objects + ?Sized), prefix: &str, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    for kind in KINDS {
        objects.visit(kind.prefix, &mut |object| {
            if object.references().iter().any(|reference| reference.prefix == prefix && reference.key == key)
            {
                found.push(format!("{}:{}", kind.prefix, object.key()));
            }
            true
        });
    }
    found
}

fn duplicates(objects: &(impl Objects + ?Sized), object: &dyn Object) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(machine) = object.as_any().downcast_ref::<Machine>()
        && objects
            .find_by::<Machine>(|other| other.name == machine.name && other.uuid != machine.uuid)
            .is_some()
    {
        found.push(format!("{}: Machine Name {} is already in use", machine.uuid, machine.name));
    }
    found
}

/// A known machine cannot be put into an environment for unknown ones.
fn unknown_only(objects: &(impl Objects + ?Sized), object: &dyn Object) -> Option<String> {
    let machine = object.as_any().downcast_ref::<Machine>()?;
    let bootenv = objects.get::<BootEnv>(&machine.boot_env)?;
    bootenv.only_unknown.then(|| {
        format!(
            "BootEnv {} does not allow Machine assignments, it has the OnlyUnknown flag.",
            machine.boot_env
        )
    })
}
