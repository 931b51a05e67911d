//! Writes a pack file. The bytes depend on nothing but the pack, the key and the time that is given.

use std::io::{self, Write};

use flate2::{Compression, GzBuilder, write::GzEncoder};

use super::{Archive, ArchiveError, LIST, SIGNATURE, Signer, signature};

/// The length of a block of a tar file, in bytes.
pub(super) const BLOCK: usize = 512;

impl Archive {
    /// Writes the pack file, signed or not. A signature of the file that was read is not written again.
    ///
    /// # Errors
    ///
    /// The bytes cannot be written, or a path does not fit into a tar file.
    pub fn write(&self, to: impl Write, signer: Option<Signer<'_>>) -> Result<(), ArchiveError> {
        let failed = |source| ArchiveError::Transfer { action: "write", source };
        // No time, no file name and "unknown" as the system: the header is the same everywhere.
        let mut gzip = GzBuilder::new().mtime(0).operating_system(255).write(to, Compression::new(6));
        member(&mut gzip, LIST, &self.list)?;
        if let Some(signer) = signer {
            member(&mut gzip, SIGNATURE, &signature::sign(&self.list, signer)?)?;
        }
        for (path, bytes) in &self.files {
            member(&mut gzip, path, bytes)?;
        }
        gzip.write_all(&[0; 2 * BLOCK]).map_err(failed)?;
        gzip.finish().and_then(|mut to| to.flush()).map_err(failed)
    }
}

fn member<W: Write>(gzip: &mut GzEncoder<W>, path: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
    let header = header(path, bytes.len() as u64).map_err(|_| {
        ArchiveError::refused(path, "the path is too long for a pack file: 100 bytes for its last name")
    })?;
    let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
    gzip.write_all(header.as_bytes())
        .and_then(|()| gzip.write_all(bytes))
        .and_then(|()| io::copy(&mut io::Read::take(io::repeat(0), padding as u64), gzip))
        .map(drop)
        .map_err(|source| ArchiveError::Transfer { action: "write", source })
}

/// Makes the header of a regular file that belongs to nobody and is of no time.
pub(super) fn header(path: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(header)
}
