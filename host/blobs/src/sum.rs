//! SHA-256 of files, computed once: what is known is kept with the file and in memory.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    sync::{Mutex, PoisonError},
};

use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
use sha2::{Digest, Sha256};

/// The attribute of a file that keeps its sum.
const ATTRIBUTE: &str = "user.formwork.sha256";

/// Most sums that are kept in memory, for file systems without attributes.
const MAX_KNOWN: usize = 10_000;

/// What a sum holds for: a file that is neither replaced nor written to since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }

    /// The words that stand before a sum in the attribute. A copy of the file has another time.
    fn words(&self) -> String {
        format!("{} {}.{:09} ", self.size, self.modified.0, self.modified.1)
    }
}

/// The sums that are known.
#[derive(Debug, Default)]
pub struct Sums(Mutex<HashMap<Identity, String>>);

impl Sums {
    /// Returns the SHA-256 of a file, hexadecimal. Reads all of it when the sum is not known.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read.
    pub fn of(&self, file: &File) -> io::Result<String> {
        let identity = Identity::of(file)?;
        if let Some(known) = self.known(file, &identity) {
            return Ok(known);
        }
        let mut reader = file;
        reader.seek(SeekFrom::Start(0))?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match reader.read(&mut buffer)? {
                0 => break,
                read => hasher.update(buffer.get(..read).unwrap_or_default()),
            }
        }
        reader.seek(SeekFrom::Start(0))?;
        let sum = hex(&hasher.finalize());
        // A file that was written to meanwhile has no sum that is worth keeping.
        if Identity::of(file)? == identity {
            self.keep(file, &sum)?;
        }
        Ok(sum)
    }

    /// Remembers the sum of a file as it is now.
    pub(crate) fn keep(&self, file: &File, sum: &str) -> io::Result<()> {
        let identity = Identity::of(file)?;
        let written =
            fsetxattr(file, ATTRIBUTE, format!("{}{sum}", identity.words()).as_bytes(), XattrFlags::empty());
        if written.is_err() {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert(identity, sum.to_owned());
        }
        Ok(())
    }

    fn known(&self, file: &File, identity: &Identity) -> Option<String> {
        let mut attribute = [0_u8; 160];
        if let Ok(length) = fgetxattr(file, ATTRIBUTE, &mut attribute) {
            let text = attribute.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
            let sum = text.and_then(|text| text.strip_prefix(&identity.words()));
            if let Some(sum) = sum.filter(|sum| sum.len() == 64) {
                return Some(sum.to_owned());
            }
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(identity).cloned()
    }
}

/// Writes bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::{io::Write, time::SystemTime};

    use super::*;

    #[test]
    fn sum_is_that_of_the_bytes_and_of_no_older_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let open =
            || File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let sums = Sums::default();
        let mut file = open();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sums.of(&file).unwrap(), empty);
        assert_eq!(sums.known(&file, &Identity::of(&file).unwrap()).as_deref(), Some(empty));
        file.write_all(b"abc").unwrap();
        assert_eq!(sums.known(&file, &Identity::of(&file).unwrap()), None);
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sums.of(&open()).unwrap(), abc);
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(sums.known(&file, &Identity::of(&file).unwrap()), None);
    }
}
