//! Files of this tree that the program brings along for authors.

use std::{fs, io, path::Path};

/// The texts by their names: `templates/...`, `sdk/...`, `wit/...`, `greet/LANGUAGE/...` and `workspace.toml`.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/author_files.rs"));

/// Returns the files below a folder, by their paths below it.
pub(super) fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().filter_map(move |(name, text)| {
        let path = name.strip_prefix(folder)?.strip_prefix('/')?;
        Some((path, *text))
    })
}

/// Returns one file; empty when there is none.
pub(super) fn file(name: &str) -> &'static str {
    FILES.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
}

/// Writes the WIT packages to a folder.
pub(super) fn write_wit(folder: &Path) -> io::Result<()> {
    for (path, text) in below("wit") {
        write(&folder.join(path), text)?;
    }
    Ok(())
}

/// Writes a file and the folders above it.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
