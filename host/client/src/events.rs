//! The event stream: a websocket on which the endpoint tells what happened (drp-api.md 8.3).

use std::{collections::VecDeque, time::Duration};

use formwork_api::{ApiError, BASE_PATH, Event};
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::pki_types::ServerName;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Bytes, Error as SocketError, Message, Utf8Bytes, client::IntoClientRequest as _,
        protocol::WebSocketConfig,
    },
};

use crate::{Client, ClientError, client::CONNECT_TIMEOUT};

/// The largest event that is read, in bytes. An event holds an object twice; inventories reach hundreds of KiB.
const MAX_EVENT: usize = 64 << 20;

/// What is read at once, in bytes.
const READ_BYTES: usize = 16 << 10;

/// How long the endpoint may take to acknowledge a filter.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(30);

/// After this silence the client asks whether the other side is still there; after another it gives up. Endpoints
/// ping every 30 s, so a healthy line is never silent for so long.
const SILENCE: Duration = Duration::from_secs(45);

/// How many events are kept while an acknowledgement is awaited.
const MAX_KEPT: usize = 65_536;

/// A connection to an endpoint.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// Events as they happen. One that is not read is not lost until the endpoint gives up on a slow reader.
pub struct EventStream {
    socket: WebSocketStream<Box<dyn Transport>>,
    kept: VecDeque<Event>,
    silent_at: Instant,
    asked: bool,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EventStream").field("kept", &self.kept.len()).finish_non_exhaustive()
    }
}

impl Client {
    /// Opens an event stream. It is silent until a filter is registered.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 401 or 403 when the caller is not known.
    pub async fn events(&self) -> Result<EventStream, ClientError> {
        self.open_events(None, &[]).await
    }

    /// Opens an event stream that goes on after a revision, with filters that are in force from its beginning. Its events
    /// have revisions.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 410 when what came after the revision is not kept any more: read what may have changed.
    pub async fn events_since(&self, revision: u64, filters: &[&str]) -> Result<EventStream, ClientError> {
        self.open_events(Some(revision), filters).await
    }

    async fn open_events(&self, since: Option<u64>, filters: &[&str]) -> Result<EventStream, ClientError> {
        let unreachable = |source| ClientError::Connect { url: self.endpoint().to_owned(), source };
        let opened = timeout(CONNECT_TIMEOUT, self.open_socket(since, filters)).await;
        let socket = opened.map_err(|elapsed| unreachable(Box::new(elapsed)))??;
        Ok(EventStream { socket, kept: VecDeque::new(), silent_at: Instant::now() + SILENCE, asked: false })
    }

    async fn open_socket(
        &self,
        since: Option<u64>,
        filters: &[&str],
    ) -> Result<WebSocketStream<Box<dyn Transport>>, ClientError> {
        let mut url = self.base.clone();
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        let path = match &self.behind {
            // The endpoint that manages the other one passes its events on.
            Some(id) => {
                let own = url.path().strip_suffix(&format!("/{id}{BASE_PATH}")).unwrap_or_default();
                format!("{own}{BASE_PATH}/ws/{id}")
            }
            None => format!("{}/ws", url.path()),
        };
        url.set_path(&path);
        if let Some(revision) = since {
            url.query_pairs_mut()
                .append_pair("since", &revision.to_string())
                .extend_pairs(filters.iter().map(|filter| ("register", filter)));
        }
        let text = url.as_str().replacen(url.scheme(), scheme, 1);
        let mut request = text.into_client_request().map_err(|error| self.refused(error))?;
        let unusable = |_| ClientError::Url {
            text: String::from("the credentials"),
            reason: String::from("they hold a line break or another control character"),
        };
        let authorization = self.credentials.authorization().parse().map_err(unusable)?;
        request.headers_mut().insert("authorization", authorization);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_EVENT))
            .max_frame_size(Some(MAX_EVENT))
            .read_buffer_size(READ_BYTES);
        let transport = self.open_transport().await?;
        let opened = client_async_with_config(request, transport, Some(config)).await;
        opened.map(|(socket, _)| socket).map_err(|error| self.refused(error))
    }

    /// Opens a connection for one request that the caller writes himself, in HTTP/1.1.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`], also when it takes longer than 10 s.
    pub async fn transport(&self) -> Result<Box<dyn Transport>, ClientError> {
        let opened = timeout(CONNECT_TIMEOUT, self.open_transport()).await;
        let unreachable =
            |elapsed| ClientError::Connect { url: self.endpoint().to_owned(), source: Box::new(elapsed) };
        opened.map_err(unreachable)?
    }

    async fn open_transport(&self) -> Result<Box<dyn Transport>, ClientError> {
        let unreachable = |error| ClientError::Connect {
            url: self.endpoint().to_owned(),
            source: Box::<dyn std::error::Error + Send + Sync>::from(error),
        };
        if let Some(socket) = &self.socket {
            return Ok(Box::new(UnixStream::connect(socket).await.map_err(unreachable)?));
        }
        let host = self.base.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = self.base.port_or_known_default().unwrap_or(443);
        let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        if self.base.scheme() == "http" {
            return Ok(Box::new(tcp));
        }
        let name = ServerName::try_from(host.clone())
            .map_err(|error| ClientError::Url { text: host, reason: error.to_string() })?;
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::clone(&self.tls));
        Ok(Box::new(connector.connect(name, tcp).await.map_err(unreachable)?))
    }

    /// Turns a failed upgrade into what the endpoint said.
    fn refused(&self, error: SocketError) -> ClientError {
        match error {
            SocketError::Http(response) => {
                let message = format!("status {}", response.status());
                let refusal = response
                    .body()
                    .as_ref()
                    .and_then(|body| serde_json::from_slice::<ApiError>(body).ok())
                    .filter(|refusal| refusal.code != 0);
                let refusal = refusal.unwrap_or_else(|| {
                    ApiError::new(response.status().as_u16(), "GET", message).about("ws", "")
                });
                ClientError::Api(Box::new(refusal))
            }
            error => ClientError::Connect { url: self.endpoint().to_owned(), source: Box::new(error) },
        }
    }
}

