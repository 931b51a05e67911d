//! Names of files as clients write them: `dir/name`, relative to a space.

use std::fmt;

/// Most bytes of a whole path.
const MAX_BYTES: usize = 4096;

/// Most bytes of one element; file systems take no more.
const MAX_ELEMENT_BYTES: usize = 255;

/// Most elements of a path.
const MAX_ELEMENTS: usize = 64;

/// How the name of a file begins that is still being written.
pub(crate) const PART: &str = ".part-";

/// A path of plain elements below some folder. The empty path is the folder itself.
///
/// There is no `..`, `.`, NUL or control character in it, and no element of more than 255 bytes; a path has up to 64
/// elements and 4,096 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobPath(String);

/// A text that is no path of a file here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is no path of a file: {reason}")]
pub struct PathError {
    /// The text, cut to a readable length.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl BlobPath {
    /// Reads a path. Slashes at both ends and doubled ones do not count.
    ///
    /// # Errors
    ///
    /// Fails for anything that is not made of plain elements within the limits.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let refused = |reason| Err(PathError { path: text.chars().take(200).collect(), reason });
        if text.len() > MAX_BYTES {
            return refused("it is longer than 4096 bytes");
        }
        let elements: Vec<&str> = text.split('/').filter(|element| !element.is_empty()).collect();
        if elements.len() > MAX_ELEMENTS {
            return refused("it has more than 64 elements");
        }
        for element in &elements {
            if matches!(*element, "." | "..") {
                return refused("`.` and `..` are not allowed in it");
            }
            if element.chars().any(char::is_control) {
                return refused("it has control characters");
            }
            if element.len() > MAX_ELEMENT_BYTES {
                return refused("an element is longer than 255 bytes");
            }
            if element.starts_with(PART) {
                return refused("names that begin with `.part-` are those of unfinished uploads");
            }
        }
        Ok(Self(elements.join("/")))
    }

    /// Returns the path without slashes at its ends.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether it is the folder itself.
    #[must_use]
    pub fn is_top(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the last element; empty for the folder itself.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the folder that it is in.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self(self.0.rsplit_once('/').map(|(parent, _)| parent.to_owned()).unwrap_or_default())
    }
}

impl fmt::Display for BlobPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slashes_that_say_nothing_do_not_count() {
        for text in ["a/b.iso", "/a/b.iso", "a//b.iso/"] {
            assert_eq!(BlobPath::parse(text).unwrap().as_str(), "a/b.iso");
        }
        let path = BlobPath::parse("a/b/c").unwrap();
        assert_eq!((path.name(), path.parent().as_str(), path.parent().parent().as_str()), ("c", "a/b", "a"));
        assert!(BlobPath::parse("/").unwrap().is_top());
    }

    #[test]
    fn what_leads_elsewhere_is_refused_with_a_reason() {
        let long = "x".repeat(256);
        let deep = "d/".repeat(65);
        for text in ["../a", "a/..", "a/./b", "a\0", "a\nb", ".part-1", &long, &deep] {
            let error = BlobPath::parse(text).unwrap_err();
            assert!(error.to_string().contains("is no path of a file"), "{error}");
        }
        assert!(BlobPath::parse("a..b/...").is_ok());
    }

    proptest! {
        #[test]
        fn path_never_leaves_its_folder(text in "[a./\\\\\u{e9}%]{0,40}") {
            if let Ok(path) = BlobPath::parse(&text) {
                let depth = std::path::Path::new(path.as_str()).components().map(|part| match part {
                    std::path::Component::Normal(_) => 1,
                    _ => panic!("{path}"),
                });
                prop_assert!(depth.sum::<usize>() <= 64);
            }
        }
    }
}
