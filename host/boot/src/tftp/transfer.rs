//! One transfer: the state machine of `boot-proto` on a socket and a clock.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use formwork_boot_proto::tftp::{
    ErrorCode, Limits, Outcome, Progress, Request, Transfer, clean_path, error_packet,
};
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::{FileSource, OpenError};
use crate::counters::{TftpCounters, count};
use crate::socket::{Datagram, bind_transfer};

/// How long a file source may take. A client has given up long before.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// Longest packet read from a client: an ERROR with its text. More is cut and does not matter.
const BUFFER: usize = 600;

/// Everything that one transfer needs.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) datagram: Datagram,
    pub(super) limits: Limits,
    pub(super) files: Arc<dyn FileSource>,
    pub(super) counters: Arc<TftpCounters>,
    pub(super) progressed: Arc<AtomicBool>,
}

impl Job {
    /// Runs the transfer to its end, counts it and logs it.
    pub(super) async fn run(self) {
        let (peer, file) = (self.datagram.peer, self.request.name.as_str());
        let socket = match bind_transfer(&self.datagram).await {
            Ok(socket) => socket,
            Err(error) => {
                count(&self.counters.failed);
                tracing::warn!(%peer, file, %error, "no socket for a tftp transfer");
                return;
            }
        };
        let began = Instant::now();
        let transfer = match self.start(began).await {
            Ok(transfer) => transfer,
            Err((code, message)) => {
                count(&self.counters.refused);
                tracing::debug!(%peer, file, message, "tftp request refused");
                // The next request from this port asks anew, however soon after the ERROR it comes.
                self.progressed.store(true, Ordering::Relaxed);
                if let Err(error) = socket.send(&error_packet(code, &message)).await {
                    tracing::debug!(%peer, %error, "a tftp error could not be sent");
                }
                return;
            }
        };
        let bytes = transfer.content_len();
        let ended = self.drive(&socket, transfer, began).await;
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match ended {
            Ok(Outcome::Complete) => {
                count(&self.counters.completed);
                tracing::debug!(%peer, file, bytes, millis, "tftp transfer complete");
            }
            Ok(Outcome::Aborted { code, message }) => {
                count(&self.counters.aborted);
                tracing::debug!(%peer, file, code, message, "tftp transfer ended by its client");
            }
            Ok(Outcome::TimedOut) => {
                count(&self.counters.failed);
                tracing::info!(%peer, file, millis, "tftp client fell silent");
            }
            Ok(Outcome::Unreadable(error)) => {
                count(&self.counters.failed);
                tracing::warn!(%peer, file, %error, "tftp transfer failed");
            }
            Err(error) => {
                count(&self.counters.aborted);
                tracing::debug!(%peer, file, %error, "tftp client is gone");
            }
        }
    }

    async fn start(&self, began: Instant) -> Result<Transfer, (ErrorCode, String)> {
        let name = &self.request.name;
        let path = clean_path(name).ok_or_else(|| (ErrorCode::Denied, OpenError::Denied.to_string()))?;
        let local = canonical(self.datagram.local);
        let mut peer = self.datagram.peer;
        peer.set_ip(canonical(peer.ip()));
        let opened = tokio::time::timeout(OPEN_MAX, self.files.open(&path, peer, local)).await;
        let content = opened.unwrap_or_else(|_| Err(OpenError::Failed("it takes too long".to_owned())));
        let content = content.map_err(|error| match error {
            OpenError::NotFound => (ErrorCode::NotFound, error.to_string()),
            OpenError::Denied => (ErrorCode::Denied, error.to_string()),
            OpenError::Failed(reason) => {
                tracing::warn!(%peer, path, reason, "a file for tftp cannot be opened");
                (ErrorCode::Undefined, "the file cannot be opened".to_owned())
            }
        })?;
        Transfer::start(millis_since(began), &self.request, content, &self.limits)
            .map_err(|error| (ErrorCode::Undefined, error.to_string()))
    }

    /// Sends and receives until the transfer is done.
    ///
    /// # Errors
    ///
    /// The client's port is closed.
    async fn drive(&self, socket: &UdpSocket, mut transfer: Transfer, began: Instant) -> io::Result<Outcome> {
        let mut packet = Vec::with_capacity(usize::from(self.limits.block_size) + 4);
        let mut buffer = [0; BUFFER];
        loop {
            while transfer.next_packet(&mut packet) {
                gone(socket.send(&packet).await)?;
            }
            let deadline = match transfer.progress() {
                Progress::Done(outcome) => return Ok(outcome),
                Progress::WaitUntil(deadline) => began + Duration::from_millis(deadline),
            };
            match tokio::time::timeout_at(deadline, socket.recv(&mut buffer)).await {
                Ok(received) => {
                    if let Some(len) = gone(received)? {
                        transfer.handle_packet(millis_since(began), buffer.get(..len).unwrap_or_default());
                    }
                }
                Err(_) => transfer.handle_timeout(millis_since(began)),
            }
            if transfer.has_progressed() {
                self.progressed.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// Lets only that error through which says that the client's port is closed. Any other counts as a lost packet: the
/// timer repeats it, a limited number of times.
fn gone(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(len) => Ok(Some(len)),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Err(error),
        Err(_) => Ok(None),
    }
}

fn millis_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// An IPv4 client of a socket on `[::]` appears with a mapped address.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
