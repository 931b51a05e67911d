//! A small store that belongs to the component's pack on this endpoint.

use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::capabilities::formwork::kv::kv;
use crate::host;

/// The store did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum KvError {
    /// The grant allows reading only.
    NotGranted,
    /// The key is malformed, or the pack's share of the store is full.
    Invalid(String),
    /// The endpoint did not answer; a later try may help.
    Unavailable(String),
    /// The value is of another type.
    Json(serde_json::Error),
    /// Anything else.
    Other(String),
}

impl fmt::Display for KvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted => f.write_str("writing to the pack's store is not granted to this component"),
            Self::Json(_) => f.write_str("a value in the pack's store is of another type"),
            Self::Invalid(words) | Self::Unavailable(words) | Self::Other(words) => {
                write!(f, "the pack's store failed: {words}")
            }
        }
    }
}

impl Error for KvError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            _ => None,
        }
    }
}

impl From<kv::Error> for KvError {
    fn from(error: kv::Error) -> Self {
        match error {
            kv::Error::NotGranted(_) => Self::NotGranted,
            kv::Error::Invalid(words) => Self::Invalid(words),
            kv::Error::Unavailable(words) => Self::Unavailable(words),
            kv::Error::Other(words) => Self::Other(words),
        }
    }
}

/// Reads a value; none when the key is not there.
///
/// # Errors
///
/// The store does not answer, or the value is of another type.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, KvError> {
    host::kv::get(key)?.map(|json| serde_json::from_str(&json).map_err(KvError::Json)).transpose()
}

/// Writes a value. It is durable when this returns.
///
/// # Errors
///
/// The store refuses it or does not answer.
pub fn set<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<(), KvError> {
    let json = serde_json::to_string(value).map_err(KvError::Json)?;
    Ok(host::kv::set(key, &json)?)
}

/// Removes a key; one that is not there is no error.
///
/// # Errors
///
/// The store refuses it or does not answer.
pub fn delete(key: &str) -> Result<(), KvError> {
    Ok(host::kv::delete(key)?)
}

/// Returns the keys that begin with a prefix, by their bytes, the first 4096.
///
/// # Errors
///
/// The store does not answer.
pub fn keys(prefix: &str) -> Result<Vec<String>, KvError> {
    Ok(host::kv::list_keys(prefix)?)
}
