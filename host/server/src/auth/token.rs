//! Tokens: a JSON text and its keyed hash. Opaque to clients.

use std::path::Path;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::rights::Limits;
use crate::random;

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
    /// The machine of a job, by the UUID of the job, while that is current and has not ended (drp-api.md 2.3).
    Job(String),
    /// A machine that is not known yet.
    Unknown,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) subject: Subject,
    /// The user who had it made, by name; none where the endpoint made it by itself.
    #[serde(default)]
    pub(super) grantor: Option<String>,
    /// A digest of the secrets that the token depends on.
    pub(super) stamp: String,
    /// Seconds since the Unix epoch.
    pub(super) expires_seconds: i64,
    /// What the token is narrowed to; nothing means all that the subject may do.
    #[serde(default)]
    pub(super) limits: Option<Limits>,
    /// The one path below the base path that it may be shown for, decoded and without a slash before it; nothing for a
    /// token that is no part of a signed URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) only: Option<String>,
}

/// The key that signs tokens.
pub(crate) struct TokenKey {
    key: hmac::Key,
}

impl TokenKey {
    /// Reads the key of an endpoint, or makes one that only the owner of the process can read.
    pub(crate) fn load(file: &Path) -> std::io::Result<Self> {
        let bytes = random::key_file(file)?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes) })
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
            grantor: Some("cd".into()),
            limits: Some(Limits { roles: vec!["ef".into()], claims: Vec::new() }),
            only: None,
        };
        let sealed = TokenKey::load(&file).unwrap().seal(&token);
        let key = TokenKey::load(&file).unwrap();
        assert_eq!(key.open(&sealed), Some(token));
        let (text, tag) = sealed.split_once('.').unwrap();
        assert_eq!(key.open(&format!("{text}A.{tag}")), None);
        assert_eq!(key.open("nonsense"), None);
    }
}
