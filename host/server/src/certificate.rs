//! The certificate of the endpoint: the one in the files, or a self-signed one that is made at the first start. It can be
//! replaced while the endpoint runs; connections that begin after that see the new one (drp-api.md 12.5).

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    SupportedCipherSuite,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

use crate::ServeOptions;

/// What connections may agree on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsRules {
    /// True when TLS 1.2 is not spoken, only 1.3.
    pub only_1_3: bool,
    /// The names of the only cipher suites; all that there are when empty.
    pub ciphers: Vec<String>,
}

impl TlsRules {
    /// Returns the names of all cipher suites that there are, the preferred ones first.
    #[must_use]
    pub fn available() -> Vec<String> {
        ring::ALL_CIPHER_SUITES.iter().map(name).collect()
    }

    fn provider(&self) -> CryptoProvider {
        let mut provider = ring::default_provider();
        if !self.ciphers.is_empty() {
            provider.cipher_suites.retain(|suite| self.ciphers.contains(&name(suite)));
        }
        provider
    }
}

/// Returns the name of a cipher suite as RFC 8446 and the registry of TLS write it.
fn name(suite: &SupportedCipherSuite) -> String {
    suite.suite().as_str().unwrap_or_default().replace("TLS13_", "TLS_")
}

/// A certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// It is no such thing, or the two do not belong together.
    #[error("{0}")]
    Invalid(String),
    /// A file cannot be read or written.
    #[error("failed to use `{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A certificate with its key, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The chain.
    pub(crate) certificate: String,
    /// The key.
    pub(crate) key: String,
}

/// What the endpoint proves its name with.
pub(crate) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    now: RwLock<(Pair, Arc<CertifiedKey>)>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Takes the certificate of the files, and makes one when there is none.
    pub(crate) fn load(options: &ServeOptions) -> Result<Arc<Self>, CertificateError> {
        Self::of_files(&options.tls_cert, &options.tls_key, options)
    }

    /// Takes the certificate of two files as [`Certificate::load`] does.
    pub(crate) fn of_files(
        certificate: &Path,
        key: &Path,
        options: &ServeOptions,
    ) -> Result<Arc<Self>, CertificateError> {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        // An endpoint that died while it made both left the key, with the certificate beside its place.
        if key.exists() && !certificate.exists() && beside(&certificate).exists() {
            let waiting = Pair { certificate: read(&beside(&certificate))?, key: read(&key)? };
            self::usable(&waiting)?;
            place(&certificate)?;
        }
        let known = [&certificate, &key].map(|file| file.exists());
        if known == [true, false] || known == [false, true] {
            let (known, missing) = if known[0] { (&certificate, &key) } else { (&key, &certificate) };
            return Err(CertificateError::Invalid(format!(
                "`{}` is there and `{}` is not\nhint: give both, or remove the first and both are made anew",
                known.display(),
                missing.display()
            )));
        }
        if known == [false, false] {
            let mut names = vec![String::from("localhost"), String::from("127.0.0.1")];
            names.extend(options.static_ip.map(|address| address.to_string()));
            let made = rcgen::generate_simple_self_signed(names)
                .map_err(|error| CertificateError::Invalid(error.to_string()))?;
            stage(&certificate, &made.cert.pem(), 0o644)?;
            write(&key, &made.signing_key.serialize_pem(), 0o600)?;
            place(&certificate)?;
        }
        let pair = Pair { certificate: read(&certificate)?, key: read(&key)? };
        let (pair, usable) = match usable(&pair) {
            Ok(usable) => (pair, usable),
            // The endpoint died while it replaced them: the key is the new one, and its certificate waits beside.
            Err(error) => {
                let Ok(waiting) = read(&beside(&certificate)) else { return Err(error) };
                let pair = Pair { certificate: waiting, ..pair };
                let usable = self::usable(&pair).map_err(|_| error)?;
                place(&certificate)?;
                (pair, usable)
            }
        };
        Ok(Arc::new(Self { certificate, key, now: RwLock::new((pair, usable)) }))
    }

    /// Returns the certificate and its key.
    pub(crate) fn pair(&self) -> Pair {
        self.now.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Checks a certificate with its key, keeps them and uses them for every connection from now on.
    pub(crate) fn replace(&self, pair: Pair) -> Result<(), CertificateError> {
        let usable = usable(&pair)?;
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        stage(&self.certificate, &pair.certificate, 0o644)?;
        write(&self.key, &pair.key, 0o600)?;
        place(&self.certificate)?;
        *now = (pair, usable);
        Ok(())
    }

    /// Returns what accepts TLS connections.
    pub(crate) fn acceptor(self: &Arc<Self>, rules: &TlsRules) -> Result<TlsAcceptor, CertificateError> {
        let bad = |error: rustls::Error| CertificateError::Invalid(error.to_string());
        let versions: &[_] = match rules.only_1_3 {
            true => &[&rustls::version::TLS13],
            false => rustls::ALL_VERSIONS,
        };
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rules.provider()))
            .with_protocol_versions(versions)
            .map_err(bad)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).1))
    }
}

