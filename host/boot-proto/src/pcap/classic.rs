//! The classic format of `tcpdump`: a file header, then records of one link type.

use super::cursor::Cursor;
use super::{Frame, MAX_FRAME, PcapError};

/// The first number of a file whose times have microseconds, and of one whose times have nanoseconds.
const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// The upper bits of the link type tell of a frame check sequence, which no header in front depends on.
const LINK_TYPE_BITS: u32 = 0x0fff_ffff;

/// Tells whether a file begins like a classic capture, in either byte order.
pub(super) fn is_magic(magic: [u8; 4]) -> bool {
    order_and_unit(magic).is_some()
}

/// Returns whether the file is big-endian, and how many fractions of a second are one microsecond.
fn order_and_unit(magic: [u8; 4]) -> Option<(bool, u32)> {
    match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
        (MICROSECONDS, _) => Some((false, 1)),
        (NANOSECONDS, _) => Some((false, 1000)),
        (_, MICROSECONDS) => Some((true, 1)),
        (_, NANOSECONDS) => Some((true, 1000)),
        _ => None,
    }
}

#[derive(Debug)]
pub(super) struct Classic<'a> {
    cursor: Cursor<'a>,
    link_type: u32,
    fractions_per_us: u32,
}

impl<'a> Classic<'a> {
    pub(super) fn open(file: &'a [u8], magic: [u8; 4]) -> Result<Self, PcapError> {
        let (big_endian, fractions_per_us) = order_and_unit(magic).unwrap_or((false, 1));
        let mut cursor = Cursor::new(file, big_endian);
        // Magic, version, time zone, accuracy and snapshot length: nothing that changes how records are read.
        let link_type = cursor.take(20).and_then(|_| cursor.u32());
        let link_type = link_type.ok_or(PcapError::Truncated { offset: 0, part: "file header" })?;
        Ok(Self { cursor, link_type: link_type & LINK_TYPE_BITS, fractions_per_us })
    }

    pub(super) fn frame(&mut self) -> Result<Option<Frame<'a>>, PcapError> {
        if self.cursor.is_at_end() {
            return Ok(None);
        }
        let offset = self.cursor.offset();
        let truncated = PcapError::Truncated { offset, part: "record" };
        let (at_us, kept) = self.record_header().ok_or(truncated.clone())?;
        let len = usize::try_from(kept).unwrap_or(usize::MAX);
        if len > MAX_FRAME {
            return Err(PcapError::Length { offset, part: "record", len: kept.into() });
        }
        let bytes = self.cursor.take(len).ok_or(truncated)?;
        Ok(Some(Frame { at_us, link_type: self.link_type, bytes }))
    }

    /// Reads when the packet was seen and how much of it was kept; its length on the wire is in its own headers too.
    fn record_header(&mut self) -> Option<(u64, u32)> {
        let seconds = u64::from(self.cursor.u32()?);
        let fraction = u64::from(self.cursor.u32()? / self.fractions_per_us);
        let kept = self.cursor.u32()?;
        self.cursor.u32()?;
        Some((seconds * 1_000_000 + fraction, kept))
    }
}
