//! What handlers need of a request: who sends it, its query, and its body as JSON.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::{Response, request::Parts},
};
use formwork_api::ApiError;
use serde_json::Value;

use super::answer;
use crate::{
    auth::{Caller, authenticate},
    endpoint::Endpoint,
};

/// A caller whose credentials were checked.
pub(crate) struct Authenticated(pub(crate) Caller);

impl FromRequestParts<Arc<Endpoint>> for Authenticated {
    type Rejection = Response<Body>;

    async fn from_request_parts(
        parts: &mut Parts,
        endpoint: &Arc<Endpoint>,
    ) -> Result<Self, Self::Rejection> {
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let token = query.value("token").or_else(|| query.value("Token"));
        authenticate(endpoint, &parts.headers, token).await.map(Self).map_err(|mut error| {
            if error.r#type == "AUTH" {
                parts.method.as_str().clone_into(&mut error.r#type);
            }
            answer::error(&error)
        })
    }
}

/// The members of a query string, in order, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Self {
        Self(
            text.split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// Returns the first value of a member.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Tells whether a member is there and true.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| matches!(value.to_lowercase().as_str(), "true" | "1" | "t"))
    }

    /// Returns all members.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

/// Decodes `%XX` and `+`. What is no valid escape stays as it is; what is no UTF-8 is replaced.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = rest.as_slice().get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
                match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                    Some(value) => {
                        bytes.push(value);
                        rest.nth(1);
                    }
                    None => bytes.push(byte),
                }
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A body that is JSON whatever its media type says; an empty one counts as an empty object.
pub(crate) struct Json(pub(crate) Value);

impl FromRequest<Arc<Endpoint>> for Json {
    type Rejection = Response<Body>;

    async fn from_request(request: Request, endpoint: &Arc<Endpoint>) -> Result<Self, Self::Rejection> {
        let method = request.method().clone();
        let bytes = Bytes::from_request(request, endpoint).await.map_err(|rejection| {
            answer::error(&ApiError::new(rejection.status().as_u16(), method.as_str(), rejection.body_text()))
        })?;
        if bytes.is_empty() {
            return Ok(Self(Value::Object(serde_json::Map::new())));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            answer::error(&ApiError::new(400, method.as_str(), format!("the body is not JSON: {error}")))
        })
    }
}