/// Parses a pair and checks that its parts belong together.
fn usable(pair: &Pair) -> Result<Arc<CertifiedKey>, CertificateError> {
    let bad =
        |what: &str, error: &dyn std::fmt::Display| CertificateError::Invalid(format!("{what}: {error}"));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pair.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| bad("certificate", &error))?;
    if chain.is_empty() {
        return Err(bad("certificate", &"no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(|error| bad("key", &error))?;
    let key = ring::sign::any_supported_type(&key).map_err(|error| bad("key", &error))?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|error| bad("certificate and key", &error))?;
    Ok(Arc::new(certified))
}

fn failed(path: &Path, source: io::Error) -> CertificateError {
    CertificateError::File { path: path.to_owned(), source }
}

fn read(path: &Path) -> Result<String, CertificateError> {
    fs::read_to_string(path).map_err(|source| failed(path, source))
}

/// Where a file is while it is not the file yet.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Writes what is to be a file beside its place, so that it survives a loss of power there.
fn stage(path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    let staged = beside(path);
    let written = (|| {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&staged)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        sync_folder(&staged)
    })();
    written.map_err(|source| failed(&staged, source))
}

/// Moves what was staged into its place.
fn place(path: &Path) -> Result<(), CertificateError> {
    fs::rename(beside(path), path).and_then(|()| sync_folder(path)).map_err(|source| failed(path, source))
}

/// Writes a file so that it is there whole or not at all.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    stage(path, text, mode)?;
    place(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &Path) -> ServeOptions {
        ServeOptions::new(folder.to_owned(), "/nonexistent".into())
    }

    fn made(name: &str) -> Pair {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        Pair { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    #[test]
    fn certificate_is_replaced_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let own = Certificate::load(&options(folder.path())).unwrap();
        let first = own.pair();
        let second = made("other");
        own.replace(second.clone()).unwrap();
        assert!(first != second && own.pair() == second);
        assert!(Certificate::load(&options(folder.path())).unwrap().pair() == second);
    }

    #[test]
    fn what_does_not_belong_together_is_refused_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let own = Certificate::load(&options(folder.path())).unwrap();
        let before = own.pair();
        let (one, other) = (made("one"), made("other"));
        for (pair, words) in [
            (Pair { key: other.key.clone(), ..one.clone() }, "certificate and key"),
            (Pair { key: String::from("x"), ..one.clone() }, "key"),
            (Pair { certificate: String::new(), ..one }, "no certificate"),
        ] {
            let error = own.replace(pair).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(own.pair() == before && Certificate::load(&options(folder.path())).unwrap().pair() == before);
    }

    #[test]
    fn one_file_without_the_other_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path());
        write(&options.tls_key, &made("own").key, 0o600).unwrap();
        let before = read(&options.tls_key).unwrap();
        let error = Certificate::load(&options).unwrap_err().to_string();
        assert!(error.contains("is not\nhint: give both"), "{error}");
        assert!(read(&options.tls_key).unwrap() == before && !options.tls_cert.exists());
        // As a first start leaves it that dies in its middle.
        let own = rcgen::generate_simple_self_signed(vec![String::from("own")]).unwrap();
        write(&options.tls_key, &own.signing_key.serialize_pem(), 0o600).unwrap();
        stage(&options.tls_cert, &own.cert.pem(), 0o644).unwrap();
        assert!(Certificate::load(&options).unwrap().pair().certificate == own.cert.pem());
    }

    #[test]
    fn death_between_the_two_files_is_mended_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path());
        let first = Certificate::load(&options).unwrap().pair();
        let second = made("other");
        stage(&options.tls_cert, &second.certificate, 0o644).unwrap();
        // Nothing is lost before the key is there, and nothing after it.
        assert!(Certificate::load(&options).unwrap().pair() == first);
        write(&options.tls_key, &second.key, 0o600).unwrap();
        assert!(Certificate::load(&options).unwrap().pair() == second);
        assert!(read(&options.tls_cert).unwrap() == second.certificate);
    }

    #[test]
    fn cipher_suites_are_named_and_chosen() {
        assert!(TlsRules::available().contains(&String::from("TLS_AES_256_GCM_SHA384")));
        let rules = TlsRules { ciphers: vec![String::from("TLS_AES_256_GCM_SHA384")], only_1_3: true };
        assert_eq!(rules.provider().cipher_suites.len(), 1);
        let folder = tempfile::tempdir().unwrap();
        assert!(Certificate::load(&options(folder.path())).unwrap().acceptor(&rules).is_ok());
        let none = TlsRules { ciphers: vec![String::from("NONE")], only_1_3: true };
        assert!(Certificate::load(&options(folder.path())).unwrap().acceptor(&none).is_err());
    }
}
