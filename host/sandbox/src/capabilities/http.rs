//! `http`: requests to web services.
//!
//! Grants: `http: SCHEME://HOST[:PORT]/PATH`, where a `*` at the end of the path stands for anything that follows, and the
//! host may be `*` or begin with `*.`. `any-certificate` after it takes certificates that nobody vouches for.

use std::fmt;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::bindings::formwork::http::http as wit;
use super::{Blob, answer, host_errors};
use crate::grants::Grants;
use crate::state::CallState;
use crate::{HostAnswer, HostCall, HostError};

/// Most bytes of a body, each way.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;

/// Most header lines, each way.
pub(crate) const MAX_HEADERS: usize = 100;

/// Most bytes of header lines, each way.
pub(crate) const MAX_HEADER_BYTES: usize = 64 << 10;

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

/// A request to a web service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HttpRequest {
    /// What is to be done.
    pub method: HttpMethod,
    /// Absolute, in its normal form, without user, password and fragment.
    pub url: String,
    /// Names and values, checked.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body; empty sends none.
    #[serde(default)]
    pub body: Blob,
    /// The most time from the first packet to the last; at most 60 s.
    pub timeout_ms: u32,
    /// Whether the grant takes certificates that nobody vouches for.
    #[serde(default)]
    pub any_certificate: bool,
    /// Whether the grant names exactly this host, so that an address of the machine itself or of its link may be asked.
    #[serde(default)]
    pub exact_host: bool,
}

/// What is to be done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`.
    Options,
}

/// What a web service answered, a redirect included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HttpResponse {
    /// 100 to 599.
    pub status: u16,
    /// In the order in which they came, names in lower case.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB.
    #[serde(default)]
    pub body: Blob,
}

/// Addresses that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    is_tls: bool,
    /// Lower case; `*`, or `*.` and a name, or a name or an address.
    host: String,
    port: u16,
    /// Begins with `/`; may end in `*`.
    path: String,
    any_certificate: bool,
}

impl HttpGrant {
    /// Reads the words of a grant.
    fn parse(words: &[&str]) -> Result<Self, &'static str> {
        const FORM: &str = "`https://HOST/PATH*` must follow, and `any-certificate` may";
        let (pattern, any_certificate) = match words {
            [pattern] => (*pattern, false),
            [pattern, "any-certificate"] => (*pattern, true),
            _ => return Err(FORM),
        };
        let (scheme, rest) = pattern.split_once("://").ok_or(FORM)?;
        let slash = rest.find('/').ok_or("a path must follow the host: `/*` for all of it")?;
        let (authority, path) = rest.split_at(slash);
        if authority.is_empty() {
            return Err(FORM);
        }
        if path.strip_suffix('*').unwrap_or(path).contains(['*', '?', '#', '%']) {
            return Err("in a path, `*` may stand at the end only, and there is no `?`, `#` and `%`");
        }
        // A wildcard is no name, so the rest of the authority is read with a name in its place.
        let (wildcard, name) = match authority.strip_prefix('*') {
            None => ("", authority.to_owned()),
            Some(rest) if rest.starts_with('.') => ("*.", rest.trim_start_matches('.').to_owned()),
            Some(rest) => ("*", format!("any{rest}")),
        };
        let url = Url::parse(&format!("{scheme}://{name}{path}")).map_err(|_| "the URL is malformed")?;
        let is_tls = is_tls(&url).ok_or("the scheme must be `https` or `http`")?;
        if !url.username().is_empty() || url.password().is_some() || name.contains('*') {
            return Err(FORM);
        }
        let host = url.host_str().ok_or(FORM)?;
        let host = if wildcard == "*" { wildcard.to_owned() } else { format!("{wildcard}{host}") };
        let port = url.port_or_known_default().ok_or(FORM)?;
        Ok(Self { is_tls, host, port, path: path.to_owned(), any_certificate })
    }

    /// Whether a URL fits.
    fn covers(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        is_tls(url) == Some(self.is_tls)
            && url.port_or_known_default() == Some(self.port)
            && covers_host(&self.host, host)
            && covers_path(&self.path, url.path())
    }

    /// Whether a request goes to an address that fits.
    pub(crate) fn covers_request(&self, request: &HttpRequest) -> bool {
        Url::parse(&request.url).is_ok_and(|url| self.covers(&url))
    }

    /// Whether all that fits another one fits this one.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        self.is_tls == other.is_tls
            && self.port == other.port
            && (self.any_certificate || !other.any_certificate)
            && covers_host(&self.host, &other.host)
            // An exact name reaches more of its addresses than a pattern does.
            && (self.host == other.host || other.host.starts_with('*'))
            && covers_path(&self.path, &other.path)
    }
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default) = if self.is_tls { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != default {
            write!(f, ":{}", self.port)?;
        }
        write!(f, "{}", self.path)?;
        if self.any_certificate { f.write_str(" any-certificate") } else { Ok(()) }
    }
}

