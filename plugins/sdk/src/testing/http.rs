//! Requests to web services: checked as the host checks them, answered by the test.

use url::Url;

use super::grants::Grants;
use crate::bindings::capabilities::formwork::http::http::{Error, Header, Request as HostRequest};
use crate::http::{HttpError, Request, Response};

/// Most bytes of a body, each way.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Most header lines, each way.
const MAX_HEADERS: usize = 100;

/// Most bytes of header lines, each way.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Longest URL.
const MAX_URL_BYTES: usize = 8192;

/// Longest time of a request.
const MAX_TIMEOUT_MS: u32 = 60_000;

/// Header lines that are the host's own: they steer the connection (RFC 9110, 7.6.1) or say where it goes.
const OWN_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a web service answers in a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply(pub(crate) Response);

impl Reply {
    /// Begins an answer without a body.
    pub fn status(status: u16) -> Self {
        Self(Response { status, headers: Vec::new(), body: Vec::new() })
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// Sets a body of JSON.
    #[must_use]
    pub fn json(self, value: impl Into<serde_json::Value>) -> Self {
        let body = value.into().to_string();
        self.header("content-type", "application/json").body(body)
    }
}

/// Writes a URL in the form in which the host sends it; as it is when it is none.
pub(crate) fn normal(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return url.to_owned() };
    parsed.set_fragment(None);
    parsed.into()
}

/// Checks a request, and returns it as the host sends it.
pub(crate) fn check(grants: Option<&Grants>, request: &HostRequest) -> Result<Request, Error> {
    let invalid = |words: &str| Error::Invalid(words.to_owned());
    let url = &request.url;
    if url.len() > MAX_URL_BYTES {
        return Err(invalid("the URL is too long"));
    }
    let mut parsed = Url::parse(url).map_err(|error| Error::Invalid(format!("`{url}`: {error}")))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(invalid("a URL with a user or a password in it is not sent"));
    }
    parsed.set_fragment(None);
    let is_web = matches!(parsed.scheme(), "http" | "https");
    if !is_web || grants.is_some_and(|grants| !grants.may_ask(&parsed)) {
        return Err(Error::NotGranted(url.clone()));
    }
    if request.body.len() > MAX_BODY_BYTES {
        return Err(Error::Invalid(format!("the body has more than {MAX_BODY_BYTES} bytes")));
    }
    let headers = check_headers(&request.headers)?;
    let timeout = std::time::Duration::from_millis(request.timeout_ms.min(MAX_TIMEOUT_MS).into());
    let url = String::from(parsed);
    Ok(Request { method: request.method, url, headers, body: request.body.clone(), timeout })
}

/// Checks the header lines of a request.
fn check_headers(headers: &[Header]) -> Result<Vec<(String, String)>, Error> {
    let bytes: usize = headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(Error::Invalid("there are too many header lines".to_owned()));
    }
    let check = |header: &Header| {
        let name = header.name.to_ascii_lowercase();
        let fits =
            is_token(&name) && header.value.bytes().all(|byte| byte == b'\t' || (byte >= 32 && byte != 127));
        if fits && !OWN_HEADERS.contains(&name.as_str()) {
            return Ok((name, header.value.clone()));
        }
        let name: String = name.chars().take(80).collect();
        Err(Error::Invalid(format!("header `{name}` is malformed or the host's own")))
    };
    headers.iter().map(check).collect()
}

/// Whether a text can be the name of a header line, RFC 9110, 5.6.2.
fn is_token(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

/// Takes an answer, as much of it as may come.
pub(crate) fn take(url: &str, response: Response) -> Result<Response, Error> {
    let large = |what: String| Err(Error::Other(format!("`{url}` answered with more than {what}")));
    let bytes: usize = response.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if response.headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return large(format!("{MAX_HEADERS} header lines or {MAX_HEADER_BYTES} bytes of them"));
    }
    if response.body.len() > MAX_BODY_BYTES {
        return large(format!("{MAX_BODY_BYTES} bytes"));
    }
    let header = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
    Ok(Response { headers: response.headers.into_iter().map(header).collect(), ..response })
}

/// Turns the error that a test answers with into the host's.
pub(crate) fn refused(error: HttpError) -> Error {
    match error {
        HttpError::NotGranted(url) => Error::NotGranted(url),
        HttpError::Invalid(words) => Error::Invalid(words),
        HttpError::Unavailable(words) => Error::Unavailable(words),
        HttpError::Other(words) => Error::Other(words),
        HttpError::Json(error) => Error::Other(error.to_string()),
    }
}
