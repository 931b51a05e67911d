//! Debian and Ubuntu packages: which are missing, how they are installed, and where a kernel comes from.

mod needs;
mod peers;
mod tool;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::report::say;
use crate::shell;

pub(crate) use needs::{Need, TO_BOOT, TO_BUILD, TO_DISCOVER, TO_LAB, TO_MEASURE_BOOT, TO_TEST};
pub(crate) use peers::{Peers, peers};
pub(crate) use tool::Tool;

/// Where the static busybox stands.
pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// The packages with boot loaders, of which `formwork loaders` knows the files.
const LOADERS: &[&str] = &["grub-efi-amd64-signed", "ipxe", "pxelinux", "shim-signed", "syslinux-common"];

/// Returns the packages of `needs` that are missing here.
pub(crate) fn missing(needs: &[Need]) -> Vec<&'static str> {
    needs.iter().filter(|need| !need.is_met()).map(|need| need.package).collect()
}

/// Returns the command that a person types to install `packages`.
pub(crate) fn install_line(packages: &[&str]) -> String {
    format!("apt-get update && apt-get install -y --no-install-recommends {}", packages.join(" "))
}

/// Installs what is missing of `needs`; does nothing, and fast, when all is there.
///
/// # Errors
/// Not root, no `apt-get`, or an installation that failed also with fresh package lists.
pub(crate) fn install(needs: &[Need]) -> Result<()> {
    let packages = missing(needs);
    if packages.is_empty() {
        return Ok(());
    }
    if !shell::is_root() || shell::find_program("apt-get").is_none() {
        bail!("missing: {}\nhint: run as root: {}", packages.join(", "), install_line(&packages));
    }
    say(&format!("installing {}", packages.join(" ")));
    let install = || {
        let mut apt = apt_get();
        apt.args(["install", "-y", "-q", "--no-install-recommends"]).args(&packages);
        shell::run(apt.stdout(Stdio::null()))
    };
    if install().is_err() {
        update()?;
        install()?;
    }
    match missing(needs).as_slice() {
        [] => Ok(()),
        rest => bail!("installed, and still missing: {}", rest.join(", ")),
    }
}

/// Fetches the package lists.
pub(crate) fn update() -> Result<()> {
    shell::run(apt_get().args(["update", "-q"]).stdout(Stdio::null()))
}

/// Returns the folder below `cache` that packages with boot loaders are unpacked in; fetches them when it is not there yet.
///
/// Nothing is installed: packages of shim and GRUB would change how this very machine starts.
pub(crate) fn loaders(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join("loaders");
    if !folder.is_dir() {
        fetch(&LOADERS.iter().map(|&package| package.to_owned()).collect::<Vec<_>>(), &folder)?;
    }
    Ok(folder)
}

/// Which kernel of the distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// With the drivers of real machines: some 70 MB to fetch.
    Generic,
    /// For virtual machines only, and smaller.
    Virtual,
}

impl Flavour {
    /// Returns the packages that stand for the newest one, those of Debian first.
    fn packages(self, architecture: &str) -> [String; 2] {
        match self {
            Self::Generic => [format!("linux-image-{architecture}"), "linux-image-generic".to_owned()],
            Self::Virtual => [format!("linux-image-cloud-{architecture}"), "linux-image-virtual".to_owned()],
        }
    }

    /// Returns the name of the folder that it is unpacked in.
    fn folder(self) -> &'static str {
        match self {
            Self::Generic => "kernel-generic",
            Self::Virtual => "kernel",
        }
    }
}

/// A kernel package, unpacked.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// The bootable image.
    pub(crate) image: PathBuf,
    /// `lib/modules/VERSION`.
    pub(crate) modules: PathBuf,
}

impl Kernel {
    /// Unpacks the kernel package `file` below `cache`, or finds it unpacked there.
    pub(crate) fn from_package(file: &Path, cache: &Path) -> Result<Self> {
        let name = file.file_stem().ok_or_else(|| anyhow!("`{}` is no package", file.display()))?;
        let folder = cache.join(name);
        if let Ok(kernel) = Self::in_folder(&folder) {
            return Ok(kernel);
        }
        unpack(&[file.to_owned()], &folder)?;
        Self::in_folder(&folder)
    }