/// Reads the words after `http:`.
pub(crate) fn grant(grants: &mut Grants, words: &[&str]) -> Result<(), &'static str> {
    grants.http.push(HttpGrant::parse(words)?);
    Ok(())
}

fn is_tls(url: &Url) -> Option<bool> {
    match url.scheme() {
        "https" => Some(true),
        "http" => Some(false),
        _ => None,
    }
}

fn covers_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some("") => true,
        Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        None => pattern == host,
    }
}

fn covers_path(pattern: &str, path: &str) -> bool {
    let Some(prefix) = pattern.strip_suffix('*') else { return pattern == path };
    // A server may take an encoded slash for one, and what follows it for a way out of the prefix.
    let hidden = path.to_ascii_lowercase();
    path.starts_with(prefix) && (prefix == "/" || !(hidden.contains("%2f") || hidden.contains("%5c")))
}

impl wit::Host for CallState {
    async fn send(&mut self, request: wit::Request) -> wasmtime::Result<Result<wit::Response, wit::Error>> {
        self.count_call()?;
        let request = match check(&self.allowance.grants, request) {
            Ok(request) => request,
            Err(error) => return Ok(Err(self.refuse("http.send", error).into())),
        };
        let response = answer(self.ask(HostCall::Http(request)).await, HostAnswer::http)?;
        Ok(response.map(Into::into))
    }
}

/// Checks a request before the host sees it.
fn check(grants: &Grants, request: wit::Request) -> Result<HttpRequest, HostError> {
    let wit::Request { method, url, headers, body, timeout_ms } = request;
    let invalid = |words: &str| HostError::Invalid(words.to_owned());
    if url.len() > MAX_URL_BYTES {
        return Err(invalid("the URL is too long"));
    }
    let mut parsed = Url::parse(&url).map_err(|error| HostError::Invalid(format!("`{url}`: {error}")))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(invalid("a URL with a user or a password in it is not sent"));
    }
    parsed.set_fragment(None);
    let (mut covered, mut any_certificate, mut exact_host) = (false, false, false);
    for grant in grants.http.iter().filter(|grant| grant.covers(&parsed)) {
        covered = true;
        any_certificate |= grant.any_certificate;
        exact_host |= !grant.host.starts_with('*');
    }
    if !covered {
        return Err(HostError::NotGranted(url));
    }
    if body.len() > MAX_BODY_BYTES {
        return Err(HostError::Invalid(format!("the body has more than {MAX_BODY_BYTES} bytes")));
    }
    Ok(HttpRequest {
        method: method.into(),
        url: parsed.into(),
        headers: check_headers(headers)?,
        body: Blob(body),
        timeout_ms: timeout_ms.min(MAX_TIMEOUT_MS),
        any_certificate,
        exact_host,
    })
}

/// Checks the header lines of a request.
fn check_headers(headers: Vec<wit::Header>) -> Result<Vec<(String, String)>, HostError> {
    let bytes: usize = headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(HostError::Invalid("there are too many header lines".to_owned()));
    }
    let check = |wit::Header { name, value }: wit::Header| {
        let name = name.to_ascii_lowercase();
        let fits = HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(&value).is_ok();
        if fits && !OWN_HEADERS.contains(&name.as_str()) {
            return Ok((name, value));
        }
        let name: String = name.chars().take(80).collect();
        Err(HostError::Invalid(format!("header `{name}` is malformed or the host's own")))
    };
    headers.into_iter().map(check).collect()
}

impl From<wit::Method> for HttpMethod {
    fn from(method: wit::Method) -> Self {
        match method {
            wit::Method::Get => Self::Get,
            wit::Method::Head => Self::Head,
            wit::Method::Post => Self::Post,
            wit::Method::Put => Self::Put,
            wit::Method::Patch => Self::Patch,
            wit::Method::Delete => Self::Delete,
            wit::Method::Options => Self::Options,
        }
    }
}

