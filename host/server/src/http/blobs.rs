//! Files and archives (drp-api.md 11.1).

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequest, Multipart, Path, RawQuery, Request as HttpRequest, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use formwork_api::ApiError;

use super::{
    answer::{self, Handled},
    request::{Authenticated, Query},
};
use crate::{
    auth::Caller,
    blobs::{self, Kind, Request},
    download,
    endpoint::Endpoint,
};

/// The sum of a file, for clients that look for it there.
const SUM: &str = "X-DRP-SHA256SUM";

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new().merge(of(Kind::Files)).merge(of(Kind::Isos)).layer(DefaultBodyLimit::disable())
}

fn of(kind: Kind) -> Router<Arc<Endpoint>> {
    let word = kind.word();
    Router::new()
        .route(
            &format!("/{word}"),
            get(async move |State(endpoint), Authenticated(caller), RawQuery(query)| {
                list(endpoint, about(kind, "", caller, "GET"), &query.unwrap_or_default()).await
            }),
        )
        .route(
            &format!("/{word}/{{*path}}"),
            get(async move |State(endpoint), Authenticated(caller), Path(path): Path<String>, headers| {
                read(endpoint, about(kind, &path, caller, "GET"), headers).await
            })
            .post(async move |State(endpoint), Authenticated(caller), Path(path): Path<String>, request| {
                write(endpoint, about(kind, &path, caller, "POST"), request).await
            })
            .delete(
                async move |State(endpoint), Authenticated(caller), Path(path): Path<String>| {
                    remove(endpoint, about(kind, &path, caller, "DELETE")).await
                },
            ),
        )
}

fn about(kind: Kind, path: &str, caller: Caller, method: &'static str) -> Request {
    Request { kind, path: path.to_owned(), caller, method }
}

async fn list(endpoint: Arc<Endpoint>, mut request: Request, query: &str) -> Handled {
    let query = Query::parse(query);
    request.path = query.value("path").unwrap_or_default().to_owned();
    answer::json(StatusCode::OK, &blobs::list(&endpoint, &request, query.is("all")).await?)
}

/// Answers with a file, unless the client has it.
async fn read(endpoint: Arc<Endpoint>, request: Request, headers: HeaderMap) -> Handled {
    let (blob, sum) = blobs::read(&endpoint, &request).await?;
    let tag = format!("\"SHA256:{sum}\"");
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let is_known =
        known.is_some_and(|tags| tags.split(',').any(|one| one.trim() == tag || one.trim() == "*"));
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        // A part of another file than the client has would not fit.
        let fits = headers.get(header::IF_RANGE).is_none_or(|wanted| wanted.as_bytes() == tag.as_bytes());
        let ranges = headers.get(header::RANGE).filter(|_| fits);
        download::of_file(tokio::fs::File::from_std(blob.file), blob.size, ranges).await
    };
    let values = [
        (header::CONTENT_TYPE.as_str(), "application/octet-stream"),
        (header::ETAG.as_str(), &tag),
        (SUM, &sum),
    ];
    for (name, value) in values {
        if let (Ok(name), Ok(value)) = (header::HeaderName::try_from(name), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// Takes a file: the bytes of the body, or the part `file` of a form.
async fn write(endpoint: Arc<Endpoint>, request: Request, http: HttpRequest) -> Handled {
    let apart = Query::parse(http.uri().query().unwrap_or_default()).is("explode");
    let kind = http.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let info = if kind.is_some_and(|kind| kind.trim_start().starts_with("multipart/form-data")) {
        let bad = |words: String| ApiError::new(400, "POST", words).about(request.kind.word(), &request.path);
        let mut form = Multipart::from_request(http, &()).await.map_err(|error| bad(error.body_text()))?;
        let part = loop {
            match form.next_field().await.map_err(|error| bad(error.body_text()))? {
                Some(part) if part.name() == Some("file") => break part,
                Some(_) => {}
                None => return Err(bad(String::from("the form has no part `file`")).into()),
            }
        };
        blobs::write(&endpoint, &request, Box::pin(part), apart).await?
    } else {
        blobs::write(&endpoint, &request, http.into_body().into_data_stream(), apart).await?
    };
    answer::json(StatusCode::CREATED, &info)
}

async fn remove(endpoint: Arc<Endpoint>, request: Request) -> Handled {
    blobs::remove(&endpoint, &request).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
