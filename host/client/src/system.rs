//! What belongs to no object type: info, whoami, tokens, preferences, content bundles, components.

use std::collections::BTreeMap;

use formwork_api::{Event, Info, SignedUrl, UserToken, Whoami};
use formwork_model::{Content, ContentSummary, Kind, Machine, Record as _};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Client, ClientError, Credentials, Query, client::record, request::Body};

impl Client {
    /// Returns what the endpoint says of itself.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`].
    pub async fn info(&self) -> Result<Info, ClientError> {
        self.ask(Method::GET, &["info"], &Query::new()).await?.decode()
    }

    /// Asks which machine has this hardware; the answer's `result` says so.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`].
    pub async fn whoami(&self, whoami: &Whoami) -> Result<Whoami, ClientError> {
        let body = Body::json(whoami)?;
        self.send(Method::POST, &["whoami"], &Query::new(), body).await?.decode()
    }

    /// Returns a token of a user. `query` may hold `ttl` and `roles`.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 403 when the caller is another user without the right.
    pub async fn user_token(&self, name: &str, query: &Query) -> Result<UserToken, ClientError> {
        self.ask(Method::GET, &["users", name, "token"], query).await?.decode()
    }

    /// Returns a client that shows a token instead of the password; a token stays as it is.
    /// `ttl` is a duration such as `2h` (drp-api.md 3.5).
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 401 or 403 when the password is wrong.
    pub async fn logged_in(&self, ttl: &str) -> Result<Self, ClientError> {
        let Credentials::Basic { user, .. } = &self.credentials else { return Ok(self.clone()) };
        let token = self.user_token(user, &Query::new().with("ttl", ttl)).await?;
        Ok(self.with_credentials(Credentials::Token(token.token)))
    }

    /// Returns a URL by which anybody can read a file or an iso for some time: a secret. `url` may be the path alone, as in
    /// `files/a/b`; `ttl` is a duration such as `10m`.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 400 for what is no file, 403 without the right to read it.
    pub async fn sign_url(&self, url: &str, ttl: Option<&str>) -> Result<SignedUrl, ClientError> {
        let mut query = Query::new().with("url", url);
        if let Some(ttl) = ttl {
            query.push("ttl", ttl);
        }
        let mut signed: SignedUrl = self.ask(Method::GET, &["system", "signurl"], &query).await?.decode()?;
        if signed.url.starts_with('/') {
            signed.url.insert_str(0, self.endpoint());
        }
        Ok(signed)
    }

    /// Sets the password of a user and returns the user. All tokens of the user end.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is no such user.
    pub async fn user_password(&self, name: &str, password: &str) -> Result<Value, ClientError> {
        let body = Body::json(&json!({"Password": password}))?;
        self.send(Method::PUT, &["users", name, "password"], &Query::new(), body).await?.json()
    }

    /// Returns a token with the rights of a machine's agent. `ttl` is a duration such as `1h`.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 403 without the right.
    pub async fn machine_token(&self, uuid: &str, ttl: &str) -> Result<UserToken, ClientError> {
        self.agent_token(Machine::KIND, uuid, ttl).await
    }

    /// Returns a token for the agent of a machine, a cluster or a resource broker, which `kind` says.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 403 without the right.
    pub async fn agent_token(&self, kind: &Kind, uuid: &str, ttl: &str) -> Result<UserToken, ClientError> {
        let query = Query::new().with("ttl", ttl);
        self.ask(Method::GET, &[kind.prefix, uuid, "token"], &query).await?.decode()
    }

    /// Returns a machine, or the machine that a cluster or a resource broker is, which `kind` says.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is none of the type.
    pub async fn machine_like(&self, kind: &Kind, uuid: &str) -> Result<Machine, ClientError> {
        // All three have the same members (drp-api.md 7A.5, 7A.6).
        record(self.collection(kind.prefix).show(uuid, &Query::new()).await?)
    }

    /// Returns what a change of a machine would bring about, step by step; nothing is written.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 422 for a change that would be refused.
    pub async fn machine_plan(&self, uuid: &str, members: &Value) -> Result<Value, ClientError> {
        let path = ["machines", uuid, "plan"];
        self.send(Method::POST, &path, &Query::new(), Body::json(members)?).await?.decode()
    }

    /// Returns all preferences.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`].
    pub async fn prefs(&self) -> Result<BTreeMap<String, String>, ClientError> {
        self.ask(Method::GET, &["prefs"], &Query::new()).await?.decode()
    }

    /// Changes some preferences and returns all.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 422 for a value that is not acceptable.
    pub async fn prefs_set(
        &self,
        changes: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, ClientError> {
        self.send(Method::POST, &["prefs"], &Query::new(), Body::json(changes)?).await?.decode()
    }

    /// Sends an event to all listeners. Nothing is stored.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`].
    pub async fn event_post(&self, event: &Event) -> Result<(), ClientError> {
        self.send(Method::POST, &["events"], &Query::new(), Body::json(event)?).await.map(drop)
    }

    /// Returns the content bundles.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`].
    pub async fn contents(&self) -> Result<Vec<ContentSummary>, ClientError> {
        self.ask(Method::GET, &["contents"], &Query::new()).await?.decode()
    }

    /// Returns a content bundle with its objects.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is none.
    pub async fn content(&self, name: &str) -> Result<Content, ClientError> {
        self.ask(Method::GET, &["contents", name], &Query::new()).await?.decode()
    }

    /// Installs a content bundle. It is sent as it is, with members that this program does not know.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 409 when the name exists, 422 when the bundle is not acceptable.
    pub async fn content_create(&self, content: &Value) -> Result<ContentSummary, ClientError> {
        self.send(Method::POST, &["contents"], &Query::new(), Body::json(content)?).await?.decode()
    }

    /// Replaces a content bundle.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is none, 422 when the bundle is not acceptable.
    pub async fn content_update(&self, name: &str, content: &Value) -> Result<ContentSummary, ClientError> {
        let body = Body::json(content)?;
        self.send(Method::PUT, &["contents", name], &Query::new(), body).await?.decode()
    }

    /// Removes a content bundle.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is none, 409 while its objects are in use.
    pub async fn content_destroy(&self, name: &str) -> Result<(), ClientError> {
        self.ask(Method::DELETE, &["contents", name], &Query::new()).await.map(drop)
    }

    /// Returns the bytes of a component by the hexadecimal BLAKE3 digest of them. The caller checks the digest.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when no pack has it.
    pub async fn component(&self, digest: &str) -> Result<Vec<u8>, ClientError> {
        Ok(self.ask(Method::GET, &["components", digest], &Query::new()).await?.bytes)
    }
}
