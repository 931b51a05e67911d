//! The file server: rendered files and the file root over plain HTTP, for firmware, loaders and installers.

use std::{
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{
    Extension, Router,
    extract::{Path as UrlPath, RawQuery, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ALLOW, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH,
            IF_RANGE, LAST_MODIFIED, LOCATION, RANGE, USER_AGENT,
        },
    },
    response::{IntoResponse, Response},
    routing::any,
};
use formwork_boot::HttpFiles;
use formwork_boot_proto::{
    http::{Conditions, Selected, Selection, Version, content_type},
    story::{HttpSeen, What, text},
};
use tokio::fs::File;
use tokio_rustls::TlsAcceptor;

use super::{
    plain::RealFiles,
    space::{Asker, Found, find},
};
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
    let files = tls.is_none().then(|| {
        let files = HttpFiles::new(Arc::new(RealFiles(Arc::clone(&endpoint))));
        endpoint.boot_counts.of_http(files.counters());
        Arc::new(files)
    });
    Service { routes: routes(endpoint), files, tls, door, places, listed: None, farewell: Duration::ZERO }
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
    let found = find(&endpoint, &path, asker).await;
    let is_real = matches!(found, Found::File(_));
    let response = match found {
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
    note(&endpoint, address, (&method, &path, &headers), (status, bytes.parse().ok()));
    // A tree of an installer has thousands of files; what was rendered tells how far a machine is.
    if is_real {
        tracing::debug!(target: "formwork_boot::http", %address, file = path, status, bytes, "http {method}");
    } else {
        tracing::info!(target: "formwork_boot::http", %address, file = path, status, bytes, "http {method}");
    }
    response
}

/// Notes what a machine asked for and what it was answered, for who asks what became of its boot.
fn note(
    endpoint: &Endpoint,
    address: IpAddr,
    (method, path, headers): (&Method, &str, &HeaderMap),
    (status, length): (u16, Option<u64>),
) {
    let header = |name| headers.get(name).map(|value: &HeaderValue| text(value.as_bytes()));
    let target = text(format!("/{}", path.trim_start_matches('/')).as_bytes());
    let asked = HttpSeen::Request {
        method: method.to_string(),
        target: target.clone(),
        host: header(HOST),
        agent: header(USER_AGENT),
    };
    for seen in [asked, HttpSeen::Response { target, status, length }] {
        endpoint.recorder.note_transfer(endpoint.now(), (address, 0).into(), What::Http(seen));
    }
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
    let version = Version::new(metadata.modified().unwrap_or(UNIX_EPOCH), len);
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let conditions = Conditions {
        range: text(RANGE),
        if_range: text(IF_RANGE),
        if_none_match: text(IF_NONE_MATCH),
        if_modified_since: text(IF_MODIFIED_SINCE),
    };
    let mut response = match conditions.select(&version, len) {
        Selection::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        Selection::Of(Selected::Impossible) => {
            return download::of_selected(file.into_std().await, len, Selected::Impossible);
        }
        Selection::Of(selected) => {
            let mut response = download::of_selected(file.into_std().await, len, selected);
            let name = path.to_str().unwrap_or_default();
            let kind = HeaderValue::from_static(content_type(name, "application/octet-stream"));
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
    };
    for (name, text) in [(ETAG, version.tag()), (LAST_MODIFIED, version.date())] {
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

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
