//! Where segments are.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

/// Opens the segments of one journal.
pub trait Media: Send {
    /// Opens the segment of a number, counted from zero without gaps; nothing when it is missing and not to be made. That it is
    /// there outlives a loss of power when this returns.
    ///
    /// # Errors
    ///
    /// What the medium says.
    fn open(&mut self, number: usize, make: bool) -> io::Result<Option<Box<dyn Medium>>>;
}

/// One segment.
pub trait Medium: Send {
    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// What the medium says.
    fn read(&mut self) -> io::Result<Vec<u8>>;

    /// Writes bytes at an offset, which is at most the length.
    ///
    /// # Errors
    ///
    /// What the medium says; it is then not known what was written.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Waits until what was written outlives a loss of power.
    ///
    /// # Errors
    ///
    /// What the medium says; it is then not known what was written.
    fn sync(&mut self) -> io::Result<()>;

    /// Makes it empty.
    ///
    /// # Errors
    ///
    /// What the medium says.
    fn clear(&mut self) -> io::Result<()>;
}

/// A folder with a file for each segment, which is called as its number.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Takes a folder, which is made with the first segment when it is missing.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Media for Folder {
    fn open(&mut self, number: usize, make: bool) -> io::Result<Option<Box<dyn Medium>>> {
        let path = self.path.join(number.to_string());
        if make {
            fs::create_dir_all(&self.path)?;
        }
        let file = match OpenOptions::new().read(true).write(true).create(make).truncate(false).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another process has the journal open"),
            TryLockError::Error(error) => error,
        })?;
        // One that is found may be there since a moment before a crash.
        for folder in [Some(self.path.as_path()), self.path.parent()].into_iter().flatten() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        Ok(Some(Box::new(file)))
    }
}

impl Medium for File {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.rewind()?;
        self.read_to_end(&mut text)?;
        Ok(text)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn clear(&mut self) -> io::Result<()> {
        self.set_len(0)
    }
}
