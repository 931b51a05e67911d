//! Files and archives (drp-api.md 11.1).

use std::sync::Arc;

use axum::{
    extract::{RawQuery, Request as HttpRequest, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use formwork_api::ApiError;

use super::{
    answer::{self, Handled},
    form::Form,
    request::{Authenticated, Path, Query},
    route::{Body, OF_ONE, Route, Shape},
};
use crate::{
    auth::Caller,
    blobs::{self, BlobInfo, Kind, Request},
    download,
    endpoint::Endpoint,
};

/// The sum of a file, for clients that look for it there.
const SUM: &str = "X-DRP-SHA256SUM";

pub(super) fn routes() -> Vec<Route> {
    [of(Kind::Files, "file"), of(Kind::Isos, "iso")].into_iter().flatten().collect()
}

fn of(kind: Kind, one: &str) -> Vec<Route> {
    let word = kind.word();
    let (all, path) = (format!("/{word}"), format!("/{word}/{{*path}}"));
    let list = async move |State(endpoint), Authenticated(caller), RawQuery(query): RawQuery| {
        list(endpoint, about(kind, "", caller, "GET"), &query.unwrap_or_default()).await
    };
    let read = async move |State(endpoint), Authenticated(caller), Path(path): Path<String>, headers| {
        read(endpoint, about(kind, &path, caller, "GET"), headers).await
    };
    let write = async move |State(endpoint), Authenticated(caller), Path(path): Path<String>, request| {
        write(endpoint, about(kind, &path, caller, "POST"), request).await
    };
    let remove = async move |State(endpoint), Authenticated(caller), Path(path): Path<String>| {
        remove(endpoint, about(kind, &path, caller, "DELETE")).await
    };
    vec![
        Route::get(all, format!("list_{word}"), list)
            .tells("Lists the names in a folder.")
            .query(&[
                ("path", Shape::Text, "The folder; the top when it is left out."),
                ("all", Shape::Flag, "Also what is in its folders."),
            ])
            .answers(200, Body::json::<Vec<String>>())
            .refuses(OF_ONE),
        Route::get(&path, format!("get_{one}"), read)
            .head(format!("head_{one}"))
            .tells("Returns a file, or a part of it.")
            .answers(200, Body::Bytes)
            .answers(206, Body::Bytes)
            .answers(304, Body::Nothing)
            .refuses(&[404, 416]),
        Route::post(&path, format!("upload_{one}"), write)
            .tells("Takes a file.")
            .query(&[("explode", Shape::Flag, "Also take the archive apart where it is.")])
            .takes(Body::File)
            .streamed()
            .answers(201, Body::json::<BlobInfo>())
            .refuses(&[400, 409]),
        Route::delete(path, format!("delete_{one}"), remove)
            .tells("Removes a file or an empty folder.")
            .answers(204, Body::Nothing)
            .refuses(OF_ONE),
    ]
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
        download::of_file(blob.file, blob.size, ranges)
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
pub(super) async fn write(endpoint: Arc<Endpoint>, request: Request, http: HttpRequest) -> Handled {
    answer::json(StatusCode::CREATED, &taken(&endpoint, &request, http).await?)
}

/// Takes a file as [`write`] does, and returns what is told of it.
pub(super) async fn taken(
    endpoint: &Arc<Endpoint>,
    request: &Request,
    http: HttpRequest,
) -> Result<BlobInfo, ApiError> {
    let apart = Query::parse(http.uri().query().unwrap_or_default()).is("explode");
    let kind = http.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| kind.trim_start().starts_with("multipart/form-data")) {
        let about = |error: ApiError| error.about(request.kind.word(), &request.path);
        let mut form = Form::of(http).await.map_err(about)?;
        let part = loop {
            if let Some(part) = form.file().await.map_err(about)? {
                break part;
            }
        };
        blobs::write(endpoint, request, Box::pin(part), apart).await
    } else {
        blobs::write(endpoint, request, http.into_body().into_data_stream(), apart).await
    }
}

async fn remove(endpoint: Arc<Endpoint>, request: Request) -> Handled {
    blobs::remove(&endpoint, &request).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
