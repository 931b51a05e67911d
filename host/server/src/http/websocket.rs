//! The event stream (drp-api.md 8.3).
//!
//! A listener that cannot keep up is told so with status 1013 and where it can go on: `?since=REVISION` sends what was
//! committed after a revision, each event with the one to go on from (an extension); of the events of one commit all come again
//! when it breaks off between them. Filters can stand in the URL as `register=FILTER`; a
//! stream that resumes without one begins with its first filter.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        FromRequestParts, Path, State,
        ws::{
            CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    http::{HeaderMap, request::Parts},
    response::IntoResponse,
};
use formwork_api::{ApiError, Event, EventFilter};
use formwork_store::{Feed, FeedError, Revision};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

use super::{
    answer::Handled,
    request::{Authenticated, Query},
    route::Route,
};
use crate::{
    auth::{Caller, Credentials, authenticate},
    clock::now,
    connections::Session,
    endpoint::Endpoint,
    hub::Told,
};

/// How often a quiet connection is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// How long a listener may take for one message before it counts as gone.
const SEND: Duration = Duration::from_secs(30);

/// How long a listener may take to end the connection after it was told to.
const FAREWELL: Duration = Duration::from_secs(5);

/// The filters that one connection may have.
const MAX_FILTERS: usize = 10_000;

/// The longest command, in bytes.
const MAX_COMMAND_BYTES: usize = 64 << 10;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::stream("/ws", upgrade), Route::stream("/ws/{id}", upgrade_of)]
}

