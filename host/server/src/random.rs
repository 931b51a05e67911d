//! Random ids and secrets, from the system.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};

/// Returns random bytes.
///
/// # Panics
///
/// The system has no random numbers; nothing that needs a secret may go on then.
pub(crate) fn bytes<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    #[expect(clippy::expect_used, reason = "a secret that is not random is worse than an end")]
    SystemRandom::new().fill(&mut bytes).expect("the system gives random numbers");
    bytes
}

/// Returns sixteen characters that are safe in URLs.
pub(crate) fn secret() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<12>())
}

/// Returns a random UUID.
pub(crate) fn uuid() -> String {
    uuid::Builder::from_random_bytes(bytes::<16>()).into_uuid().to_string()
}
