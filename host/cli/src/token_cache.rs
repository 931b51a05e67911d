//! Tokens that are kept between two calls, so that a password is sent and checked once in two hours
//! (drp-behaviour.md 10.3).
//!
//! One file a user, `.USER.token`, mode 0600: the token, then the endpoint that it is for. A token is never shown to
//! another endpoint than the one that gave it.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Result;
use formwork_client::{Client, ClientError, Credentials, Query};

/// How long a token lives, in seconds.
const LIFE: &str = "7200";

/// Most bytes of a file.
const MAX_FILE: u64 = 64 << 10;

/// A folder with tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenCache {
    folder: PathBuf,
}

impl TokenCache {
    /// Keeps tokens in a folder, which is made when it is needed.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns a token of the user whose password the client shows: the kept one while the endpoint takes it, else a new
    /// one. Nothing when the endpoint gives none: the password says then what is wrong.
    ///
    /// # Errors
    ///
    /// An endpoint that cannot be reached.
    pub(crate) async fn token(&self, client: &Client, url: &str, user: &str) -> Result<Option<String>> {
        let Some(file) = self.file(user) else { return Ok(None) };
        if let Some(token) = kept(&file, url) {
            match client.with_credentials(Credentials::Token(token.clone())).info().await {
                Ok(_) => return Ok(Some(token)),
                Err(error @ ClientError::Connect { .. }) => return Err(error.into()),
                Err(_) => drop(fs::remove_file(&file)),
            }
        }
        match client.user_token(user, &Query::new().with("ttl", LIFE)).await {
            Ok(made) => {
                if let Err(error) = self.keep(&file, &made.token, url) {
                    tracing::debug!(file = %file.display(), %error, "the token could not be kept");
                }
                Ok(Some(made.token))
            }
            Err(error @ ClientError::Connect { .. }) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Returns the file of a user; nothing for a name that is no part of a path.
    fn file(&self, user: &str) -> Option<PathBuf> {
        let fit = !user.is_empty() && !user.contains(['/', '\0']);
        fit.then(|| self.folder.join(format!(".{user}.token")))
    }

    /// Keeps a token: the file appears whole, or not at all.
    fn keep(&self, file: &Path, token: &str, url: &str) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut part = tempfile::NamedTempFile::new_in(&self.folder)?;
        part.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
        part.write_all(format!("{token}\n{url}\n").as_bytes())?;
        part.persist(file).map_err(|error| error.error).map(drop)
    }
}

/// Returns the token of a file, if it is one of this endpoint.
fn kept(file: &Path, url: &str) -> Option<String> {
    fs::metadata(file).ok().filter(|found| found.len() <= MAX_FILE)?;
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines();
    let token = lines.next()?.trim();
    (lines.next()? == url && !token.is_empty()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use formwork_client::Endpoint;
    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// An endpoint that gives tokens, and that can forget those that it gave.
    struct Giver {
        url: String,
        given: Arc<AtomicUsize>,
        forgets: Arc<AtomicBool>,
    }

    impl Giver {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let (given, forgets) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            let (count, refuses) = (Arc::clone(&given), Arc::clone(&forgets));
            tokio::spawn(async move {
                while let Ok((mut tcp, _)) = listener.accept().await {
                    let mut bytes = [0; 4096];
                    let length = tcp.read(&mut bytes).await.unwrap();
                    let asked = String::from_utf8_lossy(&bytes[..length]).to_lowercase();
                    let info = formwork_api::Info::default();
                    let (status, body) = if asked.contains("/token?ttl=7200") {
                        assert!(asked.contains("authorization: basic"), "{asked}");
                        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                        ("200 OK", json!({"Token": format!("token-{number}"), "Info": info}))
                    } else if refuses.load(Ordering::Relaxed) {
                        ("403 Forbidden", json!({}))
                    } else {
                        ("200 OK", json!(info))
                    };
                    let body = body.to_string();
                    let answer = format!(
                        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    tcp.write_all(answer.as_bytes()).await.unwrap();
                    tcp.shutdown().await.ok();
                }
            });
            Self { url, given, forgets }
        }

        async fn token(&self, cache: &TokenCache, user: &str) -> Option<String> {
            let credentials = Credentials::from_key("joe:secret");
            let client = Client::connect(Endpoint { url: self.url.clone(), credentials }).unwrap();
            cache.token(&client, &self.url, user).await.unwrap()
        }
    }

    #[tokio::test]
    async fn token_is_cached_mode_0600_and_dropped_when_refused() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("deep/tokens");
        let (giver, cache) = (Giver::start().await, TokenCache::new(folder.clone()));
        assert_eq!(giver.token(&cache, "joe").await.as_deref(), Some("token-1"));
        assert_eq!(giver.token(&cache, "joe").await.as_deref(), Some("token-1"));
        assert_eq!(giver.given.load(Ordering::Relaxed), 1);
        let file = folder.join(".joe.token");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        giver.forgets.store(true, Ordering::Relaxed);
        assert_eq!(giver.token(&cache, "joe").await.as_deref(), Some("token-2"));
        assert!(fs::read_to_string(&file).unwrap().starts_with("token-2\n"));
    }

    #[tokio::test]
    async fn token_of_one_endpoint_is_not_shown_to_another() {
        let home = tempfile::tempdir().unwrap();
        let cache = TokenCache::new(home.path().to_owned());
        let (one, other) = (Giver::start().await, Giver::start().await);
        assert_eq!(one.token(&cache, "joe").await.as_deref(), Some("token-1"));
        let file = home.path().join(".joe.token");
        assert_eq!(kept(&file, &other.url), None);
        assert_eq!(other.token(&cache, "joe").await.as_deref(), Some("token-1"));
        assert_eq!(other.given.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn name_that_is_a_path_is_kept_nowhere() {
        let home = tempfile::tempdir().unwrap();
        let cache = TokenCache::new(home.path().to_owned());
        assert_eq!(Giver::start().await.token(&cache, "../joe").await, None);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
