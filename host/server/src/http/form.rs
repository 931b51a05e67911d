//! Files that come as a part of a form (RFC 7578), in bounded memory.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::{FromRequest, Multipart, Request, multipart::Field},
};
use formwork_api::ApiError;
use futures_util::{Stream, StreamExt as _};

/// The part that has the file.
const PART: &str = "file";

/// The most bytes of a form that may come before the file begins; a browser sends a few hundred.
const MAX_BEFORE_FILE: usize = 1 << 20;

/// The file is looked for.
const SEARCHING: u8 = 0;
/// The file was found.
const FOUND: u8 = 1;
/// Too much came before it.
const TOO_LATE: u8 = 2;

/// A form that has a file.
pub(super) struct Form {
    parts: Multipart,
    stage: Arc<AtomicU8>,
}

impl Form {
    /// Begins to read the form that a request has.
    ///
    /// # Errors
    ///
    /// 400 for a request that has none.
    pub(super) async fn of(request: Request) -> Result<Self, ApiError> {
        let stage = Arc::new(AtomicU8::new(SEARCHING));
        let own = Arc::clone(&stage);
        let request = request.map(|body| {
            let body = body.into_data_stream();
            Body::from_stream(Measured { body, stage: own, searched: 0, rests: false })
        });
        let parts = Multipart::from_request(request, &()).await;
        let parts = parts.map_err(|error| ApiError::new(400, "POST", error.body_text()))?;
        Ok(Self { parts, stage })
    }

    /// Goes on to the next part, and returns it if it has the file; another one is passed over.
    ///
    /// # Errors
    ///
    /// 413 where the file does not begin early, 400 where there is none or what comes is no form.
    pub(super) async fn file(&mut self) -> Result<Option<Field<'_>>, ApiError> {
        let part = match self.parts.next_field().await {
            Ok(part) => part,
            Err(_) if self.stage.load(Ordering::Relaxed) == TOO_LATE => {
                let words = format!(
                    "the part `{PART}` does not begin in the first {MAX_BEFORE_FILE} bytes of the form"
                );
                return Err(ApiError::new(413, "POST", words));
            }
            Err(error) => return Err(ApiError::new(400, "POST", error.body_text())),
        };
        let part =
            part.ok_or_else(|| ApiError::new(400, "POST", format!("the form has no part `{PART}`")))?;
        let is_file = part.name() == Some(PART);
        if is_file {
            self.stage.store(FOUND, Ordering::Relaxed);
        }
        Ok(is_file.then_some(part))
    }
}

/// The body of a form. What takes it apart keeps all that it is given until it finds what it looks for, and takes all that
/// there is before it looks: so it gets one piece at a time, and only so much before the file begins.
struct Measured {
    body: BodyDataStream,
    stage: Arc<AtomicU8>,
    searched: usize,
    rests: bool,
}

impl Stream for Measured {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.stage.load(Ordering::Relaxed) == SEARCHING && self.searched > MAX_BEFORE_FILE {
            self.stage.store(TOO_LATE, Ordering::Relaxed);
            return Poll::Ready(Some(Err(io::ErrorKind::FileTooLarge.into())));
        }
        let piece = std::task::ready!(self.body.poll_next_unpin(context));
        self.rests = true;
        Poll::Ready(piece.map(|piece| {
            let piece = piece.map_err(io::Error::other)?;
            self.searched = self.searched.saturating_add(piece.len());
            Ok(piece)
        }))
    }
}
