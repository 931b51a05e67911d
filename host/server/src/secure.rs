//! Secure params: sealed wherever they rest and travel, opened only where they are used (drp-api.md 6.3; drp-behaviour.md
//! 1.6).
//!
//! | module | holds |
//! |---|---|
//! | `keys` | the key of the endpoint, under which the secrets of key pairs rest |
//! | `boxes` | sealing and opening |
//! | `write` | what happens to secure params of an object that is written |
//!
//! Each object that bears params has a key pair of its own, made when it is first needed. A value is secure because its
//! definition says so; what looks sealed in any other param is free JSON, and never opened.

mod boxes;
mod keys;
mod write;

use std::{path::Path, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use formwork_api::ApiError;
use formwork_core::{
    params::{self, Found},
    plugins::is_secure,
    secure::{KEY_BYTES, Sealed, Shape},
};
use formwork_model::{
    Cluster, Machine, Object, ObjectKey, Objects, ObjectsExt, Record, ResourceBroker, Values,
    canonical_numbers,
};
use serde_json::Value;

use self::keys::RestKey;
pub(crate) use self::write::{
    changed, forget, holds_any, newly_secure, protect, seal_existing, seal_holders,
};
use crate::{commit::commit, endpoint::Endpoint};

/// A sealed value that cannot be opened: its object has another key now, or it was sealed to another object's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value of `{name}` cannot be opened with the key of `{prefix}:{key}`")]
pub(crate) struct Unopened {
    name: String,
    prefix: String,
    key: String,
}

/// Opens and seals.
pub(crate) struct Vault {
    rest: RestKey,
}

impl Vault {
    /// Reads the key of the endpoint, or makes one.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written, or holds no key.
    pub(crate) fn load(file: &Path) -> std::io::Result<Self> {
        Ok(Self { rest: RestKey::load(file)? })
    }

    /// Returns the value of a param as it is used: in the clear.
    pub(crate) fn used(
        &self,
        objects: &(impl Objects + ?Sized),
        name: &str,
        found: Found,
    ) -> Result<Value, Unopened> {
        let Found { owner: Some((prefix, key)), value } = found else { return Ok(found.value) };
        let Shape::Sealed(sealed) = Shape::of(&value) else { return Ok(value) };
        if !is_secure(objects, name) {
            return Ok(value);
        }
        let unopened = || Unopened { name: name.to_owned(), prefix: prefix.to_owned(), key: key.clone() };
        self.open(objects, (prefix, &key), &sealed).ok_or_else(unopened)
    }

    /// Returns what [`Vault::used`] does; a value that cannot be opened is as none, and is told in the log.
    pub(crate) fn used_or_none(
        &self,
        objects: &(impl Objects + ?Sized),
        name: &str,
        found: Found,
    ) -> Option<Value> {
        let used = self.used(objects, name, found);
        used.inspect_err(|error| tracing::warn!(%error, "a secure param has no value")).ok()
    }

    /// Returns one param of an object and of what applies to it, as it is used.
    pub(crate) fn resolve(
        &self,
        objects: &(impl Objects + ?Sized),
        object: &dyn Object,
        name: &str,
    ) -> Option<Value> {
        self.used_or_none(objects, name, params::find(objects, object, name)?)
    }

    /// Opens the sealed ones among values that somebody sends for a use on an object.
    pub(crate) fn opened(
        &self,
        objects: &(impl Objects + ?Sized),
        owner: (&'static str, &str),
        values: Values,
    ) -> Result<Values, Unopened> {
        let open = |(name, value): (String, Value)| {
            let owner = Some((owner.0, owner.1.to_owned()));
            let clear = self.used(objects, &name, Found { owner, value })?;
            Ok((name, clear))
        };
        values.into_iter().map(open).collect()
    }

    fn open(
        &self,
        objects: &(impl Objects + ?Sized),
        (prefix, key): (&str, &str),
        sealed: &Sealed,
    ) -> Option<Value> {
        let mut pair = objects.get::<ObjectKey>(&ObjectKey::id(prefix, key));
        if prefix == Machine::KIND.prefix {
            // Where texts and tasks are for what goes through tasks as a machine does, it is given as a machine.
            let stand_ins = [Cluster::KIND, ResourceBroker::KIND].into_iter();
            pair = pair.or_else(|| {
                stand_ins.into_iter().find_map(|kind| objects.get(&ObjectKey::id(kind.prefix, key)))
            });
        }
        let pair = pair?;
        let secret = self.rest.unwrap(&pair.id, &pair.sealed)?;
        let mut value = serde_json::from_slice(&boxes::open(secret, sealed)?).ok()?;
        canonical_numbers(&mut value);
        Some(value)
    }

    /// Makes a key pair for an object.
    fn pair(&self, prefix: &str, key: &str) -> Option<ObjectKey> {
        let id = ObjectKey::id(prefix, key);
        let (secret, public) = boxes::pair();
        let sealed = self.rest.wrap(&id, &secret)?;
        Some(ObjectKey { id, public: STANDARD.encode(public), sealed, ..ObjectKey::default() })
    }

    /// Tells whether what is sealed to a key pair can be opened: not after the key of the endpoint was lost.
    fn is_usable(&self, pair: &ObjectKey) -> bool {
        self.rest.unwrap(&pair.id, &pair.sealed).is_some() && public_bytes(&pair.public).is_some()
    }
}

fn public_bytes(text: &str) -> Option<[u8; KEY_BYTES]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Returns the public key of an object, base64; made when there is none yet.
///
/// # Errors
///
/// The object is gone (404).
pub(crate) async fn public_key(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    prefix: &'static str,
    key: String,
) -> Result<String, ApiError> {
    let known = endpoint.snapshot().get::<ObjectKey>(&ObjectKey::id(prefix, &key));
    if let Some(pair) = known.filter(|pair| endpoint.vault.is_usable(pair)) {
        return Ok(pair.public.clone());
    }
    let vault = Arc::clone(&endpoint.vault);
    commit(endpoint, principal, move |work| {
        if work.tx.find(prefix, &key).is_none() {
            return Err(ApiError::not_found("GET", prefix, &key).into());
        }
        let made = write::ensure(&vault, work.tx, prefix, &key);
        Ok(made.ok_or_else(|| ApiError::new(500, "INTERNAL", "no key could be made"))?)
    })
    .await
}
