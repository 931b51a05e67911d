//! Requests to web services.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::capabilities::formwork::http::http;
use crate::host;

pub use http::Method;

/// How long a request may take unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// There is no answer to a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum HttpError {
    /// The component's grant does not cover the URL.
    NotGranted(String),
    /// The request is malformed.
    Invalid(String),
    /// Nobody answered in time, or the connection broke; whether the request was carried out is not known.
    Unavailable(String),
    /// A body is no JSON of the type that it should be.
    Json(serde_json::Error),
    /// Anything else.
    Other(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(url) => write!(f, "`{url}` is not granted to this component"),
            Self::Invalid(words) => write!(f, "the request is malformed: {words}"),
            Self::Unavailable(words) => write!(f, "no answer: {words}"),
            Self::Json(_) => f.write_str("the body is no JSON of the expected type"),
            Self::Other(words) => write!(f, "the request failed: {words}"),
        }
    }
}

impl Error for HttpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            _ => None,
        }
    }
}

impl From<http::Error> for HttpError {
    fn from(error: http::Error) -> Self {
        match error {
            http::Error::NotGranted(url) => Self::NotGranted(url),
            http::Error::Invalid(words) => Self::Invalid(words),
            http::Error::Unavailable(words) => Self::Unavailable(words),
            http::Error::Other(words) => Self::Other(words),
        }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is to be done with the resource.
    pub method: Method,
    /// Absolute, `http` or `https`.
    pub url: String,
    /// Names and values of header lines.
    pub headers: Vec<(String, String)>,
    /// The bytes of the body; empty sends none.
    pub body: Vec<u8>,
    /// The most time from the first packet to the last.
    pub timeout: Duration,
}

impl Request {
    /// Begins a request.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: Vec::new(), timeout: TIMEOUT }
    }

    /// Begins a request that reads.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    /// Begins a request that posts.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::Post, url)
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a body of JSON, and the header line that says so.
    ///
    /// # Errors
    ///
    /// The value cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, HttpError> {
        let body = serde_json::to_vec(value).map_err(HttpError::Json)?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// Sets the most time that it may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends the request, at most once, and returns the answer whatever its status is. A redirect is not followed.
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub fn send(self) -> Result<Response, HttpError> {
        let header = |(name, value)| http::Header { name, value };
        let answer = host::http::send(&http::Request {
            method: self.method,
            url: self.url,
            headers: self.headers.into_iter().map(header).collect(),
            body: self.body,
            timeout_ms: u32::try_from(self.timeout.as_millis()).unwrap_or(u32::MAX),
        })?;
        Ok(Response {
            status: answer.status,
            headers: answer.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            body: answer.body,
        })
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// 100 to 599.
    pub status: u16,
    /// Names, in lower case, and values of header lines.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// Whether the status says that the request was carried out.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the value of the first header line with a name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    ///
    /// It is no JSON, or of another type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(HttpError::Json)
    }

    /// Returns the body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
