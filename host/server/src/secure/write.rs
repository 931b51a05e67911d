//! What happens to secure params of an object that is written: nothing of them is stored in the clear.

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::{params::value_problems, plugins::is_secure, secure::Shape};
use formwork_model::{Object, ObjectKey, Objects, ObjectsExt, Param, Record, kind_of, kinds};
use formwork_store::{Action, Transaction};
use serde_json::Value;

use super::{Vault, boxes, public_bytes};
use crate::{commit::commit, endpoint::Endpoint};

/// Seals the clear values of secure params, and looks into the sealed ones that are new. Returns what is wrong with those;
/// what is wrong with clear ones is found by who admits the object, for they stay as they are then.
///
/// The object of a pack keeps values that are sealed to another key: they are taken as they are (drp-api.md 11.3).
pub(crate) fn protect(vault: &Vault, tx: &mut Transaction, object: &mut dyn Object) -> Vec<String> {
    let (prefix, key, of_pack) = (object.kind().prefix, object.key(), !object.header().bundle.is_empty());
    let old = tx.find(prefix, &key).filter(|_| !tx.is_base(prefix, &key));
    let kept = old.as_ref().and_then(|old| old.params());
    if kept.zip(object.params()).is_some_and(|(kept, own)| kept.text() == own.text()) {
        // They were sealed when they came, or when they became secure.
        return Vec::new();
    }
    let secure = secure_params(tx, object);
    if secure.is_empty() {
        return Vec::new();
    }
    let stored = |name: &str| old.as_ref().and_then(|old| old.params()?.get(name));
    let mut wrong = Vec::new();
    for (param, value) in secure {
        let name = &param.name;
        match Shape::of(&value) {
            Shape::Malformed(_) => {}
            Shape::Sealed(_) if stored(name).as_ref() == Some(&value) => {}
            Shape::Sealed(sealed) => match vault.open(tx, (prefix, &key), &sealed) {
                Some(clear) => wrong.extend(
                    value_problems(&param, &clear).iter().map(|text| format!("{key}: Key `{name}`: {text}")),
                ),
                None if of_pack => {}
                None => wrong.push(format!(
                    "{key}: Key `{name}`: the value cannot be opened with the key of this object\n\
                     hint: seal it to the public key that GET /{prefix}/{key}/pubkey answers, or send it in the clear"
                )),
            },
            Shape::Clear if !value_problems(&param, &value).is_empty() => {}
            Shape::Clear => {
                let sealed = seal(vault, tx, (prefix, &key), &value);
                match sealed.zip(object.params_mut()) {
                    Some((sealed, params)) => drop(params.insert(name.clone(), sealed)),
                    None => wrong.push(format!("{key}: Key `{name}`: the value cannot be sealed")),
                }
            }
        }
    }
    wrong
}

/// Returns the secure params that an object has values for, with their definitions.
fn secure_params(objects: &impl Objects, object: &dyn Object) -> Vec<(Arc<Param>, Value)> {
    let Some(values) = object.params() else { return Vec::new() };
    let secure = values.keys().filter_map(|name| {
        let param = objects.get::<Param>(&name).filter(|param| param.secure)?;
        Some((param, values.get(&name)?))
    });
    secure.collect()
}

/// Returns a value in a box that only the key of an object opens.
fn seal(vault: &Vault, tx: &mut Transaction, (prefix, key): (&str, &str), value: &Value) -> Option<Value> {
    let public = public_bytes(&ensure(vault, tx, prefix, key)?)?;
    boxes::seal(public, value.to_string().as_bytes()).map(|sealed| sealed.to_json())
}

/// Returns the public key of an object, base64. A pair is made where there is none that can be used.
pub(super) fn ensure(vault: &Vault, tx: &mut Transaction, prefix: &str, key: &str) -> Option<String> {
    let known = tx.get::<ObjectKey>(&ObjectKey::id(prefix, key));
    if let Some(pair) = known.filter(|pair| vault.is_usable(pair)) {
        return Some(pair.public.clone());
    }
    let pair = vault.pair(prefix, key)?;
    let public = pair.public.clone();
    tx.put(Arc::new(pair));
    Some(public)
}

/// Tells whether a change of an object changes a secure param: sets, replaces or removes it.
pub(crate) fn changed(objects: &impl Objects, old: &dyn Object, new: &dyn Object) -> bool {
    let (Some(old), Some(new)) = (old.params(), new.params()) else { return false };
    if old.text() == new.text() {
        return false;
    }
    let (old, new) = (old.values(), new.values());
    let mut names = old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name));
    names.any(|name| is_secure(objects, name))
}

/// Tells whether an object has values of secure params.
pub(crate) fn holds_any(objects: &impl Objects, object: &dyn Object) -> bool {
    object.params().is_some_and(|values| values.keys().any(|name| is_secure(objects, &name)))
}

/// Deletes the key pairs of objects that are gone.
pub(crate) fn forget(tx: &mut Transaction) {
    let gone = tx.changes().into_iter().filter(|change| change.action == Action::Deleted);
    let gone = gone.filter(|change| kind_of(change.prefix).is_some_and(|kind| kind.bears_params));
    let gone: Vec<_> = gone.map(|change| (change.prefix, change.key)).collect();
    for (prefix, key) in gone {
        if tx.find(prefix, &key).is_none() {
            tx.delete(ObjectKey::KIND.prefix, &ObjectKey::id(prefix, &key));
        }
    }
}

/// Returns the name of a param that is written as a secure one and was none before.
pub(crate) fn newly_secure(objects: &impl Objects, object: &dyn Object) -> Option<String> {
    let param = object.as_any().downcast_ref::<Param>().filter(|param| param.secure)?;
    (!is_secure(objects, &param.name)).then(|| param.name.clone())
}

/// Seals the values that objects have of a param which was in the clear so far, whatever its schema says of them.
///
/// Objects of the built-in layer stay as they are: they are part of the program.
pub(crate) fn seal_holders(vault: &Vault, tx: &mut Transaction, name: &str) {
    for (prefix, key) in clear_holders(tx, name) {
        let Some(mut object) = tx.find(prefix, &key).map(|object| object.boxed()) else { continue };
        let Some(value) = object.params().and_then(|params| params.get(name)) else { continue };
        let sealed = seal(vault, tx, (prefix, &key), &value);
        if let Some((sealed, params)) = sealed.zip(object.params_mut()) {
            params.insert(name.to_owned(), sealed);
            tx.put(object.shared());
        }
    }
}

/// Returns the stored objects that have a value of a param in the clear.
fn clear_holders(tx: &Transaction, name: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for kind in kinds().into_iter().filter(|kind| kind.bears_params) {
        tx.visit(kind.prefix, &mut |object| {
            let value = object.params().and_then(|params| params.get(name));
            if value.is_some_and(|value| Shape::of(&value) == Shape::Clear)
                && !tx.is_base(kind.prefix, &object.key())
            {
                found.push((kind.prefix, object.key()));
            }
            true
        });
    }
    found
}

/// Seals what a release that could not do so has left in the clear.
///
/// # Errors
///
/// The store cannot be written.
pub(crate) async fn seal_existing(endpoint: &Arc<Endpoint>) -> Result<(), ApiError> {
    let params = endpoint.snapshot().list::<Param>();
    let secure: Vec<String> =
        params.iter().filter(|param| param.secure).map(|param| param.name.clone()).collect();
    if secure.is_empty() {
        return Ok(());
    }
    let vault = Arc::clone(&endpoint.vault);
    commit(endpoint, "system", move |work| {
        secure.iter().for_each(|name| seal_holders(&vault, work.tx, name));
        Ok(())
    })
    .await
}
