//! What is appended to logs, as bytes of the journal.

/// The bytes in front of each record: the offset in the log, and both lengths.
const HEAD: usize = 8 + 2 + 4;

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

    /// Writes the record behind others.
    pub(super) fn write(&self, text: &mut Vec<u8>) {
        // Names and groups are bounded far below what these hold.
        let name_length = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        text.extend_from_slice(&self.offset.to_le_bytes());
        text.extend_from_slice(&name_length.to_le_bytes());
        text.extend_from_slice(&length.to_le_bytes());
        text.extend_from_slice(self.name.as_bytes());
        text.extend_from_slice(&self.bytes);
    }
}

/// Reads the records of a text.
pub(super) fn read(mut text: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some((record, rest)) = parse(text) {
        records.push(record);
        text = rest;
    }
    records
}

fn parse(text: &[u8]) -> Option<(Record, &[u8])> {
    let (head, rest) = text.split_at_checked(HEAD)?;
    let (offset, lengths) = head.split_first_chunk::<8>()?;
    let (name_length, length) = lengths.split_first_chunk::<2>()?;
    let length = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*name_length)))?;
    let (bytes, rest) = rest.split_at_checked(length)?;
    let name = std::str::from_utf8(name).ok()?.to_owned();
    Some((Record { name, offset: u64::from_le_bytes(*offset), bytes: bytes.to_vec() }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written_up_to_one_that_is_cut() {
        let record =
            |name: &str, offset, bytes: &[u8]| Record { name: name.into(), offset, bytes: bytes.into() };
        let all = [record("a", 0, b"one"), Record::removal("b".into()), record("", u64::MAX, b"three")];
        let mut text = Vec::new();
        all.iter().for_each(|record| record.write(&mut text));
        assert_eq!(read(&text), all);
        text.pop();
        assert_eq!(read(&text), all[..2]);
    }
}
