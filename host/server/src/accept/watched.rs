//! A connection whose [`Activity`] is noted: what its client takes, and the requests that it makes.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use formwork_boot::Progress;
use http_body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep, sleep_until},
};

use super::{activity::Activity, filled::filled};
use crate::connections::Seat;

/// How often a connection is looked at that has no deadline, as it may have one soon.
const LOOK: Duration = Duration::from_secs(15);

/// What is noted of a connection, shared by its stream and its requests.
pub(super) struct Watch {
    activity: Mutex<Activity>,
    /// How many requests are in flight, for those who cannot wait for the lock.
    in_flight: AtomicUsize,
    seat: Arc<Seat>,
}

impl Watch {
    pub(super) fn new(seat: Arc<Seat>) -> Arc<Self> {
        let activity = Mutex::new(Activity::new(Instant::now()));
        Arc::new(Self { activity, in_flight: AtomicUsize::new(0), seat })
    }

    /// Returns the seat of the connection.
    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// Notes how long the connection may wait for its next request.
    pub(super) fn note_idle(&self, idle: Duration) {
        self.note(|activity, _| activity.waits_for(idle));
    }

    /// Waits until nobody waits for the connection any more.
    pub(super) async fn over(&self) {
        loop {
            match self.note(|activity, _| activity.deadline()) {
                Some(deadline) if deadline <= Instant::now() => return,
                Some(deadline) => sleep_until(deadline.min(Instant::now() + LOOK)).await,
                None => sleep(LOOK).await,
            }
        }
    }

    /// Notes a request, which is in flight as long as what is returned.
    pub(super) fn request(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        // The place is changed below the same lock, so that it is busy whenever a request is in flight.
        self.note(|activity, now| {
            if activity.asked(now) {
                self.seat.place().busy();
            }
        });
        InFlight { watch: Arc::clone(self), is_offered: false }
    }

    fn note<T>(&self, note: impl FnOnce(&mut Activity, Instant) -> T) -> T {
        note(&mut self.activity.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }
}

/// What notes how files are sent without the HTTP library.
pub(super) struct OfFiles<'a>(pub(super) &'a Arc<Watch>);

impl Progress for OfFiles<'_> {
    type Request = InFlight;

    fn begin(&self) -> InFlight {
        self.0.request()
    }

    fn took(&self, bytes: usize) {
        self.0.note(|activity, now| activity.took(bytes, now));
    }

    fn blocked(&self, is_blocked: bool) {
        self.0.note(if is_blocked { Activity::blocked } else { Activity::flushed });
    }
}

/// A request that was not answered as a whole.
pub(super) struct InFlight {
    watch: Arc<Watch>,
    is_offered: bool,
}

impl InFlight {
    fn offer(&mut self, is_offered: bool) {
        match (self.is_offered, is_offered) {
            (false, true) => self.watch.note(Activity::offered),
            (true, false) => self.watch.note(Activity::withdrawn),
            _ => {}
        }
        self.is_offered = is_offered;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.offer(false);
        self.watch.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.watch.note(|activity, now| {
            if activity.answered(now) {
                self.watch.seat.place().idle();
            }
        });
    }
}

/// The body of an answer, whose request is in flight until the last of it is handed over.
pub(super) struct Answer {
    body: Body,
    request: InFlight,
}

impl Answer {
    pub(super) fn new(body: Body, request: InFlight) -> Self {
        Self { body, request }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.request.offer(true);
                self.request.watch.note(|activity, now| activity.took(bytes, now));
            }
            Poll::Ready(_) | Poll::Pending => self.request.offer(false),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes what is taken of what is written to it, and fills in the refusals of the HTTP library.
pub(super) struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
    is_blocked: bool,
    /// True while all answers are over and handed on: what is written next begins an answer.
    is_settled: bool,
    /// What is left of an answer that was filled in.
    owed: Vec<u8>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch, is_blocked: false, is_settled: true, owed: Vec::new() }
    }

    fn wrote(&mut self, polled: &Poll<io::Result<usize>>) {
        match polled {
            Poll::Ready(Ok(bytes)) => self.watch.note(|activity, now| activity.took(*bytes, now)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.block(true),
        }
    }

    fn flushed(&mut self, polled: &Poll<io::Result<()>>) {
        self.is_settled = polled.is_ready() && self.watch.in_flight.load(Ordering::Relaxed) == 0;
        self.block(polled.is_pending());
    }

    /// Takes the place of a refusal without a body; tells whether these bytes are one.
    fn fills(&mut self, bytes: &[u8]) -> bool {
        let filled = if self.is_settled { filled(bytes) } else { None };
        self.is_settled = false;
        self.owed.extend(filled.iter().flatten());
        filled.is_some()
    }

    fn block(&mut self, is_blocked: bool) {
        if is_blocked != self.is_blocked {
            self.watch.note(if is_blocked { Activity::blocked } else { Activity::flushed });
        }
        self.is_blocked = is_blocked;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    /// Hands on what is owed, which is nothing but after a refusal that was filled in.
    fn poll_owed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.owed.is_empty() {
            let polled = Pin::new(&mut self.stream).poll_write(context, &self.owed);
            self.wrote(&polled);
            match ready!(polled)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => drop(self.owed.drain(..taken)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_owed(context))?;
        if self.fills(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_owed(context))?;
        if let Some(first) = parts.iter().find(|part| !part.is_empty())
            && self.fills(first)
        {
            return Poll::Ready(Ok(first.len()));
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_owed(context))?;
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.flushed(&polled);
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_owed(context))?;
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.flushed(&polled);
        polled
    }
}
