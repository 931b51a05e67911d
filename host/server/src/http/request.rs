//! What handlers need of a request: who sends it, what it is about, its query, and its body as JSON.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{Method, header::AUTHORIZATION, request::Parts},
};
use formwork_api::ApiError;
use formwork_model::Kind;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{answer::Failure, numbers::oversized};
use crate::{
    accept::PeerAddress,
    auth::{Caller, Credentials, Sender, authenticate, by_signed_url},
    commands::objects,
    connections::Session,
    endpoint::Endpoint,
};

/// How much of a number is shown, in digits.
const MAX_SHOWN: usize = 64;

/// What a caller can do whose credentials are refused.
const HINT: &str = "hint: send `Authorization: Basic` with a user and password, or `Authorization: Bearer` with \
                    a token of this endpoint that has not expired";

/// A caller whose credentials were checked.
pub(crate) struct Authenticated(pub(crate) Caller);

impl FromRequestParts<Arc<Endpoint>> for Authenticated {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, endpoint: &Arc<Endpoint>) -> Result<Self, Failure> {
        let (model, key) = named(parts.uri.path());
        Ok(Self(caller(parts, endpoint, model, &key).await?))
    }
}

/// Checks the credentials of a request. Who is refused is told what, why, and what to do about it.
async fn caller(parts: &Parts, endpoint: &Endpoint, model: &str, key: &str) -> Result<Caller, ApiError> {
    let query = Query::of(parts);
    let token = query.value("token").or_else(|| query.value("Token"));
    let address = parts.extensions.get::<PeerAddress>().map(|PeerAddress(address)| *address);
    let given = Credentials { headers: &parts.headers, token, address };
    let signed = token.filter(|_| !parts.headers.contains_key(AUTHORIZATION));
    let signed = signed.and_then(|token| by_signed_url(endpoint, token, (&parts.method, parts.uri.path())));
    let authenticated = match signed {
        Some(decided) => decided,
        None => authenticate(endpoint, given).await,
    };
    let caller = authenticated.map_err(|error| {
        let (method, path, why) = (parts.method.as_str(), parts.uri.path(), error.messages.join(", "));
        let message = format!("`{method} {path}` was refused: {why}\n{HINT}");
        ApiError::new(error.code, method, message).about(model, key)
    })?;
    if let Some(sender) = parts.extensions.get::<Sender>() {
        sender.note(&caller);
    }
    if let Some(session) = parts.extensions.get::<Arc<Session>>() {
        session.note(&caller);
    }
    Ok(caller)
}

/// A request about the objects of a type, or about one of them, by a caller whose credentials were checked.
///
/// Routes that take it carry the type as an extension, or name it by the variable `type` of their path; the next variable
/// names the object.
pub(crate) struct Target {
    /// What all parts of the daemon share.
    pub(crate) endpoint: Arc<Endpoint>,
    /// The type.
    pub(crate) kind: &'static Kind,
    /// The object as the URL names it, addresses as eight hexadecimal digits; empty when the request is about all of
    /// them.
    pub(crate) id: String,
    /// The method.
    pub(crate) method: Method,
    /// Who asks.
    pub(crate) caller: Caller,
    /// The query.
    pub(crate) query: Query,
}

impl Target {
    /// Refuses a caller who may not do something to an object; an empty `key` means the type as a whole.
    pub(crate) fn require(&self, action: &str, key: &str) -> Result<(), ApiError> {
        self.caller.require(self.kind.prefix, action, key)
    }

    /// Says that there is no such object.
    pub(crate) fn not_found(&self) -> ApiError {
        ApiError::not_found(self.method.as_str(), self.kind.prefix, &self.id)
    }

    /// Returns a request about all objects of another type by the same caller, without a query.
    pub(crate) fn about(&self, kind: &'static Kind) -> Self {
        Self {
            endpoint: Arc::clone(&self.endpoint),
            kind,
            id: String::new(),
            method: self.method.clone(),
            caller: self.caller.clone(),
            query: Query(Vec::new()),
        }
    }

    /// Returns the request as commands take it.
    pub(crate) fn request(&self) -> objects::Request {
        objects::Request {
            kind: self.kind,
            caller: self.caller.clone(),
            method: self.method.clone(),
            force: self.query.is("force"),
        }
    }
}

impl FromRequestParts<Arc<Endpoint>> for Target {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, endpoint: &Arc<Endpoint>) -> Result<Self, Failure> {
        let method = parts.method.clone();
        let path = RawPathParams::from_request_parts(parts, endpoint).await.map_err(|rejection| {
            let about = parts.extensions.get::<&'static Kind>().map_or("", |kind| kind.prefix);
            ApiError::new(rejection.status().as_u16(), method.as_str(), rejection.body_text())
                .about(about, "")
        })?;
        let mut variables = path.iter();
        let kind = match parts.extensions.get::<&'static Kind>() {
            Some(kind) => *kind,
            None => named_kind(endpoint, variables.next(), &method)?,
        };
        let id = variables.next().map(|(_, id)| kind.canonical_key(id).into_owned()).unwrap_or_default();
        let caller = caller(parts, endpoint, kind.prefix, &id).await?;
        Ok(Self { endpoint: Arc::clone(endpoint), kind, id, method, caller, query: Query::of(parts) })
    }
}

/// Returns the type that the first variable of a path names, where a route is about objects of all types.
fn named_kind(
    endpoint: &Endpoint,
    variable: Option<(&str, &str)>,
    method: &Method,
) -> Result<&'static Kind, ApiError> {
    let (_, prefix) = variable
        .filter(|(name, _)| *name == TYPE)
        .ok_or_else(|| ApiError::new(500, "INTERNAL", "the route has no type of objects"))?;
    let kind = super::known_kind(&endpoint.snapshot(), prefix);
    kind.ok_or_else(|| ApiError::new(404, method.as_str(), format!("no type of objects `{prefix}`")))
}

