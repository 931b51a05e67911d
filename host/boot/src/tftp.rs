//! The TFTP service: one socket a transfer, and a few threads that carry all of them.
//!
//! The tasks of the runtime answer the service's port and open files, however long that takes. From then on a
//! transfer is with one of the threads of [`carrier`].

mod active;
mod carried;
mod carrier;
mod deadlines;
mod file;
mod opening;
mod send;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use formwork_boot_proto::tftp::{self, Content, ErrorCode, Limits, Outcome, error_packet};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::counters::{TftpCounters, count};
use crate::error::BindError;
use crate::socket::{Datagram, InfoSocket};
use active::Active;
use carrier::Carriers;

pub use file::FileContent;

const SERVICE: &str = "tftp";

/// Where all lines of the log come from.
const LOG: &str = "formwork_boot::tftp";

/// Longest datagram read on the service's port: the longest request that is parsed, and one byte.
const BUFFER: usize = 2049;

/// After an error of the socket.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// How often the log tells that there are too many transfers.
const FULL_PAUSE: Duration = Duration::from_secs(10);

/// Where to listen and how much to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TftpConfig {
    /// The address; `[::]` serves IPv4 too. Port 0 lets the system choose.
    pub address: SocketAddr,
    /// Block and window size.
    pub limits: Limits,
    /// Transfers at the same time, of which one address, or network of 64 bits in IPv6, gets three quarters. More have
    /// no answer: firmware repeats its request after seconds, where an ERROR would make it give up. Each has a socket
    /// and 32 KiB of memory.
    pub transfers_max: usize,
}

impl TftpConfig {
    /// Makes the usual configuration for an address: 1,468 bytes, windows of 64, 4,096 transfers.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, limits: Limits::default(), transfers_max: 4096 }
    }
}

/// Why a file is not sent. The client gets the matching ERROR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is none; boot loaders ask for many that are not there. ERROR 1.
    #[error("no such file")]
    NotFound,
    /// This client may not have it. ERROR 2.
    #[error("access denied")]
    Denied,
    /// It should be there but cannot be had; the text is for the log. ERROR 0.
    #[error("the file cannot be opened: {0}")]
    Failed(String),
}

/// The future of [`FileSource::open`].
pub type OpenFuture<'a> = Pin<Box<dyn Future<Output = Result<Arc<dyn Content>, OpenError>> + Send + 'a>>;

/// How a transfer ended.
#[derive(Debug)]
pub struct TransferEnd<'a> {
    /// The client.
    pub peer: SocketAddr,
    /// The name that it asked for.
    pub file: &'a str,
    /// The length of the file, in bytes.
    pub bytes: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// What ended it.
    pub outcome: &'a Outcome,
}

/// Finds files for clients.
pub trait FileSource: Send + Sync + 'static {
    /// Opens a file. `path` is relative, has single slashes, no `.`, `..` or control characters. `peer` is the
    /// client, and `local` the address of this host that it asked, for what is rendered for one machine.
    fn open<'a>(&'a self, path: &'a str, peer: SocketAddr, local: IpAddr) -> OpenFuture<'a>;

    /// Is told of the end of a transfer that began. It must not wait: other transfers do meanwhile.
    fn ended(&self, end: &TransferEnd<'_>) {
        let _ = end;
    }
}

/// A bound TFTP socket.
#[derive(Debug)]
pub struct TftpService {
    socket: InfoSocket,
    config: TftpConfig,
    address: SocketAddr,
    counters: Arc<TftpCounters>,
    carriers: Arc<Carriers>,
}

impl TftpService {
    /// Binds the port and starts a thread for each processor, four at most. Needs a runtime of tokio.
    ///
    /// # Errors
    ///
    /// The port is taken or privileged, the address is not of this host, or the system has no thread to give.
    pub fn bind(config: TftpConfig) -> Result<Self, BindError> {
        let bound = InfoSocket::bind(config.address, None).and_then(|socket| {
            let address = socket.local_addr()?;
            Ok((socket, address, Arc::new(Carriers::start()?)))
        });
        let hint = "ports below 1024 need CAP_NET_BIND_SERVICE";
        let (socket, address, carriers) =
            bound.map_err(|source| BindError::new(SERVICE, config.address.to_string(), hint, source))?;
        Ok(Self { socket, config, address, counters: Arc::default(), carriers })
    }

