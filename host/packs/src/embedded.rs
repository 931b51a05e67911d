//! The pack `core`, which is part of the program.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::{Pack, PackError, assemble::assemble, files::Files};

/// The files of `content/core` and the components that `build.rs` built, by their paths in the pack.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/core_files.rs"));

/// Returns the pack `core`: the built-in objects of drp-api.md 3.6, discovery, and the default components.
///
/// It is read at the first call. Its layer is of type `basic` and overwritable (drp-api.md 11.3).
///
/// # Errors
///
/// The same as for any pack; the tests of this crate see to it that there are none.
pub fn core() -> Result<&'static Pack, PackError> {
    static CORE: OnceLock<Result<Pack, PackError>> = OnceLock::new();
    CORE.get_or_init(load).as_ref().map_err(PackError::clone)
}

fn load() -> Result<Pack, PackError> {
    let files: Files =
        FILES.iter().map(|(path, bytes)| ((*path).to_owned(), Bytes::from_static(bytes))).collect();
    let mut pack = assemble(&files)?;
    "basic".clone_into(&mut pack.meta.r#type);
    pack.meta.overwritable = true;
    Ok(pack)
}

#[cfg(test)]
mod tests;
