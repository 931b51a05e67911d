//! Packets that leave in one call.

use super::ContentError;
use super::packet::opcode;

/// Most bytes of a batch: what one datagram of IPv4 holds, which is the most that a kernel takes to cut up.
const BYTES_MAX: u64 = 65_507;

/// Most packets of a batch. Linux cut a datagram into 64 at most before 6.9.
const PACKETS_MAX: u64 = 64;

/// Operation and block number before the bytes of a DATA packet.
const HEADER: usize = 4;

/// Packets one after another in memory, all of one length but the last, which may be shorter: what a kernel can cut
/// up by itself (`UDP_SEGMENT`).
///
/// One batch serves any number of transfers one after another, so that its memory does not grow with their number.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    packet_len: usize,
}

impl Batch {
    /// Returns the bytes of all packets.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the length in bytes of each packet but the last.
    #[must_use]
    pub fn packet_len(&self) -> usize {
        self.packet_len
    }

    /// Tells whether there is no more than one packet.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.bytes.len() <= self.packet_len
    }

    /// Returns the packets one by one.
    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.packet_len.max(1))
    }

    /// Returns how many blocks of a size a batch takes; at least one.
    pub(super) fn room(block_size: u64) -> u64 {
        (BYTES_MAX / block_size.saturating_add(HEADER as u64)).clamp(1, PACKETS_MAX)
    }

    /// Makes it one packet, which `write` appends.
    pub(super) fn set_packet(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.clear();
        write(&mut self.bytes);
        self.packet_len = self.bytes.len();
    }

    /// Makes it the DATA packets from block `first` on: `count` of them with `len` bytes in all, in blocks of
    /// `block_size`. `read` fills those bytes.
    ///
    /// # Errors
    ///
    /// Those of `read`; what the batch holds then has no meaning.
    pub(super) fn set_data(
        &mut self,
        first: u64,
        count: usize,
        block_size: usize,
        len: usize,
        read: impl FnOnce(&mut [u8]) -> Result<(), ContentError>,
    ) -> Result<(), ContentError> {
        let headers = count * HEADER;
        self.bytes.resize(headers + len, 0);
        self.packet_len = block_size + HEADER;
        read(self.bytes.get_mut(headers..).unwrap_or_default())?;
        // All were read behind the room of the headers. Each moves forward to its place, which never reaches into the
        // ones behind it: the last one stays.
        for (index, block) in (0..count).zip(first..) {
            let (from, to) = (headers + index * block_size, index * self.packet_len);
            let block_len = block_size.min(headers + len - from);
            if from > to + HEADER {
                self.bytes.copy_within(from..from + block_len, to + HEADER);
            }
            let number = u32::try_from(block & 0xffff).unwrap_or_default();
            let header = u32::from(opcode::DATA) << 16 | number;
            if let Some(room) = self.bytes.get_mut(to..to + HEADER) {
                room.copy_from_slice(&header.to_be_bytes());
            }
        }
        Ok(())
    }
}
