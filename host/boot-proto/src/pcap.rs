//! Packet captures, as `tcpdump` and Wireshark write them, and what they say of a boot.
//!
//! [`Capture`] reads the frames of a file, classic pcap or pcapng. [`record`] follows the conversations in them and
//! makes the [`Sighting`](crate::story::Sighting)s that a [`Story`](crate::story::Story) is told from; the services of
//! a running endpoint make the same ones from their own packets.
//!
//! A capture is a file from anywhere. Nothing in it is believed: a length is checked against what is there and against
//! a limit, an error names the byte where the file went wrong, and everything before that byte is kept.
//!
//! The headers inside of a frame are read by `etherparse`, the ones of HTTP by `httparse`. Why the file format itself
//! is read here and not by `pcap-parser` 0.17: its errors do not say where in the file they are, it gives no unit for
//! times in powers of two, reads the time offset of a big-endian file in the wrong order and adds that offset without a
//! check for overflow, which panics in a debug build; and it brings five crates for three kinds of blocks.

mod blocks;
mod classic;
mod cursor;
mod dhcp6;
mod flows;
mod frame;
mod http;
mod recorder;
mod tftp;

pub use recorder::{MAX_SIGHTINGS, Recording, record};

use blocks::Blocks;
use classic::Classic;

/// Longest frame that is read, in bytes: what `tcpdump` keeps of a packet at most.
pub const MAX_FRAME: usize = 262_144;

/// One frame of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was seen, in microseconds since the Unix epoch.
    pub at_us: u64,
    /// How its first header is to be read: a number of the registry of link types at tcpdump.org.
    pub link_type: u32,
    /// The part of it that the capture kept.
    pub bytes: &'a [u8],
}

/// Why a capture cannot be read on. The offset is that of the header, record or block at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PcapError {
    /// Neither pcap nor pcapng.
    #[error("the file begins with the bytes {magic:02x?}, which is neither pcap nor pcapng")]
    NotACapture {
        /// Its first four bytes, fewer where there are no more.
        magic: Vec<u8>,
    },
    /// The file was cut off.
    #[error(
        "the file ends inside of the {part} that begins at byte {offset}; capture again, or copy the whole file"
    )]
    Truncated {
        /// Where the part begins.
        offset: usize,
        /// What it is.
        part: &'static str,
    },
    /// A length that cannot be true.
    #[error("the {part} at byte {offset} says that it has {len} bytes, which cannot be")]
    Length {
        /// Where the part begins.
        offset: usize,
        /// What it is.
        part: &'static str,
        /// What it says.
        len: u64,
    },
    /// A packet of an interface that the file did not describe before it, or one interface too many.
    #[error("the block at byte {offset} is about interface {index}, which the file does not describe")]
    Interface {
        /// Where the block begins.
        offset: usize,
        /// The number of the interface.
        index: u64,
    },
    /// The byte order mark of a section is none.
    #[error("the section at byte {offset} does not say in which byte order it is written")]
    ByteOrder {
        /// Where the section begins.
        offset: usize,
    },
}

/// The frames of a capture file, in the order of the file.
///
/// An iterator; after an error it ends.
#[derive(Debug)]
pub struct Capture<'a> {
    format: Format<'a>,
}

#[derive(Debug)]
enum Format<'a> {
    Classic(Classic<'a>),
    Blocks(Blocks<'a>),
    Ended,
}

impl<'a> Capture<'a> {
    /// Opens a capture that lies in memory.
    ///
    /// # Errors
    ///
    /// The file is no capture, or ends inside of its header.
    pub fn open(file: &'a [u8]) -> Result<Self, PcapError> {
        let format = match file.first_chunk::<4>() {
            Some(magic) if *magic == blocks::SECTION_HEADER => Format::Blocks(Blocks::new(file)),
            Some(magic) if classic::is_magic(*magic) => Format::Classic(Classic::open(file, *magic)?),
            _ => return Err(PcapError::NotACapture { magic: file.iter().take(4).copied().collect() }),
        };
        Ok(Self { format })
    }
}

impl<'a> Iterator for Capture<'a> {
    type Item = Result<Frame<'a>, PcapError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match &mut self.format {
            Format::Classic(classic) => classic.frame(),
            Format::Blocks(blocks) => blocks.frame(),
            Format::Ended => return None,
        };
        let next = next.transpose();
        if !matches!(next, Some(Ok(_))) {
            self.format = Format::Ended;
        }
        next
    }
}

#[cfg(test)]
mod tests;
