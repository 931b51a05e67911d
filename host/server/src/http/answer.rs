//! How answers look (drp-api.md 1.2, 1.4, 1.5).

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use formwork_api::ApiError;
use formwork_model::Object;
use formwork_store::Revision;
use serde::Serialize;
use serde_json::Value;

/// Every answer says that it is JSON, also one without a body: clients refuse anything else.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Answers with JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(bytes) => build(status, bytes),
        Err(failed) => error(&ApiError::new(500, "INTERNAL", failed.to_string())),
    }
}

/// Answers without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    build(status, Vec::new())
}

/// Answers with the error object.
pub(crate) fn error(error: &ApiError) -> Response<Body> {
    let status = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = build(status, serde_json::to_vec(error).unwrap_or_default());
    if status == StatusCode::UNAUTHORIZED {
        let realm = HeaderValue::from_static("Basic realm=\"formwork\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    }
    response
}

/// Answers with an object and its entity tag.
pub(crate) fn object(status: StatusCode, object: &Arc<dyn Object>, revision: Revision) -> Response<Body> {
    let mut response = json(status, &view(object.as_ref()));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", revision.0)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Returns an object as clients see it: without what never leaves the server.
pub(crate) fn view(object: &dyn Object) -> Value {
    let mut value = object.to_json();
    if let (Some(members), "users") = (value.as_object_mut(), object.kind().prefix) {
        members.insert(String::from("PasswordHash"), Value::String(String::new()));
    }
    value
}

fn build(status: StatusCode, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
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
