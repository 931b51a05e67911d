//! Files on disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use formwork_boot_proto::tftp::{Content, ContentError};

/// A file on disk while it is sent, read out of the page cache.
///
/// One that grows meanwhile is sent as long as it was when it was opened; one that shrinks ends its transfers with an
/// ERROR.
#[derive(Debug)]
pub struct FileContent {
    file: File,
    len: u64,
}

impl FileContent {
    /// Opens a file. It waits for the disk.
    ///
    /// # Errors
    ///
    /// There is none, it cannot be read, or it is something else than a file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        Ok(Self { file, len: metadata.len() })
    }
}

impl Content for FileContent {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ContentError> {
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|error| ContentError { offset, message: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_sent_as_long_as_it_was_and_no_folder_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel");
        std::fs::write(&path, b"0123456789").unwrap();
        let content = FileContent::open(&path).unwrap();
        std::fs::write(&path, b"0123456789 and more").unwrap();
        let mut buffer = [0; 4];
        content.read_at(6, &mut buffer).unwrap();
        assert_eq!((content.len(), &buffer), (10, b"6789"));
        std::fs::write(&path, b"01").unwrap();
        assert_eq!(content.read_at(6, &mut buffer).unwrap_err().offset, 6);
        assert!(FileContent::open(folder.path()).is_err());
        assert_eq!(FileContent::open(&folder.path().join("no")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
