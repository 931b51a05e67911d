//! The client itself: its connections, and typed access to objects.

use std::{path::Path, path::PathBuf, sync::Arc, time::Duration};

use formwork_api::BASE_PATH;
use formwork_model::Record;
use formwork_tls::Trust;
use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use rustls::ClientConfig;
use serde_json::Value;

use crate::{ClientError, Collection, Credentials, Endpoint, PatchOp, Query, crowd::Crowd, retry::Retries};

/// How long a connection may take to be made. A machine far away on a bad line needs seconds, not more.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may stay silent between two of its parts.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an idle connection is kept. Less than the time after which usual firewalls forget it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A caller of one endpoint. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) base: Url,
    pub(crate) credentials: Credentials,
    /// Headers of every request.
    pub(crate) headers: HeaderMap,
    pub(crate) retries: Option<Retries>,
    /// The managed endpoint behind this one that is meant.
    pub(crate) behind: Option<String>,
    /// The socket of a local proxy, which everything goes through.
    pub(crate) socket: Option<PathBuf>,
    /// What callers share that are many.
    pub(crate) crowd: Crowd,
}

impl Client {
    /// Prepares to call an endpoint. Nothing is sent yet: the first request shows whether the endpoint is there.
    ///
    /// # Errors
    ///
    /// A URL that is not `https://HOST[:PORT]` or `http://HOST[:PORT]`, with an optional path before the API's own.
    pub fn connect(endpoint: Endpoint) -> Result<Self, ClientError> {
        let base = base_url(&endpoint.url)?;
        let unusable = |reason: String| ClientError::Url { text: endpoint.url.clone(), reason };
        let tls = formwork_tls::client_config(Trust::Anybody).map_err(|error| unusable(error.to_string()))?;
        let http =
            builder(&tls).read_timeout(READ_TIMEOUT).build().map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            http,
            tls: Arc::new(tls),
            base,
            credentials: endpoint.credentials,
            headers: HeaderMap::new(),
            retries: None,
            behind: None,
            socket: None,
            crowd: Crowd::default(),
        })
    }

    /// Makes the client send a header with every request.
    ///
    /// # Errors
    ///
    /// A name or a value that no header can have.
    pub fn with_header(&self, name: &str, value: &str) -> Result<Self, ClientError> {
        let unusable = |text: &str| ClientError::Url {
            text: text.to_owned(),
            reason: String::from("no header can hold it"),
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable(name))?;
        let value = HeaderValue::from_str(value).map_err(|_| unusable(value))?;
        let mut client = self.clone();
        client.headers.insert(name, value);
        Ok(client)
    }

    /// Returns a client of an endpoint that this one manages: requests go to `/ID/api/v3/...`, events come from
    /// `/api/v3/ws/ID` (drp-api.md 16.2).
    ///
    /// # Errors
    ///
    /// An id that can be no part of a URL.
    pub fn of_managed(&self, id: &str) -> Result<Self, ClientError> {
        if matches!(id, "" | "." | "..") || id.contains('/') {
            let reason = String::from("it is no id of an endpoint");
            return Err(ClientError::Url { text: id.to_owned(), reason });
        }
        let mut base = self.base.clone();
        let path = base.path().strip_suffix(BASE_PATH).unwrap_or_default().to_owned();
        base.set_path(&format!("{path}/{id}{BASE_PATH}"));
        Ok(Self { base, behind: Some(id.to_owned()), ..self.clone() })
    }

    /// Returns a client whose requests and events go through the UNIX socket of a local proxy (drp-api.md 16.2). Such a
    /// proxy speaks plain HTTP: the URL of the endpoint is to begin with `http://`.
    ///
    /// # Errors
    ///
    /// A client that cannot be made.
    pub fn through_socket(&self, socket: &Path) -> Result<Self, ClientError> {
        let client = Self { socket: Some(socket.to_owned()), ..self.clone() };
        let builder = client.builder().read_timeout(READ_TIMEOUT);
        let http = builder.build().map_err(|error| client.unusable(&error))?;
        Ok(Self { http, ..client })
    }

    /// Returns the UNIX socket of the local proxy that everything goes through, if there is one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        match &self.socket {
            Some(socket) => builder(&self.tls).unix_socket(socket.clone()),
            None => builder(&self.tls),
        }
    }

    fn unusable(&self, error: &reqwest::Error) -> ClientError {
        ClientError::Url { text: self.endpoint().to_owned(), reason: error.to_string() }
    }

    /// Returns the same client with connections of its own, on which an answer may take as long as the request does: a
    /// long upload is silent on the other side.
    pub(crate) fn patient(&self) -> Result<Self, ClientError> {
        let http = self.builder().build().map_err(|error| self.unusable(&error))?;
        Ok(Self { http, ..self.clone() })
    }

    /// Returns a client of the same endpoint for another caller. It shares the connections.
    #[must_use]
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        Self { credentials, ..self.clone() }
    }

    /// Returns the value of the header `Authorization` that the client sends: a secret.
    #[must_use]
    pub fn authorization(&self) -> String {
        self.credentials.authorization()
    }

    /// Returns the path before the API's own; empty for an endpoint that has its host for itself.
    #[must_use]
    pub fn path_before(&self) -> &str {
        self.base.path().strip_suffix(BASE_PATH).unwrap_or_default()
    }

    /// Returns the URL of the endpoint, without the API's own path and without a slash at its end.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        let url = self.base.as_str();
        url.strip_suffix(BASE_PATH).unwrap_or(url)
    }

    /// Returns the token that the client shows; `None` when it shows a password.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        match &self.credentials {
            Credentials::Token(token) => Some(token),
            Credentials::Basic { .. } => None,
        }
    }

    /// Returns access to the objects of a type as JSON.
    #[must_use]
    pub fn collection<'a>(&'a self, prefix: &'a str) -> Collection<'a> {
        Collection::new(self, prefix)
    }

    /// Returns one object, by its key or as `Index:value` for a unique index.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is none.
    pub async fn get<R: Record>(&self, id: &str) -> Result<R, ClientError> {
        record(self.collection(R::KIND.prefix).show(id, &Query::new()).await?)
    }

    /// Returns the objects that match a query.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 406 for a query that cannot be answered.
    pub async fn list<R: Record>(&self, query: &Query) -> Result<Vec<R>, ClientError> {
        self.collection(R::KIND.prefix).list(query).await?.into_iter().map(record).collect()
    }

    /// Makes an object and returns it as it was stored.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 409 when the key exists, 422 for an object that is not acceptable.
    pub async fn create<R: Record>(&self, object: &R) -> Result<R, ClientError> {
        record(self.collection(R::KIND.prefix).create(&object.to_json()).await?)
    }

    /// Changes an object and returns it as it was stored. All operations are done, or none.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 409 when an operation fails, 422 when the result is not acceptable.
    pub async fn patch<R: Record>(&self, id: &str, operations: &[PatchOp]) -> Result<R, ClientError> {
        record(self.collection(R::KIND.prefix).patch(id, operations).await?)
    }

    /// Replaces an object and returns it as it was stored.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is none, 422 for an object that is not acceptable.
    pub async fn put<R: Record>(&self, object: &R) -> Result<R, ClientError> {
        record(self.collection(R::KIND.prefix).put(&object.key(), &object.to_json()).await?)
    }

    /// Removes an object and returns it as it was.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is none, 409 while it is in use.
    pub async fn delete<R: Record>(&self, id: &str) -> Result<R, ClientError> {
        record(self.collection(R::KIND.prefix).destroy(id).await?)
    }

    /// Tells whether an object exists.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`] but 404.
    pub async fn exists<R: Record>(&self, id: &str) -> Result<bool, ClientError> {
        self.collection(R::KIND.prefix).exists(id).await
    }

    /// Returns the number of objects that match a query.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; an answer without the number is one.
    pub async fn count<R: Record>(&self, query: &Query) -> Result<u64, ClientError> {
        self.collection(R::KIND.prefix).count(query).await
    }
}

