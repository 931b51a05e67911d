//! What an operator allows a component, and how packs write it: one grant a line, a capability, a colon, and what of it.
//!
//! What the words after the colon mean stands with each capability.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::capabilities::http::HttpGrant;
use crate::capabilities::{exec, files, http, kv, params, secrets};
use crate::{Capability, FilesCall, HostCall, KvCall, Limits, ParamsCall};

/// What an operator allows a component. The default allows nothing but what needs no grant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Parameters that may be read: names, or patterns in which `*` stands for any characters.
    pub params_read: Vec<String>,
    /// Parameters that may be written and removed, in the same way.
    pub params_write: Vec<String>,
    /// Web addresses that may be asked.
    pub http: Vec<HttpGrant>,
    /// What may be done with the pack's store.
    pub kv: Option<Access>,
    /// Folders and single files.
    pub files: Vec<FilesGrant>,
    /// Programs that may be run, by name or absolute path.
    pub exec: Vec<String>,
    /// Secrets that may be read: names or patterns.
    pub secrets: Vec<String>,
    /// Capabilities that need no grant and were written all the same.
    pub shown: Vec<Capability>,
}

/// Whether something may be changed or only be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Access {
    /// `ro`.
    #[serde(rename = "ro")]
    ReadOnly,
    /// `rw`.
    #[serde(rename = "rw")]
    ReadWrite,
}

/// A folder with all that is in it, or a single file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesGrant {
    /// An absolute path, or a name that the host knows.
    pub root: String,
    /// What may be done below it.
    pub access: Access,
}

