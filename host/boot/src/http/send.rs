//! An answer on its way to a socket: the system takes what it has room for, and the client what it wants.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    sync::Arc,
};

use nix::libc;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use socket2::SockRef;
use tokio::{io::Interest, net::TcpStream, sync::Semaphore, task};

use super::Progress;

/// Bytes of a file that one turn of a connection sends at most, while others wait.
const TURN_BYTES: u64 = 1 << 20;

/// Files that are read from disk at the same time: each read has a thread, and a disk does no more for many.
static READS: Semaphore = Semaphore::const_new(32);

/// What follows the head.
pub(super) enum Body<'a> {
    /// Nothing.
    Nothing,
    /// Bytes in memory.
    Bytes(&'a [u8]),
    /// A part of a file.
    File { file: &'a Arc<File>, first: u64, count: u64 },
}

/// Sends an answer to its end.
///
/// # Errors
///
/// The client is gone, or the file has less bytes than it had; then the connection can only be ended.
pub(super) async fn send(
    stream: &TcpStream,
    progress: &impl Progress,
    head: &[u8],
    body: Body<'_>,
) -> io::Result<()> {
    let mut out = Out { stream, progress, is_blocked: false };
    let sent = match body {
        Body::Nothing => out.bytes(head, &[]).await,
        Body::Bytes(bytes) => out.bytes(head, bytes).await,
        Body::File { file, first, count } => out.file(head, file, (first, count)).await,
    };
    if out.is_blocked {
        progress.blocked(false);
    }
    sent
}

struct Out<'a, P> {
    stream: &'a TcpStream,
    progress: &'a P,
    is_blocked: bool,
}

impl<P: Progress> Out<'_, P> {
    async fn bytes(&mut self, mut head: &[u8], mut body: &[u8]) -> io::Result<()> {
        while !head.is_empty() || !body.is_empty() {
            let parts = [IoSlice::new(head), IoSlice::new(body)];
            let taken = self.stream.try_write_vectored(&parts);
            let taken = self.taken(taken).await?;
            let of_head = taken.min(head.len());
            head = head.get(of_head..).unwrap_or_default();
            body = body.get(taken - of_head..).unwrap_or_default();
        }
        Ok(())
    }

    async fn file(&mut self, mut head: &[u8], file: &Arc<File>, part: (u64, u64)) -> io::Result<()> {
        let (mut offset, mut left) = part;
        while !head.is_empty() {
            // The first bytes of the file go into the packet of the head.
            let flags = libc::MSG_NOSIGNAL | if left > 0 { libc::MSG_MORE } else { 0 };
            let socket = SockRef::from(self.stream);
            let send = || socket.send_with_flags(head, flags);
            let taken = self.stream.try_io(Interest::WRITABLE, send);
            let taken = self.taken(taken).await?;
            head = head.get(taken..).unwrap_or_default();
        }
        while left > 0 {
            let turn = left.min(TURN_BYTES);
            read_ahead(file, offset, turn).await?;
            let end = offset + turn;
            while offset < end {
                let count = usize::try_from(end - offset).unwrap_or(usize::MAX);
                let sent = self.stream.try_io(Interest::WRITABLE, || {
                    let mut from = offset;
                    match rustix::fs::sendfile(self.stream, file, Some(&mut from), count)? {
                        0 => Err(io::ErrorKind::UnexpectedEof.into()),
                        bytes => Ok(bytes),
                    }
                });
                offset += self.taken(sent).await? as u64;
            }
            left -= turn;
            if left > 0 {
                task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Notes what the system took, and waits where it takes nothing.
    async fn taken(&mut self, taken: io::Result<usize>) -> io::Result<usize> {
        match taken {
            Ok(bytes) => {
                self.progress.took(bytes);
                Ok(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !self.is_blocked {
                    self.is_blocked = true;
                    self.progress.blocked(true);
                }
                self.stream.writable().await?;
                Ok(0)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// Has a part of a file read from disk, by a thread that may wait, unless it is in the memory of the system.
async fn read_ahead(file: &Arc<File>, offset: u64, count: u64) -> io::Result<()> {
    let last = offset.saturating_add(count).saturating_sub(1);
    let mut byte = [0];
    let probe = preadv2(file, &mut [IoSliceMut::new(&mut byte)], last, ReadWriteFlags::NOWAIT);
    // A file system that does not know the question has its files in memory, or waits as everybody does.
    if probe != Err(Errno::AGAIN) {
        return Ok(());
    }
    let turn = READS.acquire().await.map_err(io::Error::other)?;
    let file = Arc::clone(file);
    let read = task::spawn_blocking(move || {
        let mut piece = vec![0; 64 << 10];
        let mut at = offset;
        while at <= last {
            match rustix::io::pread(&*file, &mut piece, at)? {
                0 => break,
                bytes => at += bytes as u64,
            }
        }
        io::Result::Ok(())
    });
    let read = read.await.map_err(io::Error::other)?;
    drop(turn);
    read
}
