//! Passwords of users: argon2id.

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash::phc::PasswordHash,
};

/// Memory for one hash, in KiB: at sixteen logins at once 128 MiB.
const MEMORY_KIB: u32 = 8 << 10;

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, 3, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Returns the record of a password that is stored; empty when the system has no random numbers.
pub(crate) fn hash_password(password: &str) -> String {
    let salt = crate::random::bytes::<16>();
    hasher()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .unwrap_or_default()
}

/// Tells whether a password belongs to a record; a record that does not parse matches nothing.
pub(super) fn matches(password: &str, record: &str) -> bool {
    PasswordHash::new(record).is_ok_and(|hash| hasher().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_matches_its_own_record_only() {
        let record = hash_password("secret");
        assert!(matches("secret", &record));
        assert!(!matches("Secret", &record));
        assert!(!matches("", ""));
    }
}
