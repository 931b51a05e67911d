//! How answers look (drp-api.md 1.2, 1.4, 1.5).

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use formwork_api::ApiError;
use formwork_model::Object;
use formwork_store::Revision;
use serde::Serialize;

use crate::kinds;

/// Every answer says that it is JSON, also one without a body: clients refuse anything else.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// How many bytes an object is taken for before it is written.
const OBJECT_BYTES: usize = 2_048;

/// How long whoever asked too often waits at most, in seconds: wrong passwords are counted by the minute.
const MINUTE: HeaderValue = HeaderValue::from_static("60");

/// A request that is refused. Its answer is the error object; handlers leave with `?`.
#[derive(Debug)]
pub(crate) struct Failure(ApiError);

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response<Body> {
        let Self(error) = self;
        let status = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = build(status, serde_json::to_vec(&error).unwrap_or_default());
        if status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Basic realm=\"formwork\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, MINUTE);
        }
        response
    }
}

/// What a handler gives.
pub(crate) type Handled = Result<Response<Body>, Failure>;

/// Answers with JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Handled {
    let bytes =
        serde_json::to_vec(value).map_err(|failed| ApiError::new(500, "INTERNAL", failed.to_string()))?;
    Ok(build(status, bytes))
}

/// Answers without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    build(status, Vec::new())
}

/// Answers with what is shown of an object, and with its entity tag.
pub(crate) fn object(status: StatusCode, object: &dyn Object, revision: Revision) -> Response<Body> {
    let mut bytes = Vec::with_capacity(OBJECT_BYTES);
    kinds::write_shown(object, &mut bytes);
    written(status, bytes, revision)
}

/// Answers with JSON that is written already, and with the entity tag of what it shows.
pub(crate) fn written(status: StatusCode, body: impl Into<Body>, revision: Revision) -> Response<Body> {
    let mut response = build(status, body);
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", revision.0)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn build(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// Answers with bytes as they are.
pub(crate) fn bytes(status: StatusCode, bytes: Vec<u8>) -> Response<Body> {
    let mut response = build(status, bytes);
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, octets);
    response
}
