//! Why a pack was refused.

use std::{fmt, io, path::PathBuf, sync::Arc};

/// A pack could not be loaded. Nothing of it is used then.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The operating system refused a file or folder.
    #[error("failed to read `{path}`")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's words.
        #[source]
        source: Arc<io::Error>,
    },
    /// The operating system did not let a file or folder be written.
    #[error("failed to write `{path}`")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's words.
        #[source]
        source: Arc<io::Error>,
    },
    /// The meta data of a content bundle names nothing; the words are those of drp-behaviour.md 7.1.
    #[error("Store at content- has no Name metadata")]
    MissingName,
    /// Something in the pack is wrong.
    #[error("{}", lines(faults))]
    Refused {
        /// All that is wrong, at least one.
        faults: Vec<Fault>,
    },
}

impl PackError {
    /// Makes a refusal for one fault.
    pub(crate) fn refused(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Refused { faults: vec![Fault::new(place, reason)] }
    }
}

/// One thing that is wrong in a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file within the pack, or `PREFIX:KEY` in a content bundle.
    pub place: String,
    /// What is wrong there, in one line.
    pub reason: String,
}

impl Fault {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        let reason: String = reason.into();
        Self { place: place.into(), reason: reason.split_whitespace().collect::<Vec<_>>().join(" ") }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`: {}", self.place, self.reason)
    }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}
