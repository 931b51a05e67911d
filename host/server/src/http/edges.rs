//! What happens to a request before any route sees it, and to an answer after it.

mod incoming;
mod log;

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use formwork_api::ApiError;
use futures_util::FutureExt as _;
use tokio::time::Instant;

use self::incoming::{Fate, Incoming, PATIENCE, drained, linger};
use super::{answer::Failure, request::Query};
use crate::{auth::Sender, endpoint::Endpoint};

/// Of bodies up to this many bytes the rest is received when nobody wants it.
const SMALL_BYTES: u64 = 64 << 10;

/// How long the rest of a small body of somebody whose credentials do not hold may take: it has mostly come with the head.
const GRACE: Duration = Duration::from_millis(500);

/// Brings every request to its route, and counts the answers and the time that they took. Those whose clients ask for that are
/// told to the log.
///
/// This is one layer, as each costs every request memory and a turn of its own.
pub(super) async fn around(State(endpoint): State<Arc<Endpoint>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let wanted = log::Wanted::of(&request);
    let answer = AssertUnwindSafe(receive(request, next)).catch_unwind().await;
    let answer = answer.unwrap_or_else(|_| failed());
    endpoint.api_counts.note(answer.status().as_u16(), began.elapsed());
    if let Some(wanted) = wanted {
        wanted.tell(answer.status(), began.elapsed());
    }
    answer
}

fn failed() -> Response {
    Failure::from(ApiError::new(500, "INTERNAL", "the handler failed")).into_response()
}

/// Keeps connections usable when a request is refused before its body was read.
///
/// Nothing of a body is read before its route wants it, and no route does before the credentials have held. Whoever is
/// refused has often sent the body already, and a client that goes on with the connection would find what is left of it
/// there. So the rest of a small body is received before the answer; after a large one that nobody read, and a small one of a
/// stranger that does not come, the answer says that the connection ends, and the rest is received beside it (RFC 9112,
/// section 9.6).
async fn receive(request: Request, next: Next) -> Response {
    let readable =
        few(request.headers(), request.method()).and_then(|()| readable(request.uri(), request.method()));
    if let Err(refused) = readable {
        return Failure::from(refused).into_response();
    }
    let (length, version, method) =
        (request.body().size_hint().exact(), request.version(), request.method().clone());
    if length == Some(0) {
        return finish(request, next).await;
    }
    let slow = || {
        let words = format!("the body did not come within {} s", PATIENCE.as_secs());
        let mut answer = Failure::from(ApiError::new(408, method.as_str(), words)).into_response();
        close(&mut answer, version);
        answer
    };
    let (parts, body) = request.into_parts();
    let (body, fate) = Incoming::new(body);
    let mut answer = finish(Request::from_parts(parts, Body::new(body)), next).await;
    let fate = std::mem::take(&mut *fate.lock().unwrap_or_else(PoisonError::into_inner));
    match fate {
        Fate::Read => {}
        Fate::Slow => return slow(),
        Fate::Open => close(&mut answer, version),
        Fate::Left(mut rest) => {
            let is_small = length.is_some_and(|length| length <= SMALL_BYTES);
            let patience = if is_of_stranger(&answer) { GRACE } else { PATIENCE };
            if is_small && drained(&mut rest, patience).await {
                return answer;
            }
            close(&mut answer, version);
            // A stream of a later version is ended by itself when nobody reads it.
            if version < Version::HTTP_2 {
                linger(rest);
            }
        }
    }
    answer
}

/// Tells whether an answer may be to somebody whose credentials did not hold.
fn is_of_stranger(answer: &Response) -> bool {
    matches!(
        answer.status(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
    )
}

/// Lets a request that changes something go on to its end also when its client is gone: what belongs to a change, as the
/// word to auditors, is never left out half way. Auditors are told of one that is refused.
async fn finish(mut request: Request, next: Next) -> Response {
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
            failed()
        }
    }
}

/// The longest query, in bytes.
const MAX_QUERY_BYTES: usize = 32 << 10;

/// The most members of a query.
const MAX_MEMBERS: usize = 2_000;

/// The longest path, in bytes: the longest of a file, with every byte of it written as three.
const MAX_PATH_BYTES: usize = 12 << 10;

/// The most header fields of a request, whichever version of the protocol brings them.
const MAX_FIELDS: usize = 100;

/// Refuses a head with too many fields.
fn few(fields: &HeaderMap, method: &Method) -> Result<(), ApiError> {
    if fields.len() > MAX_FIELDS {
        let message = format!("the request has more than {MAX_FIELDS} header fields");
        return Err(ApiError::new(431, method.as_str(), message));
    }
    Ok(())
}

/// Refuses a path that is too long, and a query that is or that has too many members or is no text.
fn readable(uri: &Uri, method: &Method) -> Result<(), ApiError> {
    if uri.path().len() > MAX_PATH_BYTES {
        let message = format!("the path is longer than {MAX_PATH_BYTES} bytes");
        return Err(ApiError::new(414, method.as_str(), message));
    }
    let query = uri.query().unwrap_or_default();
    if query.len() > MAX_QUERY_BYTES {
        let message = format!("the query is longer than {MAX_QUERY_BYTES} bytes");
        return Err(ApiError::new(414, method.as_str(), message));
    }
    if query.split('&').nth(MAX_MEMBERS).is_some() {
        let message = format!("the query has more than {MAX_MEMBERS} members");
        return Err(ApiError::new(400, method.as_str(), message));
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
