//! Any request of the API, for callers that learn at run time what they ask.

use std::time::Duration;

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

use crate::{
    Client, ClientError, Query,
    request::{Answer, Body},
};

/// One request that is being put together.
#[derive(Debug)]
#[must_use = "a request that is not sent does nothing"]
pub struct Call<'a> {
    client: &'a Client,
    method: Method,
    path: Vec<String>,
    query: Query,
    headers: HeaderMap,
    body: Body,
    patient: bool,
}

/// The answer to a request that was not refused.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status: below 300, or 304 when the request asked for a change that did not come.
    pub status: u16,
    /// The body as JSON; null when there is none, a text when it is no JSON.
    pub value: Value,
    /// The body as it came.
    pub bytes: Vec<u8>,
    headers: HeaderMap,
}

impl Response {
    /// Returns a header of the answer.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Client {
    /// Prepares a request. `path` are the segments behind the base path, not yet encoded.
    pub fn call<S: Into<String>>(&self, method: Method, path: impl IntoIterator<Item = S>) -> Call<'_> {
        Call {
            client: self,
            method,
            path: path.into_iter().map(Into::into).collect(),
            query: Query::new(),
            headers: HeaderMap::new(),
            body: Body::None,
            patient: false,
        }
    }
}

impl Call<'_> {
    /// Sets the members of the query string.
    pub fn query(self, query: Query) -> Self {
        Self { query, ..self }
    }

    /// Makes a value the body, as JSON.
    ///
    /// # Errors
    ///
    /// A value that JSON cannot hold.
    pub fn json(self, value: &Value) -> Result<Self, ClientError> {
        Ok(Self { body: Body::json(value)?, ..self })
    }

    /// Makes bytes the body, as they are.
    pub fn bytes(self, bytes: Vec<u8>) -> Self {
        Self { body: Body::Bytes(bytes), ..self }
    }

    /// Makes a stream the body: it is sent as it is read and never whole in memory. `sent` is called with the number of
    /// bytes that have gone so far. Such a request is sent once only.
    pub fn stream(
        self,
        from: impl tokio::io::AsyncRead + Send + Unpin + 'static,
        length: Option<u64>,
        sent: impl FnMut(u64) + Send + 'static,
    ) -> Self {
        Self { body: Body::of(from, length, sent), patient: true, ..self }
    }

    /// Lets the endpoint hold its answer until the object is another than the one with this tag, or until so much time is
    /// over: then the status is 304 (drp-api.md 1.3).
    ///
    /// # Errors
    ///
    /// A tag that no header can hold.
    pub fn until_changed(mut self, tag: &str, time: Duration) -> Result<Self, ClientError> {
        let header = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| ClientError::Url {
                text: text.to_owned(),
                reason: String::from("it is no entity tag"),
            })
        };
        self.headers.insert(HeaderName::from_static("if-none-match"), header(tag)?);
        let wait = format!("wait={}", time.as_secs());
        self.headers.insert(HeaderName::from_static("prefer"), header(&wait)?);
        self.patient = true;
        Ok(self)
    }

    /// Lets the answer take as long as it needs.
    pub fn patiently(self) -> Self {
        Self { patient: true, ..self }
    }

    /// Sends the request.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`].
    pub async fn send(self) -> Result<Response, ClientError> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let client = if self.patient { &self.client.patient()? } else { self.client };
        let answer = client.send_with(self.method, (&path, &self.query), self.headers, self.body).await?;
        let Answer { status, headers, bytes, .. } = answer;
        let value = match serde_json::from_slice(&bytes) {
            Ok(value) => value,
            Err(_) if bytes.is_empty() => Value::Null,
            Err(_) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        };
        Ok(Response { status, value, bytes, headers })
    }
}
