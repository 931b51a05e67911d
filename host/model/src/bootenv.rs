//! Boot environments: what a machine boots over the network (drp-api.md 7.1).

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Reference, TemplateInfo, canonical_arch, name_problem,
    names::param_problems,
    object::object,
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
        // The archive at the top is that of one architecture.
        let top = if arch == "amd64" && named.iso_file.is_empty() {
            let OsInfo { iso_file, iso_sha256, iso_url, .. } = self.os.clone();
            (iso_file, iso_sha256, iso_url)
        } else {
            (named.iso_file, named.sha256, named.iso_url)
        };
        ArchInfo {
            iso_file: top.0,
            sha256: top.1,
            iso_url: top.2,
            kernel: or(named.kernel, &self.kernel),
            initrds: if named.initrds.is_empty() { self.initrds.clone() } else { named.initrds },
            boot_params: or(named.boot_params, &self.boot_params),
            loader: named.loader,
        }
    }

    /// Returns the architectures that it is for, by their usual names. The members at the top stand for amd64 where the
    /// map lacks it (drp-behaviour.md 5.1).
    #[must_use]
    pub fn arches(&self) -> BTreeSet<&'static str> {
        let named = self.os.supported_architectures.keys().filter_map(|arch| canonical_arch(arch));
        let top = !self.kernel.is_empty() || !self.os.iso_file.is_empty();
        named.chain(top.then_some("amd64")).collect()
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
    columns: &["Name", "OnlyUnknown", "Available", "Description", "Bundle"],
    operation_words: Some(("boot_envs", "boot_env")),
    ..Kind::of::<BootEnv>("bootenvs", "Name", "boot environment")
};

object!(BootEnv, KIND, key = |bootenv| bootenv.name.clone(), problems = problems, references = references);

fn problems(bootenv: &BootEnv) -> Vec<String> {
    let key = bootenv.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    // It is the name of a folder beside those of files and archives.
    let system = bootenv.os.name.as_str();
    if system.contains('/') || matches!(system, "." | ".." | "files" | "isos") {
        found.push(format!("{key}: Invalid OS Name `{system}`: it is the name of a folder of its own"));
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn boot_environment_keeps_all_members() {
        let members = json!({
            "Name": "plum-install", "Description": "fruit", "Documentation": "Sweet.",
            "OS": {"Name": "plum-9", "Family": "plum", "Codename": "stone", "Version": "9", "IsoFile": "plum.iso",
                   "IsoSha256": "00", "IsoUrl": "https://plum.example/iso",
                   "SupportedArchitectures": {"arm64": {"IsoFile": "a.iso", "Sha256": "01", "IsoUrl": "",
                       "Kernel": "k", "Initrds": ["i"], "BootParams": "quiet", "Loader": "l.efi"}}},
            "Templates": [{"Name": "one", "Path": "/tmp/one", "ID": "", "Contents": "text", "Link": "", "Meta": {"OS": "linux"}, "StartDelimiter": "<%", "EndDelimiter": "%>"}], "Kernel": "vmlinuz", "Initrds": ["i1", "i2"], "BootParams": "console=ttyS0",
            "RequiredParams": ["plum/size"], "OptionalParams": ["plum/colour"], "OnlyUnknown": true,
            "Loaders": {"amd64-uefi": "plum.efi"}, "StartDelimiter": "[[", "EndDelimiter": "]]",
        });
        round_trip("bootenvs", members);
    }

    #[test]
    fn boot_environment_is_for_known_loaders_and_architectures() {
        let mut bootenv = BootEnv { name: "b1".into(), ..BootEnv::default() };
        bootenv.loaders.insert("z80-bios".into(), "z.efi".into());
        bootenv.os.supported_architectures.insert("z80".into(), ArchInfo::default());
        let wanted =
            ["b1: z80-bios is not a supported loader type", "b1: z80 is not a supported architecture"];
        assert_eq!(problems(&bootenv), wanted);
    }
}
