//! Requests that are logged because their clients ask for it (drp-api.md 1.3).
//!
//! Neither bodies nor queries are told: both may hold secrets.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION},
};
use formwork_core::preferences::{LogLevel, log_level};

use crate::log_levels::REQUESTS;

/// The header with the level.
const LEVEL: &str = "x-log-request";

/// The header with a text by which the client finds the line again.
const TOKEN: &str = "x-log-token";

/// Most characters of such a text, and of a path, that are told.
const MAX_TEXT: usize = 256;

/// What is to be told of a request.
pub(super) struct Wanted {
    method: Method,
    path: String,
    /// As the client names it; nothing when only the token is wanted.
    level: Option<String>,
    token: Option<String>,
}

impl Wanted {
    /// Reads what the headers ask for; nothing when they do not, or when nobody stands for it.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let headers = request.headers();
        let asks = headers.contains_key(LEVEL) || headers.contains_key(TOKEN);
        if !asks || !headers.contains_key(AUTHORIZATION) {
            return None;
        }
        let (method, path) =
            (request.method().clone(), request.uri().path().chars().take(MAX_TEXT).collect());
        Some(Self { method, path, level: text(headers, LEVEL), token: text(headers, TOKEN) })
    }

    /// Writes the lines, but for those whose credentials did not hold: else anybody could fill the log.
    pub(super) fn tell(&self, status: StatusCode, took: Duration) {
        if status == StatusCode::UNAUTHORIZED {
            return;
        }
        let Self { method, path, token, level: word } = self;
        let level = word.as_deref().and_then(log_level);
        if let (Some(word), None) = (word, level) {
            tracing::error!(target: REQUESTS, word, "there is no such level to log a request at");
        }
        let (status, micros) = (status.as_u16(), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        let token = token.as_deref();
        if token.is_some() {
            tracing::error!(target: REQUESTS, %method, path, token, "a request is marked");
        }
        match level {
            None | Some(LogLevel::Off) => {}
            Some(LogLevel::Error) => {
                tracing::error!(target: REQUESTS, %method, path, status, micros, token, "a request was answered");
            }
            Some(LogLevel::Warn) => {
                tracing::warn!(target: REQUESTS, %method, path, status, micros, token, "a request was answered");
            }
            Some(LogLevel::Info) => {
                tracing::info!(target: REQUESTS, %method, path, status, micros, token, "a request was answered");
            }
            Some(LogLevel::Debug) => {
                tracing::debug!(target: REQUESTS, %method, path, status, micros, token, "a request was answered");
            }
            Some(LogLevel::Trace) => {
                tracing::trace!(target: REQUESTS, %method, path, status, micros, token, "a request was answered");
            }
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).chars().take(MAX_TEXT).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::body::Body;
    use tracing::{Level, Subscriber};
    use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _};

    use super::*;

    /// Keeps the levels of the lines.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<Level>>>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
            assert_eq!(event.metadata().target(), REQUESTS);
            self.0.lock().unwrap().push(*event.metadata().level());
        }
    }

    fn lines(headers: &[(&str, &str)]) -> Vec<Level> {
        let mut request =
            Request::builder().uri("/api/v3/machines?token=secret").header(AUTHORIZATION, "Bearer x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (lines, request) = (Lines::default(), request.body(Body::empty()).unwrap());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines.clone()), || {
            if let Some(wanted) = Wanted::of(&request) {
                assert_eq!(wanted.path, "/api/v3/machines", "the query may hold a secret");
                wanted.tell(StatusCode::UNAUTHORIZED, Duration::ZERO);
                wanted.tell(StatusCode::OK, Duration::ZERO);
            }
        });
        let lines = lines.0.lock().unwrap();
        lines.clone()
    }

    #[test]
    fn request_is_logged_at_the_level_that_its_client_names_and_marked_once() {
        assert!(lines(&[]).is_empty());
        assert_eq!(lines(&[(LEVEL, "trace")]), [Level::TRACE]);
        assert_eq!(lines(&[(LEVEL, "err"), (TOKEN, "abc")]), [Level::ERROR, Level::ERROR]);
        assert_eq!(lines(&[(TOKEN, "")]), [Level::ERROR]);
        assert_eq!(lines(&[(LEVEL, "loud")]), [Level::ERROR], "an unknown level is an error in the log");
    }
}