impl EventStream {
    /// Starts the delivery of events that pass a filter `TYPE.ACTION.KEY`, each part `*` or a comma list. When this
    /// returns, every event of a later request will be delivered.
    ///
    /// # Errors
    ///
    /// [`ClientError::Events`] when the endpoint refuses the filter or the stream ends.
    pub async fn register(&mut self, filter: &str) -> Result<(), ClientError> {
        self.command("register", filter).await
    }

    /// Ends the delivery that an earlier [`EventStream::register`] with the same filter started.
    ///
    /// # Errors
    ///
    /// [`ClientError::Events`] when the stream ends.
    pub async fn deregister(&mut self, filter: &str) -> Result<(), ClientError> {
        self.command("deregister", filter).await
    }

    /// Returns the next event. May be dropped while it waits; no event is lost by that.
    ///
    /// # Errors
    ///
    /// [`ClientError::Events`] when the stream ended. It stays ended: open another and read what may have changed.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        match self.kept.pop_front() {
            Some(event) => Ok(event),
            None => self.receive().await,
        }
    }

    /// As [`EventStream::next`], for who only wants to know the key of the object: of many large objects most of the work is to
    /// read them.
    ///
    /// # Errors
    ///
    /// Those of [`EventStream::next`].
    pub async fn next_key(&mut self) -> Result<String, ClientError> {
        match self.kept.pop_front() {
            Some(event) => Ok(event.key),
            None => parsed::<KeyOnly>(&self.text().await?).map(|event| event.key),
        }
    }

    async fn command(&mut self, word: &str, filter: &str) -> Result<(), ClientError> {
        let command = Message::text(format!("{word} {filter}"));
        self.socket.send(command).await.map_err(|error| ended(&error))?;
        let acknowledged = timeout(ACKNOWLEDGE_TIMEOUT, self.acknowledgement()).await;
        let event = acknowledged
            .map_err(|_| ClientError::Events(format!("`{word} {filter}` was not acknowledged")))??;
        if event.action == "error" {
            let reason = event.object.as_str().map_or_else(|| event.object.to_string(), str::to_owned);
            return Err(ClientError::Events(format!("`{word} {filter}` was refused: {reason}")));
        }
        Ok(())
    }

    /// Reads up to the acknowledgement and keeps the events before it.
    async fn acknowledgement(&mut self) -> Result<Event, ClientError> {
        loop {
            let event = self.receive().await?;
            if event.r#type == "websocket" {
                return Ok(event);
            }
            if self.kept.len() >= MAX_KEPT {
                return Err(ClientError::Events(format!("more than {MAX_KEPT} events wait to be read")));
            }
            self.kept.push_back(event);
        }
    }

    async fn receive(&mut self) -> Result<Event, ClientError> {
        parsed(&self.text().await?)
    }

    async fn text(&mut self) -> Result<Utf8Bytes, ClientError> {
        loop {
            let Ok(received) = tokio::time::timeout_at(self.silent_at, self.socket.next()).await else {
                self.ask().await?;
                continue;
            };
            let message = received
                .ok_or_else(|| ClientError::Events(String::from("the endpoint closed it")))?
                .map_err(|error| ended(&error))?;
            self.silent_at = Instant::now() + SILENCE;
            self.asked = false;
            match message {
                Message::Text(text) => return Ok(text),
                Message::Close(_) => return Err(ClientError::Events(String::from("the endpoint closed it"))),
                // Pings are answered by the library; the other kinds mean nothing here.
                _ => {}
            }
        }
    }

    /// Asks whether the endpoint is still there; fails when it was asked before and stayed silent.
    async fn ask(&mut self) -> Result<(), ClientError> {
        if self.asked {
            return Err(ClientError::Events(format!("nothing came for {} s", 2 * SILENCE.as_secs())));
        }
        self.asked = true;
        self.silent_at = Instant::now() + SILENCE;
        self.socket.send(Message::Ping(Bytes::new())).await.map_err(|error| ended(&error))
    }
}

