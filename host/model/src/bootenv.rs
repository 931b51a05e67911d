//! Boot environments: what a machine boots over the network (drp-api.md 7.1).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Reference, TemplateInfo, canonical_arch, name_problem,
    names::param_problems,
    object::{decode, object},
    template::{entry_problems, entry_references},
};

/// The architectures and firmwares that a boot loader may be named for.
const LOADERS: &[&str] = &["386-pcbios", "amd64-uefi", "arm64-uefi"];

/// A kernel with its files and the texts that make firmware load it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct BootEnv {
    /// The key; those that install an operating system end in `-install`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people.
    pub documentation: String,
    /// The operating system and where its files come from.
    #[serde(rename = "OS")]
    pub os: OsInfo,
    /// Files that are served for a machine in the environment.
    pub templates: Vec<TemplateInfo>,
    /// The kernel below the environment's install tree; empty boots nothing.
    pub kernel: String,
    /// Initial RAM disks, in order.
    pub initrds: Vec<String>,
    /// A template of the kernel's command line.
    pub boot_params: String,
    /// Params that a machine must resolve.
    pub required_params: Vec<String>,
    /// Params that the environment also looks at; for people.
    pub optional_params: Vec<String>,
    /// True for environments of unknown machines; known ones cannot be assigned to them.
    pub only_unknown: bool,
    /// Boot loaders by `386-pcbios`, `amd64-uefi` and `arm64-uefi`.
    pub loaders: BTreeMap<String, String>,
    /// What opens an action in the templates instead of two braces.
    pub start_delimiter: String,
    /// What closes an action in the templates instead of two braces.
    pub end_delimiter: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl BootEnv {
    /// Returns the boot data for an architecture; empty members fall back to those at the top.
    #[must_use]
    pub fn for_arch(&self, arch: &str) -> ArchInfo {
        let named = self
            .os
            .supported_architectures
            .iter()
            .find(|(name, _)| canonical_arch(name) == Some(arch))
            .map(|(_, info)| info.clone())
            .unwrap_or_default();
        ArchInfo {
            iso_file: or(named.iso_file, &self.os.iso_file),
            sha256: or(named.sha256, &self.os.iso_sha256),
            iso_url: or(named.iso_url, &self.os.iso_url),
            kernel: or(named.kernel, &self.kernel),
            initrds: if named.initrds.is_empty() { self.initrds.clone() } else { named.initrds },
            boot_params: or(named.boot_params, &self.boot_params),
            loader: named.loader,
        }
    }

    /// Returns the folder of the install tree for an architecture, below the file root.
    #[must_use]
    pub fn install_tree(&self, arch: &str) -> String {
        let system = if self.os.name.is_empty() { &self.name } else { &self.os.name };
        if arch == "amd64" { format!("{system}/install") } else { format!("{system}/{arch}/install") }
    }
}

fn or(value: String, other: &str) -> String {
    if value.is_empty() { other.to_owned() } else { value }
}

/// The operating system of a boot environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct OsInfo {
    /// The name of its folder: family and version by convention.
    pub name: String,
    /// `debian`, `redhat` ...
    pub family: String,
    /// The name of the release.
    pub codename: String,
    /// The number of the release.
    pub version: String,
    /// The archive for amd64.
    pub iso_file: String,
    /// The SHA-256 of the archive, hexadecimal.
    pub iso_sha256: String,
    /// Where the archive can be had; the server does not fetch it.
    pub iso_url: String,
    /// The same by architecture.
    pub supported_architectures: BTreeMap<String, ArchInfo>,
}

/// The boot data of one architecture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct ArchInfo {
    /// The archive.
    pub iso_file: String,
    /// The SHA-256 of the archive, hexadecimal.
    pub sha256: String,
    /// Where the archive can be had.
    pub iso_url: String,
    /// The kernel below the install tree.
    pub kernel: String,
    /// Initial RAM disks, in order.
    pub initrds: Vec<String>,
    /// A template of the kernel's command line.
    pub boot_params: String,
    /// The boot loader to offer.
    pub loader: String,
}

pub(crate) static KIND: Kind = Kind {
    prefix: "bootenvs",
    key: "Name",
    noun: "boot environment",
    unique: &[],
    hidden: &[],
    read_only: &[],
    opaque: &[],
    decode: decode::<BootEnv>,
    schema: |generator| generator.subschema_for::<BootEnv>(),
    columns: &["Name", "OnlyUnknown", "Available", "Description", "Bundle"],
};

object!(BootEnv, KIND, key = |bootenv| bootenv.name.clone(), problems = problems, references = references);

fn problems(bootenv: &BootEnv) -> Vec<String> {
    let key = bootenv.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    found.extend(entry_problems(key, &bootenv.templates, true));
    found.extend(param_problems(key, &bootenv.required_params, &bootenv.optional_params));
    for loader in bootenv.loaders.keys().filter(|loader| !LOADERS.contains(&loader.as_str())) {
        found.push(format!("{key}: {loader} is not a supported loader type"));
    }
    for arch in bootenv.os.supported_architectures.keys().filter(|arch| canonical_arch(arch).is_none()) {
        found.push(format!("{key}: {arch} is not a supported architecture"));
    }
    found
}

fn references(bootenv: &BootEnv) -> Vec<Reference> {
    entry_references(&bootenv.name, &bootenv.templates)
}