    /// Returns the kernel below `cache`; fetches the distribution's present one when there is none yet.
    ///
    /// Nothing is installed: the package is downloaded and unpacked. Needs no root when the package lists are there.
    pub(crate) fn fetch(flavour: Flavour, cache: &Path) -> Result<Self> {
        let folder = cache.join(flavour.folder());
        if let Ok(kernel) = Self::in_folder(&folder) {
            return Ok(kernel);
        }
        let packages = match kernel_packages(flavour) {
            Ok(packages) => packages,
            Err(_) if shell::is_root() => update().and_then(|()| kernel_packages(flavour))?,
            Err(error) => return Err(error.context("hint: run `apt-get update` as root")),
        };
        fetch(&packages, &folder)?;
        Self::in_folder(&folder)
    }

    /// Returns the version of the kernel, as `uname -r` prints it.
    pub(crate) fn release(&self) -> String {
        self.modules.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn in_folder(folder: &Path) -> Result<Self> {
        let first = |below: &str, prefix: &str| {
            let mut entries: Vec<PathBuf> = fs::read_dir(folder.join(below))
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect();
            entries.sort();
            let named = |path: &&PathBuf| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
            };
            entries.iter().rfind(named).cloned()
        };
        let modules = first("lib/modules", "").or_else(|| first("usr/lib/modules", ""));
        match (first("boot", "vmlinuz"), modules) {
            (Some(image), Some(modules)) => Ok(Self { image, modules }),
            _ => bail!("`{}` holds no kernel with modules", folder.display()),
        }
    }
}

/// Returns the packages that hold the newest kernel of this distribution.
fn kernel_packages(flavour: Flavour) -> Result<Vec<String>> {
    let architecture = shell::stdout(Command::new("dpkg").arg("--print-architecture"))?;
    let known = flavour.packages(&architecture);
    for meta in &known {
        let Some(image) = depends(meta).ok().and_then(|text| versioned_dependency(&text, "linux-image-"))
        else {
            continue;
        };
        let modules = versioned_dependency(&depends(&image)?, "linux-modules-");
        return Ok([Some(image), modules].into_iter().flatten().collect());
    }
    bail!("no package `{}` in the package lists", known.join("` or `"))
}

/// Unpacks packages below `folder`. They are downloaded beside it, and the package lists are brought up to date where that fails.
fn fetch(packages: &[String], folder: &Path) -> Result<()> {
    say(&format!("fetching {}", packages.join(" ")));
    let downloads = folder.with_added_extension("download");
    if download(packages, &downloads).is_err() {
        update()?;
        download(packages, &downloads)?;
    }
    unpack(&files_in(&downloads, "deb")?, folder)?;
    fs::remove_dir_all(&downloads).with_context(|| format!("failed to remove `{}`", downloads.display()))
}

/// Returns what `apt-cache` prints of the dependencies of a package, in English.
fn depends(package: &str) -> Result<String> {
    shell::stdout(Command::new("apt-cache").env("LC_ALL", "C").args(["depends", package]))
}

/// Returns the dependencies in what `apt-cache depends` printed.
fn dependencies(text: &str) -> impl Iterator<Item = &str> {
    let names = text.lines().filter_map(|line| line.trim().trim_start_matches('|').strip_prefix("Depends: "));
    names.map(str::trim)
}

/// Returns the first dependency in what `apt-cache depends` printed that is `prefix` and a version.
fn versioned_dependency(text: &str, prefix: &str) -> Option<String> {
    let versioned = |name: &&str| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
    };
    dependencies(text).find(versioned).map(str::to_owned)
}

fn download(packages: &[String], folder: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
    let mut apt = apt_get();
    apt.current_dir(folder).arg("download").args(packages);
    shell::run(apt.stdout(Stdio::null()))
}

/// Unpacks `packages` into `folder`, which appears only when all are in it.
fn unpack(packages: &[PathBuf], folder: &Path) -> Result<()> {
    let partial = folder.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).with_context(|| format!("failed to make `{}`", partial.display()))?;
    for package in packages {
        shell::run(Command::new("dpkg").arg("-x").arg(package).arg(&partial))?;
    }
    let _ = fs::remove_dir_all(folder);
    fs::rename(&partial, folder).with_context(|| format!("failed to move `{}` into place", folder.display()))
}