impl From<HttpResponse> for wit::Response {
    fn from(response: HttpResponse) -> Self {
        let header = |(name, value)| wit::Header { name, value };
        Self {
            status: response.status,
            headers: response.headers.into_iter().map(header).collect(),
            body: response.body.0,
        }
    }
}

host_errors!(wit::Error);

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(grant: &str, url: &str) -> bool {
        let words: Vec<_> = grant.split_whitespace().collect();
        HttpGrant::parse(&words).unwrap().covers(&Url::parse(url).unwrap())
    }

    #[test]
    fn scheme_host_port_and_path_must_fit() {
        for (grant, url) in [
            ("https://bmc.example/*", "https://bmc.example/redfish/v1?x=/y"),
            ("https://bmc.example/*", "https://BMC.example:443/"),
            ("https://*.example:8443/redfish/*", "https://a.b.example:8443/redfish/v1"),
            ("http://*/hook", "http://10.0.0.1/hook"),
            ("http://127.1:8080/*", "http://127.0.0.1:8080/x"),
            ("https://[fe80::1]/*", "https://[FE80:0::1]/x"),
            ("https://a.example/*", "https://a.example/x%2fy"),
        ] {
            assert!(covers(grant, url), "{grant} {url}");
        }
        for (grant, url) in [
            ("https://bmc.example/*", "http://bmc.example/"),
            ("https://bmc.example/*", "https://bmc.example:8443/"),
            ("https://bmc.example/*", "https://bmc.example.evil/"),
            ("https://*.example/*", "https://example/"),
            ("https://*.example/*", "https://xexample/"),
            ("https://bmc.example/redfish/*", "https://bmc.example/redfish/../admin"),
            ("https://bmc.example/redfish/*", "https://bmc.example/redfish/%2e%2e/admin"),
            ("https://bmc.example/redfish/*", "https://bmc.example/redfish/..%2Fadmin"),
            ("https://bmc.example/hook", "https://bmc.example/hook/x"),
        ] {
            assert!(!covers(grant, url), "{grant} {url}");
        }
    }

    #[test]
    fn a_grant_that_is_not_understood_is_refused() {
        for words in [
            "bmc.example",
            "https://bmc.example",
            "ftp://bmc.example/*",
            "https://bmc.*.example/*",
            "https://user@bmc.example/*",
            "https://bmc.example/*/x",
            "https://bmc.example/?x=*",
            "https://bmc.example/* anything",
            "https:///x",
        ] {
            let words: Vec<_> = words.split_whitespace().collect();
            assert!(HttpGrant::parse(&words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn one_grant_includes_another_only_if_it_reaches_all_of_it() {
        let parse = |text: &str| HttpGrant::parse(&text.split_whitespace().collect::<Vec<_>>()).unwrap();
        for (wide, narrow) in [
            ("https://a.example/*", "https://a.example/x/*"),
            ("https://*.example/*", "https://*.b.example/*"),
            ("https://a.example/* any-certificate", "https://a.example/*"),
        ] {
            assert!(parse(wide).includes(&parse(narrow)), "{wide} {narrow}");
            assert!(!parse(narrow).includes(&parse(wide)), "{narrow} {wide}");
        }
        // The pattern never reaches an address of the machine itself; the exact name may.
        assert!(!parse("http://*/*").includes(&parse("http://127.0.0.1/*")));
    }

    #[test]
    fn a_grant_is_written_as_it_was_read() {
        for text in ["https://a.example/*", "http://*.example:8080/x any-certificate", "http://[::1]:81/*"] {
            let words: Vec<_> = text.split_whitespace().collect();
            assert_eq!(HttpGrant::parse(&words).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_hosts_own_headers_are_refused() {
        let header = |name: &str, value: &str| {
            check_headers(vec![wit::Header { name: name.to_owned(), value: value.to_owned() }])
        };
        assert_eq!(header("X-Token", "a").unwrap(), [("x-token".to_owned(), "a".to_owned())]);
        for (name, value) in [("Host", "evil"), ("Content-Length", "9"), ("x y", "a"), ("x", "a\r\nb: c")] {
            assert!(header(name, value).is_err(), "{name}");
        }
    }
}
