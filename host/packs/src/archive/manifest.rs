//! `pack.json`: which members a pack file has.

use formwork_model::{ContentMeta, NameGrammar, name_problem};
use serde::{Deserialize, Serialize};

use super::{ArchiveError, LIST, SIGNATURE};
use crate::{
    digest,
    files::{Files, MAX_ENTRIES, MAX_FILE_BYTES, MAX_TOTAL_BYTES},
    manifest::MANIFEST,
    path::{is_plain_line, path_problem},
};

/// The format that this version reads and writes.
const FORMAT: u32 = 1;

/// The most bytes of `pack.json`: 10,000 members of common length, or some thousands with the longest paths.
pub(super) const MAX_LIST_BYTES: u64 = 4 * 1024 * 1024;

/// What `pack.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ArchiveManifest {
    /// The format of the file: 1.
    pub format: u32,
    /// The name of the pack, as in its `pack.yaml`.
    pub name: String,
    /// Its version, as in its `pack.yaml`.
    pub version: String,
    /// The program that wrote the file.
    pub packed_by: String,
    /// The members after this one and the signature, by path.
    pub members: Vec<Member>,
}

/// A member of a pack file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Member {
    /// Its path within the pack.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// The BLAKE3 digest of its bytes, 64 hexadecimal digits in lower case.
    pub blake3: String,
}

/// What all formats have.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

impl ArchiveManifest {
    /// Lists the files of a pack.
    pub(super) fn of(meta: &ContentMeta, files: &Files) -> Self {
        let member = |(path, bytes): (&String, &bytes::Bytes)| Member {
            path: path.clone(),
            size: bytes.len() as u64,
            blake3: digest(bytes),
        };
        Self {
            format: FORMAT,
            name: meta.name.clone(),
            version: meta.version.clone(),
            packed_by: format!("formwork {}", env!("CARGO_PKG_VERSION")),
            members: files.iter().map(member).collect(),
        }
    }

    /// Returns the bytes of `pack.json`.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, ArchiveError> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|source| ArchiveError::Transfer { action: "write", source: source.into() })?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads the bytes of `pack.json` and checks all that it says by itself.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let refused = |reason: String| ArchiveError::refused(LIST, reason);
        let malformed = |error: serde_json::Error| refused(format!("not a list of members: {error}"));
        let AnyFormat { format } = serde_json::from_slice(bytes).map_err(malformed)?;
        if format != FORMAT {
            let reason =
                format!("format {format} is not known here, only {FORMAT}; it takes a newer version");
            return Err(refused(reason));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        match manifest.problem() {
            Some(reason) => Err(refused(reason)),
            None => Ok(manifest),
        }
    }

    fn problem(&self) -> Option<String> {
        if let Some(problem) = name_problem(NameGrammar::Machine, &self.name, &self.name) {
            return Some(problem);
        }
        if !is_plain_line(&self.version) || !is_plain_line(&self.packed_by) {
            return Some(String::from("a text has characters that cannot be shown"));
        }
        if self.members.len() > MAX_ENTRIES {
            return Some(format!("it lists more than {MAX_ENTRIES} members"));
        }
        if let Some(problem) = self.members.iter().find_map(member_problem) {
            return Some(problem);
        }
        if let Some(problem) = self.members.windows(2).find_map(order_problem) {
            return Some(problem);
        }
        let total: u64 = self.members.iter().map(|member| member.size).sum();
        if total > MAX_TOTAL_BYTES {
            return Some(format!("the pack is larger than {MAX_TOTAL_BYTES} bytes"));
        }
        let manifest = |member: &Member| member.path == MANIFEST;
        (!self.members.iter().any(manifest)).then(|| format!("it does not list `{MANIFEST}`"))
    }
}

fn member_problem(member: &Member) -> Option<String> {
    let path = member.path.as_str();
    if let Some(problem) = path_problem(path) {
        return Some(format!("member `{}`: {problem}", path.escape_default()));
    }
    if matches!(path, LIST | SIGNATURE) {
        return Some(format!("member `{path}`: the name is taken"));
    }
    if member.size > MAX_FILE_BYTES {
        return Some(format!("member `{path}`: longer than {MAX_FILE_BYTES} bytes"));
    }
    let is_digest = member.blake3.len() == 64
        && member.blake3.bytes().all(|digit| digit.is_ascii_digit() || matches!(digit, b'a'..=b'f'));
    (!is_digest).then(|| format!("member `{path}`: its digest is not 64 hexadecimal digits"))
}

fn order_problem(pair: &[Member]) -> Option<String> {
    let [before, after] = pair else { return None };
    match before.path.cmp(&after.path) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(format!("it lists `{}` twice", before.path)),
        std::cmp::Ordering::Greater => {
            Some(format!("its members are not sorted: `{}` is before `{}`", before.path, after.path))
        }
    }
}
