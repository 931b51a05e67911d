//! The last lines of the log, for clients that cannot look into the host's (drp-api.md 12.8).

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use formwork_api::{Event, Line};
use serde_json::Value;
use tokio::sync::broadcast;
use tracing::{
    Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::{clock::now, log_levels::REQUESTS};

/// Lines that are kept.
const KEPT: usize = 1000;

/// Most bytes of one line's words, and of what belongs to them.
const MAX_TEXT_BYTES: usize = 16 << 10;

/// Lines that wait for a listener.
const WAITING: usize = 1000;

/// The one log of the process.
static RING: LazyLock<Ring> = LazyLock::new(|| Ring {
    state: Mutex::new(State { next: 1, lines: VecDeque::with_capacity(KEPT) }),
    news: broadcast::channel(WAITING).0,
});

struct Ring {
    state: Mutex<State>,
    news: broadcast::Sender<Arc<Line>>,
}

struct State {
    next: i64,
    lines: VecDeque<Arc<Line>>,
}

/// Keeps the lines of this process, those that pass the filter of the subscriber that it is part of.
///
/// There is one log of a process, so all that were made keep the same lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRing;

impl<S: Subscriber> Layer<S> for LogRing {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let metadata = event.metadata();
        let mut line = Line {
            time: now(),
            service: service(metadata.target()).to_owned(),
            level: level(metadata).to_owned(),
            file: metadata.file().unwrap_or_default().to_owned(),
            line: metadata.line().map(i64::from).unwrap_or_default(),
            principal: words.principal,
            message: words.message,
            data: words.data.into_iter().map(Value::String).collect(),
            ..Line::default()
        };
        let mut state = RING.state.lock().unwrap_or_else(PoisonError::into_inner);
        line.seq = state.next;
        state.next += 1;
        let line = Arc::new(line);
        if state.lines.len() >= KEPT {
            state.lines.pop_front();
        }
        state.lines.push_back(Arc::clone(&line));
        drop(state);
        // Without a listener there is nobody to tell.
        let _ = RING.news.send(line);
    }
}

/// Returns the lines that are kept, oldest first.
pub(crate) fn lines() -> Vec<Arc<Line>> {
    RING.state.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
}

/// Listens to lines as they are written.
pub(crate) fn listen() -> broadcast::Receiver<Arc<Line>> {
    RING.news.subscribe()
}

/// Makes the event of a line: type `log`, the level as action, the service as key (drp-api.md 8.4).
pub(crate) fn event(line: &Line) -> Event {
    Event {
        time: line.time,
        r#type: String::from("log"),
        action: line.level.clone(),
        key: line.service.clone(),
        principal: String::from("system"),
        object: serde_json::to_value(line).unwrap_or_default(),
        original: Value::Null,
        revision: None,
    }
}

fn level(metadata: &tracing::Metadata<'_>) -> &'static str {
    if metadata.target() == "audit" {
        return "audit";
    }
    match *metadata.level() {
        tracing::Level::TRACE => "trace",
        tracing::Level::DEBUG => "debug",
        tracing::Level::INFO => "info",
        tracing::Level::WARN => "warn",
        tracing::Level::ERROR => "error",
    }
}

/// Returns the word that clients know a part of the endpoint by.
pub(crate) fn service(target: &str) -> &'static str {
    let parts = [
        ("formwork_boot::dhcp", "dhcp"),
        ("formwork_boot::http", "static"),
        ("formwork_boot", "static"),
        ("formwork_server::boot::dhcp", "dhcp"),
        ("formwork_server::boot", "static"),
        ("formwork_server::http", "frontend"),
        ("formwork_server::auth", "frontend"),
        ("audit", "frontend"),
        (REQUESTS, "frontend"),
        ("formwork_server::render", "renderer"),
        ("formwork_server::plugins", "plugins"),
        ("formwork_server::runner", "runner"),
        ("formwork_server::trees", "bootenv"),
        ("formwork_server::housekeeping", "bootenv"),
        ("formwork_server::start", "bootstrap"),
    ];
    parts.iter().find(|(prefix, _)| target.starts_with(prefix)).map_or("backend", |(_, service)| service)
}

/// The words of a line.
#[derive(Default)]
struct Words {
    message: String,
    principal: String,
    data: Vec<String>,
    bytes: usize,
}

impl Words {
    fn add(&mut self, field: &Field, text: String) {
        self.bytes += text.len();
        if self.bytes > MAX_TEXT_BYTES {
            return;
        }
        match field.name() {
            "message" => self.message = text,
            "principal" => self.principal = text,
            name => self.data.push(format!("{name}={text}")),
        }
    }
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn last_lines_are_kept_oldest_first_with_their_service_and_data() {
        let subscriber = tracing_subscriber::registry().with(LogRing);
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..KEPT + 5 {
                tracing::info!(target: "formwork_boot::dhcp", number, principal = "user:x", "ring {number}");
            }
            tracing::warn!(target: "audit", "ring denied");
        });
        // Tests of other rules may log at the same time.
        let own: Vec<_> = lines().into_iter().filter(|line| line.message.starts_with("ring ")).collect();
        assert!(own.len() > 900 && own.len() <= KEPT, "{}", own.len());
        assert!(own.windows(2).all(|pair| pair[0].seq < pair[1].seq));
        let [.., last, audit] = own.as_slice() else { panic!("too few") };
        assert_eq!(last.message, format!("ring {}", KEPT + 4));
        assert_eq!(
            (last.service.as_str(), last.level.as_str(), last.principal.as_str()),
            ("dhcp", "info", "user:x")
        );
        assert_eq!(last.data, [Value::String(format!("number={}", KEPT + 4))]);
        assert_eq!((audit.level.as_str(), audit.service.as_str()), ("audit", "frontend"));
        let event = event(audit);
        assert_eq!(
            (event.r#type.as_str(), event.action.as_str(), event.key.as_str()),
            ("log", "audit", "frontend")
        );
    }
}
