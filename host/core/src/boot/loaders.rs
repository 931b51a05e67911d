//! The files that firmware can start, by platform (drp-behaviour.md 5.7, drp-api.md 15.2).

use std::fmt;

use formwork_model::{BootEnv, Objects};
use serde_json::Value;

use super::{PassedOver, Rule};
use crate::params::{self, Level};

/// The parameter with loaders by platform.
pub(super) const PARAM: &str = "bootloaders";

/// What a client can run: its instruction set and its firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Platform {
    /// x86 with a BIOS.
    Bios,
    /// x86-64 with UEFI.
    UefiAmd64,
    /// 64-bit ARM with UEFI.
    UefiArm64,
    /// The boot ROM of a Raspberry Pi 4, which loads its own firmware first.
    RaspberryPi4,
    /// Another one, by its number in the IANA registry of processor architecture types.
    Other(u16),
}

/// How a client fetches what it runs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asks {
    /// The firmware fetches a file by TFTP.
    File,
    /// The firmware fetches a URL: HTTP boot of UEFI.
    Url,
    /// iPXE asks, which runs a script.
    Script,
}

impl Platform {
    /// Returns its architecture in boot environments; empty where it has none there.
    #[must_use]
    pub fn arch(self) -> &'static str {
        match self {
            Self::Bios | Self::UefiAmd64 => "amd64",
            Self::UefiArm64 => "arm64",
            Self::RaspberryPi4 => "rpi4",
            Self::Other(_) => "",
        }
    }

    /// Returns its key among loaders, where it has one.
    pub(super) fn key(self) -> Option<&'static str> {
        match self {
            Self::Bios => Some("386-pcbios"),
            Self::UefiAmd64 => Some("amd64-uefi"),
            Self::UefiArm64 => Some("arm64-uefi"),
            Self::RaspberryPi4 | Self::Other(_) => None,
        }
    }

    /// Returns the loader that it gets when nobody says otherwise, and what stands in for it, in order. Debian calls the
    /// builds of iPXE by other names than DRP, and has no `lpxelinux.0` unless that is installed by itself.
    fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Bios => &["lpxelinux.0", "undionly.kpxe", "ipxe.pxe"],
            Self::UefiAmd64 => &["ipxe.efi", "snponly.efi"],
            Self::UefiArm64 => &["ipxe-arm64.efi", "snponly-arm64.efi"],
            // The ROM looks for this name by itself, below its serial number first.
            Self::RaspberryPi4 => &["start4.elf"],
            Self::Other(_) => &[],
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bios => to.write_str("x86 with BIOS"),
            Self::UefiAmd64 => to.write_str("x86-64 with UEFI"),
            Self::UefiArm64 => to.write_str("arm64 with UEFI"),
            Self::RaspberryPi4 => to.write_str("Raspberry Pi 4"),
            Self::Other(number) => write!(to, "the architecture of number {number}"),
        }
    }
}

/// A loader that somebody chose.
pub(super) struct Own {
    pub(super) file: String,
    pub(super) rule: Rule,
}

/// Returns the loader that somebody chose: in the environment for the platform, for its architecture, or as a parameter.
pub(super) fn own_loader(
    objects: &(impl Objects + ?Sized),
    levels: &[Level<'_>],
    (env, platform): (&BootEnv, Platform),
    passed_over: &mut Vec<PassedOver>,
) -> Option<Own> {
    let given = |loader: &String| !loader.is_empty();
    let name = || env.name.clone();
    if let Some(key) = platform.key() {
        if let Some(file) = env.loaders.get(key).cloned().filter(given) {
            return Some(Own { file, rule: Rule::EnvLoader(name()) });
        }
        passed_over.push(PassedOver::NoEnvLoader { env: name(), key });
    }
    // The loader of an architecture is for UEFI, which is all that the other architectures have.
    if platform != Platform::Bios && !platform.arch().is_empty() {
        let arch = platform.arch();
        if let Some(file) = Some(env.for_arch(arch).loader).filter(given) {
            return Some(Own { file, rule: Rule::ArchLoader(name()) });
        }
        passed_over.push(PassedOver::NoEnvLoader { env: name(), key: arch });
    }
    let key = platform.key()?;
    let found = params::find_at(objects, levels, PARAM);
    let file = found.as_ref().and_then(|found| found.value.get(key)).and_then(Value::as_str);
    if let (Some(file), Some(found)) = (file.filter(|file| !file.is_empty()), &found) {
        let owner = found.owner.as_ref();
        let owner =
            owner.map_or_else(|| format!("params:{PARAM}"), |(prefix, key)| format!("{prefix}:{key}"));
        return Some(Own { file: file.to_owned(), rule: Rule::ParamLoader(owner) });
    }
    passed_over.push(PassedOver::NoParamLoader(key));
    None
}

/// Returns the loader that a platform gets when nobody chose one: the first that is there, else the usual one, which is
/// then the name that is missed.
pub(super) fn usual_loader(
    platform: Platform,
    files: &dyn Fn(&str) -> bool,
    passed_over: &mut Vec<PassedOver>,
) -> Option<(String, Rule)> {
    let (usual, stand_ins) = platform.usual().split_first()?;
    if files(usual) {
        return Some(((*usual).to_owned(), Rule::UsualLoader));
    }
    passed_over.push(PassedOver::NotThere((*usual).to_owned()));
    for stand_in in stand_ins {
        if files(stand_in) {
            return Some(((*stand_in).to_owned(), Rule::StandIn));
        }
        passed_over.push(PassedOver::NotThere((*stand_in).to_owned()));
    }
    Some(((*usual).to_owned(), Rule::UsualLoader))
}

/// Tells whether a loader is a build of iPXE, by the names that they have.
pub(super) fn is_ipxe(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    ["ipxe", "undionly", "snponly"].iter().any(|start| name.starts_with(start))
}
