//! Values by the names of variables: from `~/.drpclirc`, else from the environment.

use std::{collections::BTreeMap, env, fs, path::Path};

/// Most bytes of the file with defaults.
const MAX_FILE: u64 = 64 << 10;

/// Where values are found.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    file: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
}

impl Named {
    /// Reads the file of the user and the environment of the program.
    pub(super) fn gather() -> Self {
        let file = env::var_os("HOME").map(|home| Path::new(&home).join(".drpclirc"));
        let small = file.filter(|file| fs::metadata(file).is_ok_and(|found| found.len() <= MAX_FILE));
        let text = small.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        let known = |name: &std::ffi::OsString| {
            name.to_str().is_some_and(|name| {
                name.starts_with("RS_") || matches!(name, "FORMWORK_RETRIES" | "HOME" | "NO_COLOR")
            })
        };
        let environment = env::vars_os().filter(|(name, _)| known(name));
        let environment = environment
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::of(&text, environment)
    }

    /// Takes the text of the file, and an environment.
    pub(super) fn of(file: &str, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { file: lines(file), environment: environment.into_iter().collect() }
    }

    /// Returns a value; what is empty is not there.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.file.get(name).or_else(|| self.environment.get(name));
        found.map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Tells whether a switch is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| !matches!(value.to_lowercase().as_str(), "false" | "0" | "no"))
    }
}

/// Reads `NAME=value` lines; anything else is ignored.
fn lines(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .filter(|(name, _)| !name.starts_with('#'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}
