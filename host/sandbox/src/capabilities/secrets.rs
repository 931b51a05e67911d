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

/// Most bytes of a secret's text.
const MAX_SECRET_BYTES: usize = 64 << 10;

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
            return Ok(Err(self.refuse("secrets.read", HostError::NotGranted(name)).into()));
        }
        if let Err(error) = check_name(&name) {
            return Ok(Err(self.refuse("secrets.read", error).into()));
        }
        let text: Result<Option<String>, wit::Error> =
            answer(self.ask(HostCall::Secrets(SecretsCall { name })).await, HostAnswer::text)?;
        Ok(text.and_then(|text| match text {
            Some(text) if text.len() > MAX_SECRET_BYTES => {
                Err(wit::Error::Other(format!("the secret has more than {MAX_SECRET_BYTES} bytes")))
            }
            text => Ok(text),
        }))
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