    /// Returns the address that it is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the counters, which go on while the service runs.
    #[must_use]
    pub fn counters(&self) -> Arc<TftpCounters> {
        Arc::clone(&self.counters)
    }

    /// Serves until `shutdown` ends. Running transfers end with it: their clients ask again.
    pub async fn run(self, files: Arc<dyn FileSource>, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        let active = Arc::new(Active::new(self.config.transfers_max));
        let mut tasks = JoinSet::new();
        let mut buffer = vec![0; BUFFER];
        let mut full_told = None::<Instant>;
        loop {
            let received = tokio::select! {
                () = &mut shutdown => break,
                Some(ended) = tasks.join_next() => {
                    report(ended);
                    continue;
                }
                received = self.socket.receive(&mut buffer) => received,
            };
            let Some((datagram, packet)) = self.accept(received, &buffer).await else {
                continue;
            };
            if active.is_repeat(datagram.peer, packet) {
                count(&self.counters.dropped);
                continue;
            }
            let Some(request) = self.parse(&datagram, packet).await else {
                continue;
            };
            let Some((entry, replaced)) = active.begin(datagram.peer, packet) else {
                count(&self.counters.dropped);
                if full_told.is_none_or(|told| told.elapsed() >= FULL_PAUSE) {
                    full_told = Some(Instant::now());
                    let (peer, max) = (datagram.peer.ip().to_canonical(), self.config.transfers_max);
                    tracing::warn!(target: LOG, %peer, max, "no place for another tftp transfer");
                }
                continue;
            };
            if replaced {
                count(&self.counters.aborted);
            }
            let opening = opening::Opening {
                request,
                datagram,
                limits: self.config.limits,
                files: Arc::clone(&files),
                counters: Arc::clone(&self.counters),
                carriers: Arc::clone(&self.carriers),
                entry,
            };
            let task = tasks.spawn(opening.run());
            active.note_opening(datagram.peer, task);
        }
        tasks.shutdown().await;
    }

    async fn accept<'a>(
        &self,
        received: io::Result<Datagram>,
        buffer: &'a [u8],
    ) -> Option<(Datagram, &'a [u8])> {
        match received {
            Ok(datagram) => {
                count(&self.counters.received);
                Some((datagram, buffer.get(..datagram.len)?))
            }
            Err(error) => {
                tracing::warn!(%error, "the tftp socket failed to receive");
                tokio::time::sleep(ERROR_PAUSE).await;
                None
            }
        }
    }

    async fn parse(&self, datagram: &Datagram, packet: &[u8]) -> Option<tftp::Request> {
        match tftp::parse_request(packet) {
            Ok(request) if request.kind == tftp::Kind::Write => {
                count(&self.counters.refused);
                self.refuse(datagram, ErrorCode::Denied, "this server is read-only").await;
                None
            }
            Ok(request) => Some(request),
            Err(error) => {
                count(&self.counters.malformed);
                tracing::debug!(peer = %datagram.peer, %error, "not a tftp request");
                if error.deserves_answer() {
                    self.refuse(datagram, ErrorCode::IllegalOperation, &error.to_string()).await;
                }
                None
            }
        }
    }

    /// Sends an ERROR from the service's own port. A lost one costs the client a repeat, nothing else.
    async fn refuse(&self, datagram: &Datagram, code: ErrorCode, message: &str) {
        let packet = error_packet(code, message);
        let interface = if datagram.local.is_ipv6() { datagram.interface } else { 0 };
        if let Err(error) = self.socket.send(&packet, datagram.peer, datagram.local, interface).await {
            tracing::debug!(peer = %datagram.peer, %error, "a tftp error could not be sent");
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Some(error) = ended.err().filter(tokio::task::JoinError::is_panic) {
        tracing::error!(%error, "a tftp transfer ended in a fault");
    }
}
