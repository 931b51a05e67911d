//! Why a service cannot begin.

use std::io;

/// A service has no socket. The caller logs it and goes on without the service, or stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another program has the port.
    #[error(
        "{service} cannot use `{address}`: the port is taken\nhint: stop the other server on this machine, or choose another port"
    )]
    InUse {
        /// The service.
        service: &'static str,
        /// The address and port.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The process may not.
    #[error("{service} cannot use `{address}`: not permitted\nhint: {hint}")]
    NotPermitted {
        /// The service.
        service: &'static str,
        /// The address and port, or the interface.
        address: String,
        /// What would help.
        hint: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no such interface, or it has gone.
    #[error("{service} cannot use the interface `{interface}`")]
    Interface {
        /// The service.
        service: &'static str,
        /// The interface.
        interface: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Anything else.
    #[error("{service} cannot use `{address}`")]
    Other {
        /// The service.
        service: &'static str,
        /// The address and port.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl BindError {
    /// Sorts what the system said about a socket for `address`.
    pub(crate) fn new(service: &'static str, address: String, hint: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { service, address, source },
            io::ErrorKind::PermissionDenied => Self::NotPermitted { service, address, hint, source },
            _ => Self::Other { service, address, source },
        }
    }
}
