//! One read transfer from its request to its end.
//!
//! The caller sends what [`Transfer::next_batch`] hands out until it has no more, then waits for a packet or for the
//! deadline of [`Transfer::progress`], whichever comes first.

use std::sync::Arc;

use super::batch::Batch;
use super::packet::{self, ErrorCode, FromClient, error_packet};
use super::reader::Reader;
use super::request::{Mode, Request};
use super::timer::Timer;
use super::{Content, ContentError};

/// The block size without an option (RFC 1350).
const DEFAULT_BLOCK: u64 = 512;

/// The smallest block size of RFC 2348.
const MIN_BLOCK: u64 = 8;

/// Longest text that is sent as netascii, which has to be rewritten in memory first: 64 KiB. Anybody can ask for thousands
/// of them at once; no program that is loaded is a text.
const NETASCII_MAX: u64 = 64 << 10;

/// After so many copies of a window without an answer, what is lost may be the answer.
const SURE_COPIES: u32 = 2;

/// What a client can get at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Block size in bytes. 1,468 fills an Ethernet frame; more means fragments, which many ROMs cannot put together.
    pub block_size: u16,
    /// Blocks a window, which bounds what one packet of a client can make the server send; a second repeat is two.
    pub window_size: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self { block_size: 1468, window_size: 64 }
    }
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The client has everything.
    Complete,
    /// The client sent an ERROR. OVMF always ends its first request so: it only wanted the length.
    Aborted {
        /// Its code.
        code: u16,
        /// Its text, at most 128 bytes.
        message: String,
    },
    /// The client fell silent.
    TimedOut,
    /// The content could not be read.
    Unreadable(ContentError),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Wait for a packet, and call [`Transfer::handle_timeout`] at this time.
    WaitUntil(u64),
    /// Send what is left and forget the transfer.
    Done(Outcome),
}

/// Why a transfer cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// Netascii for something that is no short text.
    #[error("`{name}` of {len} bytes is too long for netascii\nhint: use the mode octet")]
    NetasciiTooLong {
        /// The name asked for.
        name: String,
        /// Its length.
        len: u64,
    },
    /// The content could not be read.
    #[error("`{name}` cannot be read")]
    Unreadable {
        /// The name asked for.
        name: String,
        /// What happened.
        #[source]
        source: ContentError,
    },
}

/// One client reading one file.
///
/// Blocks are counted from 1 without end; on the wire they wrap from 65,535 to 0, as every client expects of a large
/// file.
pub struct Transfer {
    reader: Reader,
    block_size: u64,
    window_size: u64,
    last_block: u64,
    options: Vec<(&'static str, u64)>,
    /// The OACK waits for its acknowledgement: nothing else is sent.
    negotiating: bool,
    /// The last block that the client has.
    acked: u64,
    /// The last block that was sent since the window was last (re)started.
    sent: u64,
    /// Highest block ever sent: acknowledgements up to here are believed.
    highest: u64,
    /// The OACK is to be sent before anything else.
    oack_due: bool,
    timer: Timer,
    window_started_ms: u64,
    deadline_ms: u64,
    /// How often the current window was sent, and the one before it.
    copies: u32,
    former_copies: u32,
    outcome: Option<Outcome>,
}

impl Transfer {
    /// Begins the transfer of `content` that `request` asks for.
    ///
    /// # Errors
    ///
    /// The content cannot be sent in the mode asked for.
    pub fn start(
        now_ms: u64,
        request: &Request,
        content: Arc<dyn Content>,
        limits: &Limits,
    ) -> Result<Self, TransferError> {
        let content = match request.mode {
            Mode::Octet => content,
            Mode::Netascii => to_netascii(&request.name, content.as_ref())?,
        };
        let reader = Reader::new(content);
        let len = reader.len();
        let mut options = Vec::new();
        let block_size = request.block_size.filter(|size| *size >= MIN_BLOCK).map(|size| {
            let size = size.min(u64::from(limits.block_size).max(MIN_BLOCK));
            options.push(("blksize", size));
            size
        });
        if request.transfer_size {
            options.push(("tsize", len));
        }
        let timeout = request.timeout_secs.filter(|secs| (1..=255).contains(secs));
        options.extend(timeout.map(|secs| ("timeout", secs)));
        let window_size = request.window_size.filter(|size| (1..=65_535).contains(size)).map(|size| {
            let size = size.min(u64::from(limits.window_size).max(1));
            options.push(("windowsize", size));
            size
        });
        let block_size = block_size.unwrap_or(DEFAULT_BLOCK);
        let timer = Timer::new(timeout);
        Ok(Self {
            reader,
            block_size,
            window_size: window_size.unwrap_or(1),
            last_block: len / block_size + 1,
            negotiating: !options.is_empty(),
            oack_due: !options.is_empty(),
            options,
            acked: 0,
            sent: 0,
            highest: 0,
            window_started_ms: now_ms,
            deadline_ms: now_ms.saturating_add(timer.wait_ms()),
            timer,
            copies: 1,
            former_copies: 1,
            outcome: None,
        })
    }

