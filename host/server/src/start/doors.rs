//! Sockets that an endpoint can do without: where their usual port is taken they are left out, unless the operator named it.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::ServeError;
use crate::{ServeOptions, accept::listen, options::Port};

/// The sockets that could be had.
pub(super) struct Doors {
    /// Files over TLS.
    pub(super) secure_files: Option<TcpListener>,
    /// Measured values for monitoring.
    pub(super) metrics: Option<TcpListener>,
}

/// Binds the sockets, and notes in the options those that are left out.
pub(super) fn bind(options: &mut ServeOptions) -> Result<Doors, ServeError> {
    let host = options.listen;
    let secure_files = one(host, &mut options.static_secure_port, "--static-secure-port")?;
    let metrics = one(host, &mut options.metrics_port, "--metrics-port")?;
    Ok(Doors { secure_files, metrics })
}

fn one(
    host: std::net::Ipv4Addr,
    port: &mut Port,
    flag: &'static str,
) -> Result<Option<TcpListener>, ServeError> {
    if port.number == 0 {
        return Ok(None);
    }
    let address = SocketAddr::from((host, port.number));
    match listen(address) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if !port.is_asked_for => {
            tracing::warn!(%address, %error, hint = flag, "a service is left out");
            port.number = 0;
            Ok(None)
        }
        Err(source) => Err(ServeError::Door { address, flag, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn usual_port_that_is_taken_is_left_out_and_one_that_was_named_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let number = taken.local_addr().unwrap().port();
        let mut options = ServeOptions::new("/nonexistent".into(), "/nonexistent".into());
        options.listen = std::net::Ipv4Addr::LOCALHOST;
        options.metrics_port = Port { number: 0, is_asked_for: true };
        options.static_secure_port = Port { number, is_asked_for: false };
        let doors = bind(&mut options).unwrap();
        assert!(doors.secure_files.is_none() && doors.metrics.is_none());
        assert_eq!(options.static_secure_port.number, 0);
        options.static_secure_port = Port { number, is_asked_for: true };
        let error = bind(&mut options).err().unwrap().to_string();
        assert!(error.contains("--static-secure-port"), "{error}");
    }
}
