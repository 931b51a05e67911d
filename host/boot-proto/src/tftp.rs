//! TFTP read transfers as a state machine (RFC 1350, 2347, 2348, 2349, 7440).
//!
//! [`parse_request`] reads the first packet, the caller finds the content, and a [`Transfer`] says what to send and
//! when to wake up. One transfer is one client port; the sockets are in `formwork-boot`.
//!
//! Why not the `async-tftp` crate: version 0.4 ignores a client's ERROR, so that OVMF's habitual abort of its first
//! request costs five minutes of repeated answers, and drops the next request from the same port meanwhile; it
//! repeats after a fixed 3 s; it caps neither the block size at the MTU nor block size times window in memory; it
//! sends netascii raw; it answers from the wrong address on a host with several (boot-lab.md section 4).

mod batch;
mod packet;
mod reader;
mod request;
mod timer;
mod transfer;

pub use batch::Batch;
pub(crate) use packet::opcode;
pub use packet::{ErrorCode, error_packet};
pub use request::{Kind, Mode, Request, RequestError, clean_path, parse_request};
pub use transfer::{Limits, Outcome, Progress, Transfer, TransferError};

use std::sync::Arc;

/// The bytes of a file while it is sent.
///
/// `read_at` is called from a thread that serves many clients and should return promptly: from memory, or from a file
/// that the page cache holds.
pub trait Content: Send + Sync {
    /// Returns the length in bytes. It must not change during a transfer.
    fn len(&self) -> u64;

    /// Tells whether the file has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` from `offset` on. The range lies inside of the length.
    ///
    /// # Errors
    ///
    /// The content cannot be read to the end of `buffer`; the transfer fails.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ContentError>;
}

/// Content that cannot be read; the text goes to the log, not to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the content cannot be read at byte {offset}: {message}")]
pub struct ContentError {
    /// Where the read began.
    pub offset: u64,
    /// What happened.
    pub message: String,
}

impl Content for [u8] {
    fn len(&self) -> u64 {
        u64::try_from(<[u8]>::len(self)).unwrap_or(u64::MAX)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ContentError> {
        let from = usize::try_from(offset).ok().and_then(|start| self.get(start..));
        match from.and_then(|from| from.get(..buffer.len())) {
            Some(bytes) => buffer.copy_from_slice(bytes),
            None => return Err(ContentError { offset, message: "past the end".to_owned() }),
        }
        Ok(())
    }
}

impl Content for Vec<u8> {
    fn len(&self) -> u64 {
        Content::len(self.as_slice())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ContentError> {
        self.as_slice().read_at(offset, buffer)
    }
}

impl<T: Content + ?Sized> Content for Arc<T> {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ContentError> {
        (**self).read_at(offset, buffer)
    }
}

#[cfg(test)]
mod tests;
