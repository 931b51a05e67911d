//! Where clients of the file server come in: in the clear, and over TLS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::serve::Listener;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How long a client may take for its handshake.
const PATIENCE: Duration = Duration::from_secs(15);

/// Handshakes at the same time; further connections wait to be accepted.
const HANDSHAKES: usize = 256;

/// Connections whose handshake is done and that wait to be served.
const READY: usize = 64;

/// How long accepting rests after it failed: without files to open it would fail again at once.
const REST: Duration = Duration::from_millis(50);

/// Connections in the clear.
pub(super) struct Plain(pub(super) TcpListener);

impl Listener for Plain {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        // Without it a short answer waits for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        (stream, peer)
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// Connections over TLS, those whose handshake is done. Handshakes go on beside each other: a client that is slow or silent
/// holds up nobody.
pub(super) struct Secure {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: std::io::Result<SocketAddr>,
    accepting: JoinHandle<()>,
}

impl Secure {
    /// Accepts connections of a listener. Needs a runtime of tokio.
    pub(super) fn new(listener: TcpListener, tls: TlsAcceptor) -> Self {
        let (sender, ready) = mpsc::channel(READY);
        let address = listener.local_addr();
        let accepting = tokio::spawn(accept(listener, tls, sender));
        Self { ready, address, accepting }
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    sender: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let slots = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection for files");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let (tls, sender) = (tls.clone(), sender.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                let _ = sender.send((stream, peer)).await;
            }
            drop(slot);
        });
    }
}

impl Listener for Secure {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // Nobody accepts any more: the endpoint goes down.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        match &self.address {
            Ok(address) => Ok(*address),
            Err(error) => Err(error.kind().into()),
        }
    }
}
