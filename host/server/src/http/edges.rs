//! What happens to a request before any route sees it, and to an answer after it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use formwork_api::ApiError;
use http_body_util::BodyExt;

use super::answer::Failure;

/// Bodies up to this many bytes are received before anything is decided about their request.
const SMALL_BYTES: u64 = 64 << 10;

/// How long such a body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps connections usable when a request is refused before its body was read.
///
/// Whoever is refused has often sent the body already, and a client that goes on with the connection would find what is
/// left of it there. So a small body is received in any case; after a large one that nobody read the answer says that the
/// connection ends (RFC 9112, section 9.6).
pub(super) async fn receive(request: Request, next: Next) -> Response {
    let (length, version) = (request.body().size_hint().exact(), request.version());
    if length == Some(0) {
        return next.run(request).await;
    }
    if length.is_some_and(|length| length <= SMALL_BYTES) {
        let method = request.method().clone();
        let (parts, body) = request.into_parts();
        let refused = |code, words: String| {
            let mut answer = Failure::from(ApiError::new(code, method.as_str(), words)).into_response();
            close(&mut answer, version);
            answer
        };
        return match tokio::time::timeout(PATIENCE, body.collect()).await {
            Ok(Ok(body)) => next.run(Request::from_parts(parts, Body::from(body.to_bytes()))).await,
            Ok(Err(error)) => refused(400, format!("the body broke off: {error}")),
            Err(_) => refused(408, format!("the body did not come within {} s", PATIENCE.as_secs())),
        };
    }
    let ended = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ended);
    let mut answer = next.run(request.map(|body| Body::new(Watched { body, ended }))).await;
    if !seen.load(Ordering::Relaxed) {
        close(&mut answer, version);
    }
    answer
}

/// Says that the connection ends. Later versions of the protocol have requests that end by themselves.
fn close(answer: &mut Response, version: Version) {
    if version >= Version::HTTP_2 {
        return;
    }
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// A body that tells when it was read to its end.
struct Watched {
    body: Body,
    ended: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.ended.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
