//! One connection of a listener: its commands, what it is sent, and how it ends.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use formwork_api::{ApiError, Event};
use formwork_store::{Feed, FeedError, Revision};
use futures_util::SinkExt as _;
use serde_json::Value;
use tokio::time::{interval, sleep, timeout};
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};

use super::Given;
use crate::{
    auth::{Caller, Credentials, authenticate},
    clock::now,
    endpoint::Endpoint,
    hub::{self, MAX_FILTERS, Piece, Subscription},
};

/// How often a quiet connection is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// How long a listener may take nothing of what it is sent, before it counts as gone.
const SEND: Duration = Duration::from_secs(30);

/// How long a listener may take to end the connection after it was told to, and to be told.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a frame of bytes is answered with.
const NO_TEXT: &str = "commands are text frames";

/// Why a connection ends.
enum End {
    /// The listener is gone.
    Gone,
    /// It said goodbye.
    Goodbye,
    /// It is told to connect again.
    Told(String),
    /// Who listens may not any more.
    Refused(String),
    /// It sent what is none of the protocol, with the code for that (RFC 6455, section 7.4.1).
    Broken(u16, String),
}

impl End {
    /// Returns why nothing more can be read.
    fn of(error: axum::Error) -> Self {
        let Ok(error) = error.into_inner().downcast::<tungstenite::Error>() else { return Self::Gone };
        let code = match &*error {
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return Self::Gone,
            tungstenite::Error::Protocol(_) => close_code::PROTOCOL,
            tungstenite::Error::Utf8(_) => close_code::INVALID,
            tungstenite::Error::Capacity(_) => close_code::SIZE,
            _ => return Self::Gone,
        };
        Self::Broken(code, error.to_string())
    }
}

/// One connection.
pub(super) struct Listener {
    endpoint: Arc<Endpoint>,
    caller: Caller,
    given: Given,
    subscription: Subscription,
    /// What it replays of the store's feed, until it is where the hub is. It begins with the first filter.
    replay: Option<Feed>,
    /// What was taken and is not handed to the socket.
    unsent: VecDeque<Piece>,
}

impl Listener {
    /// Adds the listener to the others, with the filters of its URL.
    ///
    /// # Errors
    ///
    /// 400 when the URL asks for what is malformed, 410 when what came after its revision is not kept any more.
    pub(super) fn new(endpoint: Arc<Endpoint>, caller: Caller, given: Given) -> Result<Self, ApiError> {
        let refused = |code, message: String| ApiError::new(code, "GET", message).about("ws", "");
        let replay = match given.query.value("since") {
            None => None,
            Some(text) => {
                let revision = text.parse().map_err(|_| {
                    refused(400, format!("`{text}` is no revision\nhint: take `Revision` of the last event"))
                })?;
                let feed = endpoint.store.feed_since(Revision(revision));
                Some(feed.map_err(|gone| {
                    refused(
                        410,
                        format!("{gone}\nhint: read what may have changed, and connect without `since`"),
                    )
                })?)
            }
        };
        let mut subscription = endpoint.hub.subscribe(caller.clone(), replay.is_some());
        for (_, text) in given.query.pairs().filter(|(name, _)| *name == "register").take(MAX_FILTERS) {
            subscription.register(text).map_err(|words| refused(400, words))?;
        }
        Ok(Self { endpoint, caller, given, subscription, replay, unsent: VecDeque::new() })
    }

