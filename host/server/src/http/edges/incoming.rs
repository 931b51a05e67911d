//! The body of a request, which is received while its request is decided.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, Sleep};

/// How long one waits for [`LEAST_BYTES`] of a body.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What has to come in that time; anything that is sent at all is faster.
const LEAST_BYTES: usize = 16 << 10;

/// How long the rest of a body that nobody wants may take.
const LINGER: Duration = Duration::from_secs(30);

/// What became of a body.
#[derive(Debug, Default)]
pub(super) enum Fate {
    /// It is being read, or is held by somebody who goes on by himself.
    #[default]
    Open,
    /// It was read to its end.
    Read,
    /// It came too slowly.
    Slow,
    /// Nobody wanted it to its end; this is the rest.
    Left(Body),
}

/// A body that does not wait for its client for ever, and tells what became of it.
pub(super) struct Incoming {
    body: Body,
    fate: Arc<Mutex<Fate>>,
    received: usize,
    /// How long the bytes received were waited for, without the time in which nobody asked for them.
    waited: Duration,
    waits: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Incoming {
    pub(super) fn new(body: Body) -> (Self, Arc<Mutex<Fate>>) {
        let fate = Arc::new(Mutex::new(Fate::Open));
        let incoming =
            Self { body, fate: Arc::clone(&fate), received: 0, waited: Duration::ZERO, waits: None };
        (incoming, fate)
    }

    fn came(&mut self, frame: &Frame<Bytes>) {
        if let Some((since, _)) = self.waits.take() {
            self.waited += since.elapsed();
        }
        self.received += frame.data_ref().map_or(0, Bytes::len);
        if self.received >= LEAST_BYTES {
            (self.received, self.waited) = (0, Duration::ZERO);
        }
    }

    fn decide(&self, fate: Fate) {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = fate;
    }
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => self.came(frame),
            Poll::Ready(Some(Err(_))) => {}
            Poll::Ready(None) => self.decide(Fate::Read),
            Poll::Pending => {
                let left = PATIENCE.saturating_sub(self.waited);
                let (_, sleep) =
                    self.waits.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
                if sleep.as_mut().poll(context).is_ready() {
                    self.decide(Fate::Slow);
                    return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::from(
                        std::io::ErrorKind::TimedOut,
                    )))));
                }
            }
        }
        if self.body.is_end_stream() {
            self.decide(Fate::Read);
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

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut fate = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*fate, Fate::Open) {
            *fate = Fate::Left(std::mem::take(&mut self.body));
        }
    }
}

/// Receives what is left of a body and forgets it. A client reads the answer when it has sent its body, and a connection
/// that is closed before takes the answer with it (RFC 9112, section 9.6).
pub(super) fn linger(mut body: Body) {
    tokio::spawn(tokio::time::timeout(LINGER, async move { while let Some(Ok(_)) = body.frame().await {} }));
}

/// Receives what is left of a body and forgets it; tells whether it came to its end in time.
pub(super) async fn drained(body: &mut Body, patience: Duration) -> bool {
    let all = async {
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(patience, all).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// A body that brings `bytes` every `pause`, `times` times.
    fn slow(bytes: usize, pause: Duration, times: usize) -> Body {
        Body::from_stream(stream::unfold(0, move |sent| async move {
            tokio::time::sleep(pause).await;
            (sent < times).then(|| (Ok::<_, std::io::Error>(vec![0_u8; bytes]), sent + 1))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_comes_slower_than_anything_sends_is_given_up() {
        let (incoming, fate) = Incoming::new(slow(100, Duration::from_secs(9), 100));
        assert!(incoming.collect().await.is_err());
        assert!(matches!(*fate.lock().unwrap(), Fate::Slow));
    }

    #[tokio::test(start_paused = true)]
    async fn long_body_may_take_its_time_as_long_as_it_comes() {
        let (incoming, fate) = Incoming::new(slow(LEAST_BYTES, Duration::from_secs(20), 50));
        assert_eq!(incoming.collect().await.unwrap().to_bytes().len(), 50 * LEAST_BYTES);
        assert!(matches!(*fate.lock().unwrap(), Fate::Read));
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_reads_is_not_the_clients() {
        let (mut incoming, fate) = Incoming::new(slow(100, Duration::from_secs(1), 20));
        while let Some(frame) = incoming.frame().await {
            frame.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert!(matches!(*fate.lock().unwrap(), Fate::Read));
    }

    #[tokio::test]
    async fn rest_of_an_unwanted_body_is_handed_back() {
        let (mut incoming, fate) = Incoming::new(slow(3, Duration::ZERO, 4));
        incoming.frame().await.unwrap().unwrap();
        drop(incoming);
        let Fate::Left(rest) = std::mem::take(&mut *fate.lock().unwrap()) else { panic!("not left") };
        assert_eq!(rest.collect().await.unwrap().to_bytes().len(), 9);
    }
}
