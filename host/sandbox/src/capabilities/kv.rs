//! `kv`: a small store of the component's pack on this endpoint.
//!
//! Grants: `kv: ro` and `kv: rw`.

use serde::{Deserialize, Serialize};

use super::bindings::formwork::kv::kv as wit;
use super::params::{MAX_NAMES, check_json, check_name};
use super::{answer, host_errors};
use crate::grants::{Access, Grants};
use crate::state::CallState;
use crate::{HostAnswer, HostCall, HostError};

/// Most bytes of a value.
const MAX_VALUE_BYTES: usize = 256 << 10;

/// What a guest asks of its pack's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KvCall {
    /// The value, as JSON text. Answered by [`HostAnswer::Text`].
    Get {
        /// 1 to 512 bytes.
        key: String,
    },
    /// Sets a value. It is durable when this is answered.
    Set {
        /// 1 to 512 bytes.
        key: String,
        /// The value, as JSON text.
        json: String,
    },
    /// Removes a key; no error when it is not there.
    Delete {
        /// 1 to 512 bytes.
        key: String,
    },
    /// The keys with a prefix. Answered by [`HostAnswer::Names`]; the guest gets them sorted.
    List {
        /// What the keys begin with.
        prefix: String,
    },
}

/// Reads the words after `kv:`.
pub(crate) fn grant(grants: &mut Grants, words: &[&str]) -> Result<(), &'static str> {
    let [access] = words else { return Err("`ro` or `rw` must follow") };
    let access = Access::parse(access).ok_or("`ro` or `rw` must follow")?;
    grants.kv = grants.kv.max(Some(access));
    Ok(())
}

impl CallState {
    async fn kv<T>(
        &mut self,
        call: KvCall,
        form: impl FnOnce(HostAnswer) -> Result<T, crate::host::WrongAnswer>,
    ) -> wasmtime::Result<Result<T, wit::Error>> {
        self.count_call()?;
        let (name, checked) = match &call {
            KvCall::Get { key } => ("kv.get", check_key(key)),
            KvCall::Delete { key } => ("kv.delete", self.may_change(key).and_then(|()| check_key(key))),
            KvCall::Set { key, json } => {
                let checked = self.may_change(key).and_then(|()| check_key(key));
                ("kv.set", checked.and_then(|()| check_json(json, MAX_VALUE_BYTES)))
            }
            KvCall::List { prefix } => ("kv.list-keys", check_name(prefix)),
        };
        match checked {
            Ok(()) => answer(self.ask(HostCall::Kv(call)).await, form),
            Err(error) => Ok(Err(self.refuse(name, error).into())),
        }
    }

    fn may_change(&self, key: &str) -> Result<(), HostError> {
        if self.allowance.grants.kv == Some(Access::ReadWrite) {
            return Ok(());
        }
        Err(HostError::NotGranted(key.to_owned()))
    }
}

impl wit::Host for CallState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, wit::Error>> {
        self.kv(KvCall::Get { key }, HostAnswer::text).await
    }

    async fn set(&mut self, key: String, json: String) -> wasmtime::Result<Result<(), wit::Error>> {
        self.kv(KvCall::Set { key, json }, HostAnswer::done).await
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), wit::Error>> {
        self.kv(KvCall::Delete { key }, HostAnswer::done).await
    }

    async fn list_keys(&mut self, prefix: String) -> wasmtime::Result<Result<Vec<String>, wit::Error>> {
        let keys = self.kv(KvCall::List { prefix: prefix.clone() }, HostAnswer::names).await?;
        Ok(keys.map(|mut keys| {
            keys.retain(|key| key.starts_with(&prefix));
            keys.sort_unstable();
            keys.truncate(MAX_NAMES);
            keys
        }))
    }
}

host_errors!(wit::Error);

/// Checks a key before the host sees it.
fn check_key(key: &str) -> Result<(), HostError> {
    if key.is_empty() {
        return Err(HostError::Invalid("the key is empty".to_owned()));
    }
    check_name(key)
}
