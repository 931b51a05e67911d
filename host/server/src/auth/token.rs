//! Tokens: a JSON text and its keyed hash. Opaque to clients.

use std::{
    collections::HashSet,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Mutex,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use formwork_model::Claim;
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::password;
use crate::random;

/// Passwords that were found right and are remembered; the oldest knowledge is dropped as a whole.
const REMEMBERED: usize = 4096;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Whom a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subject {
    /// A user, by name.
    User(String),
    /// A machine, by UUID.
    Machine(String),
    /// A machine that is not known yet.
    Unknown,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) subject: Subject,
    /// A digest of the secrets that the token depends on.
    pub(super) stamp: String,
    /// Seconds since the Unix epoch.
    pub(super) expires_seconds: i64,
    /// What the token is narrowed to; nothing means all that the subject may do.
    pub(super) claims: Vec<Claim>,
}

/// The key that signs tokens, and passwords that were found right.
pub(crate) struct TokenKey {
    key: hmac::Key,
    right: Mutex<HashSet<String>>,
}

impl TokenKey {
    /// Reads the key of an endpoint, or makes one that only the owner of the process can read.
    pub(crate) fn load(file: &Path) -> std::io::Result<Self> {
        let bytes = match std::fs::read(file) {
            Ok(bytes) if bytes.len() >= 32 => bytes,
            Ok(_) => return Err(std::io::Error::new(ErrorKind::InvalidData, "the key is too short")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let bytes = random::bytes::<32>().to_vec();
                let partial = file.with_extension("new");
                let mut out = std::fs::OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(&partial)?;
                out.write_all(&bytes)?;
                out.sync_all()?;
                std::fs::rename(&partial, file)?;
                bytes
            }
            Err(error) => return Err(error),
        };
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), right: Mutex::default() })
    }

    /// Returns a keyed digest of texts.
    pub(super) fn digest(&self, texts: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        for text in texts {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(context.sign())
    }

    pub(super) fn seal(&self, token: &Token) -> String {
        let text = serde_json::to_vec(token).unwrap_or_default();
        let tag = hmac::sign(&self.key, &text);
        format!("{}.{}", URL_SAFE_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(tag))
    }

    pub(super) fn open(&self, sealed: &str) -> Option<Token> {
        let (text, tag) = sealed.split_once('.').filter(|_| sealed.len() <= MAX_TOKEN_BYTES)?;
        let text = URL_SAFE_NO_PAD.decode(text).ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.key, &text, &tag).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Tells whether a password belongs to a hash. A right one is remembered, so that clients that send it with
    /// every request do not pay for the slow hash each time.
    pub(super) async fn password_matches(&self, password: String, hash: String) -> bool {
        let digest = self.digest(&[&password, &hash]);
        let known = |right: &Mutex<HashSet<String>>| right.lock().is_ok_and(|right| right.contains(&digest));
        if known(&self.right) {
            return true;
        }
        let matches = tokio::task::spawn_blocking(move || password::matches(&password, &hash)).await;
        if !matches.unwrap_or(false) {
            return false;
        }
        if let Ok(mut right) = self.right.lock() {
            if right.len() >= REMEMBERED {
                right.clear();
            }
            right.insert(digest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_token_is_refused_and_the_key_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token.key");
        let token = Token {
            subject: Subject::User("ab".into()),
            stamp: "s".into(),
            expires_seconds: 1,
            claims: Vec::new(),
        };
        let sealed = TokenKey::load(&file).unwrap().seal(&token);
        let key = TokenKey::load(&file).unwrap();
        assert_eq!(key.open(&sealed), Some(token));
        let (text, tag) = sealed.split_once('.').unwrap();
        assert_eq!(key.open(&format!("{text}A.{tag}")), None);
        assert_eq!(key.open("nonsense"), None);
    }
}
