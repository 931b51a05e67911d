//! Where files are read: from what was granted, or in tests from a made-up machine.

use formwork_sdk::{files, log};

/// Most bytes of a file with one value in it.
const MAX_VALUE_BYTES: u32 = 4096;

/// Files of a machine. What cannot be read is as if it were not there.
pub(crate) trait Source {
    /// The first bytes of a file.
    fn bytes(&self, path: &str, max_bytes: u32) -> Option<Vec<u8>>;
    /// The names in a folder.
    fn names(&self, path: &str) -> Vec<String>;
    /// Where a link points, as it is written.
    fn link(&self, path: &str) -> Option<String>;

    /// A file with one value, without the blanks and NULs around it; `None` when nothing is left.
    fn text(&self, path: &str) -> Option<String> {
        clean(&self.bytes(path, MAX_VALUE_BYTES)?)
    }

    /// A file with a number.
    fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }
}

/// The text in some bytes: odd ones are replaced, control characters dropped. `None` when nothing is left.
pub(crate) fn clean(bytes: &[u8]) -> Option<String> {
    let text: String = String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The files that the operator granted.
pub(crate) struct Granted;

impl Source for Granted {
    fn bytes(&self, path: &str, max_bytes: u32) -> Option<Vec<u8>> {
        seen(files::read(path, max_bytes))
    }

    fn names(&self, path: &str) -> Vec<String> {
        seen(files::list(path)).into_iter().flatten().map(|entry| entry.name).collect()
    }

    fn link(&self, path: &str) -> Option<String> {
        seen(files::read_link(path))
    }
}

/// Says in the log why something was not seen, unless it is just not there.
fn seen<T>(result: Result<T, files::FilesError>) -> Option<T> {
    match &result {
        Err(error @ files::FilesError::NotGranted(_)) => log::warn(error),
        Err(error @ files::FilesError::Other(_)) => log::debug(error),
        _ => {}
    }
    result.ok()
}

#[cfg(test)]
pub(crate) mod made_up {
    //! A machine made of names and bytes.

    use std::collections::{BTreeMap, BTreeSet};

    use super::Source;

    #[derive(Default)]
    pub(crate) struct MadeUp {
        files: BTreeMap<String, Vec<u8>>,
        links: BTreeMap<String, String>,
    }

    impl MadeUp {
        pub(crate) fn file(mut self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
            self.files.insert(path.to_owned(), bytes.as_ref().to_owned());
            self
        }

        pub(crate) fn linked(mut self, path: &str, target: &str) -> Self {
            self.links.insert(path.to_owned(), target.to_owned());
            self
        }
    }

    impl Source for MadeUp {
        fn bytes(&self, path: &str, max_bytes: u32) -> Option<Vec<u8>> {
            Some(self.files.get(path)?.iter().copied().take(max_bytes as usize).collect())
        }

        fn names(&self, path: &str) -> Vec<String> {
            let folder = format!("{path}/");
            let paths = self.files.keys().chain(self.links.keys());
            let name = |path: &String| Some(path.strip_prefix(&folder)?.split('/').next()?.to_owned());
            paths.filter_map(name).collect::<BTreeSet<_>>().into_iter().collect()
        }

        fn link(&self, path: &str) -> Option<String> {
            self.links.get(path).cloned()
        }
    }
}
