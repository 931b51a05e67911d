//! Zip archives.

use std::{
    fs::File,
    io::{self, Read, Write},
};

use zip::ZipArchive;

use crate::frame::{Emit, EntryKind};

/// Most bytes of the target of a link.
const MAX_TARGET_BYTES: u64 = 4096;

/// Tells the entries of a zip archive.
pub(super) fn read(archive: File, emit: &mut Emit<impl Write>) -> io::Result<()> {
    let mut archive = ZipArchive::new(archive)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let path = entry.name()?.into_owned();
        if entry.is_dir() {
            emit.entry(path, EntryKind::Folder)?;
        } else if entry.is_symlink() {
            let mut target = String::new();
            entry.by_ref().take(MAX_TARGET_BYTES).read_to_string(&mut target)?;
            emit.entry(path, EntryKind::Symlink(target))?;
        } else {
            let about = (entry.size(), entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0));
            emit.file(path.clone(), about, &mut entry)?;
            // The sum is compared where the bytes end, and there must be no more of them.
            if io::copy(&mut entry, &mut io::sink())? > 0 {
                return Err(io::Error::other(format!(
                    "`{path}` has more bytes than the archive says it has"
                )));
            }
        }
    }
    Ok(())
}