/// Returns the files of `folder` with the extension `extension`, sorted.
fn files_in(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to list `{}`", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    Ok(files)
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    // The sandbox user of apt cannot write into our folders; the lock is often held by the system's own updates.
    command.args(["-o", "APT::Sandbox::User=root", "-o", "DPkg::Lock::Timeout=600"]);
    command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// What is in the program headers of a program, as far as it matters here (System V ABI chapter 5).
enum Linked {
    /// It asks for no interpreter.
    Static,
    /// It asks for the one at this path.
    By(String),
}

/// Returns whether `elf` is a 64-bit program that asks for no interpreter.
pub(crate) fn is_static(elf: &[u8]) -> bool {
    matches!(linked(elf), Some(Linked::Static))
}

/// Returns the path of the interpreter that a 64-bit program asks for.
fn interpreter(elf: &[u8]) -> Option<String> {
    match linked(elf)? {
        Linked::Static => None,
        Linked::By(path) => Some(path),
    }
}

/// Looks for an interpreter (`PT_INTERP`); nothing for what is no 64-bit program.
fn linked(elf: &[u8]) -> Option<Linked> {
    const PROGRAM_INTERPRETER: u64 = 3;
    let part = |at: u64, size: u64| {
        let (at, end) = (usize::try_from(at).ok()?, usize::try_from(at.checked_add(size)?).ok()?);
        elf.get(at..end)
    };
    let number = |at: u64, size: u64| {
        Some(part(at, size)?.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte)))
    };
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (start, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    for index in 0..count {
        let header = start.checked_add(index * size)?;
        if number(header, 4)? == PROGRAM_INTERPRETER {
            let path = part(number(header.checked_add(8)?, 8)?, number(header.checked_add(32)?, 8)?)?;
            let path = String::from_utf8_lossy(path);
            return Some(Linked::By(path.trim_end_matches('\0').to_owned()));
        }
    }
    Some(Linked::Static)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::needs::Proof;
    use super::*;

    /// Returns a 64-bit program with one program header, of this kind.
    pub(crate) fn elf(kind: u8) -> Vec<u8> {
        let mut elf = vec![0_u8; 0x40 + 0x38];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[0x20] = 0x40;
        elf[0x36] = 0x38;
        elf[0x38] = 1;
        elf[0x40] = kind;
        elf
    }

    #[test]
    fn real_kernel_is_chosen_behind_the_meta_package() {
        let debian = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n";
        assert_eq!(
            versioned_dependency(debian, "linux-image-").as_deref(),
            Some("linux-image-6.1.0-56-cloud-amd64")
        );
        let ubuntu = "linux-image-virtual\n  Depends: linux-image-generic\n |Depends: linux-image-6.8.0-51-generic\n  \
                      Recommends: thermald\n";
        assert_eq!(
            versioned_dependency(ubuntu, "linux-image-").as_deref(),
            Some("linux-image-6.8.0-51-generic")
        );
    }

    #[test]
    fn modules_of_a_split_kernel_are_found_and_other_dependencies_ignored() {
        let text = "linux-image-6.8.0-51-generic\n  Depends: kmod\n  Depends: linux-base\n  \
                    Depends: linux-modules-6.8.0-51-generic\n";
        assert_eq!(
            versioned_dependency(text, "linux-modules-").as_deref(),
            Some("linux-modules-6.8.0-51-generic")
        );
        assert_eq!(versioned_dependency(text, "linux-image-"), None);
    }

    #[test]
    fn garbage_is_not_static() {
        assert!(!is_static(b"#!/bin/sh\n"));
        assert!(!is_static(b"\x7fELF\x02\x01"));
        assert!(!is_static(b""));
    }

    #[test]
    fn program_without_an_interpreter_is_static() {
        assert!(is_static(&elf(1)));
        assert!(!is_static(&elf(3)));
    }

    #[test]
    fn missing_package_is_named_once_with_the_command_that_installs_it() {
        let needs = [
            Need { package: "shell", proof: Proof::Program("sh") },
            Need { package: "nothing", proof: Proof::File("/nowhere/nothing") },
        ];
        assert_eq!(missing(&needs), ["nothing"]);
        assert!(install_line(&missing(&needs)).ends_with(" nothing"));
    }
}
