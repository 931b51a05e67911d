//! What happens to a request before any route sees it, and to an answer after it.

mod incoming;
mod log;

use std::sync::{Arc, PoisonError};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderValue, Method, Uri, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use formwork_api::ApiError;
use http_body_util::BodyExt;
use tokio::time::Instant;

use self::incoming::{Fate, Incoming, PATIENCE, linger};
use super::{answer::Failure, request::Query};
use crate::{auth::Sender, endpoint::Endpoint};

/// Bodies up to this many bytes are received before anything is decided about their request.
const SMALL_BYTES: u64 = 64 << 10;

/// Keeps connections usable when a request is refused before its body was read.
///
/// Whoever is refused has often sent the body already, and a client that goes on with the connection would find what is
/// left of it there. So a small body is received in any case; after a large one that nobody read the answer says that the
/// connection ends, and the rest is received beside it (RFC 9112, section 9.6).
pub(super) async fn receive(request: Request, next: Next) -> Response {
    if let Err(refused) = readable(request.uri(), request.method()) {
        return Failure::from(refused).into_response();
    }
    let (length, version, method) =
        (request.body().size_hint().exact(), request.version(), request.method().clone());
    let refused = |code, words: String| {
        let mut answer = Failure::from(ApiError::new(code, method.as_str(), words)).into_response();
        close(&mut answer, version);
        answer
    };
    let slow = || refused(408, format!("the body did not come within {} s", PATIENCE.as_secs()));
    if length == Some(0) {
        return next.run(request).await;
    }
    if length.is_some_and(|length| length <= SMALL_BYTES) {
        let (parts, body) = request.into_parts();
        return match tokio::time::timeout(PATIENCE, body.collect()).await {
            Ok(Ok(body)) => next.run(Request::from_parts(parts, Body::from(body.to_bytes()))).await,
            Ok(Err(error)) => refused(400, format!("the body broke off: {error}")),
            Err(_) => slow(),
        };
    }
    let (parts, body) = request.into_parts();
    let (body, fate) = Incoming::new(body);
    let mut answer = next.run(Request::from_parts(parts, Body::new(body))).await;
    match std::mem::take(&mut *fate.lock().unwrap_or_else(PoisonError::into_inner)) {
        Fate::Read => {}
        Fate::Slow => return slow(),
        Fate::Open => close(&mut answer, version),
        Fate::Left(rest) => {
            close(&mut answer, version);
            // A stream of a later version is ended by itself when nobody reads it.
            if version < Version::HTTP_2 {
                linger(rest);
            }
        }
    }
    answer
}

/// Lets a request that changes something go on to its end also when its client is gone: what belongs to a change, as the
/// word to auditors, is never left out half way. Auditors are told of one that is refused.
pub(super) async fn finish(mut request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let sender = Sender::default();
    request.extensions_mut().insert(sender.clone());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let answered = tokio::spawn(async move {
        let answer = next.run(request).await;
        if !answer.status().is_success() {
            sender.refused(&method, uri.path(), answer.status());
        }
        answer
    });
    match answered.await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "a handler failed");
            Failure::from(ApiError::new(500, "INTERNAL", "the handler failed")).into_response()
        }
    }
}

/// Counts every answer and the time that it took, and tells the log of those whose clients ask for that.
pub(super) async fn count(State(endpoint): State<Arc<Endpoint>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let wanted = log::Wanted::of(&request);
    let answer = next.run(request).await;
    endpoint.api_counts.note(answer.status().as_u16(), began.elapsed());
    if let Some(wanted) = wanted {
        wanted.tell(answer.status(), began.elapsed());
    }
    answer
}

/// The longest query, in bytes.
const MAX_QUERY_BYTES: usize = 32 << 10;

/// Refuses a query that is too long, or is no text.
fn readable(uri: &Uri, method: &Method) -> Result<(), ApiError> {
    let query = uri.query().unwrap_or_default();
    if query.len() > MAX_QUERY_BYTES {
        let message = format!("the query is longer than {MAX_QUERY_BYTES} bytes");
        return Err(ApiError::new(414, method.as_str(), message));
    }
    match Query::is_text(query) {
        true => Ok(()),
        false => Err(ApiError::new(400, method.as_str(), "the query is no UTF-8 where it is decoded")),
    }
}

/// Says that the connection ends. Later versions of the protocol have requests that end by themselves.
fn close(answer: &mut Response, version: Version) {
    if version >= Version::HTTP_2 {
        return;
    }
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}
