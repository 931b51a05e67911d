//! One transfer on its socket: the state machine of `boot-proto`, what it costs and how it ended.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use formwork_boot_proto::tftp::{Batch, Outcome, Progress, Transfer};
use nix::sys::socket::{MsgFlags, recv};

use super::active::Entry;
use super::carrier::Clock;
use super::send::Sender;
use super::{FileSource, LOG, TransferEnd};
use crate::counters::{TftpCounters, count};

/// Longest packet read from a client: an ERROR with its text. More is cut and does not matter.
const BUFFER: usize = 600;

/// Packets read of a client that has gone: more than it can have had reason to send.
const LAST_WORDS: usize = 16;

/// A transfer that has begun.
pub(super) struct Carried {
    pub(super) socket: UdpSocket,
    pub(super) transfer: Transfer,
    pub(super) sender: Sender,
    pub(super) peer: SocketAddr,
    pub(super) file: String,
    pub(super) began_ms: u64,
    pub(super) entry: Entry,
    pub(super) counters: Arc<TftpCounters>,
    pub(super) files: Arc<dyn FileSource>,
}

/// What a transfer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A packet, until this time.
    Wait(u64),
    /// Nothing: it is to be dropped.
    Drop,
}

impl Carried {
    /// Sends what is due at the beginning.
    pub(super) fn begin(&mut self, batch: &mut Batch, now_ms: u64) -> Next {
        self.step(batch, now_ms, |_| Ok(()))
    }

    /// Takes in the packet of the client that is there, and sends what is due then.
    pub(super) fn receive(&mut self, batch: &mut Batch, clock: Clock) -> Next {
        self.receive_with(batch, clock, MsgFlags::MSG_DONTWAIT).0
    }

    /// Waits for a packet of the client as long as its socket does, and goes on with it; false where none came.
    pub(super) fn attend(&mut self, batch: &mut Batch, clock: Clock) -> (Next, bool) {
        self.receive_with(batch, clock, MsgFlags::empty())
    }

    fn receive_with(&mut self, batch: &mut Batch, clock: Clock, flags: MsgFlags) -> (Next, bool) {
        let mut buffer = [0; BUFFER];
        let received = recv(self.socket.as_raw_fd(), &mut buffer, flags);
        let now_ms = clock.now_ms();
        let next = self.step(batch, now_ms, |carried| {
            let len = gone(received.map_err(io::Error::from))?;
            if let Some(packet) = len.and_then(|len| buffer.get(..len)) {
                carried.transfer.handle_packet(now_ms, packet);
            }
            if carried.transfer.has_progressed() {
                carried.entry.set_progressed();
            }
            Ok(())
        });
        (next, received.is_ok())
    }

    /// Looks at the time, and sends what is due then.
    pub(super) fn wake(&mut self, batch: &mut Batch, now_ms: u64) -> Next {
        self.step(batch, now_ms, |carried| {
            carried.transfer.handle_timeout(now_ms);
            Ok(())
        })
    }

    /// Notes that the content of the file made it panic.
    pub(super) fn fault(&self) {
        if self.entry.end() {
            count(&self.counters.failed);
        }
        tracing::error!(target: LOG, peer = %self.peer, file = self.file, "a tftp transfer ended in a fault");
    }

    fn step(
        &mut self,
        batch: &mut Batch,
        now_ms: u64,
        take_in: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> Next {
        if self.entry.is_over() {
            return Next::Drop;
        }
        if let Err(error) = take_in(self).and_then(|()| self.send_due(batch)) {
            self.end_gone(&error, now_ms);
            return Next::Drop;
        }
        match self.transfer.progress() {
            Progress::WaitUntil(due_ms) => Next::Wait(due_ms),
            Progress::Done(outcome) => {
                self.end(&outcome, now_ms);
                Next::Drop
            }
        }
    }

    /// Sends everything that is due.
    ///
    /// # Errors
    ///
    /// The client's port is closed.
    fn send_due(&mut self, batch: &mut Batch) -> io::Result<()> {
        while self.transfer.next_batch(batch) {
            gone(self.sender.send(&self.socket, batch))?;
        }
        Ok(())
    }

    /// Ends the transfer of a client whose port is closed. The error overtakes what the client sent before, which is
    /// the last acknowledgement where it closed its port with all blocks in hand.
    fn end_gone(&mut self, error: &io::Error, now_ms: u64) {
        let mut buffer = [0; BUFFER];
        for _ in 0..LAST_WORDS {
            let received = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT).ok();
            let Some(packet) = received.and_then(|len| buffer.get(..len)) else {
                break;
            };
            self.transfer.handle_packet(now_ms, packet);
        }
        if let Progress::Done(outcome) = self.transfer.progress() {
            self.end(&outcome, now_ms);
        } else if self.entry.end() {
            count(&self.counters.aborted);
            tracing::debug!(target: LOG, peer = %self.peer, file = self.file, %error, "tftp client is gone");
        }
    }

    fn end(&self, outcome: &Outcome, now_ms: u64) {
        if !self.entry.end() {
            return;
        }
        let (peer, file, counters) = (self.peer, self.file.as_str(), &self.counters);
        let millis = now_ms.saturating_sub(self.began_ms);
        let bytes = self.transfer.content_len();
        self.files.ended(&TransferEnd { peer, file, bytes, millis, outcome });
        match outcome {
            Outcome::Complete => {
                count(&counters.completed);
                tracing::info!(target: LOG, address = %peer.ip(), file, bytes, millis, "tftp");
            }
            Outcome::Aborted { code, message } => {
                count(&counters.aborted);
                tracing::debug!(target: LOG, %peer, file, code, message, "tftp transfer ended by its client");
            }
            Outcome::TimedOut => {
                count(&counters.failed);
                if self.transfer.has_progressed() {
                    tracing::info!(target: LOG, %peer, file, millis, "tftp client fell silent");
                } else {
                    // Anybody can send requests in the name of another.
                    tracing::debug!(target: LOG, %peer, file, "tftp request without an acknowledgement");
                }
            }
            Outcome::Unreadable(error) => {
                count(&counters.failed);
                tracing::warn!(target: LOG, %peer, file, %error, "tftp transfer failed");
            }
        }
    }
}

/// Lets only that error through which says that the client's port is closed. Any other counts as a lost packet: the
/// timer repeats it, a limited number of times.
fn gone<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Err(error),
        Err(_) => Ok(None),
    }
}
