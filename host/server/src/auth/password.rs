//! Passwords of users: argon2id, and the records of scrypt that other endpoints make (drp-api.md 2.6).

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash::phc::PasswordHash,
};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Memory for one hash, in KiB.
const MEMORY_KIB: u32 = 8 << 10;

/// The most memory that a record of scrypt may ask for, in bytes: four times what such records usually have. Whoever may
/// write users chooses it.
const MAX_SCRYPT_BYTES: u64 = 64 << 20;

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, 3, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Returns the record of a password that is stored; empty when the hash cannot be made.
pub(crate) fn hash_password(password: &str) -> String {
    let salt = crate::random::bytes::<16>();
    hasher()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .unwrap_or_default()
}

/// What a stored text is.
pub(super) enum Record {
    /// A record of our own.
    Argon(Box<PasswordHash>),
    /// A record that was imported.
    Scrypt(Scrypt),
    /// None: no password belongs to it.
    None,
}

/// A record of scrypt.
pub(super) struct Scrypt {
    params: scrypt::Params,
    salt: Vec<u8>,
    key: Vec<u8>,
}

impl Record {
    /// Reads what is stored: a text that starts with `$argon2id$`, or base64 of `N$r$p$SALT$KEY` with hexadecimal salt and
    /// key.
    pub(super) fn parse(text: &str) -> Self {
        if let Ok(hash) = PasswordHash::new(text) {
            return Self::Argon(Box::new(hash));
        }
        match STANDARD.decode(text).ok().and_then(|bytes| scrypt_record(&String::from_utf8(bytes).ok()?)) {
            Some(record) => Self::Scrypt(record),
            None => Self::None,
        }
    }

    /// Tells whether a password belongs to the record. It takes the time of a hash.
    pub(super) fn matches(&self, password: &str) -> bool {
        match self {
            Self::Argon(hash) => hasher().verify_password(password.as_bytes(), &**hash).is_ok(),
            Self::Scrypt(record) => record.matches(password),
            Self::None => {
                // Whoever does not exist must take as long as whoever does.
                let _ = hasher().hash_password_with_salt(password.as_bytes(), b"nobody has this!");
                false
            }
        }
    }
}

impl Scrypt {
    fn matches(&self, password: &str) -> bool {
        let mut key = vec![0; self.key.len()];
        scrypt::scrypt(password.as_bytes(), &self.salt, &self.params, &mut key).is_ok()
            && key.iter().zip(&self.key).fold(0, |different, (own, other)| different | (own ^ other)) == 0
    }
}

/// Reads a record of scrypt whose cost is bounded.
fn scrypt_record(text: &str) -> Option<Scrypt> {
    let mut parts = text.trim().split('$');
    let mut number = || parts.next()?.parse::<u32>().ok();
    let (n, r, p) = (number()?, number()?, number()?);
    let (salt, key) = (bytes(parts.next()?)?, bytes(parts.next()?)?);
    let bounded = n.is_power_of_two()
        && (2..=1 << 20).contains(&n)
        && (1..=32).contains(&r)
        && (1..=4).contains(&p)
        && u64::from(n) * u64::from(r) * 128 <= MAX_SCRYPT_BYTES
        && salt.len() <= 64
        && (16..=64).contains(&key.len());
    if !bounded || parts.next().is_some() {
        return None;
    }
    let params = scrypt::Params::new(u8::try_from(n.trailing_zeros()).ok()?, r, p).ok()?;
    Some(Scrypt { params, salt, key })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [_, _] => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
        _ => None,
    };
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(password: &str, record: &str) -> bool {
        Record::parse(record).matches(password)
    }

    #[test]
    fn password_matches_its_own_record_only() {
        let record = hash_password("secret");
        assert!(matches("secret", &record));
        assert!(!matches("Secret", &record));
        assert!(!matches("", ""));
    }

    /// The second test vector of RFC 7914 section 12, cut to the length that such records have, which is its beginning.
    #[test]
    fn record_of_scrypt_is_read() {
        let text = "1024$8$16$4e61436c$fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162";
        assert!(scrypt_record(text).is_none(), "p is bounded");
        // The third vector: N 16384, r 8, p 1.
        let text = "16384$8$1$536f6469756d43686c6f72696465$7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2";
        let record = STANDARD.encode(text);
        assert!(matches("pleaseletmein", &record));
        assert!(!matches("pleaseletmeon", &record));
    }

    #[test]
    fn record_of_scrypt_that_is_no_record_or_costs_too_much_matches_nothing() {
        for text in [
            "",
            "16384$8$1$aa",
            "16384$8$1$aa$00112233445566778899aabbccddeeff$",
            "16384$8$1$aa$0011",
            "16384$8$1$a$00112233445566778899aabbccddeeff",
            "16384$8$1$+1$00112233445566778899aabbccddeefg",
            "16383$8$1$aa$00112233445566778899aabbccddeeff",
            "4294967295$8$1$aa$00112233445566778899aabbccddeeff",
            "1048576$8$1$aa$00112233445566778899aabbccddeeff",
            "16384$8$100$aa$00112233445566778899aabbccddeeff",
            "0$0$0$aa$00112233445566778899aabbccddeeff",
        ] {
            assert!(scrypt_record(text).is_none(), "{text}");
        }
    }
}
