//! The certificate of the API: the one in the files, or a self-signed one that is made at the first start.

use std::{io::Write, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::TlsAcceptor;

use super::{ServeError, folder};
use crate::ServeOptions;

/// Returns what accepts TLS connections.
pub(super) fn config(options: &ServeOptions) -> Result<TlsAcceptor, ServeError> {
    if !options.tls_cert.is_file() || !options.tls_key.is_file() {
        make(options)?;
    }
    let bad = |error: &dyn std::fmt::Display| ServeError::Tls(error.to_string());
    let chain = CertificateDer::pem_file_iter(&options.tls_cert)
        .and_then(Iterator::collect)
        .map_err(|error| bad(&format!("`{}`: {error}", options.tls_cert.display())))?;
    let key = PrivateKeyDer::from_pem_file(&options.tls_key)
        .map_err(|error| bad(&format!("`{}`: {error}", options.tls_key.display())))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn make(options: &ServeOptions) -> Result<(), ServeError> {
    let mut names = vec![String::from("localhost"), String::from("127.0.0.1")];
    names.extend(options.static_ip.map(|address| address.to_string()));
    let made =
        rcgen::generate_simple_self_signed(names).map_err(|error| ServeError::Tls(error.to_string()))?;
    write(&options.tls_key, &made.signing_key.serialize_pem(), 0o600)?;
    write(&options.tls_cert, &made.cert.pem(), 0o644)
}

/// Writes a file so that it is there whole or not at all.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), ServeError> {
    let partial = path.with_extension("new");
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    })();
    written.map_err(|source| folder(path, source))
}