/// The variables of a path, as [`axum::extract::Path`] reads them; what it cannot read is refused by the error object.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Endpoint>> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, endpoint: &Arc<Endpoint>) -> Result<Self, Failure> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, endpoint).await;
        let axum::extract::Path(variables) = read.map_err(|rejection| {
            let (model, key) = named(parts.uri.path());
            let (status, words) = (rejection.status().as_u16(), rejection.body_text());
            ApiError::new(status, parts.method.as_str(), words).about(model, &key)
        })?;
        Ok(Self(variables))
    }
}

/// Returns what a path names where no route does: the service, and of files which.
fn named(path: &str) -> (&str, String) {
    let (model, rest) = path.trim_matches('/').split_once('/').unwrap_or((path.trim_matches('/'), ""));
    let names_file = matches!(model, "files" | "isos") && !rest.is_empty();
    (model, if names_file { format!("/{rest}") } else { String::new() })
}

/// The last variable of a path: what is named below an object.
pub(crate) struct Last(pub(crate) String);

impl FromRequestParts<Arc<Endpoint>> for Last {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, endpoint: &Arc<Endpoint>) -> Result<Self, Failure> {
        let method = parts.method.clone();
        let path = RawPathParams::from_request_parts(parts, endpoint).await.map_err(|rejection| {
            ApiError::new(rejection.status().as_u16(), method.as_str(), rejection.body_text())
        })?;
        Ok(Self(path.iter().last().map(|(_, value)| value.to_owned()).unwrap_or_default()))
    }
}

/// The variable of a path that names a type.
const TYPE: &str = "type";

/// The members of a query string, in order, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(parts: &Parts) -> Self {
        Self::parse(parts.uri.query().unwrap_or_default())
    }

    /// Reads the text behind the question mark.
    pub(crate) fn parse(text: &str) -> Self {
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

    /// Tells whether a query is UTF-8 when it is decoded.
    pub(super) fn is_text(query: &str) -> bool {
        std::str::from_utf8(&decoded(query)).is_ok()
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

/// Decodes `%XX` and `+`. What is no valid escape stays as it is; what is no UTF-8 is replaced, where it gets here.
fn decode(text: &str) -> String {
    String::from_utf8_lossy(&decoded(text)).into_owned()
}

fn decoded(text: &str) -> Vec<u8> {
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
    bytes
}

/// A body that is JSON whatever its media type says; an empty one counts as an empty object.
pub(crate) struct Json {
    /// The body.
    pub(crate) value: Value,
    method: Method,
}

impl Json {
    /// Reads the body as a type; what is wrong with it is an error about `model` and `key`.
    pub(crate) fn read<T: DeserializeOwned>(self, model: &str, key: &str) -> Result<T, ApiError> {
        serde_json::from_value(self.value)
            .map_err(|error| ApiError::new(400, self.method.as_str(), without_text(&error)).about(model, key))
    }

    /// Reads the body as a type, of which members that are null are missing: so clients in Go send what is unset (drp-api.md
    /// 3.1).
    pub(crate) fn read_without_nulls<T: DeserializeOwned>(
        mut self,
        model: &str,
        key: &str,
    ) -> Result<T, ApiError> {
        formwork_model::strip_nulls(&mut self.value, &["Object", "Original", "Params"]);
        self.read(model, key)
    }
}

/// Says why a value does not fit, without the text that it holds: it may be a password in the wrong place.
fn without_text(error: &serde_json::Error) -> String {
    let words = error.to_string();
    match (words.find(" string \""), words.rfind("\", expected")) {
        (Some(start), Some(end)) if start < end => {
            let before = words.get(..start).unwrap_or_default();
            format!("{before} string{}", words.get(end + 1..).unwrap_or_default())
        }
        _ => words,
    }
}

impl FromRequest<Arc<Endpoint>> for Json {
    type Rejection = Failure;

    async fn from_request(request: Request, endpoint: &Arc<Endpoint>) -> Result<Self, Failure> {
        let method = request.method().clone();
        let Raw(bytes) = Raw::from_request(request, endpoint).await?;
        if bytes.is_empty() {
            return Ok(Self { value: Value::Object(serde_json::Map::new()), method });
        }
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::new(400, method.as_str(), format!("the body is not JSON: {error}")))?;
        keeps_numbers(&bytes, &method)?;
        Ok(Self { value, method })
    }
}

/// Refuses a body with a whole number that reading would change.
pub(super) fn keeps_numbers(body: &[u8], method: &Method) -> Result<(), ApiError> {
    let Some((place, number)) = oversized(body) else { return Ok(()) };
    // It may be as long as the body.
    let number = number.get(..MAX_SHOWN).map_or_else(|| number.to_owned(), |first| format!("{first}..."));
    let message =
        format!("the whole number {number} at byte {place} has more than 64 bits\nhint: send it as a string");
    Err(ApiError::new(400, method.as_str(), message))
}

/// The bytes of a body, up to the limit of the route.
pub(crate) struct Raw(pub(crate) Bytes);

impl FromRequest<Arc<Endpoint>> for Raw {
    type Rejection = Failure;

    async fn from_request(request: Request, endpoint: &Arc<Endpoint>) -> Result<Self, Failure> {
        let method = request.method().clone();
        let bytes = Bytes::from_request(request, endpoint).await.map_err(|rejection| {
            ApiError::new(rejection.status().as_u16(), method.as_str(), rejection.body_text())
        })?;
        Ok(Self(bytes))
    }
}
