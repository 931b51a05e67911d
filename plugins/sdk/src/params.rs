//! Parameters of the machine, read and written as any type of serde's.

use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::capabilities::formwork::params::params;
use crate::host;

/// A parameter could not be read or written.
#[derive(Debug)]
pub struct ParamsError {
    name: String,
    kind: ErrorKind,
}

/// What went wrong with a parameter.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The component's grant does not cover the name.
    NotGranted,
    /// The endpoint refused the value: it does not fit the parameter's schema.
    Invalid(String),
    /// The endpoint did not answer; a later try may help.
    Unavailable(String),
    /// The value is of another type.
    Json(serde_json::Error),
    /// Anything else.
    Other(String),
}

impl ParamsError {
    /// The parameter's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    fn of_host(name: &str, error: params::Error) -> Self {
        let kind = match error {
            params::Error::NotGranted(_) => ErrorKind::NotGranted,
            params::Error::Invalid(words) => ErrorKind::Invalid(words),
            params::Error::Unavailable(words) => ErrorKind::Unavailable(words),
            params::Error::Other(words) => ErrorKind::Other(words),
        };
        Self { name: name.to_owned(), kind }
    }

    fn of_json(name: &str, error: serde_json::Error) -> Self {
        Self { name: name.to_owned(), kind: ErrorKind::Json(error) }
    }
}

impl fmt::Display for ParamsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.kind {
            ErrorKind::NotGranted => write!(f, "param `{name}` is not granted to this component"),
            ErrorKind::Invalid(words) => write!(f, "the value of param `{name}` was refused: {words}"),
            ErrorKind::Unavailable(words) => write!(f, "param `{name}` is not available now: {words}"),
            ErrorKind::Json(_) => write!(f, "the value of param `{name}` is of another type"),
            ErrorKind::Other(words) => write!(f, "param `{name}` failed: {words}"),
        }
    }
}

impl Error for ParamsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            ErrorKind::Json(error) => Some(error),
            _ => None,
        }
    }
}

/// Reads a parameter as the machine sees it: its own value, else that of its profiles, its stage, the global profile,
/// else the parameter's default.
///
/// # Errors
///
/// Fails when the name is not granted, the endpoint does not answer, or the value is of another type.
pub fn read<T: DeserializeOwned>(name: &str) -> Result<Option<T>, ParamsError> {
    let json = host::params::read(name).map_err(|error| ParamsError::of_host(name, error))?;
    json.map(|json| serde_json::from_str(&json).map_err(|error| ParamsError::of_json(name, error)))
        .transpose()
}

/// Writes a parameter on the machine itself. It is durable when this returns.
///
/// # Errors
///
/// Fails when the name is not granted, the value does not fit its schema, or the endpoint does not answer.
pub fn write<T: Serialize + ?Sized>(name: &str, value: &T) -> Result<(), ParamsError> {
    let json = serde_json::to_string(value).map_err(|error| ParamsError::of_json(name, error))?;
    host::params::write(name, &json).map_err(|error| ParamsError::of_host(name, error))
}

/// Removes the machine's own value; what its profiles or the parameter's default say is then seen again. No error when
/// there is none.
///
/// # Errors
///
/// Fails when the name is not granted for writing, or the endpoint does not answer.
pub fn remove(name: &str) -> Result<(), ParamsError> {
    host::params::remove(name).map_err(|error| ParamsError::of_host(name, error))
}

/// Lists the parameters that begin with `prefix`, have a value that the machine sees, and may be read.
///
/// # Errors
///
/// Fails when the endpoint does not answer.
pub fn names(prefix: &str) -> Result<Vec<String>, ParamsError> {
    host::params::list_names(prefix).map_err(|error| ParamsError::of_host(prefix, error))
}