/// A line that is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("grant `{line}`: {reason}\nhint: known are {}", known())]
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
        let (capability, rest) = line.split_once(':').unwrap_or((line, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        let capability = capability.trim();
        let known = Capability::ALL.into_iter().find(|known| known.as_str() == capability);
        match known.ok_or("there is no such capability")? {
            Capability::Params => params::grant(self, &words),
            Capability::Http => http::grant(self, &words),
            Capability::Kv => kv::grant(self, &words),
            Capability::Files => files::grant(self, &words),
            Capability::Exec => exec::grant(self, &words),
            Capability::Secrets => secrets::grant(self, &words),
            capability if words.is_empty() => {
                self.shown.push(capability);
                Ok(())
            }
            _ => Err("nothing may follow"),
        }
    }

    /// Writes the grants as lines, in the order of the capabilities. [`Grants::parse`] reads them again.
    pub fn lines(&self) -> Vec<String> {
        let names = |word: &'static str, names: &[String]| {
            names.iter().map(|name| format!("{word}{name}")).collect::<Vec<_>>()
        };
        let mut lines = names("params: read ", &self.params_read);
        lines.extend(names("params: write ", &self.params_write));
        lines.extend(self.http.iter().map(|grant| format!("http: {grant}")));
        lines.extend(self.kv.map(|access| format!("kv: {}", access.as_str())));
        lines.extend(
            self.files.iter().map(|grant| format!("files: {} {}", grant.root, grant.access.as_str())),
        );
        lines.extend(names("exec: ", &self.exec));
        lines.extend(names("secrets: ", &self.secrets));
        lines.extend(self.shown.iter().map(|capability| capability.as_str().to_owned()));
        lines
    }

    /// Returns the lines of these grants that allow something which the old ones do not.
    ///
    /// What needs no grant is never wider. A line that only two old lines together cover counts as wider.
    pub fn difference(&self, old: &Self) -> Vec<String> {
        let covered = |patterns: &[String], name: &String| patterns.iter().any(|one| matches(one, name));
        let wider = |new: &[String], old: &[String]| -> Vec<String> {
            new.iter().filter(|name| !covered(old, name)).cloned().collect()
        };
        let includes = |grant: &&FilesGrant| !old.files.iter().any(|one| one.includes(grant));
        Self {
            params_read: wider(&self.params_read, &old.params_read),
            params_write: wider(&self.params_write, &old.params_write),
            http: self
                .http
                .iter()
                .filter(|grant| !old.http.iter().any(|one| one.includes(grant)))
                .cloned()
                .collect(),
            kv: self.kv.filter(|_| self.kv > old.kv),
            files: self.files.iter().filter(includes).cloned().collect(),
            exec: self.exec.iter().filter(|name| !old.exec.contains(name)).cloned().collect(),
            secrets: wider(&self.secrets, &old.secrets),
            shown: Vec::new(),
        }
        .lines()
    }

    /// Whether anything of a capability was granted, or none is needed, so that it is linked.
    pub fn allows(&self, capability: Capability) -> bool {
        match capability {
            Capability::Params => !self.params_read.is_empty() || !self.params_write.is_empty(),
            Capability::Http => !self.http.is_empty(),
            Capability::Kv => self.kv.is_some(),
            Capability::Files => !self.files.is_empty(),
            Capability::Exec => !self.exec.is_empty(),
            Capability::Secrets => !self.secrets.is_empty(),
            free => !free.needs_grant(),
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

    /// Whether a secret may be read.
    pub fn may_know(&self, name: &str) -> bool {
        self.secrets.iter().any(|pattern| matches(pattern, name))
    }

    /// Whether a program may be run.
    pub fn may_run(&self, program: &str) -> bool {
        self.exec.iter().any(|granted| granted == program)
    }

    /// Whether some names of parameters that begin with this may be told.
    fn may_list(&self, prefix: &str) -> bool {
        self.params_read.iter().any(|pattern| match pattern.split_once('*') {
            Some((start, _)) => start.starts_with(prefix) || prefix.starts_with(start),
            None => pattern.starts_with(prefix),
        })
    }

    /// Whether these grants by themselves allow a call that came to the host. What needs no grant is allowed here only
    /// where it was written all the same.
    pub(crate) fn allow(&self, call: &HostCall) -> bool {
        match call {
            HostCall::Params(ParamsCall::Read { name }) => self.may_read(name),
            HostCall::Params(ParamsCall::List { prefix }) => self.may_list(prefix),
            HostCall::Params(ParamsCall::Write { name, .. } | ParamsCall::Remove { name }) => {
                self.may_write(name)
            }
            HostCall::Http(request) => self.http.iter().any(|grant| grant.covers_request(request)),
            HostCall::Kv(KvCall::Get { .. } | KvCall::List { .. }) => self.kv.is_some(),
            HostCall::Kv(KvCall::Set { .. } | KvCall::Delete { .. }) => self.kv == Some(Access::ReadWrite),
            HostCall::Files(FilesCall::Write { root, .. }) => {
                self.files.iter().any(|grant| grant.root == *root && grant.access == Access::ReadWrite)
            }
            HostCall::Files(
                FilesCall::Read { root, .. }
                | FilesCall::List { root, .. }
                | FilesCall::ReadLink { root, .. },
            ) => self.files.iter().any(|grant| grant.root == *root),
            HostCall::Exec(command) => self.may_run(&command.program),
            HostCall::Secrets(secret) => self.may_know(&secret.name),
            HostCall::Log(_) => self.shown.contains(&Capability::Log),
            HostCall::Progress(_) => self.shown.contains(&Capability::Progress),
            HostCall::Clock => self.shown.contains(&Capability::Clock),
            HostCall::Random(_) => self.shown.contains(&Capability::Random),
        }
    }

    /// Finds the grant that covers a path and the rest of the path below its root. Of several, the longest root wins. A
    /// path with `..`, `.` or empty parts is covered by none.
    pub(crate) fn root<'a>(&self, path: &'a str) -> Option<(&FilesGrant, &'a str)> {
        if !is_plain(path) {
            return None;
        }
        let below = |grant: &&FilesGrant| grant.rest(path).is_some();
        let grant = self.files.iter().filter(below).max_by_key(|grant| (grant.root.len(), grant.access))?;
        Some((grant, grant.rest(path)?))
    }
}

impl Access {
    /// Reads `ro` or `rw`.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::ReadOnly, Self::ReadWrite].into_iter().find(|access| access.as_str() == word)
    }

    /// The word for it in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "ro",
            Self::ReadWrite => "rw",
        }
    }
}

impl FilesGrant {
    /// Grants reading below a root.
    pub fn read_only(root: impl Into<String>) -> Self {
        Self { root: root.into(), access: Access::ReadOnly }
    }

    /// The rest of a path below this root.
    fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.root == "/" {
            return path.strip_prefix('/');
        }
        match path.strip_prefix(self.root.as_str())? {
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        }
    }

    /// Whether all that another one allows this one allows.
    fn includes(&self, other: &Self) -> bool {
        self.access >= other.access && self.rest(&other.root).is_some()
    }
}

/// The grants that there are, for messages.
fn known() -> String {
    let examples = Capability::ALL.into_iter().map(Capability::grant_example);
    let examples: Vec<_> =
        examples.filter(|example| !example.is_empty()).map(|example| format!("`{example}`")).collect();
    format!("{}; `*` in a NAME stands for any characters", examples.join(", "))
}

/// Whether each part of a path is a name. It may be absolute.
pub(crate) fn is_plain(path: &str) -> bool {
    path == "/"
        || (!path.contains('\0')
            && path.strip_prefix('/').unwrap_or(path).split('/').all(|part| !matches!(part, "" | "." | "..")))
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
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Limits,
}

#[cfg(test)]
mod tests;
