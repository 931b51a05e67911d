//! Trying again, with pauses that grow.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use formwork_client::ClientError;
use tokio_util::sync::CancellationToken;

use crate::AgentError;

/// The first pause: an endpoint that restarts is back within a second or two.
const FIRST: Duration = Duration::from_millis(250);

/// The longest pause. A machine that waits for its endpoint over night should notice it within seconds.
const LONGEST: Duration = Duration::from_secs(15);

/// Pauses that double up to a bound.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Starts with the shortest pause.
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// Returns how long to pause now. Up to a half is cut off at random, so that thousands of machines whose endpoint
    /// restarts do not come back in step.
    pub(crate) fn pause(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        let share = (RandomState::new().hash_one(()) % 1000) as u32;
        whole - whole * share / 2000
    }
}

/// Sends a request until the endpoint answers it.
///
/// # Errors
///
/// What the endpoint refuses, and [`AgentError::Shutdown`] when `stop` comes first.
pub(crate) async fn until_answered<T, F>(
    stop: &CancellationToken,
    what: &str,
    request: impl Fn() -> F,
) -> Result<T, AgentError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut backoff = Backoff::new();
    loop {
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(AgentError::Shutdown),
            answer = request() => answer,
        };
        match answer {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_transient() => {
                let pause = backoff.pause();
                tracing::warn!(
                    error = error.chain(),
                    pause_ms = pause.as_millis() as u64,
                    "failed to {what}, trying again"
                );
                tokio::select! {
                    () = stop.cancelled() => return Err(AgentError::Shutdown),
                    () = tokio::time::sleep(pause) => {}
                }
            }
            Err(source) => return Err(AgentError::Refused { what: what.to_owned(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use formwork_api::ApiError;

    use super::*;

    #[test]
    fn pauses_grow_up_to_the_bound() {
        let mut backoff = Backoff::new();
        let pauses: Vec<Duration> = (0..20).map(|_| backoff.pause()).collect();
        assert!(pauses[0] <= FIRST && pauses[0] >= FIRST / 2);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        assert!(pauses[19] >= LONGEST / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn broken_endpoint_is_asked_again_and_a_refusal_is_final() {
        let asked = AtomicU32::new(0);
        let stop = CancellationToken::new();
        let answer = until_answered(&stop, "ask", || {
            let code = if asked.fetch_add(1, Ordering::Relaxed) < 3 { 503 } else { 404 };
            async move { Err::<(), _>(ClientError::Api(Box::new(ApiError::new(code, "GET", "x")))) }
        });
        assert_eq!(answer.await.unwrap_err().status(), Some(404));
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_ends_the_waiting() {
        let stop = CancellationToken::new();
        let answer = until_answered(&stop, "ask", || {
            stop.cancel();
            async { Err::<(), _>(ClientError::Api(Box::new(ApiError::new(503, "GET", "x")))) }
        });
        assert!(matches!(answer.await, Err(AgentError::Shutdown)));
    }
}
