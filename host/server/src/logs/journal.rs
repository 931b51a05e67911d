//! The journal of the job logs: what was appended last, in one file, so that one flush makes the words of many jobs durable.
//!
//! A record is written here and flushed before anybody can read it. When the journal is full, all that it holds moves to the
//! table, and it begins again at its start, over what is there: a file whose length does not change is flushed faster. Records
//! of an earlier pass have a lower number and end the reading.

use std::{
    fs::{File, OpenOptions},
    io::{Error, Read as _, Result},
    os::unix::fs::FileExt as _,
    path::Path,
};

use crate::clock::now;

/// At this length the journal begins again.
const FULL: u64 = 4 << 20;

/// The most bytes that are read back: more than those of a journal that was just not full, and of the longest group after that.
const READ_MAX: u64 = 64 << 20;

/// The bytes in front of each record: its sum, the number of the pass, the offset in the log, and both lengths.
const HEAD: usize = 8 + 8 + 8 + 2 + 4;

/// Some bytes of a log and where in it they belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The log's name, of at most 64 bytes.
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl Record {
    /// Says that a log begins anew.
    pub(super) fn removal(name: String) -> Self {
        Self { name, offset: 0, bytes: Vec::new() }
    }
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    pass: u64,
    end: u64,
}

impl Journal {
    /// Opens a journal, which is made when missing, and returns what it holds. The next records go behind that.
    ///
    /// # Errors
    ///
    /// The operating system's; and another process has it open.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Record>)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(|_| Error::other("another endpoint has the job logs open"))?;
        let mut text = Vec::new();
        (&mut file).take(READ_MAX).read_to_end(&mut text)?;
        let (mut records, mut rest) = (Vec::new(), text.as_slice());
        let mut pass = None;
        while let Some((of_pass, record, behind)) = parse(rest) {
            if pass.is_some_and(|pass| pass != of_pass) {
                break;
            }
            pass = Some(of_pass);
            records.push(record);
            rest = behind;
        }
        let end = (text.len() - rest.len()) as u64;
        // What is there of older passes must not be taken for records of this one.
        let pass = pass.unwrap_or_else(|| u64::try_from(now().millis()).unwrap_or(0));
        Ok((Self { file, pass, end }, records))
    }

    /// Writes records and flushes them.
    ///
    /// # Errors
    ///
    /// The operating system's; the next records take the place of these.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<()> {
        let mut text = Vec::new();
        for record in records {
            write(&mut text, self.pass, record);
        }
        self.file.write_all_at(&text, self.end)?;
        self.file.sync_data()?;
        self.end += text.len() as u64;
        Ok(())
    }

    /// Tells whether it is time to begin again.
    pub(super) fn is_full(&self) -> bool {
        self.end >= FULL
    }

    /// Begins again at the start: all that is here is elsewhere.
    pub(super) fn begin_again(&mut self) {
        self.pass += 1;
        self.end = 0;
    }
}

fn write(text: &mut Vec<u8>, pass: u64, record: &Record) {
    let start = text.len();
    // Names and groups are bounded far below what these hold.
    let name_length = u16::try_from(record.name.len()).unwrap_or(u16::MAX);
    let length = u32::try_from(record.bytes.len()).unwrap_or(u32::MAX);
    text.extend_from_slice(&[0; 8]);
    text.extend_from_slice(&pass.to_le_bytes());
    text.extend_from_slice(&record.offset.to_le_bytes());
    text.extend_from_slice(&name_length.to_le_bytes());
    text.extend_from_slice(&length.to_le_bytes());
    text.extend_from_slice(record.name.as_bytes());
    text.extend_from_slice(&record.bytes);
    let sum = sum(text.get(start + 8..).unwrap_or_default());
    if let Some(place) = text.get_mut(start..start + 8) {
        place.copy_from_slice(&sum);
    }
}

/// Reads the record in front; nothing where none is, or only a part of one.
fn parse(text: &[u8]) -> Option<(u64, Record, &[u8])> {
    let (head, rest) = text.split_at_checked(HEAD)?;
    let field = |from: usize, to: usize| head.get(from..to);
    let pass = u64::from_le_bytes(field(8, 16)?.try_into().ok()?);
    let offset = u64::from_le_bytes(field(16, 24)?.try_into().ok()?);
    let name_length = usize::from(u16::from_le_bytes(field(24, 26)?.try_into().ok()?));
    let length = usize::try_from(u32::from_le_bytes(field(26, HEAD)?.try_into().ok()?)).ok()?;
    let (body, behind) = rest.split_at_checked(name_length.checked_add(length)?)?;
    let summed = text.get(8..HEAD + body.len())?;
    if field(0, 8)? != sum(summed) {
        return None;
    }
    let (name, bytes) = body.split_at_checked(name_length)?;
    let name = std::str::from_utf8(name).ok()?.to_owned();
    Some((pass, Record { name, offset, bytes: bytes.to_vec() }, behind))
}

fn sum(bytes: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut sum);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, offset: u64, bytes: &[u8]) -> Record {
        Record { name: name.into(), offset, bytes: bytes.into() }
    }

    #[test]
    fn records_are_read_back_in_order_and_the_next_follow_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, found) = Journal::open(&path).unwrap();
        assert_eq!(found, []);
        let all = [record("a", 0, b"one"), record("b", 7, b"two"), record("a", 3, b"three")];
        journal.append(&all[..2]).unwrap();
        drop(journal);
        let (mut journal, found) = Journal::open(&path).unwrap();
        assert_eq!(found, all[..2]);
        journal.append(&all[2..]).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().1, all);
    }

    #[test]
    fn record_that_was_not_written_whole_ends_the_reading_wherever_it_broke() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let all = [record("a", 0, b"one"), record("b", 7, b"two")];
        Journal::open(&path).unwrap().0.append(&all).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let first = HEAD + 4;
        for broken in first..whole.len() {
            let mut text = whole.clone();
            text[broken] ^= 1;
            std::fs::write(&path, &text).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1, all[..1], "{broken}");
            std::fs::write(&path, &whole[..broken]).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1, all[..1], "{broken}");
        }
    }

    #[test]
    fn what_an_earlier_pass_left_behind_the_end_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        // Records of one length, so that the new one ends where an old one begins.
        journal.append(&[record("a", 0, b"one"), record("a", 3, b"two")]).unwrap();
        journal.begin_again();
        journal.append(&[record("a", 6, b"six")]).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().1, [record("a", 6, b"six")]);
    }

    #[test]
    fn two_never_have_one_journal_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let _first = Journal::open(&path).unwrap();
        assert!(Journal::open(&path).is_err());
    }
}
