//! What an operator allows a component.

use std::path::{Path, PathBuf};

use crate::{Capability, Limits};

/// What an operator allows a component. The default allows nothing but writing to the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Parameters that may be read: names, or patterns in which `*` stands for any characters.
    pub params_read: Vec<String>,
    /// Parameters that may be written, in the same way.
    pub params_write: Vec<String>,
    /// Folders and single files that may be read.
    pub files: Vec<FolderGrant>,
}

/// A folder, with all that is in it, or a single file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderGrant {
    /// The absolute path under which the component sees it.
    pub prefix: String,
    /// Where it is on this host.
    pub host_path: PathBuf,
}

impl FolderGrant {
    /// Grants a folder or a file under its own path.
    pub fn same(path: impl Into<String>) -> Self {
        let prefix = path.into();
        Self { host_path: PathBuf::from(&prefix), prefix }
    }
}

impl Grants {
    /// Whether anything of a capability was granted, so that it is linked.
    pub fn allows(&self, capability: Capability) -> bool {
        match capability {
            Capability::Log | Capability::Machine => true,
            Capability::Params => !self.params_read.is_empty() || !self.params_write.is_empty(),
            Capability::Files => !self.files.is_empty(),
        }
    }

    /// Whether a parameter may be read.
    pub fn may_read(&self, name: &str) -> bool {
        self.params_read.iter().any(|pattern| matches(pattern, name))
    }

    /// Whether a parameter may be written.
    pub fn may_write(&self, name: &str) -> bool {
        self.params_write.iter().any(|pattern| matches(pattern, name))
    }

    /// Finds the grant that covers an absolute path and the rest of the path within it. Of several, the longest prefix
    /// wins. A path with `..`, `.` or empty parts is covered by none.
    pub(crate) fn folder(&self, path: &str) -> Option<(&FolderGrant, PathBuf)> {
        if !is_plain(path) {
            return None;
        }
        let covers =
            |grant: &&FolderGrant| is_plain(&grant.prefix) && Path::new(path).starts_with(&grant.prefix);
        let grant = self.files.iter().filter(covers).max_by_key(|grant| grant.prefix.len())?;
        let rest = Path::new(path).strip_prefix(&grant.prefix).ok()?;
        Some((grant, rest.to_owned()))
    }
}

/// The line that grants a capability, for messages.
pub(crate) fn advice(capability: Capability) -> &'static str {
    match capability {
        Capability::Log | Capability::Machine => "none is needed",
        Capability::Params => "params: read NAME` or `params: write NAME",
        Capability::Files => "files: /FOLDER ro",
    }
}

/// Whether a path is absolute and each of its parts is a name.
fn is_plain(path: &str) -> bool {
    path == "/"
        || path.strip_prefix('/').is_some_and(|rest| {
            !path.contains('\0') && rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
        })
}

/// Whether a name fits a pattern in which `*` stands for any characters, also none and also `/`.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    true
}

/// The limits and grants of one call, together.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    pub(crate) grants: Grants,
    pub(crate) limits: Limits,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in [
            ("inventory/*", "inventory/cpu"),
            ("inventory/*", "inventory/nics/0"),
            ("*", "x"),
            ("a*c*e", "abcde"),
            ("a*", "a"),
            ("greet/name", "greet/name"),
            ("*a*a", "aa"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("inventory/*", "inventory"),
            ("greet/name", "greet/names"),
            ("greet/name", "greet/nam"),
            ("a*c", "ab"),
            ("*a*a", "a"),
            ("ab*b", "ab"),
            ("", "x"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_path_is_covered_only_below_its_grant() {
        let grants = Grants { files: vec![FolderGrant::same("/sys/class")], ..Grants::default() };
        assert_eq!(grants.folder("/sys/class/net/a").unwrap().1, PathBuf::from("net/a"));
        assert_eq!(grants.folder("/sys/class").unwrap().1, PathBuf::new());
        for path in [
            "/sys",
            "/sys/classy",
            "/sys/class/../x",
            "sys/class",
            "/sys/class//net",
            "/sys/class/./net",
            "",
            "/",
        ] {
            assert!(grants.folder(path).is_none(), "{path}");
        }
    }

    #[test]
    fn the_longest_prefix_wins() {
        let inner = FolderGrant { prefix: "/a/b".to_owned(), host_path: PathBuf::from("/inner") };
        let grants = Grants { files: vec![FolderGrant::same("/a"), inner.clone()], ..Grants::default() };
        assert_eq!(grants.folder("/a/b/c").unwrap().0, &inner);
    }

    #[test]
    fn nothing_but_the_log_is_granted_by_default() {
        let grants = Grants::default();
        assert!(grants.allows(Capability::Log));
        assert!(!grants.allows(Capability::Params) && !grants.allows(Capability::Files));
        assert!(!grants.may_read("a") && !grants.may_write("a"));
    }
}
