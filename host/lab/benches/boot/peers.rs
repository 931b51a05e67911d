//! Programs of Debian that do the same work.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

/// Unpacked packages, each in a folder of its own.
pub(crate) struct Peers {
    folders: Vec<PathBuf>,
    missing: String,
}

impl Peers {
    /// Reads what `cargo xtask` has fetched: `FORMWORK_PEERS` is the folder, and `FORMWORK_PEERS_MISSING` says what is not there.
    pub(crate) fn read() -> Self {
        let folder = env::var_os("FORMWORK_PEERS").map(PathBuf::from);
        let entries =
            folder.into_iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
        let folders = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        let missing = env::var("FORMWORK_PEERS_MISSING").unwrap_or_else(|_| "no package has it".to_owned());
        Self { folders, missing }
    }

    /// Returns the words that start a program with the libraries beside it, or why it cannot be started.
    pub(crate) fn find(&self, program: &str) -> Result<Vec<OsString>, String> {
        for folder in &self.folders {
            let places = ["usr/sbin", "usr/bin", "sbin", "bin"].map(|place| folder.join(place).join(program));
            if let Some(path) = places.into_iter().find(|path| path.is_file()) {
                let system = format!("{}-linux-gnu", env::consts::ARCH);
                let places =
                    ["usr/lib", "lib"].map(|lib| folder.join(lib).join(&system).display().to_string());
                let libraries = format!("LD_LIBRARY_PATH={}", places.join(":"));
                return Ok(vec!["env".into(), libraries.into(), path.into_os_string()]);
            }
        }
        Err(format!("not run: no `{program}`: {}", self.missing))
    }
}

/// Returns a command of a peer with its arguments.
pub(crate) fn with(mut words: Vec<OsString>, arguments: &[&str]) -> Vec<OsString> {
    words.extend(arguments.iter().map(OsString::from));
    words
}
