//! `params`: the parameters of the machine that the call is about.
//!
//! Grants: `params: read NAME` and `params: write NAME`, where `*` in a name stands for any characters.

use serde::{Deserialize, Serialize};

use super::bindings::formwork::params::params as wit;
use super::{answer, host_errors};
use crate::grants::Grants;
use crate::state::{CallState, MAX_NAME_BYTES};
use crate::{HostAnswer, HostCall, HostError};

/// Most bytes of a parameter's value.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// Most names of one answer.
pub(super) const MAX_NAMES: usize = 4096;

/// What a guest asks of parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ParamsCall {
    /// The value as the machine sees it, as JSON text. Answered by [`HostAnswer::Text`].
    Read {
        /// The parameter.
        name: String,
    },
    /// Sets the machine's own value. It is durable, and read back, when this is answered.
    Write {
        /// The parameter.
        name: String,
        /// The value, as JSON text.
        json: String,
    },
    /// Removes the machine's own value; no error when there is none.
    Remove {
        /// The parameter.
        name: String,
    },
    /// The names of those that have a value that the machine sees. Answered by [`HostAnswer::Names`]; the guest gets
    /// those that it may read, sorted.
    List {
        /// What the names begin with.
        prefix: String,
    },
}

/// Reads the words after `params:`.
pub(crate) fn grant(grants: &mut Grants, words: &[&str]) -> Result<(), &'static str> {
    let names = match words {
        ["read", name] => (&mut grants.params_read, name),
        ["write", name] => (&mut grants.params_write, name),
        _ => return Err("`read NAME` or `write NAME` must follow"),
    };
    names.0.push((*names.1).to_owned());
    Ok(())
}

impl CallState {
    /// Reads a parameter, whatever the track of the guest.
    pub(crate) async fn param_read(
        &mut self,
        name: String,
    ) -> wasmtime::Result<Result<Option<String>, HostError>> {
        self.count_call()?;
        if !self.allowance.grants.may_read(&name) {
            return Ok(Err(self.refuse("params.read", HostError::NotGranted(name))));
        }
        if let Err(error) = check_name(&name) {
            return Ok(Err(self.refuse("params.read", error)));
        }
        answer(self.ask(HostCall::Params(ParamsCall::Read { name })).await, HostAnswer::text)
    }

    /// Writes a parameter, whatever the track of the guest.
    pub(crate) async fn param_write(
        &mut self,
        name: String,
        json: String,
    ) -> wasmtime::Result<Result<(), HostError>> {
        self.count_call()?;
        if !self.allowance.grants.may_write(&name) {
            return Ok(Err(self.refuse("params.write", HostError::NotGranted(name))));
        }
        if let Err(error) = check_name(&name).and_then(|()| check_json(&json, MAX_VALUE_BYTES)) {
            return Ok(Err(self.refuse("params.write", error)));
        }
        answer(self.ask(HostCall::Params(ParamsCall::Write { name, json })).await, HostAnswer::done)
    }
}

impl wit::Host for CallState {
    async fn read(&mut self, name: String) -> wasmtime::Result<Result<Option<String>, wit::Error>> {
        Ok(self.param_read(name).await?.map_err(Into::into))
    }

    async fn write(&mut self, name: String, json: String) -> wasmtime::Result<Result<(), wit::Error>> {
        Ok(self.param_write(name, json).await?.map_err(Into::into))
    }

    async fn remove(&mut self, name: String) -> wasmtime::Result<Result<(), wit::Error>> {
        self.count_call()?;
        if !self.allowance.grants.may_write(&name) {
            return Ok(Err(self.refuse("params.remove", HostError::NotGranted(name)).into()));
        }
        if let Err(error) = check_name(&name) {
            return Ok(Err(self.refuse("params.remove", error).into()));
        }
        answer(self.ask(HostCall::Params(ParamsCall::Remove { name })).await, HostAnswer::done)
    }

    async fn list_names(&mut self, prefix: String) -> wasmtime::Result<Result<Vec<String>, wit::Error>> {
        self.count_call()?;
        if let Err(error) = check_name(&prefix) {
            return Ok(Err(self.refuse("params.list-names", error).into()));
        }
        let call = HostCall::Params(ParamsCall::List { prefix: prefix.clone() });
        let names: Result<Vec<String>, wit::Error> = answer(self.ask(call).await, HostAnswer::names)?;
        let grants = &self.allowance.grants;
        Ok(names.map(|mut names| {
            names.retain(|name| name.starts_with(&prefix) && grants.may_read(name));
            names.sort_unstable();
            names.dedup();
            names.truncate(MAX_NAMES);
            names
        }))
    }
}

host_errors!(wit::Error);

/// Checks a name before the host sees it.
pub(super) fn check_name(name: &str) -> Result<(), HostError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(HostError::Invalid(format!("the name has more than {MAX_NAME_BYTES} bytes")));
    }
    Ok(())
}

/// Checks a value before the host sees it.
pub(super) fn check_json(json: &str, most: usize) -> Result<(), HostError> {
    if json.len() > most {
        return Err(HostError::Invalid(format!("the value has more than {most} bytes")));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(json)
        .map(drop)
        .map_err(|error| HostError::Invalid(format!("the value is not JSON: {error}")))
}