    /// Serves the listener until it goes or has to.
    pub(super) async fn run(mut self, mut socket: WebSocket) {
        let Err(end) = self.serve(&mut socket).await else { return };
        let told = match &end {
            End::Told(reason) => Some((close_code::AGAIN, reason)),
            End::Refused(reason) => Some((close_code::POLICY, reason)),
            End::Broken(code, reason) => Some((*code, reason)),
            End::Gone | End::Goodbye => None,
        };
        if let Some((code, reason)) = told {
            tracing::warn!(principal = %self.caller.principal, reason, "listener dropped");
            let frame = CloseFrame { code, reason: reason.clone().into() };
            // Who takes nothing cannot be told.
            let _ = timeout(FAREWELL, socket.send(Message::Close(Some(frame)))).await;
        }
        if !matches!(end, End::Gone) {
            // Reading to the end sends our answer to a goodbye, and waits for the answer to ours.
            let _ = timeout(FAREWELL, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
        }
    }

    async fn serve(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let mut ping = interval(PING);
        ping.tick().await;
        let mut expired = std::pin::pin!(self.expired());
        loop {
            let replays = self.replay.is_some() && self.subscription.wants_something();
            tokio::select! {
                biased;
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => self.obey(text.as_str()),
                    Some(Ok(Message::Close(_))) => return Err(End::Goodbye),
                    // Its sender may wait for an acknowledgement too.
                    Some(Ok(Message::Binary(_))) => self.acknowledge("", "", Err(NO_TEXT.to_owned())),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Err(error)) => return Err(End::of(error)),
                    None => return Err(End::Gone),
                },
                () = expired.as_mut() => return Err(End::Refused(String::from("the token is expired"))),
                () = self.subscription.doubted() => self.again().await?,
                _ = ping.tick() => {
                    self.again().await?;
                    self.send(socket.send(Message::Ping(Vec::new().into()))).await?;
                }
                pieces = self.subscription.take() => match pieces {
                    Ok(pieces) => self.deliver(socket, pieces).await?,
                    // What was committed before the endpoint goes down is still told.
                    Err(hub::End::Down) if replays => self.replay(socket).await?,
                    Err(end) => return Err(self.over(end)),
                },
                () = tokio::task::consume_budget(), if replays => self.replay(socket).await?,
            }
        }
    }

    /// Sends the next of what is replayed, or goes live when there is no more.
    async fn replay(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let Some(feed) = &mut self.replay else { return Ok(()) };
        match feed.try_next() {
            Ok(Some(entry)) => self.deliver(socket, self.subscription.replayed(&entry)).await,
            Ok(None) => {
                if self.subscription.goes_live(feed.position()) {
                    self.replay = None;
                }
                Ok(())
            }
            Err(FeedError::Lagged { position, oldest }) => Err(End::Told(format!(
                "slow reader: at revision {}, the feed begins after {}",
                position.0, oldest.0
            ))),
            Err(FeedError::Closed) => Err(self.over(hub::End::Down)),
        }
    }

    /// Hands texts to the socket, all of them before any is waited for.
    async fn deliver(&mut self, socket: &mut WebSocket, pieces: Vec<Piece>) -> Result<(), End> {
        self.unsent = pieces.into();
        while let Some(piece) = self.unsent.front() {
            self.send(socket.feed(Message::Text(piece.text.clone()))).await?;
            self.unsent.pop_front();
        }
        self.send(socket.flush()).await
    }

    /// Waits until something is sent, unless the listener turns out to be too slow.
    async fn send(&self, sending: impl Future<Output = Result<(), axum::Error>>) -> Result<(), End> {
        tokio::select! {
            biased;
            sent = sending => sent.map_err(|_| End::Gone),
            end = self.subscription.cut() => Err(self.over(end)),
            () = sleep(SEND) => {
                let (seconds, revision) = (SEND.as_secs(), self.resumable(self.subscription.position()).0);
                Err(End::Told(format!("slow reader: it took nothing for {seconds} s; go on with `since={revision}`")))
            }
        }
    }

    /// Says why nothing more comes.
    fn over(&self, end: hub::End) -> End {
        End::Told(match end {
            hub::End::Slow(revision) => hub::End::Slow(self.resumable(revision)).to_string(),
            hub::End::Down => end.to_string(),
        })
    }

    /// Returns from which revision the listener can resume, when it could from this one if it had all that was taken.
    ///
    /// What was handed to the socket comes before a farewell, so whoever reads this has it.
    fn resumable(&self, revision: Revision) -> Revision {
        let unsent = self.unsent.iter().find_map(|piece| piece.entry).map(Revision::previous);
        let replayed = self.replay.as_ref().map(Feed::position);
        [unsent, replayed].into_iter().flatten().fold(revision, Revision::min)
    }

    /// Asks again who listens: rights change, and tokens are revoked.
    async fn again(&mut self) -> Result<(), End> {
        let query = &self.given.query;
        let token = query.value("token").or_else(|| query.value("Token"));
        let given = Credentials { headers: &self.given.headers, token, address: None };
        match authenticate(&self.endpoint, given).await {
            Ok(caller) => {
                self.subscription.set_caller(caller.clone());
                self.caller = caller;
            }
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
                Some(left) => sleep(left).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Obeys a command and tells that it is in force. Also what is malformed is acknowledged: clients wait for it.
    fn obey(&mut self, text: &str) {
        let (word, filter) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let filter = filter.trim();
        let obeyed = match word {
            "register" => self.subscription.register(filter),
            "deregister" => {
                self.subscription.deregister(filter);
                Ok(())
            }
            _ => Err(format!("unknown command `{word}`; known are register and deregister")),
        };
        self.acknowledge(word, filter, obeyed);
    }

    /// Tells that a command is in force, or why it is not.
    fn acknowledge(&mut self, word: &str, filter: &str, obeyed: Result<(), String>) {
        let mut event = Event {
            time: now(),
            r#type: String::from("websocket"),
            action: word.to_owned(),
            key: filter.to_owned(),
            principal: String::from("system"),
            ..Event::default()
        };
        if let Err(reason) = obeyed {
            event.action = String::from("error");
            event.object = Value::String(reason);
        }
        self.subscription.answer(serde_json::to_string(&event).unwrap_or_default().into());
    }
}