    /// Returns what to do when there is nothing more to send.
    #[must_use]
    pub fn progress(&self) -> Progress {
        match &self.outcome {
            Some(outcome) => Progress::Done(outcome.clone()),
            None => Progress::WaitUntil(self.deadline_ms),
        }
    }

    /// Tells whether the client has answered anything since its request.
    #[must_use]
    pub fn has_progressed(&self) -> bool {
        self.acked > 0 || (!self.negotiating && !self.options.is_empty())
    }

    /// Returns the length of the content in bytes.
    #[must_use]
    pub fn content_len(&self) -> u64 {
        self.reader.len()
    }

    /// Puts the next packets to send into `batch`, in place of what is there; false when none is due. A window that
    /// is too long for one batch comes in several.
    pub fn next_batch(&mut self, batch: &mut Batch) -> bool {
        if std::mem::take(&mut self.oack_due) {
            batch.set_packet(|packet| packet::write_oack(packet, &self.options));
            return true;
        }
        let window_end = self.acked.saturating_add(self.reach()).min(self.last_block);
        if self.outcome.is_some() || self.negotiating || self.sent >= window_end {
            return false;
        }
        let blocks = Batch::room(self.block_size).min(window_end - self.sent);
        if let Err(error) = self.write_data(batch, blocks) {
            let told = error_packet(ErrorCode::Undefined, "the file cannot be read");
            batch.set_packet(|packet| packet.extend(told));
            self.outcome = Some(Outcome::Unreadable(error));
        }
        true
    }

    /// How many blocks may be on their way.
    ///
    /// Where a window and its repeat bring no answer, its acknowledgement may be what was lost, to a client that
    /// ignores blocks it has (U-Boot) and waits seconds for its own timer. So a second repeat comes with the window
    /// behind it, which such a client takes and acknowledges. Any other client sees blocks in the right order. One
    /// that never acknowledged a block may not be there at all, and gets no more than it asked for.
    fn reach(&self) -> u64 {
        let windows = if self.copies > SURE_COPIES && self.acked > 0 { 2 } else { 1 };
        self.window_size * windows
    }

    /// Takes in a packet of the client. What does not fit is ignored.
    pub fn handle_packet(&mut self, now_ms: u64, packet: &[u8]) {
        if self.outcome.is_some() {
            return;
        }
        match packet::parse(packet) {
            Some(FromClient::Error { code, message }) => {
                self.oack_due = false;
                self.outcome = Some(Outcome::Aborted { code, message });
            }
            Some(FromClient::Ack(block)) => self.handle_ack(now_ms, block),
            None => {}
        }
    }

