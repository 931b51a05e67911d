//! `secrets`: secure parameters, decoded.
//!
//! Grants: `secrets: NAME`, where `*` stands for any characters.

use serde::{Deserialize, Serialize};

use super::answer;
use super::bindings::formwork::secrets::secrets as wit;
use super::params::check_name;
use crate::grants::Grants;
use crate::state::CallState;
use crate::{HostAnswer, HostCall, HostError};

/// A question for a secret's text; none when nobody has set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SecretsCall {
    /// The secret.
    pub name: String,
}

/// Reads the words after `secrets:`.
pub(crate) fn grant(grants: &mut Grants, words: &[&str]) -> Result<(), &'static str> {
    let [name] = words else { return Err("one NAME must follow") };
    grants.secrets.push((*name).to_owned());
    Ok(())
}

impl wit::Host for CallState {
    async fn read(&mut self, name: String) -> wasmtime::Result<Result<Option<String>, wit::Error>> {
        self.count_call()?;
        if !self.allowance.grants.may_know(&name) {
            return Ok(Err(wit::Error::NotGranted(name)));
        }
        if let Err(error) = check_name(&name) {
            return Ok(Err(error.into()));
        }
        answer(self.ask(HostCall::Secrets(SecretsCall { name })).await, HostAnswer::text)
    }
}

impl From<HostError> for wit::Error {
    fn from(error: HostError) -> Self {
        match error {
            HostError::NotGranted(name) => Self::NotGranted(name),
            HostError::Unavailable(words) => Self::Unavailable(words),
            other => Self::Other(other.to_string()),
        }
    }
}
