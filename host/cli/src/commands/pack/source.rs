//! A pack that is given on the command line: its folder, or its file.

use std::{fs::File, io::BufReader, path::Path};

use anyhow::{Context as _, Result};
use formwork_packs::Archive;

/// Reads a pack: a folder with `pack.yaml` in it, or a file `.fwpack`.
///
/// # Errors
///
/// What is wrong with it, with its place.
pub(super) fn read(path: &Path) -> Result<Archive> {
    let failed = || format!("`{}`", path.display());
    if path.is_dir() {
        return Archive::from_folder(path).with_context(failed);
    }
    let file = File::open(path).with_context(|| format!("failed to read `{}`", path.display()))?;
    Archive::read(BufReader::new(file)).with_context(failed)
}
