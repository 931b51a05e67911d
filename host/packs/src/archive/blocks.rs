//! The members of a gzip'd tar, one after the other, of which only regular files in ustar form are accepted.
//!
//! Long names of GNU and pax are not followed but refused: a name then is what stands in the header and nothing else.

use std::io::{self, BufRead as _, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::{ArchiveError, write::BLOCK};
use crate::{files::MAX_TOTAL_BYTES, path::path_problem};

/// The most bytes of a pack file: what a pack may have, if nothing of it can be compressed, and its headers.
const MAX_ARCHIVE_BYTES: u64 = MAX_TOTAL_BYTES + (32 << 20);

/// What a member says of itself.
pub(super) struct Head {
    pub(super) name: String,
    pub(super) size: u64,
}

/// A pack file as it is read.
pub(super) struct Blocks<R> {
    stream: GzDecoder<BufReader<Bounded<R>>>,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(from: R) -> Self {
        Self { stream: GzDecoder::new(BufReader::new(Bounded { from, left: MAX_ARCHIVE_BYTES })) }
    }

    /// Reads the header of the next member; nothing when the end is marked.
    pub(super) fn head(&mut self) -> Result<Option<Head>, ArchiveError> {
        let mut block = [0; BLOCK];
        self.stream.read_exact(&mut block).map_err(failed)?;
        if block == [0; BLOCK] {
            return Ok(None);
        }
        parse(&block).map(Some)
    }

    /// Reads the bytes of a member, whose size the caller has bounded, and what fills its last block.
    pub(super) fn bytes(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = Vec::new();
        (&mut self.stream).take(size).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 != size {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut block = [0; BLOCK];
        let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        let padding = block.get_mut(..padding).unwrap_or_default();
        self.stream.read_exact(padding).map_err(failed)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(ArchiveError::damaged("there are bytes behind the end of a member"));
        }
        Ok(bytes)
    }

    /// Reads the second block of the mark of the end; nothing may follow it.
    pub(super) fn finish(mut self) -> Result<(), ArchiveError> {
        if self.head()?.is_some() {
            return Err(ArchiveError::damaged("a member follows the mark of the end"));
        }
        if self.stream.read(&mut [0]).map_err(failed)? != 0 {
            return Err(ArchiveError::damaged("there are bytes behind its end"));
        }
        if self.stream.into_inner().fill_buf().map_err(failed)?.is_empty() {
            return Ok(());
        }
        Err(ArchiveError::damaged("there are bytes behind its end"))
    }
}

/// Reads the header of a member.
fn parse(block: &[u8; BLOCK]) -> Result<Head, ArchiveError> {
    let header = tar::Header::from_byte_slice(block);
    if header.cksum().ok() != Some(checksum(block)) {
        return Err(ArchiveError::damaged("the header of a member has a wrong checksum"));
    }
    let name = header.path_bytes();
    let shown = String::from_utf8_lossy(&name).escape_debug().to_string();
    if let Some(reason) = kind_problem(header.entry_type()) {
        return Err(ArchiveError::refused(shown, reason));
    }
    if header.as_ustar().is_none() {
        return Err(ArchiveError::refused(shown, "its header is not in ustar form"));
    }
    let Ok(name) = std::str::from_utf8(&name) else {
        return Err(ArchiveError::refused(shown, "the name is not UTF-8"));
    };
    if let Some(reason) = path_problem(name) {
        return Err(ArchiveError::refused(shown, reason));
    }
    let size = header.entry_size().map_err(|_| ArchiveError::refused(shown, "its header has no size"))?;
    Ok(Head { name: name.to_owned(), size })
}

fn kind_problem(kind: tar::EntryType) -> Option<&'static str> {
    use tar::EntryType;
    match kind {
        EntryType::Regular => None,
        EntryType::Link => Some("a hard link; a pack holds files only"),
        EntryType::Symlink => Some("a symbolic link; a pack holds files only"),
        EntryType::Char | EntryType::Block => Some("a device; a pack holds files only"),
        EntryType::Fifo => Some("a named pipe; a pack holds files only"),
        EntryType::Directory => Some("a folder; a pack holds files only"),
        EntryType::GNULongName | EntryType::GNULongLink => {
            Some("a long name in the way of GNU, which no pack has")
        }
        EntryType::GNUSparse => Some("a file with holes, which no pack has"),
        EntryType::XHeader | EntryType::XGlobalHeader => {
            Some("a header in the way of pax, which no pack has")
        }
        _ => Some("neither a file nor anything else that is known"),
    }
}

/// Adds up the bytes of a header, with spaces for those of the checksum itself (POSIX.1-1988, ustar).
fn checksum(block: &[u8; BLOCK]) -> u32 {
    block
        .iter()
        .enumerate()
        .map(|(at, byte)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte }))
        .sum()
}

/// Turns an error of the stream into what it means for the file.
fn failed(source: io::Error) -> ArchiveError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => ArchiveError::damaged("it ends too early"),
        io::ErrorKind::FileTooLarge => {
            ArchiveError::damaged(format!("it is longer than {MAX_ARCHIVE_BYTES} bytes"))
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            ArchiveError::damaged(format!("it is not compressed as it must be ({source})"))
        }
        _ => ArchiveError::Transfer { action: "read", source },
    }
}

/// Fails after so many bytes, instead of reading for as long as somebody sends.
struct Bounded<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        self.left = self
            .left
            .checked_sub(length as u64)
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_without_an_end_is_given_up() {
        let mut bounded = Bounded { from: io::repeat(7), left: 1000 };
        let error = io::copy(&mut bounded, &mut io::sink()).unwrap_err();
        assert!(failed(error).to_string().contains("longer than"));
    }

    #[test]
    fn error_of_the_transport_is_not_called_damage() {
        let error = failed(io::ErrorKind::ConnectionReset.into());
        assert!(matches!(error, ArchiveError::Transfer { action: "read", .. }));
    }
}