/// What is read of an event whose objects do not matter.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct KeyOnly {
    key: String,
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, ClientError> {
    serde_json::from_str(text).map_err(|error| ClientError::Events(format!("it sent no event: {error}")))
}

fn ended(error: &SocketError) -> ClientError {
    ClientError::Events(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::{WebSocketStream, accept_async};

    use super::*;
    use crate::{Credentials, Endpoint};

    type Peer = WebSocketStream<TcpStream>;

    /// Opens a stream to a peer that does what the test says.
    async fn stream<F: Future<Output = ()> + Send + 'static>(
        script: impl FnOnce(Peer) -> F + Send + 'static,
    ) -> EventStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            script(accept_async(tcp).await.unwrap()).await;
        });
        let client = Client::connect(Endpoint { url, credentials: Credentials::Token("t".into()) }).unwrap();
        client.events().await.unwrap()
    }

    async fn say(peer: &mut Peer, r#type: &str, action: &str) {
        let event = Event { r#type: r#type.into(), action: action.into(), ..Event::default() };
        peer.send(Message::text(serde_json::to_string(&event).unwrap())).await.unwrap();
    }

    #[tokio::test]
    async fn events_before_the_acknowledgement_are_kept_in_order() {
        let mut events = stream(|mut peer| async move {
            let command = peer.next().await.unwrap().unwrap();
            assert_eq!(command.into_text().unwrap().as_str(), "register jobs.*.*");
            say(&mut peer, "jobs", "create").await;
            say(&mut peer, "jobs", "update").await;
            say(&mut peer, "websocket", "register").await;
            say(&mut peer, "jobs", "delete").await;
        })
        .await;
        events.register("jobs.*.*").await.unwrap();
        for action in ["create", "update", "delete"] {
            assert_eq!(events.next().await.unwrap().action, action);
        }
        assert!(matches!(events.next().await, Err(ClientError::Events(_))), "the peer is gone");
    }

    #[tokio::test]
    async fn refused_filter_is_an_error_with_the_endpoints_words() {
        let mut events = stream(|mut peer| async move {
            peer.next().await.unwrap().unwrap();
            let event = Event {
                r#type: "websocket".into(),
                action: "error".into(),
                object: "no such filter".into(),
                ..Event::default()
            };
            peer.send(Message::text(serde_json::to_string(&event).unwrap())).await.unwrap();
        })
        .await;
        let error = events.register("x").await.unwrap_err();
        assert!(error.to_string().contains("no such filter"), "{error}");
    }

    #[tokio::test]
    async fn peer_that_stays_silent_after_a_ping_is_given_up() {
        let mut events = stream(|peer| async move {
            // Holds the connection open without ever reading from it, so that no ping is answered.
            std::future::pending::<()>().await;
            drop(peer);
        })
        .await;
        // Only now: a stopped clock jumps while a connection is being made.
        tokio::time::pause();
        let before = Instant::now();
        let error = events.next().await.unwrap_err();
        assert!(error.is_transient());
        assert!(before.elapsed() >= 2 * SILENCE);
    }
}
