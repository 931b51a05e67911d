//! Grants as packs write them: a capability, a colon, and what of it.

use crate::{FolderGrant, Grants};

/// A line that is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "grant `{line}`: {reason}\nhint: known are `params: read NAME`, `params: write NAME` and `files: /FOLDER ro`, where \
     `*` in a NAME stands for any characters"
)]
pub struct GrantError {
    /// The line.
    pub line: String,
    /// What does not fit.
    pub reason: &'static str,
}

impl Grants {
    /// Reads grants, one a line, as `params: read inventory/*` and `files: /proc ro`.
    ///
    /// # Errors
    ///
    /// The first line that is none; a grant that is not understood is never taken for less.
    pub fn parse<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Result<Self, GrantError> {
        let mut grants = Self::default();
        for line in lines {
            let line = line.as_ref().trim();
            if !line.is_empty() {
                grants.add(line).map_err(|reason| GrantError { line: line.to_owned(), reason })?;
            }
        }
        Ok(grants)
    }

    fn add(&mut self, line: &str) -> Result<(), &'static str> {
        let (capability, rest) = line.split_once(':').ok_or("there is no colon")?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (capability.trim(), words.as_slice()) {
            ("params", ["read", name]) => self.params_read.push((*name).to_owned()),
            ("params", ["write", name]) => self.params_write.push((*name).to_owned()),
            ("params", _) => return Err("`read NAME` or `write NAME` must follow"),
            ("files", [path, "ro"]) if path.starts_with('/') => self.files.push(FolderGrant::same(*path)),
            ("files", _) => return Err("an absolute path and `ro` must follow"),
            _ => return Err("there is no such capability"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_grants() {
        let grants =
            Grants::parse(["params: read greet/*", "params: write inventory/*", "files: /proc ro"]).unwrap();
        assert!(grants.may_read("greet/name") && !grants.may_read("inventory/cpu"));
        assert!(grants.may_write("inventory/cpu") && !grants.may_write("greet/name"));
        assert_eq!(grants.files, [FolderGrant::same("/proc")]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in ["params", "params: own x", "files: proc ro", "files: /proc rw", "network: all"] {
            assert_eq!(Grants::parse([line]).unwrap_err().line, line);
        }
    }
}
