//! NaCl boxes: Curve25519, XSalsa20 and Poly1305 (drp-behaviour.md 1.6).

use crypto_box::{PublicKey, SalsaBox, SecretKey, aead::Aead};
use formwork_core::secure::{KEY_BYTES, NONCE_BYTES, Sealed};

use crate::random;

/// Makes a key pair: the secret key, and the public one.
pub(super) fn pair() -> ([u8; KEY_BYTES], [u8; KEY_BYTES]) {
    let secret = SecretKey::from_bytes(random::bytes());
    (secret.to_bytes(), *secret.public_key().as_bytes())
}

/// Seals bytes to a public key, with a pair and a nonce made for them alone.
pub(super) fn seal(public: [u8; KEY_BYTES], clear: &[u8]) -> Option<Sealed> {
    let ephemeral = SecretKey::from_bytes(random::bytes());
    let nonce: [u8; NONCE_BYTES] = random::bytes();
    let sealing = SalsaBox::new(&PublicKey::from_bytes(public), &ephemeral);
    let payload = sealing.encrypt(&nonce.into(), clear).ok()?;
    Some(Sealed { key: *ephemeral.public_key().as_bytes(), nonce, payload })
}

/// Opens what was sealed to the public key of a secret one; nothing when it was sealed to another or changed since.
pub(super) fn open(secret: [u8; KEY_BYTES], sealed: &Sealed) -> Option<Vec<u8>> {
    let opening = SalsaBox::new(&PublicKey::from_bytes(sealed.key), &SecretKey::from_bytes(secret));
    opening.decrypt(&sealed.nonce.into(), sealed.payload.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_open_with_the_secret_key_only_and_only_unchanged() {
        let (secret, public) = pair();
        for clear in [&b""[..], b"\"pw\"", &[7; 5000]] {
            let sealed = seal(public, clear).unwrap();
            assert_eq!(sealed.payload.len(), clear.len() + formwork_core::secure::TAG_BYTES);
            assert_eq!(open(secret, &sealed).as_deref(), Some(clear));
            assert_eq!(open(pair().0, &sealed), None);
            let mut changed = sealed.clone();
            changed.payload[0] ^= 1;
            assert_eq!(open(secret, &changed), None);
        }
    }

    #[test]
    fn same_bytes_are_never_sealed_the_same_way_twice() {
        let (_, public) = pair();
        let (one, two) = (seal(public, b"1").unwrap(), seal(public, b"1").unwrap());
        assert!(one.key != two.key && one.nonce != two.nonce && one.payload != two.payload);
    }

    /// The key pair of Bob in the paper "Cryptography in NaCl" (also RFC 7748 section 6.1).
    #[test]
    fn public_key_is_the_one_of_the_paper() {
        let digits = |text: &str| -> [u8; 32] {
            std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        };
        let secret = digits("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let public = digits("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        assert_eq!(*SecretKey::from_bytes(secret).public_key().as_bytes(), public);
    }
}
