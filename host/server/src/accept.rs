//! Connections of HTTP, in the clear and over TLS: who has one, how long a client may take, and how they end.
//!
//! The API, the file server and monitoring are served by this one way, so that none of them can be held up by clients that
//! are slow or silent.
//!
//! | module | holds |
//! |---|---|
//! | `table` | who is let in and who gives way: pure |
//! | `places` | that table for the process, with what it counts and logs |
//! | `activity` | from when on nobody waits for a connection any more: pure |
//! | `watched` | the stream and the answers of a connection, which note its activity |
//! | `seldom` | what happens often and is logged seldom: pure |

mod activity;
mod places;
mod seldom;
mod table;
mod watched;

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderValue, Request, Response, header},
    response::IntoResponse,
};
use formwork_api::ApiError;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use self::{
    activity::PATIENCE,
    table::Full,
    watched::{Answer, Watch, Watched},
};
pub(crate) use self::{
    places::{Place, Places},
    table::Door,
};
use crate::{connections::Seat, endpoint::Endpoint, http::Failure};

/// How often a silent client of HTTP/2 is asked whether it is still there.
const ALIVE: Duration = Duration::from_secs(30);

/// How long accepting rests after it failed: without files to open it would fail again at once.
const REST: Duration = Duration::from_millis(50);

/// The most bytes of the head of a request of HTTP/1.1, and about what is held of an answer that is not taken. The longest
/// query that is read has room in it twice.
const BUFFER_BYTES: usize = 64 << 10;

/// Connections that are told at the same time that there is no place for them; others are closed without a word.
const TURNED_AWAY: usize = 64;

/// How long it may take to tell that, with the handshake.
const BRIEFLY: Duration = Duration::from_secs(3);

/// How long a client that nobody waits for has to say goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// The address that a connection came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerAddress(pub(crate) IpAddr);

/// The local address that a connection came in on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalAddress(pub(crate) SocketAddr);

/// What is served on a socket, and to how many.
#[derive(Clone)]
pub(crate) struct Service {
    /// The routes; requests carry [`PeerAddress`], [`LocalAddress`] and the [`Seat`] of their connection.
    pub(crate) routes: Router,
    /// What speaks TLS; in the clear without it.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Which socket it is.
    pub(crate) door: Door,
    /// The places for connections at all doors.
    pub(crate) places: Arc<Places>,
    /// Where connections are listed, and requests carry the session of theirs; nowhere without it.
    pub(crate) listed: Option<Arc<Endpoint>>,
    /// How long requests in flight may take at the end.
    pub(crate) farewell: Duration,
}

/// Accepts connections until the endpoint goes down, then gives those in flight a last chance. Those for which there is no
/// place are told so, as long as they are few, and closed.
pub(crate) async fn serve(listener: TcpListener, service: Service, mut stopped: watch::Receiver<bool>) {
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop(&mut stopped) => break,
            Some(_) = connections.join_next() => continue,
            accepted = next(&listener) => accepted,
        };
        let Some((stream, peer)) = accepted else { continue };
        match service.places.take(service.door, peer.ip()) {
            Ok(place) => {
                let (service, stopped, over) = (service.clone(), stopped.clone(), place.over());
                connections.spawn(async move {
                    let served = connection(stream, (peer, place), service, stopped);
                    over.run_until_cancelled_owned(served).await;
                });
            }
            Err(full) => {
                let Ok(permit) = Arc::clone(&turned_away).try_acquire_owned() else { continue };
                let tls = service.tls.clone();
                connections.spawn(async move {
                    let _ = timeout(BRIEFLY, turn_away(stream, tls, full)).await;
                    drop(permit);
                });
            }
        }
    }
    let rest = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(service.farewell, rest).await;
}

async fn next(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            tracing::warn!(%error, "failed to accept a connection");
            tokio::time::sleep(REST).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    (peer, place): (SocketAddr, Place),
    service: Service,
    stopped: watch::Receiver<bool>,
) {
    let local = stream.local_addr().ok();
    // Without it a short answer waits for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    match &service.tls {
        Some(tls) => {
            let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await else { return };
            talk(stream, (peer, local), place, service, stopped).await;
        }
        None => talk(stream, (peer, local), place, service, stopped).await,
    }
}

async fn talk<S>(
    stream: S,
    (peer, local): (SocketAddr, Option<SocketAddr>),
    place: Place,
    service: Service,
    mut stopped: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let open = service.listed.as_ref().map(|endpoint| endpoint.connections.open(peer, endpoint.now()));
    let seat = Seat::new(place, open);
    let session = seat.session();
    let watch = Watch::new(Arc::clone(&seat));
    let (routes, watching, sitting) = (service.routes, Arc::clone(&watch), Arc::clone(&seat));
    // Laid around the routes as a whole: a layer would be laid around each of them, for every connection.
    let handler = service_fn(move |mut request: Request<Incoming>| {
        let known = request.extensions_mut();
        known.insert(PeerAddress(peer.ip()));
        if let Some(local) = local {
            known.insert(LocalAddress(local));
        }
        if let Some(session) = &session {
            known.insert(Arc::clone(session));
        }
        known.insert(Arc::clone(&sitting));
        let in_flight = watching.request();
        let answered = routes.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answered.await?.map(|body| Answer::new(body, in_flight))) }
    });
    let builder = builder();
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&watch)));
    let mut served = std::pin::pin!(builder.serve_connection_with_upgrades(stream, handler));
    let last = tokio::select! {
        // A client that goes away in the middle is its own affair.
        _ = served.as_mut() => {
            // What it has become, as a stream of events, keeps the seat.
            seat.place().busy();
            return;
        }
        () = watch.over() => FAREWELL,
        () = stop(&mut stopped) => service.farewell,
    };
    served.as_mut().graceful_shutdown();
    let _ = timeout(last, served).await;
}

