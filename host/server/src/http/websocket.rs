//! The event stream (drp-api.md 8.3).

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::IntoResponse,
    routing::any,
};
use formwork_api::{ApiError, Event, EventFilter};
use formwork_model::is_internal;
use formwork_store::{Action, Change, Entry};
use serde_json::Value;
use tokio::sync::broadcast;

use super::{
    answer::{self, Handled},
    request::Authenticated,
};
use crate::{auth::Caller, clock::now, endpoint::Endpoint, plugins::principal_shown};

/// How often a quiet connection is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// How long a listener may take for one message before it counts as gone.
const SEND: Duration = Duration::from_secs(30);

/// The filters that one connection may have.
const MAX_FILTERS: usize = 10_000;

/// The longest command, in bytes.
const MAX_COMMAND_BYTES: usize = 64 << 10;

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new().route("/ws", any(upgrade))
}

async fn upgrade(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Handled {
    let upgrade = upgrade.map_err(|rejection| {
        let message = format!("this route is a websocket: {rejection}");
        ApiError::new(rejection.into_response().status().as_u16(), "GET", message)
    })?;
    let upgrade = upgrade.max_message_size(MAX_COMMAND_BYTES);
    Ok(upgrade.on_upgrade(move |socket| listen(endpoint, caller, socket)))
}

async fn listen(endpoint: Arc<Endpoint>, caller: Caller, mut socket: WebSocket) {
    let mut feed = endpoint.store.feed();
    let mut injected = endpoint.injected.subscribe();
    let mut filters: Vec<(String, Option<EventFilter>)> = Vec::new();
    let mut ping = tokio::time::interval(PING);
    ping.tick().await;
    loop {
        let outcome = tokio::select! {
            biased;
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => acknowledge(&mut socket, &mut filters, text.as_str()).await,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => Ok(()),
            },
            entry = feed.next() => match entry {
                Ok(entry) => tell(&mut socket, &caller, &filters, &entry).await,
                Err(error) => {
                    tracing::warn!(principal = %caller.principal, %error, "listener dropped");
                    return;
                }
            },
            event = injected.recv() => match event {
                Ok(event) if wants(&filters, &event.r#type, &event.action, &event.key) => {
                    send(&mut socket, &event).await
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => Ok(()),
                Err(broadcast::error::RecvError::Closed) => return,
            },
            _ = ping.tick() => sent(socket.send(Message::Ping(Vec::new().into()))).await,
        };
        if outcome.is_err() {
            return;
        }
    }
}

/// The listener is gone.
struct Gone;

async fn sent(sending: impl Future<Output = Result<(), axum::Error>>) -> Result<(), Gone> {
    match tokio::time::timeout(SEND, sending).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Gone),
    }
}

async fn send(socket: &mut WebSocket, event: &Event) -> Result<(), Gone> {
    let text = serde_json::to_string(event).map_err(|_| Gone)?;
    sent(socket.send(Message::Text(text.into()))).await
}

fn wants(filters: &[(String, Option<EventFilter>)], r#type: &str, action: &str, key: &str) -> bool {
    filters
        .iter()
        .any(|(_, filter)| filter.as_ref().is_some_and(|filter| filter.matches(r#type, action, key)))
}

/// Obeys a command and tells that it is in force. Also what is malformed is acknowledged: clients wait for it.
async fn acknowledge(
    socket: &mut WebSocket,
    filters: &mut Vec<(String, Option<EventFilter>)>,
    text: &str,
) -> Result<(), Gone> {
    let (word, filter) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    let filter = filter.trim();
    let mut event = Event {
        time: now(),
        r#type: String::from("websocket"),
        action: word.to_owned(),
        key: filter.to_owned(),
        principal: String::from("system"),
        ..Event::default()
    };
    let refused = match word {
        "register" if filters.len() >= MAX_FILTERS => Some(format!("more than {MAX_FILTERS} filters")),
        "register" => match EventFilter::parse(filter) {
            Ok(parsed) => {
                filters.push((filter.to_owned(), Some(parsed)));
                None
            }
            Err(error) => Some(error.to_string()),
        },
        "deregister" => {
            if let Some(place) = filters.iter().position(|(own, _)| own == filter) {
                filters.remove(place);
            }
            None
        }
        _ => Some(format!("unknown command `{word}`; known are register and deregister")),
    };
    if let Some(reason) = refused {
        event.action = String::from("error");
        event.object = Value::String(reason);
    }
    send(socket, &event).await
}

async fn tell(
    socket: &mut WebSocket,
    caller: &Caller,
    filters: &[(String, Option<EventFilter>)],
    entry: &Entry,
) -> Result<(), Gone> {
    for change in entry.changes.iter().filter(|change| !is_internal(change.prefix)) {
        let action = word(change);
        if wants(filters, change.prefix, action, &change.key) && visible(caller, change) {
            send(socket, &event(change, action)).await?;
        }
    }
    Ok(())
}

/// A change that a user or an agent asked for is an `update`; what the server does by itself is a `save`.
pub(crate) fn word(change: &Change) -> &'static str {
    match change.action {
        Action::Created => "create",
        Action::Deleted => "delete",
        Action::Updated
            if change.principal.starts_with("user:") || change.principal.starts_with("runner:") =>
        {
            "update"
        }
        Action::Updated => "save",
    }
}

fn visible(caller: &Caller, change: &Change) -> bool {
    let object = change.after.as_ref().or(change.before.as_ref());
    let key = match object.and_then(|object| object.as_any().downcast_ref::<formwork_model::Job>()) {
        Some(job) => job.machine.clone(),
        None => change.key.to_string(),
    };
    caller.may(change.prefix, "get", &key)
}

fn event(change: &Change, action: &str) -> Event {
    let shown = |object: &Option<Arc<dyn formwork_model::Object>>| {
        object.as_ref().map_or(Value::Null, |object| answer::view(object.as_ref()))
    };
    let (object, original) = match change.action {
        Action::Deleted => (shown(&change.before), Value::Null),
        Action::Created => (shown(&change.after), Value::Null),
        Action::Updated => (shown(&change.after), shown(&change.before)),
    };
    Event {
        time: now(),
        r#type: change.prefix.to_owned(),
        action: action.to_owned(),
        key: change.key.to_string(),
        principal: principal_shown(&change.principal).to_owned(),
        object,
        original,
    }
}