/// What all connections have in common.
fn builder(tls: &ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_keepalive(Duration::from_secs(30))
        .redirect(Policy::none())
        .no_proxy()
        .user_agent(concat!("formwork/", env!("CARGO_PKG_VERSION")))
}

/// Reads the URL of an endpoint and adds the API's own path.
fn base_url(text: &str) -> Result<Url, ClientError> {
    let unusable = |reason: &str| ClientError::Url { text: text.to_owned(), reason: reason.to_owned() };
    let mut url: Url = text.parse().map_err(|_| unusable("it must be like `https://127.0.0.1:8092`"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(unusable("it must begin with `https://` and name a host"));
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix(BASE_PATH).unwrap_or(path);
    let path = format!("{path}{BASE_PATH}");
    url.set_path(&path);
    Ok(url)
}

/// Decodes an object; nulls count as missing, as other servers write them.
pub(crate) fn record<R: Record>(value: Value) -> Result<R, ClientError> {
    let wrong = |reason: String| ClientError::Answer {
        method: String::from("decoding"),
        path: R::KIND.prefix.to_owned(),
        reason,
    };
    let object = (R::KIND.decode)(value).map_err(|error| wrong(error.to_string()))?;
    let object = object.into_any().downcast::<R>().map_err(|_| wrong(String::from("another type")))?;
    Ok(Arc::unwrap_or_clone(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_kept_without_the_path_of_the_api() {
        for text in ["https://h:1", "https://h:1/", "https://h:1/api/v3", "https://h:1/api/v3/?x=1"] {
            assert_eq!(base_url(text).unwrap().as_str(), "https://h:1/api/v3");
        }
        assert_eq!(base_url("https://h/fred").unwrap().as_str(), "https://h/fred/api/v3");
        let endpoint = Endpoint { url: "https://h:1/".into(), credentials: Credentials::from_key("t") };
        let client = Client::connect(endpoint).unwrap();
        assert_eq!(client.endpoint(), "https://h:1");
        assert_eq!(client.of_managed("e1").unwrap().base.as_str(), "https://h:1/e1/api/v3");
        assert!(client.of_managed("a/b").is_err() && client.of_managed("..").is_err());
    }

    #[test]
    fn text_that_is_no_url_is_refused_with_an_example() {
        for text in ["", "127.0.0.1:8092", "ftp://h", "https://"] {
            assert!(base_url(text).is_err(), "{text}");
        }
    }
}
