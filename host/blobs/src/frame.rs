//! How the child that reads an archive tells its parent about the entries.
//!
//! Four bytes of length, an [`Entry`] as JSON, and for a file as many bytes as it says. A length of zero ends the archive:
//! without it the child died. The parent does not trust the child more than the archive.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// Most bytes of an entry's description: two paths and some words.
const MAX_HEADER_BYTES: u32 = 64 << 10;

/// One member of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its path in the archive, as it was written there.
    pub(crate) path: String,
    /// What it is.
    pub(crate) kind: EntryKind,
}

/// What a member of an archive is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EntryKind {
    /// A file; its bytes follow.
    File {
        /// How many bytes.
        size: u64,
        /// Whether it is a program.
        executable: bool,
    },
    /// A folder.
    Folder,
    /// A symbolic link to a path that is relative to its own folder.
    Symlink(String),
    /// Another name of an earlier member.
    HardLink(String),
    /// A device, a pipe: nothing that can be kept here. The word says what.
    Other(String),
}

/// Writes entries.
pub(crate) struct Emit<W: Write>(W);

impl<W: Write> Emit<W> {
    /// Writes to a pipe.
    pub(crate) fn new(out: W) -> Self {
        Self(out)
    }

    /// Tells about an entry without bytes.
    pub(crate) fn entry(&mut self, path: String, kind: EntryKind) -> io::Result<()> {
        let header = serde_json::to_vec(&Entry { path, kind })?;
        let length = u32::try_from(header.len()).ok().filter(|length| *length <= MAX_HEADER_BYTES);
        let length = length.ok_or_else(|| io::Error::other("the name of an entry is too long"))?;
        self.0.write_all(&length.to_le_bytes())?;
        self.0.write_all(&header)
    }

    /// Tells about a file with its bytes; fails when there are fewer than it says.
    pub(crate) fn file(
        &mut self,
        path: String,
        (size, executable): (u64, bool),
        content: &mut dyn Read,
    ) -> io::Result<()> {
        self.entry(path.clone(), EntryKind::File { size, executable })?;
        let copied = io::copy(&mut content.take(size), &mut self.0)?;
        if copied < size {
            let words = format!("`{path}` has {copied} of the {size} bytes that the archive says it has");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, words));
        }
        Ok(())
    }

    /// Ends the archive.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.0.write_all(&0_u32.to_le_bytes())?;
        self.0.flush()
    }
}

/// Reads the description of the next entry; `None` at the end.
pub(crate) fn next(from: &mut impl Read) -> io::Result<Option<Entry>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length == 0 {
        return Ok(None);
    }
    if length > MAX_HEADER_BYTES {
        return Err(io::Error::other("an entry's description is too long"));
    }
    let mut header = vec![0; usize::try_from(length).unwrap_or(0)];
    from.read_exact(&mut header)?;
    Ok(Some(serde_json::from_slice(&header)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_they_were_and_an_end_is_needed() {
        let mut bytes = Vec::new();
        let mut emit = Emit::new(&mut bytes);
        emit.entry("a".into(), EntryKind::Folder).unwrap();
        emit.file("a/b".into(), (3, true), &mut &b"xyz"[..]).unwrap();
        emit.end().unwrap();
        let mut from = bytes.as_slice();
        assert_eq!(next(&mut from).unwrap().unwrap().kind, EntryKind::Folder);
        let file = next(&mut from).unwrap().unwrap();
        assert_eq!(file.kind, EntryKind::File { size: 3, executable: true });
        from = &from[3..];
        assert!(next(&mut from).unwrap().is_none());
        assert_eq!(next(&mut &b""[..]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(next(&mut &[255, 255, 255, 255][..]).is_err());
    }

    #[test]
    fn file_that_is_shorter_than_it_says_fails() {
        let error = Emit::new(Vec::new()).file("a".into(), (9, false), &mut &b"xyz"[..]).unwrap_err();
        assert!(error.to_string().contains("3 of the 9 bytes"), "{error}");
    }
}
