//! The pcapng format: sections of blocks, each section with its own byte order and interfaces
//! (draft-ietf-opsawg-pcapng).

use super::cursor::Cursor;
use super::{Frame, MAX_FRAME, PcapError};

/// The type of a section header, which reads the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const BYTE_ORDER_MARK: u32 = 0x1a2b_3c4d;

/// The blocks that are read; all others are skipped by their length.
mod block {
    pub(super) const SECTION: u32 = u32::from_le_bytes(super::SECTION_HEADER);
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const ENHANCED_PACKET: u32 = 6;
}

/// The options of an interface that change how times are read.
mod option {
    pub(super) const END: u16 = 0;
    pub(super) const TIME_RESOLUTION: u16 = 9;
    pub(super) const TIME_OFFSET: u16 = 14;
}

/// Most interfaces of one section; a capture of `any` on a large host has some hundreds.
const MAX_INTERFACES: usize = 4096;

/// The length of a block before and behind its body: type, length, and the length once more.
const BLOCK_FRAME: usize = 12;

#[derive(Debug)]
pub(super) struct Blocks<'a> {
    cursor: Cursor<'a>,
    interfaces: Vec<Interface>,
    /// The time of the last packet, which a simple packet block takes over: it has none.
    last_us: u64,
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link_type: u32,
    /// The most bytes that were kept of a packet; 0 for all.
    kept: u32,
    units_per_second: u128,
    offset_seconds: i64,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(file, false), interfaces: Vec::new(), last_us: 0 }
    }

    pub(super) fn frame(&mut self) -> Result<Option<Frame<'a>>, PcapError> {
        while !self.cursor.is_at_end() {
            let offset = self.cursor.offset();
            let (kind, body) = self.block(offset)?;
            let mut body = self.cursor.part(body);
            let found = match kind {
                block::SECTION => {
                    self.interfaces.clear();
                    None
                }
                block::INTERFACE => {
                    self.describe(offset, &mut body)?;
                    None
                }
                block::SIMPLE_PACKET => Some(self.simple(offset, &mut body)?),
                block::ENHANCED_PACKET => Some(self.enhanced(offset, &mut body)?),
                _ => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Takes one block; a section header sets the byte order before its length is read.
    fn block(&mut self, offset: usize) -> Result<(u32, &'a [u8]), PcapError> {
        let truncated = || PcapError::Truncated { offset, part: "block" };
        if self.cursor.rest().starts_with(&SECTION_HEADER) {
            let mark = self.cursor.rest().get(8..12).ok_or_else(truncated)?;
            let little = mark == BYTE_ORDER_MARK.to_le_bytes();
            if !little && mark != BYTE_ORDER_MARK.to_be_bytes() {
                return Err(PcapError::ByteOrder { offset });
            }
            self.cursor.set_byte_order(!little);
        }
        let kind = self.cursor.u32().ok_or_else(truncated)?;
        let len = self.cursor.u32().ok_or_else(truncated)?;
        let cannot_be = || PcapError::Length { offset, part: "block", len: len.into() };
        let body =
            usize::try_from(len).ok().and_then(|len| len.checked_sub(BLOCK_FRAME)).ok_or_else(cannot_be)?;
        if body % 4 != 0 {
            return Err(cannot_be());
        }
        let body = self.cursor.take(body).ok_or_else(truncated)?;
        if self.cursor.u32().ok_or_else(truncated)? != len {
            return Err(cannot_be());
        }
        Ok((kind, body))
    }

    fn describe(&mut self, offset: usize, body: &mut Cursor<'a>) -> Result<(), PcapError> {
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(PcapError::Interface {
                offset,
                index: MAX_INTERFACES.try_into().unwrap_or(u64::MAX),
            });
        }
        let interface =
            Interface::read(body).ok_or(PcapError::Truncated { offset, part: "interface block" })?;
        self.interfaces.push(interface);
        Ok(())
    }

    fn interface(&self, offset: usize, index: u32) -> Result<Interface, PcapError> {
        let place = usize::try_from(index).ok().and_then(|index| self.interfaces.get(index));
        place.copied().ok_or(PcapError::Interface { offset, index: index.into() })
    }

    fn simple(&mut self, offset: usize, body: &mut Cursor<'a>) -> Result<Frame<'a>, PcapError> {
        const PART: &str = "simple packet block";
        let interface = self.interface(offset, 0)?;
        let on_wire = body.u32().ok_or(PcapError::Truncated { offset, part: PART })?;
        let kept = if interface.kept == 0 { on_wire } else { on_wire.min(interface.kept) };
        self.packet(offset, PART, interface, kept, body)
    }

    fn enhanced(&mut self, offset: usize, body: &mut Cursor<'a>) -> Result<Frame<'a>, PcapError> {
        const PART: &str = "packet block";
        let header = || Some((body.u32()?, body.u32()?, body.u32()?, body.u32()?, body.u32()?));
        let (index, high, low, kept, _on_wire) =
            { header }().ok_or(PcapError::Truncated { offset, part: PART })?;
        let interface = self.interface(offset, index)?;
        self.last_us = interface.microseconds(u64::from(high) << 32 | u64::from(low));
        self.packet(offset, PART, interface, kept, body)
    }

    fn packet(
        &self,
        offset: usize,
        part: &'static str,
        interface: Interface,
        kept: u32,
        body: &mut Cursor<'a>,
    ) -> Result<Frame<'a>, PcapError> {
        let len = usize::try_from(kept).ok().filter(|len| *len <= MAX_FRAME);
        let bytes = len.and_then(|len| body.take(len));
        let bytes = bytes.ok_or(PcapError::Length { offset, part, len: kept.into() })?;
        Ok(Frame { at_us: self.last_us, link_type: interface.link_type, bytes })
    }
}

impl Interface {
    fn read(body: &mut Cursor<'_>) -> Option<Self> {
        let link_type = u32::from(body.u16()?);
        body.u16()?;
        let mut interface =
            Self { link_type, kept: body.u32()?, units_per_second: 1_000_000, offset_seconds: 0 };
        // Damaged options change the times alone, so the packets are worth more than an error here.
        while let (Some(code), Some(len)) = (body.u16(), body.u16()) {
            let Some(value) = body.take(usize::from(len)) else { break };
            body.take(usize::from(len).next_multiple_of(4) - usize::from(len));
            match (code, value) {
                (option::END, _) => break,
                (option::TIME_RESOLUTION, [resolution]) => {
                    interface.units_per_second = units_per_second(*resolution);
                }
                (option::TIME_OFFSET, value) => {
                    interface.offset_seconds = body.part(value).i64().unwrap_or(0);
                }
                _ => {}
            }
        }
        Some(interface)
    }

    /// Turns a time of this interface into microseconds since the Unix epoch; one that does not fit is cut to the range.
    fn microseconds(&self, units: u64) -> u64 {
        let since =
            i128::try_from(u128::from(units) * 1_000_000 / self.units_per_second).unwrap_or(i128::MAX);
        let offset = i128::from(self.offset_seconds) * 1_000_000;
        u64::try_from(since.saturating_add(offset).max(0)).unwrap_or(u64::MAX)
    }
}

/// Reads a time resolution: a negative power of two where the highest bit is set, else of ten.
fn units_per_second(resolution: u8) -> u128 {
    let (base, exponent) =
        if resolution & 0x80 == 0 { (10_u128, resolution) } else { (2, resolution & 0x7f) };
    base.checked_pow(exponent.into()).unwrap_or(u128::MAX)
}