/// Opens the stream of the endpoint with an id, which must be this one: there is no way to another yet.
async fn upgrade_of(
    State(endpoint): State<Arc<Endpoint>>,
    Path(id): Path<String>,
    caller: Authenticated,
    given: Given,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Handled {
    if id != endpoint.id {
        return Err(ApiError::not_found("GET", "endpoints", &id).into());
    }
    upgrade(State(endpoint), caller, given, socket).await
}

async fn upgrade(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    given: Given,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Handled {
    let upgrade = upgrade.map_err(|rejection| {
        let message = format!("this route is a websocket: {rejection}");
        ApiError::new(rejection.into_response().status().as_u16(), "GET", message)
    })?;
    if let Some(session) = &given.session {
        session.becomes_websocket();
    }
    let listener = Listener::new(endpoint, caller, given)?;
    let upgrade = upgrade.max_message_size(MAX_COMMAND_BYTES);
    Ok(upgrade.on_upgrade(move |socket| listener.run(socket)))
}

/// What a request gave to be let in, kept to ask again whether it still counts.
struct Given {
    headers: HeaderMap,
    query: Query,
    session: Option<Arc<Session>>,
}

impl FromRequestParts<Arc<Endpoint>> for Given {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Endpoint>) -> Result<Self, Self::Rejection> {
        Ok(Self {
            headers: parts.headers.clone(),
            query: Query::of(parts),
            session: parts.extensions.get::<Arc<Session>>().cloned(),
        })
    }
}

/// Why a connection ends.
enum End {
    /// The listener is gone, or does not take what it is sent.
    Gone,
    /// It said goodbye.
    Goodbye,
    /// It is told to connect again.
    Told(String),
    /// Who listens may not any more.
    Refused(String),
}

/// One connection.
struct Listener {
    endpoint: Arc<Endpoint>,
    caller: Caller,
    given: Given,
    feed: Feed,
    filters: Vec<(String, EventFilter)>,
    /// True when it can resume: its events carry revisions, and none is sent before its first filter.
    resumes: bool,
}

impl Listener {
    fn new(endpoint: Arc<Endpoint>, caller: Caller, given: Given) -> Result<Self, ApiError> {
        let refused = |code, message: String| ApiError::new(code, "GET", message).about("ws", "");
        let mut filters = Vec::new();
        let query = &given.query;
        for (_, text) in query.pairs().filter(|(name, _)| *name == "register").take(MAX_FILTERS) {
            let filter = EventFilter::parse(text).map_err(|error| refused(400, error.to_string()))?;
            filters.push((text.to_owned(), filter));
        }
        let since = query.value("since");
        let feed = match since {
            None => endpoint.store.feed(),
            Some(text) => {
                let revision = text.parse().map_err(|_| {
                    refused(400, format!("`{text}` is no revision\nhint: take `Revision` of the last event"))
                })?;
                endpoint.store.feed_since(Revision(revision)).map_err(|gone| {
                    refused(
                        410,
                        format!("{gone}\nhint: read what may have changed, and connect without `since`"),
                    )
                })?
            }
        };
        let resumes = since.is_some();
        Ok(Self { endpoint, caller, given, feed, filters, resumes })
    }

    async fn run(mut self, mut socket: WebSocket) {
        let Err(end) = self.serve(&mut socket).await else { return };
        let told = match &end {
            End::Told(reason) => Some((close_code::AGAIN, reason)),
            End::Refused(reason) => Some((close_code::POLICY, reason)),
            End::Gone | End::Goodbye => None,
        };
        if let Some((code, reason)) = told {
            tracing::warn!(principal = %self.caller.principal, reason, "listener dropped");
            let frame = CloseFrame { code, reason: reason.clone().into() };
            let _ = sent(socket.send(Message::Close(Some(frame)))).await;
        }
        if !matches!(end, End::Gone) {
            // Reading to the end sends our answer to a goodbye, and waits for the answer to ours.
            let _ = tokio::time::timeout(FAREWELL, async { while let Some(Ok(_)) = socket.recv().await {} })
                .await;
        }
    }

    async fn serve(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let mut passing = self.endpoint.hub.listen();
        let mut ping = tokio::time::interval(PING);
        ping.tick().await;
        let mut expired = std::pin::pin!(self.expired());
        loop {
            let ready = !self.resumes || !self.filters.is_empty();
            tokio::select! {
                biased;
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let answer = self.obey(text.as_str());
                        send(socket, serde_json::to_string(&answer).unwrap_or_default().into()).await?;
                    }
                    Some(Ok(Message::Close(_))) => return Err(End::Goodbye),
                    Some(Err(_)) | None => return Err(End::Gone),
                    Some(Ok(_)) => {}
                },
                entry = self.feed.next(), if ready => {
                    let entry = entry.map_err(|error| self.lost(error))?;
                    let all = self.endpoint.hub.of(&entry);
                    let last = all.iter().rposition(|told| self.wants(told));
                    for (place, told) in all.iter().enumerate() {
                        if !self.wants(told) {
                            continue;
                        }
                        // Who resumes after one of several events of an entry gets them all again rather than not at all.
                        let seen =
                            if Some(place) == last { entry.revision } else { entry.revision.previous() };
                        let text = if self.resumes { told.text_at(seen) } else { told.text() };
                        send(socket, text).await?;
                    }
                }
                told = passing.recv() => match told {
                    Ok(told) if self.wants(&told) => send(socket, told.text()).await?,
                    Ok(_) => {}
                    Err(RecvError::Lagged(count)) => {
                        return Err(End::Told(format!("slow reader: {count} events that are not kept are lost")));
                    }
                    Err(RecvError::Closed) => return Err(End::Goodbye),
                },
                () = expired.as_mut() => return Err(End::Refused(String::from("the token is expired"))),
                _ = ping.tick() => {
                    self.again().await?;
                    sent(socket.send(Message::Ping(Vec::new().into()))).await?;
                }
            }
        }
    }

    /// Asks again who listens: rights change, and tokens are revoked.
    async fn again(&mut self) -> Result<(), End> {
        let query = &self.given.query;
        let token = query.value("token").or_else(|| query.value("Token"));
        let given = Credentials { headers: &self.given.headers, token, address: None };
        match authenticate(&self.endpoint, given).await {
            Ok(caller) => self.caller = caller,
            // Too many logins at once say nothing about this one.
            Err(error) if error.code == 429 || error.code == 503 => {}
            Err(error) => return Err(End::Refused(error.messages.join(", "))),
        }
        Ok(())
    }

    /// Ends when the token does that the listener came with.
    fn expired(&self) -> impl Future<Output = ()> + use<> {
        let left = self.caller.expires_seconds.map(|end| {
            let millis = end.saturating_mul(1000).saturating_sub(self.endpoint.now().millis());
            Duration::from_millis(u64::try_from(millis).unwrap_or(0))
        });
        async move {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Says why the feed cannot go on.
    fn lost(&self, error: FeedError) -> End {
        match error {
            FeedError::Lagged { position, oldest } => End::Told(format!(
                "slow reader: at revision {}, the feed begins after {}",
                position.0, oldest.0
            )),
            FeedError::Closed => End::Told(String::from("the endpoint goes down")),
        }
    }

    fn wants(&self, told: &Told) -> bool {
        let named = |filter: &EventFilter| filter.matches(&told.r#type, &told.action, &told.key);
        self.filters.iter().any(|(_, filter)| named(filter))
            && told.about.iter().all(|(prefix, key)| self.caller.sees(prefix, key))
            && told.needs.as_ref().is_none_or(|(scope, key)| self.caller.may(scope, "get", key))
    }

    /// Obeys a command and tells that it is in force. Also what is malformed is acknowledged: clients wait for it.
    fn obey(&mut self, text: &str) -> Event {
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
            "register" if self.filters.len() >= MAX_FILTERS => {
                Some(format!("more than {MAX_FILTERS} filters"))
            }
            "register" => match EventFilter::parse(filter) {
                Ok(parsed) => {
                    self.filters.push((filter.to_owned(), parsed));
                    None
                }
                Err(error) => Some(error.to_string()),
            },
            "deregister" => {
                if let Some(place) = self.filters.iter().position(|(own, _)| own == filter) {
                    self.filters.remove(place);
                }
                None
            }
            _ => Some(format!("unknown command `{word}`; known are register and deregister")),
        };
        if let Some(reason) = refused {
            event.action = String::from("error");
            event.object = Value::String(reason);
        }
        event
    }
}

async fn sent(sending: impl Future<Output = Result<(), axum::Error>>) -> Result<(), End> {
    match tokio::time::timeout(SEND, sending).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::Gone),
    }
}

async fn send(socket: &mut WebSocket, text: axum::extract::ws::Utf8Bytes) -> Result<(), End> {
    sent(socket.send(Message::Text(text))).await
}
