//! Tar archives, after they were decompressed.

use std::io::{self, Read, Write};

use tar::{Archive, EntryType};

use crate::frame::{Emit, EntryKind};

/// Tells whether the first 512 bytes are a header of a tar archive, by its word or by its checksum.
pub(super) fn is_tape(first: &[u8]) -> bool {
    let Ok(block) = <&[u8; 512]>::try_from(first) else { return false };
    let (before, rest) = block.split_at(148);
    let (sum, after) = rest.split_at(8);
    let bytes = before.iter().chain([b' '; 8].iter()).chain(after);
    let counted: u32 = bytes.map(|byte| u32::from(*byte)).sum();
    let text = String::from_utf8_lossy(sum);
    let told = u32::from_str_radix(text.trim_matches(|c: char| c == ' ' || c == '\0'), 8);
    // An archive without members is two blocks of zeros.
    told == Ok(counted) || block.iter().all(|byte| *byte == 0)
}

/// Tells the entries of a tar archive.
///
/// What comes after the end is read as well: the sums of compressed data stand there.
pub(super) fn read(archive: impl Read, emit: &mut Emit<impl Write>) -> io::Result<()> {
    let mut archive = Archive::new(archive);
    entries(&mut archive, emit)?;
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| damaged(&error))?;
    Ok(())
}

fn entries(archive: &mut Archive<impl Read>, emit: &mut Emit<impl Write>) -> io::Result<()> {
    let mut any = false;
    for entry in archive.entries()? {
        let mut entry = entry.map_err(|error| if any { damaged(&error) } else { not_a_tape(&error) })?;
        any = true;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        let executable = entry.header().mode().unwrap_or(0) & 0o111 != 0;
        let target = || {
            let name = entry.link_name_bytes();
            name.map(|name| String::from_utf8_lossy(&name).into_owned()).unwrap_or_default()
        };
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let size = entry.size();
                emit.file(path, (size, executable), &mut entry).map_err(|error| damaged(&error))?;
            }
            EntryType::Directory => emit.entry(path, EntryKind::Folder)?,
            EntryType::Symlink => emit.entry(path, EntryKind::Symlink(target()))?,
            EntryType::Link => emit.entry(path, EntryKind::HardLink(target()))?,
            EntryType::XGlobalHeader | EntryType::XHeader => {}
            other => emit.entry(path, EntryKind::Other(format!("{other:?}")))?,
        }
    }
    Ok(())
}

fn not_a_tape(error: &io::Error) -> io::Error {
    io::Error::other(format!("what is compressed in it is no tar archive: {error}"))
}

fn damaged(error: &io::Error) -> io::Error {
    io::Error::other(format!("the archive is damaged: {error}"))
}
