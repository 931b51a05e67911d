//! Files of the machine, as far as the operator granted them. What cannot be read is as if it were not there.

use formwork_sdk::files::{self, FilesError};
use formwork_sdk::log;

/// Most bytes of a file with one value in it.
const MAX_VALUE_BYTES: u32 = 4096;

/// The first bytes of a file.
pub(crate) fn bytes(path: &str, max_bytes: u32) -> Option<Vec<u8>> {
    seen(files::read(path, max_bytes))
}

/// The names in a folder.
pub(crate) fn names(path: &str) -> Vec<String> {
    seen(files::list(path)).into_iter().flatten().map(|entry| entry.name).collect()
}

/// Where a link points, as it is written.
pub(crate) fn link(path: &str) -> Option<String> {
    seen(files::read_link(path))
}

/// A file with one value, without the blanks and NULs around it; `None` when nothing is left.
pub(crate) fn text(path: &str) -> Option<String> {
    clean(&bytes(path, MAX_VALUE_BYTES)?)
}

/// A file with a number.
pub(crate) fn number(path: &str) -> Option<u64> {
    text(path)?.parse().ok()
}

/// The text in some bytes: odd ones are replaced, control characters dropped. `None` when nothing is left.
pub(crate) fn clean(bytes: &[u8]) -> Option<String> {
    let text: String = String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Says in the log why something was not seen, unless it is just not there.
fn seen<T>(result: Result<T, FilesError>) -> Option<T> {
    match &result {
        Err(error @ FilesError::NotGranted(_)) => log::warn!("{error}"),
        Err(error @ FilesError::Other(_)) => log::debug!("{error}"),
        _ => {}
    }
    result.ok()
}
