//! Keys that sign packs, as text and as files.
//!
//! Both texts may begin with lines of comment (`#`). A secret key bears a word that a public key has not, so that nobody
//! publishes one by mistake:
//!
//! ```text
//! # formwork signing key 89abcdef01234567; whoever has it signs as you
//! formwork-secret-key-1:BASE64-OF-32-BYTES
//! ```

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};

/// What a secret key begins with; the number is the version of the format.
const SECRET: &str = "formwork-secret-key-1:";

/// The longest file of a key, in bytes; the key itself has 66.
const MAX_KEY_FILE_BYTES: u64 = 4096;

/// A key could not be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The operating system refused the file.
    #[error("failed to {action} the key file `{path}`")]
    File {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        #[source]
        source: io::Error,
    },
    /// Others than its owner may read a secret key.
    #[error("the key file `{path}` can be used by others (mode {mode:03o})\nhint: run `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The text is no key.
    #[error("this is no {wanted} key: {reason}")]
    Malformed {
        /// What should be there: `public` or `secret`.
        wanted: &'static str,
        /// What does not fit. It never quotes the text.
        reason: &'static str,
    },
}

/// An ed25519 key that signs packs. It is wiped from memory when it is dropped, and never shown.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Makes the key of a seed, which must be 32 random bytes that nobody else knows.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Returns the key that verifies what this one signed.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Returns the text of the key's file. It is the secret itself.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (id, digits) = (self.public().id(), STANDARD.encode(self.0.as_bytes()));
        format!("# formwork signing key {id}; whoever has it signs as you\n{SECRET}{digits}\n")
    }

    /// Writes the key into a new file that only its owner may read (mode 0600).
    ///
    /// # Errors
    ///
    /// The file exists already, or it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        let failed = |source| KeyError::File { action: "write", path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(self.to_text().as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// Reads the key from a file.
    ///
    /// # Errors
    ///
    /// Others than its owner may use the file, it cannot be read, or there is no secret key in it.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { action: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
        text.parse()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl FromStr for SigningKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = |reason| KeyError::Malformed { wanted: "secret", reason };
        let line = single_line(text).map_err(malformed)?;
        let digits = line
            .strip_prefix(SECRET)
            .ok_or_else(|| malformed("it must begin with `formwork-secret-key-1:`; is it the public one?"))?;
        Ok(Self::from_seed(&decode(digits).map_err(malformed)?))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("public", &self.public()).finish_non_exhaustive()
    }
}

/// An ed25519 key that verifies packs. Its text is 32 bytes in base64; it is a point of the curve and not a weak one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Returns the name of the key in messages: the first 16 hexadecimal digits of its BLAKE3 digest.
    #[must_use]
    pub fn id(&self) -> String {
        blake3::hash(self.0.as_bytes()).to_hex().chars().take(16).collect()
    }

    /// Tells whether this key's owner signed a message. Forms that other verifiers may judge differently are refused.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = |reason| KeyError::Malformed { wanted: "public", reason };
        let line = single_line(text).map_err(malformed)?;
        if line.starts_with(SECRET) {
            return Err(malformed("it is a secret key; keep it to yourself and give its public one"));
        }
        let bytes = decode(line).map_err(malformed)?;
        let no_point = || malformed("the 32 bytes are no point of the curve");
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| no_point())?;
        // Other bytes for the same point would be a second name of one key.
        if key.to_edwards().compress().to_bytes() != bytes {
            return Err(no_point());
        }
        if key.is_weak() {
            return Err(malformed("anybody can sign for this key"));
        }
        Ok(Self(key))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&STANDARD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({self})")
    }
}

/// Returns the only line that is no comment.
fn single_line(text: &str) -> Result<&str, &'static str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(line),
        (None, _) => Err("the text is empty"),
        (Some(_), Some(_)) => Err("there is more than one line"),
    }
}

/// Decodes base64 of exactly so many bytes.
pub(crate) fn decode<const LENGTH: usize>(digits: &str) -> Result<[u8; LENGTH], &'static str> {
    let bytes = STANDARD.decode(digits).map_err(|_| "the text is not base64")?;
    bytes.try_into().map_err(|_| "the number of bytes is wrong")
}

/// Encodes bytes as base64.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[7; 32])
    }

    #[test]
    fn keys_are_those_of_rfc_8032() {
        // Section 7.1, test 1: seed, public key and the signature of the empty message.
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let key = SigningKey::from_seed(&seed.try_into().unwrap());
        let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(key.public().to_string(), STANDARD.encode(public));
        assert_eq!(key.sign(b"")[..8], hex("e5564300c360ac72")[..]);
    }

    #[test]
    fn text_of_a_key_is_read_back_with_and_without_its_comment() {
        let again: SigningKey = key().to_text().parse().unwrap();
        assert_eq!(again.public(), key().public());
        let public = key().public();
        assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
        assert_eq!(format!("# acme\n\n {public}\n").parse::<PublicKey>().unwrap(), public);
        assert_eq!(public.id().len(), 16);
    }

    #[test]
    fn keys_taken_for_each_other_are_refused_without_being_quoted() {
        let error = key().to_text().parse::<PublicKey>().unwrap_err().to_string();
        assert_eq!(
            error,
            "this is no public key: it is a secret key; keep it to yourself and give its public one"
        );
        let error = key().public().to_string().parse::<SigningKey>().unwrap_err().to_string();
        assert!(error.contains("is it the public one?"), "{error}");
        assert!(!format!("{:?}", key()).contains(&STANDARD.encode([7; 32])));
    }

    #[test]
    fn text_that_is_no_key_is_refused() {
        let weak = STANDARD.encode([0; 32]);
        let short = STANDARD.encode([1; 31]);
        for text in ["", "# only words", "!", "a\nb", &weak, &short, &STANDARD.encode([0xff; 32])] {
            assert!(text.parse::<PublicKey>().is_err(), "{text}");
            assert!(format!("{SECRET}{text}\nx").parse::<SigningKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn file_is_for_its_owner_only_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme.key");
        key().save(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SigningKey::load(&path).unwrap().public(), key().public());
        assert!(matches!(key().save(&path), Err(KeyError::File { action: "write", .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = SigningKey::load(&path).unwrap_err();
        assert!(matches!(error, KeyError::Exposed { mode: 0o640, .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"));
    }
}