    /// Takes in that the deadline has come: repeats, or gives up.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        if self.outcome.is_some() || now_ms < self.deadline_ms {
            return;
        }
        if !self.timer.expired() {
            self.oack_due = false;
            self.outcome = Some(Outcome::TimedOut);
            return;
        }
        self.repeat(now_ms);
    }

    fn handle_ack(&mut self, now_ms: u64, block: u16) {
        if self.negotiating {
            if block == 0 {
                self.negotiating = false;
                self.oack_due = false;
                self.advance(now_ms, 0);
            }
            return;
        }
        // The distance from the last acknowledged block, modulo 65,536: what lies behind it is far ahead, and stale.
        let wire = u16::try_from(self.acked & 0xffff).unwrap_or_default();
        let ahead = u64::from(block.wrapping_sub(wire));
        if ahead == 0 {
            self.handle_duplicate(now_ms);
        } else if ahead <= self.highest - self.acked {
            self.advance(now_ms, self.acked + ahead);
        }
    }

    /// A second acknowledgement of the same block. With a window it says that the next block is missing (RFC 7440
    /// section 4), unless it only answers our own repeat: then sending again would double every packet until the end
    /// of the file. So it counts only while no window around it was sent twice. Without a window the timer decides.
    fn handle_duplicate(&mut self, now_ms: u64) {
        let gap = self.window_size > 1 && self.sent > self.acked;
        if gap && self.copies == 1 && self.former_copies == 1 {
            self.repeat(now_ms);
        }
    }

    fn advance(&mut self, now_ms: u64, acked: u64) {
        let sample = now_ms.saturating_sub(self.window_started_ms);
        self.timer.progress((self.copies == 1).then_some(sample));
        self.acked = acked;
        // Short of the highest block there is a gap: everything behind it is sent a second time.
        self.sent = acked;
        self.former_copies = self.copies;
        self.copies = if acked < self.highest { 2 } else { 1 };
        self.restart_window(now_ms);
        if acked >= self.last_block {
            self.outcome = Some(Outcome::Complete);
        }
    }

    fn repeat(&mut self, now_ms: u64) {
        if self.negotiating {
            self.oack_due = true;
        }
        self.sent = self.acked;
        self.copies = self.copies.saturating_add(1);
        self.restart_window(now_ms);
    }

    fn restart_window(&mut self, now_ms: u64) {
        self.window_started_ms = now_ms;
        self.deadline_ms = now_ms.saturating_add(self.timer.wait_ms());
    }

    fn write_data(&mut self, batch: &mut Batch, blocks: u64) -> Result<(), ContentError> {
        let offset = self.sent * self.block_size;
        let len = self.reader.len().saturating_sub(offset).min(blocks * self.block_size);
        let [blocks_here, block_size, len] =
            [blocks, self.block_size, len].map(|number| usize::try_from(number).unwrap_or(0));
        let reader = &mut self.reader;
        batch.set_data(self.sent + 1, blocks_here, block_size, len, |bytes| reader.read(offset, bytes))?;
        self.sent += blocks;
        self.highest = self.highest.max(self.sent);
        Ok(())
    }
}

/// Rewrites a text as RFC 1350 and RFC 764 say: LF becomes CR LF, CR becomes CR NUL.
fn to_netascii(name: &str, content: &dyn Content) -> Result<Arc<dyn Content>, TransferError> {
    let len = content.len();
    let size = usize::try_from(len).ok().filter(|_| len <= NETASCII_MAX);
    let size = size.ok_or_else(|| TransferError::NetasciiTooLong { name: name.to_owned(), len })?;
    let mut raw = vec![0; size];
    let unreadable = |source| TransferError::Unreadable { name: name.to_owned(), source };
    content.read_at(0, &mut raw).map_err(unreadable)?;
    let mut text = Vec::with_capacity(size + size / 16);
    for byte in raw {
        match byte {
            b'\n' => text.extend_from_slice(b"\r\n"),
            b'\r' => text.extend_from_slice(b"\r\0"),
            other => text.push(other),
        }
    }
    Ok(Arc::new(text))
}
