//! Secrets that the operator keeps for a component.

use std::error::Error;
use std::fmt;

use crate::bindings::capabilities::formwork::secrets::secrets;
use crate::host;

/// A secret could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum SecretError {
    /// The component's grant does not cover the name.
    NotGranted(String),
    /// The endpoint did not answer, or lends no secrets to this place.
    Unavailable(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(name) => write!(f, "the secret `{name}` is not granted to this component"),
            Self::Unavailable(words) | Self::Other(words) => write!(f, "a secret could not be read: {words}"),
        }
    }
}

impl Error for SecretError {}

impl From<secrets::Error> for SecretError {
    fn from(error: secrets::Error) -> Self {
        match error {
            secrets::Error::NotGranted(name) => Self::NotGranted(name),
            secrets::Error::Unavailable(words) => Self::Unavailable(words),
            secrets::Error::Other(words) => Self::Other(words),
        }
    }
}

/// Reads a secret; none when nobody has set it. A value that is no string is JSON text.
///
/// # Errors
///
/// The name is not granted, or the endpoint does not answer.
pub fn read(name: &str) -> Result<Option<String>, SecretError> {
    Ok(host::secrets::read(name)?)
}
