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
//! | `filled` | the body of what the HTTP library answers by itself: pure |
//! | `heads` | how long a head of HTTP/2 may be: pure |
//! | `watched` | the stream and the answers of a connection, which note its activity |
//! | `resumed` | a connection of which a part was read before |
//! | `seldom` | what happens often and is logged seldom: pure |

mod activity;
mod filled;
mod heads;
mod places;
mod resumed;
mod seldom;
mod table;
mod watched;

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderValue, Request, Response, header},
    response::IntoResponse,
};
use formwork_api::ApiError;
use formwork_boot::{HttpFiles, Served};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use self::{
    activity::{IDLE, PATIENCE},
    resumed::Resumed,
    table::Full,
    watched::{Answer, OfFiles, Watch, Watched},
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

/// Connections that wait to be accepted; the system may have a lower limit. Those that find no place wait a second and more.
const WAITING: u32 = 16_384;

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
    /// What answers plain requests for files in the clear, before the routes see a connection.
    pub(crate) files: Option<Arc<HttpFiles>>,
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

/// Listens on an address; on the one that stands for all, over IPv6 as well where the system has it.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    match everywhere(address).map(listen_at) {
        None => listen_at(address),
        Some(Err(error)) if error.kind() != std::io::ErrorKind::AddrInUse => listen_at(address),
        Some(listener) => listener,
    }
}

/// Returns the address of IPv6 that stands for all addresses of both kinds, for the one that stands for all of IPv4.
pub(crate) fn everywhere(address: SocketAddr) -> Option<SocketAddr> {
    let is_all = address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    is_all.then(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port())))
}

fn listen_at(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The connections of an endpoint that has just ended do not keep the next one from its port.
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        let only = address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        setsockopt(&socket, sockopt::Ipv6V6Only, &only)?;
    }
    socket.bind(address)?;
    socket.listen(WAITING)
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
        Ok((stream, peer)) => Some((stream, canonical(peer))),
        Err(error) => {
            tracing::warn!(%error, "failed to accept a connection");
            tokio::time::sleep(REST).await;
            None
        }
    }
}

/// Names a client of IPv4 by its own address, where a socket of both kinds has a mapped one.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    }
}

async fn connection(
    stream: TcpStream,
    (peer, place): (SocketAddr, Place),
    service: Service,
    stopped: watch::Receiver<bool>,
) {
    let local = stream.local_addr().ok().map(canonical);
    // Without it a short answer waits for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    match &service.tls {
        Some(tls) => {
            let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await else { return };
            let watch = watch(place, peer, &service);
            talk(stream, (peer, local), watch, service, stopped).await;
        }
        None => {
            let watch = watch(place, peer, &service);
            let read = match &service.files {
                Some(files) => match send_files(files, &stream, &watch, stopped.clone()).await {
                    Served::Else(read) => read,
                    Served::Ended => return,
                },
                None => Vec::new(),
            };
            talk(Resumed::new(read, stream), (peer, local), watch, service, stopped).await;
        }
    }
}

/// Makes what notes the activity of a connection, with its seat.
fn watch(place: Place, peer: SocketAddr, service: &Service) -> Arc<Watch> {
    let open = service.listed.as_ref().map(|endpoint| endpoint.connections.open(peer, endpoint.now()));
    Watch::new(Seat::new(place, open))
}

/// Answers plain requests for files until one comes that is something else, or the connection is over.
async fn send_files(
    files: &HttpFiles,
    stream: &TcpStream,
    watch: &Arc<Watch>,
    mut stopped: watch::Receiver<bool>,
) -> Served {
    watch.note_idle(PATIENCE);
    let progress = OfFiles(watch);
    let served = tokio::select! {
        served = files.serve(stream, &progress) => served,
        () = watch.over() => Served::Ended,
        () = stop(&mut stopped) => Served::Ended,
    };
    watch.note_idle(IDLE);
    served
}

async fn talk<S>(
    stream: S,
    (peer, local): (SocketAddr, Option<SocketAddr>),
    watch: Arc<Watch>,
    service: Service,
    mut stopped: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let seat = Arc::clone(watch.seat());
    let session = seat.session();
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
        let answered = match heads::fits(&request) {
            Ok(()) => Ok(routes.clone().oneshot(request)),
            Err(error) => Err(Failure::from(error).into_response()),
        };
        async move {
            let answer = match answered {
                Ok(answered) => answered.await?,
                Err(refusal) => refusal,
            };
            Ok::<_, Infallible>(answer.map(|body| Answer::new(body, in_flight)))
        }
    });
    let builder = builder(service.door);
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

fn builder(door: Door) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(ALIVE)
        .keep_alive_timeout(PATIENCE)
        .max_header_list_size(heads::READ_BYTES)
        .max_concurrent_streams(door.streams());
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
    let _ = builder(Door::Metrics).serve_connection(TokioIo::new(stream), handler).await;
}

fn refusal(full: Full, method: &str) -> Response<axum::body::Body> {
    let (code, words) = match full {
        Full::Address => (
            429,
            "your address has as many connections as one may have\nhint: end some, or come from another",
        ),
        Full::All => (503, "there are as many connections as there may be\nhint: try again later"),
    };
    Failure::from(ApiError::new(code, method, words)).into_response()
}

#[cfg(test)]
mod tests;
