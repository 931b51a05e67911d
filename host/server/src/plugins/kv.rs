//! The small stores of packs (wit/kv-0.1).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{Objects, ObjectsExt, PackValue};
use formwork_sandbox::{HostAnswer, HostError, KvCall};
use formwork_store::Snapshot;
use serde_json::Value;

use super::host::host_error;
use crate::{
    commit::{Stop, Work, commit},
    endpoint::Endpoint,
};

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 512;

/// The largest value, in bytes of its JSON.
const MAX_VALUE_BYTES: usize = 256 << 10;

/// The most keys of a pack.
const MAX_KEYS: u64 = 10_000;

/// The most bytes of all keys and values of a pack.
const MAX_BYTES: u64 = 16 << 20;

/// The most keys that one answer lists.
const MAX_LISTED: usize = 4096;

/// Does what a component asks of its pack's store.
///
/// # Errors
///
/// The key or the value is not acceptable, the pack's share is full, or the store does not answer.
pub(crate) async fn call(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    pack: &str,
    call: KvCall,
) -> Result<HostAnswer, HostError> {
    match call {
        KvCall::Get { key } => {
            let value = get(&endpoint.snapshot(), pack, &key);
            Ok(HostAnswer::Text(value.map(|value| value.to_string())))
        }
        KvCall::List { prefix } => Ok(HostAnswer::Names(list(&endpoint.snapshot(), pack, &prefix))),
        KvCall::Set { key, json } => {
            let done = set(endpoint, principal, (pack, &key), &json).await;
            done.map(|()| HostAnswer::Done).map_err(|error| host_error(&error))
        }
        KvCall::Delete { key } => {
            let done = delete(endpoint, principal, (pack, &key)).await;
            done.map(|()| HostAnswer::Done).map_err(|error| host_error(&error))
        }
        _ => Err(HostError::Unavailable(String::from("the endpoint does not know this call"))),
    }
}

/// Returns the value of a key.
pub(super) fn get(snapshot: &Snapshot, pack: &str, key: &str) -> Option<Value> {
    snapshot.get::<PackValue>(&id(pack, key)).map(|entry| entry.value.clone())
}

/// Returns the keys that begin with a prefix, the first 4096 of them by their bytes.
pub(super) fn list(snapshot: &Snapshot, pack: &str, prefix: &str) -> Vec<String> {
    let (begin, start) = (id(pack, ""), id(pack, prefix));
    let mut found = Vec::new();
    snapshot.visit("pack_values", &mut |object| {
        let own = object.key();
        if own.starts_with(&start) {
            found.extend(own.strip_prefix(&begin).map(str::to_owned));
        }
        // Keys come in the order of their bytes, so nothing fits any more once one is past the prefix.
        found.len() < MAX_LISTED && (own < start || own.starts_with(&start))
    });
    found
}

/// Sets a value; `json` is its text. Durable when it returns.
///
/// # Errors
///
/// The key or the value is not acceptable or the pack's share is full (422), or the commit failed.
pub(super) async fn set(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    (pack, key): (&str, &str),
    json: &str,
) -> Result<(), ApiError> {
    check_key(key)?;
    if json.len() > MAX_VALUE_BYTES {
        return Err(refused(format!("the value of `{key}` is larger than {MAX_VALUE_BYTES} bytes")));
    }
    let value: Value = serde_json::from_str(json)
        .map_err(|error| refused(format!("the value of `{key}` is not JSON: {error}")))?;
    let entry = PackValue {
        id: id(pack, key),
        value,
        bytes: (key.len() + json.len()) as u64,
        ..PackValue::default()
    };
    let pack = pack.to_owned();
    commit(endpoint, principal, move |work| {
        let old = work.tx.get::<PackValue>(&entry.id);
        if old.as_ref().is_some_and(|old| old.value == entry.value) {
            return Ok(());
        }
        let (count, bytes) = old.map_or((1, 0), |old| (0, old.bytes));
        resize(work, &pack, |sums| {
            sums.count += count;
            sums.bytes = sums.bytes.saturating_sub(bytes) + entry.bytes;
        })?;
        work.tx.put(Arc::new(entry.clone()));
        Ok(())
    })
    .await
}

/// Removes a key; one that is not there is no error. Durable when it returns.
///
/// # Errors
///
/// The key is not acceptable (422), or the commit failed.
pub(super) async fn delete(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    (pack, key): (&str, &str),
) -> Result<(), ApiError> {
    check_key(key)?;
    let (id, pack) = (id(pack, key), pack.to_owned());
    commit(endpoint, principal, move |work| {
        let Some(old) = work.tx.get::<PackValue>(&id) else { return Ok(()) };
        work.tx.delete("pack_values", &id);
        resize(work, &pack, |sums| {
            sums.count = sums.count.saturating_sub(1);
            sums.bytes = sums.bytes.saturating_sub(old.bytes);
        })
    })
    .await
}

/// Removes the stores of packs that are not installed any more.
pub(super) fn sweep(work: &mut Work<'_>, is_installed: &dyn Fn(&str) -> bool) {
    let mut gone = Vec::new();
    work.tx.visit("pack_values", &mut |object| {
        let id = object.key();
        if !is_installed(id.split('/').next().unwrap_or_default()) {
            gone.push(id);
        }
        true
    });
    for id in gone {
        work.tx.delete("pack_values", &id);
    }
}

/// Changes the sums of a pack. They may shrink above the bounds, but not grow.
fn resize(work: &mut Work<'_>, pack: &str, change: impl Fn(&mut PackValue)) -> Result<(), Stop> {
    let old = work.tx.get::<PackValue>(pack).map(|sums| sums.as_ref().clone()).unwrap_or_default();
    let mut sums = PackValue { id: pack.to_owned(), ..old.clone() };
    change(&mut sums);
    if (sums.count > MAX_KEYS && sums.count > old.count) || (sums.bytes > MAX_BYTES && sums.bytes > old.bytes)
    {
        let message = format!(
            "the store of pack `{pack}` is full: it may have {MAX_KEYS} keys and {MAX_BYTES} bytes, and has {} and {}",
            old.count, old.bytes
        );
        return Err(refused(message).into());
    }
    work.tx.put(Arc::new(sums));
    Ok(())
}

fn check_key(key: &str) -> Result<(), ApiError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(refused(format!("a key has 1 to {MAX_KEY_BYTES} bytes, this one {}", key.len())));
    }
    Ok(())
}

fn refused(message: String) -> ApiError {
    ApiError::invalid("packs", "", vec![message])
}

fn id(pack: &str, key: &str) -> String {
    format!("{pack}/{key}")
}
