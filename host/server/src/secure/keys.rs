//! The key that the secrets of key pairs rest under: a file beside the store, never in it.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use formwork_core::secure::KEY_BYTES;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::random;

/// The key of one endpoint.
pub(super) struct RestKey(LessSafeKey);

impl RestKey {
    /// Reads the key, or makes one that only the owner of the process can read.
    pub(super) fn load(file: &Path) -> std::io::Result<Self> {
        let bytes = random::key_file(file)?;
        let key = bytes.get(..KEY_BYTES).and_then(|bytes| UnboundKey::new(&AES_256_GCM, bytes).ok());
        let key = key.ok_or_else(|| {
            std::io::Error::new(std::io::ErrorKind::InvalidData, "the key is not one of AES-256")
        })?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a secret for the row with an id; another row cannot hold it.
    pub(super) fn wrap(&self, id: &str, secret: &[u8; KEY_BYTES]) -> Option<String> {
        // A pair is made once for an object, so that nonces by chance do not meet.
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let mut sealed = secret.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(unique, Aad::from(id), &mut sealed).ok()?;
        Some(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens the secret of the row with an id; nothing when it was sealed for another row or with another key.
    pub(super) fn unwrap(&self, id: &str, text: &str) -> Option<[u8; KEY_BYTES]> {
        let mut bytes = STANDARD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let secret = self.0.open_in_place(nonce, Aad::from(id), sealed).ok()?;
        <[u8; KEY_BYTES]>::try_from(&*secret).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn key_is_the_owners_only_and_the_same_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secure.key");
        let wrapped = RestKey::load(&file).unwrap().wrap("machines/m1", &[9; 32]).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(RestKey::load(&file).unwrap().unwrap("machines/m1", &wrapped), Some([9; 32]));
    }

    #[test]
    fn secret_of_another_row_or_another_key_and_a_damaged_one_are_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let key = RestKey::load(&folder.path().join("one")).unwrap();
        let other = RestKey::load(&folder.path().join("two")).unwrap();
        let wrapped = key.wrap("machines/m1", &[9; 32]).unwrap();
        assert_eq!(key.unwrap("machines/m2", &wrapped), None);
        assert_eq!(other.unwrap("machines/m1", &wrapped), None);
        for text in ["", "AAAA", "no base64!", &STANDARD.encode([0; 60])] {
            assert_eq!(key.unwrap("machines/m1", text), None, "{text}");
        }
    }

    #[test]
    fn short_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secure.key");
        std::fs::write(&file, [1; 31]).unwrap();
        assert!(RestKey::load(&file).is_err());
    }
}
