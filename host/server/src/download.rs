//! Files as answers: whole, or the part that was asked for (RFC 9110, section 14).

mod range;

use std::io::SeekFrom;

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE},
    },
    response::{IntoResponse, Response},
};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};
use tokio_util::io::ReaderStream;

use self::range::Selected;

/// Bytes that are read from disk at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Answers with the `len` bytes of a file, or with the part of them that the header `Range` wants.
pub(crate) async fn of_file(mut file: File, len: u64, ranges: Option<&HeaderValue>) -> Response {
    match range::select(ranges, len) {
        Selected::Part { first, last } => {
            if let Err(error) = file.seek(SeekFrom::Start(first)).await {
                tracing::error!(%error, "a file cannot be read");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            let part = file.take(last - first + 1);
            partial(first, last, len, Body::from_stream(ReaderStream::with_capacity(part, CHUNK_BYTES)))
        }
        Selected::All => {
            let all = file.take(len);
            whole(len, Body::from_stream(ReaderStream::with_capacity(all, CHUNK_BYTES)))
        }
        Selected::Impossible => impossible(len),
    }
}

/// Answers with bytes, or with the part of them that the header `Range` wants.
pub(crate) fn of_bytes(bytes: Vec<u8>, ranges: Option<&HeaderValue>) -> Response {
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match range::select(ranges, len) {
        Selected::Part { first, last } => {
            let part = usize::try_from(first).ok().zip(usize::try_from(last).ok());
            let part = part.and_then(|(first, last)| bytes.get(first..=last)).unwrap_or_default().to_vec();
            partial(first, last, len, Body::from(part))
        }
        Selected::All => whole(len, Body::from(bytes)),
        Selected::Impossible => impossible(len),
    }
}

fn whole(len: u64, body: Body) -> Response {
    let headers =
        [(CONTENT_LENGTH, HeaderValue::from(len)), (ACCEPT_RANGES, HeaderValue::from_static("bytes"))];
    (headers, body).into_response()
}

fn partial(first: u64, last: u64, len: u64, body: Body) -> Response {
    let mut response = whole(last - first + 1, body);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    if let Ok(range) = HeaderValue::from_str(&format!("bytes {first}-{last}/{len}")) {
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    response
}

fn impossible(len: u64) -> Response {
    let range = format!("bytes */{len}");
    (StatusCode::RANGE_NOT_SATISFIABLE, [(CONTENT_RANGE, range)]).into_response()
}
