//! Connections of HTTP, in the clear and over TLS: how many there are, how long a client may take, and how they end.
//!
//! The API, the file server and monitoring are served by this one way, so that none of them can be held up by clients that
//! are slow or silent.

mod punctual;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, http::Request};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use self::punctual::Punctual;
use crate::{connections::Seat, endpoint::Endpoint};

/// How long a client may take for its handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often a silent client of HTTP/2 is asked whether it is still there.
const ALIVE: Duration = Duration::from_secs(30);

/// How long accepting rests after it failed: without files to open it would fail again at once.
const REST: Duration = Duration::from_millis(50);

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
    /// The connections at the same time; further ones wait to be accepted.
    pub(crate) most: usize,
    /// Where connections are listed, and requests carry the session of theirs; nowhere without it.
    pub(crate) listed: Option<Arc<Endpoint>>,
    /// How long requests in flight may take at the end.
    pub(crate) farewell: Duration,
}

/// Accepts connections until the endpoint goes down, then gives those in flight a last chance.
pub(crate) async fn serve(listener: TcpListener, service: Service, mut stopped: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(service.most));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            Some(_) = connections.join_next() => continue,
            accepted = next(&listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let (service, stopped) = (service.clone(), stopped.clone());
        connections.spawn(async move {
            connection(stream, (peer, slot), service, stopped).await;
        });
    }
    let rest = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(service.farewell, rest).await;
}

async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        Err(error) => {
            tracing::warn!(%error, "failed to accept a connection");
            tokio::time::sleep(REST).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    (peer, slot): (SocketAddr, OwnedSemaphorePermit),
    service: Service,
    stopped: watch::Receiver<bool>,
) {
    let local = stream.local_addr().ok();
    // Without it a short answer waits for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    match &service.tls {
        Some(tls) => {
            let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await else { return };
            talk(stream, (peer, local), slot, service, stopped).await;
        }
        None => talk(stream, (peer, local), slot, service, stopped).await,
    }
}

async fn talk<S>(
    stream: S,
    (peer, local): (SocketAddr, Option<SocketAddr>),
    slot: OwnedSemaphorePermit,
    service: Service,
    mut stopped: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let open = service.listed.as_ref().map(|endpoint| endpoint.connections.open(peer, endpoint.now()));
    let seat = Seat::new(slot, open);
    let session = seat.session();
    // Laid around the routes as a whole: a layer would be laid around each of them, for every connection.
    let routes = service.routes.map_request(move |mut request: Request<Incoming>| {
        let known = request.extensions_mut();
        known.insert(PeerAddress(peer.ip()));
        if let Some(local) = local {
            known.insert(LocalAddress(local));
        }
        if let Some(session) = &session {
            known.insert(Arc::clone(session));
        }
        known.insert(Arc::clone(&seat));
        request
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(ALIVE).keep_alive_timeout(PATIENCE);
    let stream = TokioIo::new(Punctual::new(stream, PATIENCE));
    let served = builder.serve_connection_with_upgrades(stream, TowerToHyperService::new(routes));
    let mut served = std::pin::pin!(served);
    tokio::select! {
        // A client that goes away in the middle is its own affair.
        _ = served.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Serves to as many at once, and returns where, and what ends it.
    async fn served(most: usize) -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let routes = Router::new().route("/", get(async || "here"));
        let service = Service { routes, tls: None, most, listed: None, farewell: Duration::ZERO };
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
    async fn further_connections_wait_until_one_ends() {
        let (address, stop) = served(1).await;
        let silent = TcpStream::connect(address).await.unwrap();
        let mut waits = TcpStream::connect(address).await.unwrap();
        drop(silent);
        assert!(asked(&mut waits).await.ends_with("here"));
        stop.send(true).unwrap();
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
