//! Content bundles (drp-api.md 11.2) and the components of packs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Header, Kind, Layers, NameGrammar, Surface, name_problem, object::object};

/// What a content bundle says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContentMeta {
    /// The name of the bundle.
    pub name: String,
    /// The semantic version; empty means 0.0.0.
    pub version: String,
    /// One line for people.
    pub description: String,
    /// Where it comes from.
    pub source: String,
    /// More for people.
    pub documentation: String,
    /// Features of the server that it needs, as a comma list.
    pub required_features: String,
    /// Other bundles that it needs, as a comma list of `name: constraints`.
    pub prerequisites: String,
    /// A colour for user interfaces.
    pub color: String,
    /// An icon for user interfaces.
    pub icon: String,
    /// Who wrote it.
    pub author: String,
    /// The name for people.
    pub display_name: String,
    /// Its licence.
    pub license: String,
    /// Its copyright line.
    pub copyright: String,
    /// Where its source is.
    pub code_source: String,
    /// A hint for sorting.
    pub order: String,
    /// Words for searching, as a comma list.
    pub tags: String,
    /// Where its documents are.
    pub doc_url: String,
    /// The type of layer: `writable`, `local`, `basic`, `default`, `dynamic` or `plugin`.
    pub r#type: String,
    /// True only for the layer that the API writes to.
    pub writable: bool,
    /// True when writable objects may shadow those of this layer.
    pub overwritable: bool,
}

/// What is done with an artifact when its bundle is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InstallSpec {
    /// `copy`, or `explode` for an archive that is taken apart.
    #[serde(deserialize_with = "or_default")]
    pub action: String,
    /// Where it goes among the files, or below `isos/`; where its own path says when empty.
    #[serde(deserialize_with = "or_default")]
    pub target: String,
}

/// A file that belongs to a bundle (drp-api.md 11.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ArtifactEntry {
    /// Where it came from when the bundle was built.
    #[serde(deserialize_with = "or_default")]
    pub source: String,
    /// Its SHA-256 in hexadecimal digits; any will do when empty.
    #[serde(deserialize_with = "or_default")]
    pub sha256: String,
    /// What is done with it at load time.
    #[serde(deserialize_with = "or_default")]
    pub install: Vec<InstallSpec>,
}

/// The files that belong to a bundle, by their paths in the archive that brings them.
pub type Artifacts = BTreeMap<String, ArtifactEntry>;

/// Reads null as what is there when nothing is said.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// A content bundle as it travels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Content {
    /// What the bundle says of itself.
    pub meta: ContentMeta,
    /// Objects by prefix and key.
    pub sections: BTreeMap<String, BTreeMap<String, Value>>,
    /// Files that belong to it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: Artifacts,
}

/// A bundle in a list: its meta data and how many objects it has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ContentSummary {
    /// What the bundle says of itself.
    pub meta: ContentMeta,
    /// The number of objects by prefix; only prefixes that have some.
    #[serde(rename = "Counts")]
    pub counts: BTreeMap<String, usize>,
    /// What is not in order, though the bundle was loaded.
    #[serde(rename = "Warnings")]
    pub warnings: Vec<String>,
    /// Files that belong to it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: Artifacts,
}

/// The kind of a component: which world it exports (design, part 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentKind {
    /// A step of a workflow.
    #[default]
    Task,
    /// What plans task lists and answers failures.
    Workflow,
    /// What admits and steers migrations.
    MigrationPolicy,
    /// What brings data from one version to the next, and back.
    UpgradeStep,
    /// What offers actions on objects and hears events.
    Plugin,
}

/// A component of an installed pack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct ComponentRecord {
    /// The name within the pack.
    pub name: String,
    /// Which world it exports.
    pub kind: ComponentKind,
    /// The BLAKE3 digest of its bytes, hexadecimal.
    pub digest: String,
    /// What it may do, a line each: `params: read inventory/*`, `files: /proc ro`.
    pub grants: Vec<String>,
    /// The limits that it asks for beside the usual ones, by the names of [`ComponentRecord::LIMITS`]. The site caps them.
    pub limits: BTreeMap<String, u64>,
}

impl ComponentRecord {
    /// The names of the limits that a component may ask for, each with its unit in the name; the others are counts.
    pub const LIMITS: &'static [&'static str] = &[
        "fuel",
        "handles",
        "host-calls",
        "instances",
        "log-bytes",
        "memory-bytes",
        "result-bytes",
        "table-elements",
        "wall-time-ms",
    ];
}

/// An installed content bundle. Its objects are stored beside it and name it in `Bundle`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstalledContent {
    /// The key.
    pub name: String,
    /// The meta data, as it was sent.
    pub content_meta: ContentMeta,
    /// The keys of its objects by prefix.
    pub objects: BTreeMap<String, Vec<String>>,
    /// Its components.
    pub components: Vec<ComponentRecord>,
    /// What was not in order when it was loaded.
    pub warnings: Vec<String>,
    /// Files that belong to it.
    pub artifacts: Artifacts,
    /// The SHA-256 of the archive that it came in; empty when it came alone.
    pub archive: String,
    /// What tells this load from others; empty when it placed no files.
    pub load: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl InstalledContent {
    /// Returns the bundle as lists show it.
    #[must_use]
    pub fn summary(&self) -> ContentSummary {
        ContentSummary {
            meta: self.content_meta.clone(),
            counts: self
                .objects
                .iter()
                .filter(|(_, keys)| !keys.is_empty())
                .map(|(prefix, keys)| (prefix.clone(), keys.len()))
                .collect(),
            warnings: self.warnings.clone(),
            artifacts: self.artifacts.clone(),
        }
    }
}

pub(crate) static KIND: Kind = Kind {
    schema: |generator| generator.subschema_for::<ContentSummary>(),
    columns: &["Name", "Version", "Type", "Description"],
    surface: Surface::Own,
    layers: Layers::None,
    ..Kind::of::<InstalledContent>("contents", "Name", "content bundle")
};

object!(InstalledContent, KIND, key = |content| content.name.clone(), problems = problems);

fn problems(content: &InstalledContent) -> Vec<String> {
    name_problem(NameGrammar::Machine, &content.name, &content.name).into_iter().collect()
}
