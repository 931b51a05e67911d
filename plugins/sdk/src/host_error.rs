//! Why the host did not do what was asked, for the capabilities that all fail in the same ways.

use std::error::Error;
use std::fmt;

/// The host did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// The component's grant does not cover it; carries the name, the key or the address.
    NotGranted(String),
    /// The input does not fit.
    Invalid(String),
    /// Nobody answered, or it cannot be had here; a later try may help.
    Unavailable(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(what) => write!(f, "`{what}` is not granted to this component"),
            Self::Invalid(words) | Self::Unavailable(words) | Self::Other(words) => f.write_str(words),
        }
    }
}

impl Error for HostError {}

/// Turns the error of an interface that has these four cases.
macro_rules! host_errors {
    ($error:ty) => {
        impl From<$error> for crate::HostError {
            fn from(error: $error) -> Self {
                type Host = $error;
                match error {
                    Host::NotGranted(what) => Self::NotGranted(what),
                    Host::Invalid(words) => Self::Invalid(words),
                    Host::Unavailable(words) => Self::Unavailable(words),
                    Host::Other(words) => Self::Other(words),
                }
            }
        }
    };
}
pub(crate) use host_errors;
