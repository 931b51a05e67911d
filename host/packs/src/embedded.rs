//! The packs that are part of the program: `BasicStore`, which is the layer under everything, and `core`.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::{Pack, PackError, assemble::assemble, files::Files};

/// The files of a folder of the program, by their paths in the pack.
type Embedded = &'static [(&'static str, &'static [u8])];

/// The files of `content/basic`.
const BASIC: Embedded = include!(concat!(env!("OUT_DIR"), "/basic_files.rs"));

/// The files of `content/core` and the components that `build.rs` built.
const CORE: Embedded = include!(concat!(env!("OUT_DIR"), "/core_files.rs"));

/// Returns the pack `BasicStore`: the default objects of drp-api.md 3.6, all of them and nothing else.
///
/// It is read at the first call. Its layer is of type `basic` and overwritable (drp-api.md 11.3).
///
/// # Errors
///
/// The same as for any pack; the tests of this crate see to it that there are none.
pub fn basic() -> Result<&'static Pack, PackError> {
    static BASIC_PACK: OnceLock<Result<Pack, PackError>> = OnceLock::new();
    BASIC_PACK.get_or_init(|| load(BASIC, "basic")).as_ref().map_err(PackError::clone)
}

/// Returns the pack `core`: discovery, the first workflow, and the default components.
///
/// It is read at the first call. Its layer is of type `default` and overwritable (drp-api.md 11.3).
///
/// # Errors
///
/// The same as for any pack; the tests of this crate see to it that there are none.
pub fn core() -> Result<&'static Pack, PackError> {
    static CORE_PACK: OnceLock<Result<Pack, PackError>> = OnceLock::new();
    CORE_PACK.get_or_init(|| load(CORE, "default")).as_ref().map_err(PackError::clone)
}

fn load(files: Embedded, layer: &str) -> Result<Pack, PackError> {
    let files: Files =
        files.iter().map(|(path, bytes)| ((*path).to_owned(), Bytes::from_static(bytes))).collect();
    let mut pack = assemble(&files)?;
    layer.clone_into(&mut pack.meta.r#type);
    pack.meta.overwritable = true;
    Ok(pack)
}

#[cfg(test)]
mod tests;
