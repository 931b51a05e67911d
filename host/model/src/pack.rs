//! Packs as the endpoint keeps them: where an upload stands, what was asked and granted, what can be rolled back to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ComponentRecord, Header, Kind, Layers, NameGrammar, Surface, Timestamp, name_problem, object::object,
};

/// How far a pack has come on its way from the upload to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PackState {
    /// The bytes are here.
    #[default]
    Received,
    /// Digests, signature, objects and components are looked at.
    Checking,
    /// A child process compiles the components.
    Compiling,
    /// It is installed and in use.
    Ready,
    /// It will not be used; `Reason` says why.
    Refused,
}

/// One grant line of one component of a pack.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct PackGrant {
    /// The name of the component within the pack.
    pub component: String,
    /// The line, as `params: read inventory/*`.
    pub line: String,
}

/// The version that a roll-back brings again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct PreviousPack {
    /// Its version.
    pub version: String,
    /// The BLAKE3 digest of its archive, hexadecimal; the archive is kept under this name.
    pub digest: String,
    /// Who signed it, as [`InstalledPack::signer`].
    pub signer: String,
    /// What it was allowed.
    pub granted: Vec<PackGrant>,
    /// Its components.
    pub components: Vec<ComponentRecord>,
}

/// How often a grant was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct PackUse {
    /// When it was used last, to within the minute after which uses are written down.
    pub last: Timestamp,
    /// In how many calls it was used.
    pub count: u64,
}

/// A grant of a component, and how it was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct GrantUse {
    /// The name of the component within the pack.
    pub component: String,
    /// The line.
    pub line: String,
    /// When it was used last; unset when it never was.
    pub last: Timestamp,
    /// In how many calls it was used.
    pub count: u64,
    /// True when it never was used: what could be taken away.
    pub never_used: bool,
}

/// A version that is on its way into use, or the last one that was refused. What is in use stays as it is meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct IncomingPack {
    /// Its version.
    pub version: String,
    /// How far it has come; never `ready`, for then it is the version in use.
    pub state: PackState,
    /// The kind of refusal, as the `Type` of the API's errors: `NeedsConsent`, `ValidationError`; empty otherwise.
    pub code: String,
    /// Why it was refused, a line a problem; empty otherwise.
    pub reason: String,
    /// The BLAKE3 digest of its archive, hexadecimal.
    pub digest: String,
    /// The length of its archive in bytes.
    pub bytes: u64,
    /// Who signed it, as [`InstalledPack::signer`]; empty before that was looked at.
    pub signer: String,
    /// What its components ask for; empty before that was looked at.
    pub asked: Vec<PackGrant>,
    /// What it asks beyond what the version in use is allowed.
    pub wider: Vec<PackGrant>,
    /// The grant lines that were allowed with the upload; `all` stands for whatever it asks.
    pub allowed: Vec<String>,
    /// True when it may be older than the version in use.
    pub downgrade: bool,
    /// True when it may take the place of writable objects.
    pub replace_writable: bool,
    /// Until when the archive of a version that needs consent is kept; unset when it is not.
    pub kept_until: Timestamp,
}

impl IncomingPack {
    /// Tells whether it is still on its way.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        !matches!(self.state, PackState::Ready | PackState::Refused)
    }
}

/// A pack that was uploaded as an archive. Its objects are those of the content bundle of the same name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstalledPack {
    /// The key.
    pub name: String,
    /// The version that is in use; while there is none, that of `Incoming`.
    pub version: String,
    /// `ready` while a version is in use; else the state of `Incoming`.
    pub state: PackState,
    /// Why the version in `Incoming` was refused; empty otherwise.
    pub reason: String,
    /// The BLAKE3 digest of the archive, hexadecimal.
    pub digest: String,
    /// The id of the publisher whose signature it bears; empty for an unsigned pack.
    pub signer: String,
    /// What its components ask for.
    pub asked: Vec<PackGrant>,
    /// What an operator allowed.
    pub granted: Vec<PackGrant>,
    /// How grants were used, by component and line; one that is not here never was.
    pub used: BTreeMap<String, BTreeMap<String, PackUse>>,
    /// What a roll-back brings again; absent when there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousPack>,
    /// Its components.
    pub components: Vec<ComponentRecord>,
    /// What was uploaded last and is not in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<IncomingPack>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl InstalledPack {
    /// Tells whether a version is in use.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.state == PackState::Ready
    }

    /// Returns all grants with their uses, by component and line.
    #[must_use]
    pub fn grant_uses(&self) -> Vec<GrantUse> {
        let of = |grant: &PackGrant| {
            let found = self.used.get(&grant.component).and_then(|lines| lines.get(&grant.line)).copied();
            let PackUse { last, count } = found.unwrap_or_default();
            GrantUse {
                component: grant.component.clone(),
                line: grant.line.clone(),
                last,
                count,
                never_used: found.is_none(),
            }
        };
        self.granted.iter().map(of).collect()
    }

    /// Returns the grants that no component has used so far.
    pub fn never_used(&self) -> impl Iterator<Item = &PackGrant> {
        let used = |grant: &PackGrant| {
            self.used.get(&grant.component).is_some_and(|lines| lines.contains_key(&grant.line))
        };
        self.granted.iter().filter(move |grant| !used(grant))
    }
}

pub(crate) static KIND: Kind = Kind {
    read_only: &[
        "Version",
        "State",
        "Reason",
        "Digest",
        "Signer",
        "Asked",
        "Granted",
        "Used",
        "Previous",
        "Components",
        "Incoming",
    ],
    // The words in it are grant lines, not members.
    opaque: &["Used"],
    columns: &["Name", "Version", "State", "Signer", "Reason"],
    surface: Surface::Own,
    layers: Layers::None,
    ..Kind::of::<InstalledPack>("packs", "Name", "pack")
};

object!(InstalledPack, KIND, key = |pack| pack.name.clone(), problems = problems);

fn problems(pack: &InstalledPack) -> Vec<String> {
    name_problem(NameGrammar::Machine, &pack.name, &pack.name).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Object as _;

    #[test]
    fn state_is_one_lower_case_word_and_nothing_previous_is_absent() {
        let pack =
            InstalledPack { name: "acme".into(), state: PackState::Compiling, ..InstalledPack::default() };
        let json = pack.to_json();
        assert_eq!(json["State"], json!("compiling"));
        assert!(json.get("Previous").is_none());
    }

    #[test]
    fn grant_that_was_used_by_another_component_only_counts_as_never_used() {
        let grant =
            |component: &str| PackGrant { component: component.into(), line: "params: read x".into() };
        let used = BTreeMap::from([(
            "params: read x".to_owned(),
            PackUse { last: Timestamp::from_millis(1), count: 1 },
        )]);
        let pack = InstalledPack {
            granted: vec![grant("one"), grant("two")],
            used: BTreeMap::from([("one".to_owned(), used)]),
            ..InstalledPack::default()
        };
        assert_eq!(pack.never_used().collect::<Vec<_>>(), [&grant("two")]);
        let uses = pack.grant_uses();
        assert_eq!((uses[0].count, uses[0].never_used), (1, false));
        assert_eq!((uses[1].count, uses[1].never_used), (0, true));
    }
}
