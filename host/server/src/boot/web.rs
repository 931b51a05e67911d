//! The file server: rendered files and the file root over plain HTTP, for firmware, loaders and installers.

use std::{
    fs::Metadata,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Extension, Router,
    extract::{Path as UrlPath, RawQuery, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ALLOW, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH,
            IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
        },
    },
    response::{IntoResponse, Response},
    routing::any,
};
use tokio::fs::File;
use tokio_rustls::TlsAcceptor;

use super::space::{Asker, Found, find};
use crate::{
    accept::{Door, LocalAddress, PeerAddress, Service},
    download,
    endpoint::Endpoint,
    http::Query,
};

/// Returns what serves files.
pub(super) fn service(endpoint: Arc<Endpoint>, tls: Option<TlsAcceptor>) -> Service {
    let door = if tls.is_some() { Door::SecureFiles } else { Door::Files };
    let places = Arc::clone(&endpoint.places);
    // Whoever is in the middle of a file at the end asks again for the rest.
    Service { routes: routes(endpoint), tls, door, places, listed: None, farewell: Duration::ZERO }
}

fn routes(endpoint: Arc<Endpoint>) -> Router {
    Router::new().route("/", any(welcome)).route("/{*path}", any(serve_path)).with_state(endpoint)
}

async fn welcome(State(endpoint): State<Arc<Endpoint>>) -> Response {
    let text = format!(
        "Formwork endpoint {}\n\nthis server  boot files: {}/default.ipxe\nthe API      {}/api/v3/info\n",
        endpoint.id,
        endpoint.file_url(),
        endpoint.api_url()
    );
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

async fn serve_path(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(PeerAddress(address)): Extension<PeerAddress>,
    local: Option<Extension<LocalAddress>>,
    UrlPath(path): UrlPath<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")], "only GET and HEAD\n")
            .into_response();
    }
    let asker = Asker {
        peer: address,
        local: local.map(|Extension(LocalAddress(local))| local.ip()),
        token: token(&headers, query.as_deref()),
    };
    let response = match find(&endpoint, &path, asker).await {
        Found::Text(text) => rendered(&path, text, &headers),
        Found::File(file) => from_disk(&file, &headers).await,
        Found::Elsewhere(url) => match HeaderValue::from_str(&url) {
            Ok(url) => (StatusCode::FOUND, [(LOCATION, url)]).into_response(),
            Err(_) => broken(),
        },
        Found::Nothing => (StatusCode::NOT_FOUND, "Not Found\n").into_response(),
        Found::Denied(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
        Found::Broken => broken(),
    };
    let status = response.status().as_u16();
    let bytes = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()).unwrap_or("-");
    tracing::info!(target: "formwork_boot::http", %address, file = path, status, bytes, "http {method}");
    response
}

/// Returns the token of a request. Passwords are not taken here: this is no place to send them to in the clear.
fn token(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let in_query = || Query::parse(query.unwrap_or_default()).value("token").map(str::to_owned);
    bearer.map(|(_, token)| token.trim().to_owned()).or_else(in_query)
}

fn broken() -> Response {
    let text = "the file cannot be rendered; the log of the endpoint says why\n";
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}

/// Answers with a text that was rendered for this request. It is never to be kept: it may hold a token.
fn rendered(path: &str, text: String, headers: &HeaderMap) -> Response {
    let mut response = download::of_bytes(text.into_bytes(), headers.get(RANGE));
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(path, "text/plain; charset=utf-8")));
    headers.insert(axum::http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn from_disk(path: &Path, headers: &HeaderMap) -> Response {
    let opened = async {
        let file = File::open(path).await?;
        let metadata = file.metadata().await?;
        std::io::Result::Ok((file, metadata))
    };
    let (file, metadata) = match opened.await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "a file cannot be opened");
            return (StatusCode::NOT_FOUND, "Not Found\n").into_response();
        }
    };
    let len = metadata.len();
    let version = Version::of(&metadata);
    if version.is_known(headers) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        version.write(response.headers_mut());
        return response;
    }
    // A part of another version than the client has would not fit to what it has.
    let ranges = headers.get(RANGE).filter(|_| version.fits(headers.get(IF_RANGE)));
    let mut response = download::of_file(file.into_std().await, len, ranges);
    if !response.status().is_success() {
        return response;
    }
    version.write(response.headers_mut());
    let name = path.to_str().unwrap_or_default();
    let kind = HeaderValue::from_static(content_type(name, "application/octet-stream"));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// By what a client knows whether its copy is still right: the time of the last change, and its length.
struct Version {
    modified: SystemTime,
    tag: String,
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
        let nanos = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Self { modified, tag: format!("\"{nanos:x}-{:x}\"", metadata.len()) }
    }

    fn is_known(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if let Some(tags) = text(IF_NONE_MATCH) {
            let same = |tag: &str| tag == "*" || tag.trim_start_matches("W/") == self.tag;
            return tags.split(',').any(|tag| same(tag.trim()));
        }
        text(IF_MODIFIED_SINCE)
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .is_some_and(|since| self.seconds() <= seconds(since))
    }

    fn fits(&self, if_range: Option<&HeaderValue>) -> bool {
        let Some(given) = if_range.map(|value| value.to_str().unwrap_or_default()) else { return true };
        given == self.tag
            || httpdate::parse_http_date(given).is_ok_and(|date| seconds(date) == self.seconds())
    }

    fn seconds(&self) -> u64 {
        seconds(self.modified)
    }

    fn write(&self, headers: &mut HeaderMap) {
        let date = httpdate::fmt_http_date(self.modified);
        for (name, text) in [(ETAG, &self.tag), (LAST_MODIFIED, &date)] {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Returns the type of a file by the end of its name.
fn content_type(name: &str, other: &'static str) -> &'static str {
    let end = name.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map(|(_, end)| end);
    match end.unwrap_or_default() {
        // UEFI HTTP boot refuses a loader under another type.
        "efi" => "application/efi",
        "ipxe" | "txt" | "cfg" | "sh" | "ks" | "seed" | "log" => "text/plain; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "json" => "application/json",
        "yaml" | "yml" => "application/yaml",
        "iso" => "application/x-iso9660-image",
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_and_script_have_the_types_that_firmware_wants() {
        assert_eq!(content_type("/a.b/snponly.efi", "x"), "application/efi");
        assert_eq!(content_type("02:00.ipxe", "x"), "text/plain; charset=utf-8");
        assert_eq!(content_type("/a.txt/vmlinuz", "x"), "x");
    }

    #[tokio::test]
    async fn file_is_given_in_parts_and_not_again_to_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vmlinuz");
        std::fs::write(&path, b"0123456789").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static("bytes=2-4"));
        let response = from_disk(&path, &headers).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(response.headers()["content-range"], "bytes 2-4/10");
        let tag = response.headers()[ETAG].clone();
        let date = response.headers()[LAST_MODIFIED].clone();
        assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), "234");
        headers.insert(IF_RANGE, HeaderValue::from_static("\"another\""));
        let response = from_disk(&path, &headers).await;
        assert_eq!(response.status(), StatusCode::OK, "another version is sent whole");
        assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), "0123456789");
        for (name, value) in [(IF_NONE_MATCH, tag), (IF_MODIFIED_SINCE, date)] {
            let headers = HeaderMap::from_iter([(name, value)]);
            assert_eq!(from_disk(&path, &headers).await.status(), StatusCode::NOT_MODIFIED);
        }
    }
}
