//! Files as answers: whole, or the part that was asked for (RFC 9110, section 14).

use std::{
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE},
    },
    response::{IntoResponse, Response},
};
use formwork_boot_proto::http::{Selected, select};
use futures_util::stream;
use rustix::{buffer::spare_capacity, io::pread};
use tokio::sync::Semaphore;

/// Bytes that are read from disk at once, for a client that is one of few.
const MOST_BYTES: usize = 256 << 10;

/// The same for one of very many.
const LEAST_BYTES: usize = 8 << 10;

/// What all clients together may have been read that they have not taken, about, before each is read less at once.
const AHEAD_BYTES: usize = 32 << 20;

/// The files that are being sent: the memory that their parts share is the process's.
static SENT: AtomicUsize = AtomicUsize::new(0);

/// Reads of files at the same time: each has a thread, and a disk does no more for many.
static READS: Semaphore = Semaphore::const_new(32);

/// What is read part by part from any place.
pub(crate) trait Source: Send + Sync + 'static {
    /// Fills the room of an empty `part` with what is there from an offset on; less where there is no more, and for a file also
    /// otherwise. Blocks the thread.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn read_at(&self, offset: u64, part: &mut Vec<u8>) -> io::Result<()>;
}

impl Source for File {
    fn read_at(&self, offset: u64, part: &mut Vec<u8>) -> io::Result<()> {
        pread(self, spare_capacity(part), offset)?;
        Ok(())
    }
}

/// A file that is being sent, counted as long as this lives.
struct Sending {
    file: Arc<dyn Source>,
    next: u64,
    left: u64,
}

impl Sending {
    fn new(file: impl Source, next: u64, left: u64) -> Self {
        SENT.fetch_add(1, Ordering::Relaxed);
        Self { file: Arc::new(file), next, left }
    }

    fn body(self) -> Body {
        Body::from_stream(stream::try_unfold(self, |mut sending| async move {
            if sending.left == 0 {
                return Ok::<_, io::Error>(None);
            }
            let most = chunk_bytes(SENT.load(Ordering::Relaxed));
            let bytes = most.min(usize::try_from(sending.left).unwrap_or(most));
            let (file, offset) = (Arc::clone(&sending.file), sending.next);
            let turn = READS.acquire().await.map_err(io::Error::other)?;
            // Taken here and not there, as hundreds of threads would each keep what they have given away.
            let mut part = Vec::with_capacity(bytes);
            let read = tokio::task::spawn_blocking(move || file.read_at(offset, &mut part).map(|()| part));
            let mut part = read.await.map_err(io::Error::other)??;
            drop(turn);
            part.truncate(bytes);
            if part.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let len = u64::try_from(part.len()).unwrap_or(sending.left);
            sending.next = sending.next.saturating_add(len);
            sending.left = sending.left.saturating_sub(len);
            Ok(Some((part, sending)))
        }))
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        SENT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns how much of a file is read at once while so many are sent: clients that take nothing hold it.
fn chunk_bytes(sent: usize) -> usize {
    (AHEAD_BYTES / sent.max(1)).clamp(LEAST_BYTES, MOST_BYTES)
}

/// Answers with the `len` bytes of a file, or of what is read like one, or with the part of them that the header `Range` wants.
pub(crate) fn of_file(file: impl Source, len: u64, ranges: Option<&HeaderValue>) -> Response {
    of_selected(file, len, select(text(ranges), len))
}

/// Answers with what was selected of the `len` bytes of a file.
pub(crate) fn of_selected(file: impl Source, len: u64, selected: Selected) -> Response {
    match selected {
        Selected::Part { first, last } => {
            partial(first, last, len, Sending::new(file, first, last - first + 1).body())
        }
        Selected::All => whole(len, Sending::new(file, 0, len).body()),
        Selected::Impossible => impossible(len),
    }
}

/// Answers with bytes, or with the part of them that the header `Range` wants.
pub(crate) fn of_bytes(bytes: Vec<u8>, ranges: Option<&HeaderValue>) -> Response {
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match select(text(ranges), len) {
        Selected::Part { first, last } => {
            let part = usize::try_from(first).ok().zip(usize::try_from(last).ok());
            let part = part.and_then(|(first, last)| bytes.get(first..=last)).unwrap_or_default().to_vec();
            partial(first, last, len, Body::from(part))
        }
        Selected::All => whole(len, Body::from(bytes)),
        Selected::Impossible => impossible(len),
    }
}

/// Returns a header that is text.
fn text(header: Option<&HeaderValue>) -> Option<&str> {
    header.and_then(|value| value.to_str().ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_ahead_for_clients_that_take_nothing_stays_bounded() {
        assert_eq!(chunk_bytes(0), MOST_BYTES);
        assert_eq!(chunk_bytes(128), MOST_BYTES);
        let held: usize = (1..=20_000).map(chunk_bytes).sum();
        assert!(held < 300 << 20, "{held} bytes");
    }

    #[tokio::test]
    async fn file_is_sent_whole_and_one_that_was_cut_ends_with_an_error() {
        use std::io::Write as _;
        let bytes: Vec<u8> = (0..MOST_BYTES * 2 + 7).map(|number| number as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let len = bytes.len() as u64;
        let cut = file.try_clone().unwrap();
        let answer = of_file(file, len, None);
        let sent = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        assert!(sent == bytes);
        let answer = of_file(cut, len + 1, None);
        assert!(axum::body::to_bytes(answer.into_body(), usize::MAX).await.is_err());
    }
}
