//! Reads content in larger pieces than it is sent.

use std::sync::Arc;

use super::{Content, ContentError};

/// How much is read at once where less is asked for: 22 blocks of the usual size, and with 4,096 transfers 128 MiB.
const AHEAD: u64 = 32 << 10;

/// A content and what was last read of it: a call of the system for each block of 1,468 bytes would cost as much as
/// sending it.
pub(super) struct Reader {
    content: Arc<dyn Content>,
    len: u64,
    offset: u64,
    ahead: Vec<u8>,
}

impl Reader {
    pub(super) fn new(content: Arc<dyn Content>) -> Self {
        let len = content.len();
        Self { content, len, offset: 0, ahead: Vec::new() }
    }

    /// Returns the length of the content, as it was at the beginning.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    ///
    /// The content cannot be read so far.
    pub(super) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), ContentError> {
        if let Some(bytes) = self.held(offset, buffer.len()) {
            buffer.copy_from_slice(bytes);
            return Ok(());
        }
        let ahead = AHEAD.min(self.len.saturating_sub(offset));
        let ahead = usize::try_from(ahead).unwrap_or(0);
        if ahead <= buffer.len() {
            return self.content.read_at(offset, buffer);
        }
        self.ahead.resize(ahead, 0);
        self.offset = offset;
        if let Err(error) = self.content.read_at(offset, &mut self.ahead) {
            self.ahead.clear();
            return Err(error);
        }
        if let Some(bytes) = self.ahead.get(..buffer.len()) {
            buffer.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn held(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        self.ahead.get(start..start.checked_add(len)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Notes what is read of it.
    struct Watched {
        bytes: Vec<u8>,
        reads: Mutex<Vec<(u64, usize)>>,
    }

    impl Content for Watched {
        fn len(&self) -> u64 {
            Content::len(&self.bytes)
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ContentError> {
            self.reads.lock().unwrap().push((offset, buffer.len()));
            self.bytes.read_at(offset, buffer)
        }
    }

    fn watched(len: usize) -> (Arc<Watched>, Reader) {
        let bytes = (0..len).map(|index| (index % 249) as u8).collect();
        let content = Arc::new(Watched { bytes, reads: Mutex::default() });
        (Arc::clone(&content), Reader::new(content))
    }

    fn check(reader: &mut Reader, content: &Watched, offset: usize, len: usize) {
        let mut buffer = vec![0; len];
        reader.read(offset as u64, &mut buffer).unwrap();
        assert!(buffer == content.bytes[offset..offset + len], "{len} bytes at {offset}");
    }

    #[test]
    fn blocks_are_read_in_larger_pieces_and_again_for_a_repeat_of_what_is_gone() {
        let (content, mut reader) = watched(70_000);
        for block in 0..136 {
            check(&mut reader, &content, block * 512, 512);
        }
        check(&mut reader, &content, 136 * 512, 70_000 - 136 * 512);
        assert_eq!(*content.reads.lock().unwrap(), [(0, 32_768), (32_768, 32_768), (65_536, 4_464)]);
        check(&mut reader, &content, 65_024, 512);
        assert_eq!(content.reads.lock().unwrap().last(), Some(&(65_024, 4_976)));
        check(&mut reader, &content, 65_536, 512);
        assert_eq!(content.reads.lock().unwrap().len(), 4);
    }

    #[test]
    fn large_windows_and_short_files_are_read_straight() {
        let (content, mut reader) = watched(40_000);
        check(&mut reader, &content, 0, 33_000);
        check(&mut reader, &content, 33_000, 7_000);
        assert_eq!(*content.reads.lock().unwrap(), [(0, 33_000), (33_000, 7_000)]);
        assert!(reader.ahead.is_empty());
    }

    #[test]
    fn failed_read_leaves_nothing_behind() {
        let (_, mut reader) = watched(1_000);
        reader.len = 2_000;
        assert!(reader.read(500, &mut [0; 100]).is_err());
        assert!(reader.ahead.is_empty());
    }
}