async fn stop(stopped: &mut watch::Receiver<bool>) {
    // Whoever could have said it may be gone, which is an end too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(BUFFER_BYTES);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(ALIVE).keep_alive_timeout(PATIENCE);
    builder
}

/// Tells a client that there is no place for it, as the answer to its first request.
async fn turn_away(stream: TcpStream, tls: Option<TlsAcceptor>, full: Full) {
    match tls {
        Some(tls) => {
            let Ok(stream) = tls.accept(stream).await else { return };
            refuse(stream, full).await;
        }
        None => refuse(stream, full).await,
    }
}

async fn refuse<S>(stream: S, full: Full)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handler = service_fn(move |request: Request<Incoming>| async move {
        let mut answer = refusal(full, request.method().as_str());
        if request.version() < axum::http::Version::HTTP_2 {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok::<_, Infallible>(answer)
    });
    let _ = builder().serve_connection(TokioIo::new(stream), handler).await;
}

fn refusal(full: Full, method: &str) -> Response<axum::body::Body> {
    let (code, words) = match full {
        Full::Address(most) => (
            429,
            format!(
                "your address has {most} connections, as many as one may have\nhint: end some, or come from another"
            ),
        ),
        Full::All(most) => {
            (503, format!("there are {most} connections, as many as there may be\nhint: try again later"))
        }
    };
    Failure::from(ApiError::new(code, method, words)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, Bytes},
        routing::get,
    };
    use futures_util::{Stream, StreamExt as _, stream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// More bytes than the system keeps for a client.
    const LARGE: usize = 64 << 20;

    fn begins_and_waits() -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::once(async { Ok(Bytes::from_static(b"begin")) }).chain(stream::pending())
    }

    /// Serves to as many at once, and returns where, and what ends it.
    async fn served(most: usize) -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let streamed = || std::iter::repeat_n(Ok::<_, Infallible>(vec![0_u8; 1 << 10]), LARGE >> 10);
        let routes = Router::new()
            .route("/", get(async || "here"))
            .route("/large", get(async || vec![0_u8; LARGE]))
            .route("/streamed", get(async move || Body::from_stream(stream::iter(streamed()))))
            .route("/held", get(async || Body::from_stream(begins_and_waits())));
        let places = Places::new(most);
        let service =
            Service { routes, tls: None, door: Door::Api, places, listed: None, farewell: Duration::ZERO };
        tokio::spawn(serve(listener, service, stopped));
        (address, stop)
    }

    async fn asked(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn silent_connection_gives_way_and_one_that_is_answered_does_not() {
        let (address, stop) = served(1).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut held = TcpStream::connect(address).await.unwrap();
        held.write_all(b"GET /held HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0, "it was ended");
        let mut begin = [0; 12];
        held.read_exact(&mut begin).await.unwrap();
        let mut late = TcpStream::connect(address).await.unwrap();
        let answer = asked(&mut late).await;
        assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
        assert!(answer.contains("as many as one may have"), "{answer}");
        drop(held);
        while !asked(&mut TcpStream::connect(address).await.unwrap()).await.ends_with("here") {}
        stop.send(true).unwrap();
    }

    #[tokio::test]
    async fn turned_away_are_closed_without_a_word_when_they_are_many() {
        let (address, _stop) = served(1).await;
        let mut held = TcpStream::connect(address).await.unwrap();
        held.write_all(b"GET /held HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        held.read_exact(&mut [0; 12]).await.unwrap();
        let mut silent = Vec::new();
        for _ in 0..TURNED_AWAY {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut late = TcpStream::connect(address).await.unwrap();
        assert_eq!(late.read(&mut [0]).await.unwrap(), 0);
        drop(silent);
    }

    /// Connects with a small buffer, so that what is not read waits at the other end.
    async fn narrow(address: SocketAddr) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        socket.connect(address).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_does_not_read_its_answer_is_let_go() {
        let (address, _stop) = served(8).await;
        for path in ["large", "streamed"] {
            let mut deaf = narrow(address).await;
            let request = format!("GET /{path} HTTP/1.1\r\nHost: h\r\n\r\n");
            deaf.write_all(request.as_bytes()).await.unwrap();
            let began = tokio::time::Instant::now();
            // What ends the connection ends this too: the clock goes on by itself while all wait.
            let mut rest = Vec::new();
            deaf.readable().await.unwrap();
            tokio::time::sleep(Duration::from_secs(90)).await;
            assert!(deaf.read_to_end(&mut rest).await.is_err() || rest.len() < LARGE, "{path}");
            assert!(began.elapsed() < Duration::from_secs(120), "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn client_of_http2_without_a_stream_is_let_go() {
        let (address, _stop) = served(8).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        // The preface, and empty settings (RFC 9113, section 3.4).
        silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let began = tokio::time::Instant::now();
        let _ = silent.read_to_end(&mut Vec::new()).await;
        assert!(began.elapsed() < PATIENCE * 2, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_sends_no_head_is_let_go() {
        let (address, _stop) = served(8).await;
        for start in ["", "G", "GET / HT", "PRI * HT"] {
            let mut slow = TcpStream::connect(address).await.unwrap();
            slow.write_all(start.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            // The invented clock goes on by itself while all wait.
            let _ = slow.read_to_end(&mut rest).await;
            assert!(!rest.starts_with(b"HTTP/1.1 200"), "{start}");
        }
    }
}
