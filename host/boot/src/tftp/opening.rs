//! The beginning of a transfer: its file, its socket, its first packet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use formwork_boot_proto::tftp::{ErrorCode, Limits, Request, Transfer, clean_path, error_packet};

use super::active::Entry;
use super::carried::Carried;
use super::carrier::{ATTENTION, Carriers};
use super::send::Sender;
use super::{FileSource, LOG, OpenError};
use crate::counters::{TftpCounters, count};
use crate::socket::{Datagram, bind_transfer};

/// How long a file source may take. A client has given up long before.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// The largest block that fills an Ethernet frame over IPv6, whose header is 20 bytes longer.
const BLOCK_SIZE_V6: u16 = 1448;

/// Everything that the beginning of one transfer needs.
pub(super) struct Opening {
    pub(super) request: Request,
    pub(super) datagram: Datagram,
    pub(super) limits: Limits,
    pub(super) files: Arc<dyn FileSource>,
    pub(super) counters: Arc<TftpCounters>,
    pub(super) carriers: Arc<Carriers>,
    pub(super) entry: Entry,
}

impl Opening {
    /// Opens the file and hands the transfer on to the thread that carries it, or answers with an ERROR.
    pub(super) async fn run(self) {
        // An IPv4 client of a socket on `[::]` appears with a mapped address.
        let (ip, port) = (self.datagram.peer.ip().to_canonical(), self.datagram.peer.port());
        let (peer, began_ms) = (SocketAddr::new(ip, port), self.carriers.clock().now_ms());
        let socket = match bind_transfer(&self.datagram, ATTENTION) {
            Ok(socket) => socket,
            Err(error) => {
                let file = self.request.name;
                tracing::warn!(target: LOG, %peer, file, %error, "no socket for a tftp transfer");
                if self.entry.end() {
                    count(&self.counters.failed);
                }
                return;
            }
        };
        match self.start(peer).await {
            Ok(transfer) => self.carriers.carry(Carried {
                socket,
                transfer,
                sender: Sender::new(),
                peer,
                file: self.request.name,
                began_ms,
                entry: self.entry,
                counters: self.counters,
                files: self.files,
            }),
            Err((code, message)) => {
                if self.entry.end() {
                    count(&self.counters.refused);
                }
                let file = self.request.name;
                tracing::debug!(target: LOG, %peer, file, message, "tftp request refused");
                if let Err(error) = socket.send(&error_packet(code, &message)) {
                    tracing::debug!(target: LOG, %peer, %error, "a tftp error could not be sent");
                }
            }
        }
    }

    async fn start(&self, peer: SocketAddr) -> Result<Transfer, (ErrorCode, String)> {
        let name = &self.request.name;
        let path = clean_path(name).ok_or_else(|| (ErrorCode::Denied, OpenError::Denied.to_string()))?;
        let local = self.datagram.local.to_canonical();
        let opened = tokio::time::timeout(OPEN_MAX, self.files.open(&path, peer, local)).await;
        let content = opened.unwrap_or_else(|_| Err(OpenError::Failed("it takes too long".to_owned())));
        let content = content.map_err(|error| match error {
            OpenError::NotFound => (ErrorCode::NotFound, error.to_string()),
            OpenError::Denied => (ErrorCode::Denied, error.to_string()),
            OpenError::Failed(reason) => {
                tracing::warn!(target: LOG, %peer, path, reason, "a file for tftp cannot be opened");
                (ErrorCode::Undefined, "the file cannot be opened".to_owned())
            }
        })?;
        let mut limits = self.limits;
        if peer.is_ipv6() {
            limits.block_size = limits.block_size.min(BLOCK_SIZE_V6);
        }
        Transfer::start(self.carriers.clock().now_ms(), &self.request, content, &limits)
            .map_err(|error| (ErrorCode::Undefined, error.to_string()))
    }
}
