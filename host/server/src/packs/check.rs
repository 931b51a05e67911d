//! Looks at an archive: its digests and signature, who signed it, and what its components are and import.

use std::{fs::File, io::BufReader, path::Path};

use formwork_api::ApiError;
use formwork_model::{ComponentKind, IncomingPack, Timestamp};
use formwork_packs::{Archive, ArchiveError, Pack, PackComponent, PackError, Trust, Verdict};
use formwork_sandbox::{Grants, InspectError, Kind, Limits, inspect};

use crate::{commands::contents, commit::internal};

/// Who decides whether a pack may be installed.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// The publishers.
    pub(super) trust: Trust,
    /// True when it does not matter who signed.
    pub(super) allow_unsigned: bool,
    /// The time.
    pub(super) now: Timestamp,
}

/// A pack that is in order by itself.
#[derive(Debug)]
pub(super) struct Checked {
    /// What is in it.
    pub(super) pack: Pack,
    /// The id of the publisher whose signature it bears; empty when nobody that is known signed it.
    pub(super) signer: String,
}

/// Reads the archive of a version on its way and checks all of it that can be checked without other objects. Blocks.
///
/// # Errors
///
/// All that is wrong with it, a message a fault; the file is named in each.
pub(super) fn check(path: &Path, incoming: &IncomingPack, policy: &Policy) -> Result<Checked, ApiError> {
    let archive = read(path, &incoming.digest)?;
    let verdict = policy.trust.verify(archive.signature(), policy.now);
    if !verdict.is_trusted() && !policy.allow_unsigned {
        return Err(
            ApiError::new(422, "Untrusted", verdict.to_string()).about("packs", &archive.manifest().name)
        );
    }
    let signer = match verdict {
        Verdict::Trusted { id, .. } | Verdict::Expired { id, .. } => id,
        Verdict::Unknown { .. } | Verdict::Unsigned => String::new(),
    };
    let pack = archive.into_pack();
    let faults: Vec<String> = pack.components.iter().flat_map(component_faults).collect();
    if !faults.is_empty() {
        return Err(ApiError::invalid("packs", &pack.meta.name, faults));
    }
    Ok(Checked { pack, signer })
}

/// Reads an archive that was kept under its digest. Blocks.
///
/// # Errors
///
/// It is not there, it is not what its name says, or it is no sound pack.
pub(super) fn read(path: &Path, digest: &str) -> Result<Archive, ApiError> {
    let lost = |error: std::io::Error| {
        tracing::error!(path = %path.display(), %error, "the archive of a pack cannot be read");
        ApiError::new(422, "Lost", format!("the archive {digest} is lost\nhint: send the pack again"))
            .about("packs", "")
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).map_err(lost)?).map_err(lost)?;
    if hasher.finalize().to_hex().as_str() != digest {
        return Err(lost(std::io::Error::other("it has another digest than its name says")));
    }
    let file = File::open(path).map_err(lost)?;
    Archive::read(BufReader::new(file)).map_err(|error| refusal("", &error))
}

/// Returns what is wrong with a component, its file first in each message.
fn component_faults(component: &PackComponent) -> Vec<String> {
    let record = &component.record;
    let file = format!("`components/{}.wasm`", record.name);
    let grants = match Grants::parse(&record.grants) {
        Ok(grants) => grants,
        Err(error) => return vec![format!("`pack.yaml`: component `{}`: {error}", record.name)],
    };
    if let Err(error) = Limits::from_manifest(&record.limits) {
        return vec![format!("`pack.yaml`: component `{}`: {error}", record.name)];
    }
    let info = match inspect(&component.wasm) {
        Ok(info) => info,
        Err(error) => return vec![format!("{file}: {error}")],
    };
    if model_kind(info.kind) != Some(record.kind) {
        let asked = word(record.kind);
        return vec![format!(
            "{file}: it is a {} component, but `pack.yaml` says that it is a {asked}",
            info.kind
        )];
    }
    let unasked = info.imports.iter().filter(|capability| !grants.allows(**capability));
    unasked
        .map(|capability| {
            format!(
                "{file}: it imports `formwork:{capability}`, but `pack.yaml` asks for nothing of it\n\
                 hint: add `{}` to the grants of component `{}`",
                capability.grant_example(),
                record.name
            )
        })
        .collect()
}

/// Returns the kind that a component's exports make it.
pub(super) fn kind_of(wasm: &[u8]) -> Result<ComponentKind, InspectError> {
    inspect(wasm).map(|info| model_kind(info.kind).unwrap_or_default())
}

/// Returns the kind of a manifest for one of the sandbox; both have the same word.
fn model_kind(kind: Kind) -> Option<ComponentKind> {
    serde_json::from_value(serde_json::Value::from(kind.to_string())).ok()
}

/// Returns the word that manifests have for a kind.
fn word(kind: ComponentKind) -> String {
    serde_json::to_value(kind).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Turns what is wrong with an archive into the error of the API.
pub(super) fn refusal(name: &str, error: &ArchiveError) -> ApiError {
    match error {
        ArchiveError::Transfer { .. } => internal(error),
        ArchiveError::Pack(error) => faults(name, error),
        error => ApiError::invalid("packs", name, vec![error.to_string()]),
    }
}

/// Turns what is wrong with the members of a pack into the error of the API.
pub(super) fn faults(name: &str, error: &PackError) -> ApiError {
    let messages = contents::refusal(error, "POST").messages;
    ApiError::invalid("packs", name, messages)
}

#[cfg(test)]
mod tests {
    use formwork_packs::MAX_FILE_BYTES;
    use formwork_sandbox::{Excess, InspectError};

    use super::*;

    #[test]
    fn longest_file_of_a_pack_is_the_longest_component_of_the_sandbox() {
        let longest = usize::try_from(MAX_FILE_BYTES).unwrap();
        assert_eq!(inspect(&vec![0; longest]), Err(InspectError::NotWasm));
        let found = longest + 1;
        assert_eq!(inspect(&vec![0; found]), Err(InspectError::Excessive(Excess::Bytes { found })));
    }
}
