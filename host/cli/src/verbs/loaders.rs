//! `loaders`: the boot loaders of a Debian or Ubuntu, on their way to where firmware asks for them.
//!
//! They are taken as the distribution built and signed them. What its packages call them is not what firmware and the shim
//! ask for, so each gets the name that counts.

mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use formwork_client::Method;
use serde_json::{Value, json};

use self::table::{LOADERS, Loader};
use super::{Given, transfer};
use crate::{commands::Context, failure::UsageError};

/// The folder among the files of the endpoint whose files are found by firmware without it.
const FOLDER: &str = "loaders";

/// Where a Debian notes which packages are installed.
const INSTALLED: &str = "/var/lib/dpkg/status";

/// The columns of the report.
const COLUMNS: &[&str] = &["Name", "Platform", "Package", "Version", "Bytes", "State"];

/// A folder that files of packages are in.
struct Source {
    folder: PathBuf,
    /// True where they are in the folders that the packages put them into, and nowhere else.
    is_system: bool,
    /// Version by package, where that is known.
    versions: Vec<(String, String)>,
    /// Holds what was unpacked.
    _unpacked: Option<tempfile::TempDir>,
}

/// A loader that was found.
#[derive(Debug)]
struct Found {
    loader: &'static Loader,
    file: PathBuf,
    version: String,
    bytes: u64,
}

/// Sends loaders to the endpoint.
pub(super) async fn import(given: Given<'_>, context: &mut Context) -> Result<()> {
    let sources = sources(&given.texts("from"))?;
    let found = find(&sources)?;
    let client = context.client()?;
    for found in &found {
        let path = found.file.to_str().with_context(|| unnamed(&found.file))?;
        let source = transfer::open(path).await?;
        let call = client.call(Method::POST, ["files", FOLDER, found.loader.name]);
        transfer::send(call, source).await?;
    }
    context.out.value(&report(&found, "sent"), COLUMNS)
}

/// Copies loaders into a folder here.
pub(super) async fn copy(given: Given<'_>, context: &mut Context) -> Result<()> {
    let sources = sources(&given.texts("from"))?;
    let found = find(&sources)?;
    let folder = Path::new(given.text("FOLDER"));
    fs::create_dir_all(folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
    for found in &found {
        let target = folder.join(found.loader.name);
        fs::copy(&found.file, &target).with_context(|| format!("failed to write `{}`", target.display()))?;
    }
    context.out.value(&report(&found, "copied"), COLUMNS)
}

/// Returns a row for each loader that there is, also for those that were not found.
fn report(found: &[Found], state: &str) -> Vec<Value> {
    let row = |loader: &'static Loader| {
        let found = found.iter().find(|found| std::ptr::eq(found.loader, loader));
        json!({
            "Name": loader.name,
            "Platform": loader.platform.key(),
            "Package": loader.package,
            "Version": found.map(|found| found.version.as_str()).unwrap_or_default(),
            "Bytes": found.map(|found| found.bytes),
            "State": if found.is_some() { state } else { "not found" },
        })
    };
    LOADERS.iter().map(row).collect()
}

/// Opens the places to look into: those that were named, else this system.
fn sources(named: &[&str]) -> Result<Vec<Source>> {
    if named.is_empty() {
        let status = fs::read_to_string(INSTALLED).unwrap_or_default();
        let folder = PathBuf::from("/");
        return Ok(vec![Source { folder, is_system: true, versions: versions(&status), _unpacked: None }]);
    }
    named.iter().map(|name| source(Path::new(name))).collect()
}

fn source(path: &Path) -> Result<Source> {
    if path.is_dir() {
        let versions = Vec::new();
        return Ok(Source { folder: path.to_owned(), is_system: false, versions, _unpacked: None });
    }
    if !path.is_file() {
        bail!(UsageError(format!("`{}` is neither a folder nor a package", path.display())));
    }
    let unpacked = tempfile::tempdir().context("failed to make a folder to unpack a package in")?;
    dpkg_deb(&["-x".as_ref(), path.as_ref(), unpacked.path().as_ref()])?;
    // With the names of the fields, so that it is a note of an installed package too.
    let fields = ["-f".as_ref(), path.as_ref(), "Package".as_ref(), "Version".as_ref()];
    let note = dpkg_deb(&fields)?;
    let folder = unpacked.path().to_owned();
    Ok(Source { folder, is_system: false, versions: versions(&note), _unpacked: Some(unpacked) })
}

/// Runs the program that reads packages, and returns what it says.
fn dpkg_deb(arguments: &[&std::ffi::OsStr]) -> Result<String> {
    let run = Command::new("dpkg-deb").args(arguments).output();
    let run =
        run.context("failed to run `dpkg-deb`\nhint: name a folder that the packages are unpacked in")?;
    if !run.status.success() {
        bail!("`dpkg-deb` says: {}", String::from_utf8_lossy(&run.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&run.stdout).into_owned())
}

/// Reads packages with their versions out of notes as those of dpkg: paragraphs of `Field: value`.
fn versions(notes: &str) -> Vec<(String, String)> {
    let field = |note: &str, name: &str| {
        let found = note.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.map(|value| value.trim().to_owned())
    };
    notes.split("\n\n").filter_map(|note| Some((field(note, "Package")?, field(note, "Version")?))).collect()
}

/// Returns the loaders that are there, without those that lack a file that they load themselves.
fn find(sources: &[Source]) -> Result<Vec<Found>> {
    let mut found: Vec<Found> =
        LOADERS.iter().filter_map(|loader| sources.iter().find_map(|source| source.find(loader))).collect();
    let names: Vec<&str> = found.iter().map(|found| found.loader.name).collect();
    found.retain(|found| found.loader.loads.is_none_or(|loaded| names.contains(&loaded)));
    if found.is_empty() {
        let mut packages: Vec<&str> = LOADERS.iter().map(|loader| loader.package).collect();
        packages.sort_unstable();
        packages.dedup();
        bail!(
            "there is no boot loader here\n\
             hint: `apt-get download {}`, then name each file with `--from`",
            packages.join(" ")
        );
    }
    Ok(found)
}

impl Source {
    fn find(&self, loader: &'static Loader) -> Option<Found> {
        let base = |path: &'static str| path.rsplit('/').next();
        let loose = std::iter::once(loader.name).chain(loader.paths.iter().filter_map(|path| base(path)));
        let loose = loose.filter(|_| !self.is_system);
        let file = loader.paths.iter().copied().chain(loose).map(|path| self.folder.join(path));
        let file = file.into_iter().find(|file| file.is_file() && loader.platform.is_of(file))?;
        let bytes = fs::metadata(&file).ok()?.len();
        let version = self.versions.iter().find(|(package, _)| package == loader.package);
        let version = version.map(|(_, version)| version.clone()).unwrap_or_default();
        Some(Found { loader, file, version, bytes })
    }
}

fn unnamed(path: &Path) -> String {
    format!("the name `{}` is no text", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    /// Returns the beginning of a program for UEFI.
    fn efi(machine: u16) -> Vec<u8> {
        let mut bytes = vec![0; 0x86];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 0x80;
        bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
        bytes[0x84..].copy_from_slice(&machine.to_le_bytes());
        bytes
    }

    fn found(folders: &[&tempfile::TempDir]) -> Result<Vec<(&'static str, PathBuf)>> {
        let sources: Vec<Source> = folders.iter().map(|folder| source(folder.path()).unwrap()).collect();
        let found = find(&sources)?;
        Ok(found.into_iter().map(|found| (found.loader.name, found.file)).collect())
    }

    #[test]
    fn files_of_packages_get_the_names_that_firmware_asks_for() {
        let amd64 = efi(0x8664);
        let tree = folder(&[
            ("usr/lib/shim/shimx64.efi.signed", &amd64),
            ("usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", &amd64),
            ("usr/lib/ipxe/undionly.kpxe", b"kpxe"),
        ]);
        let loose = folder(&[("ipxe.efi", &amd64), ("undionly.kpxe", b"another")]);
        let found = found(&[&tree, &loose]).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["undionly.kpxe", "ipxe.efi", "shimx64.efi", "grubx64.efi"]);
        assert_eq!(found[0].1, tree.path().join("usr/lib/ipxe/undionly.kpxe"), "the first place wins");
        assert_eq!(found[3].1, tree.path().join("usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"));
    }

    #[test]
    fn loader_of_another_machine_or_without_what_it_loads_is_none() {
        let arm = efi(0xaa64);
        let wrong = folder(&[("ipxe.efi", &efi(0x014c)), ("snponly.efi", b"<html>")]);
        let error = found(&[&wrong]).unwrap_err().to_string();
        assert!(error.contains("no boot loader") && error.contains("shim-signed"), "{error}");
        let alone = folder(&[("lpxelinux.0", b"x"), ("ipxe-arm64.efi", &arm), ("shimaa64.efi", &arm)]);
        let names: Vec<&str> = found(&[&alone]).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["ipxe-arm64.efi"]);
        fs::write(alone.path().join("ldlinux.c32"), "x").unwrap();
        assert_eq!(found(&[&alone]).unwrap().len(), 3);
    }

    #[test]
    fn versions_are_those_of_the_notes_of_dpkg() {
        let notes = "Package: ipxe\nStatus: install ok installed\nVersion: 1.0.0+git\n\nPackage: gone\n\n\
                     Package: shim-signed\nDescription: x\n Version: 9\nVersion: 1.44\n";
        let expected = [("ipxe", "1.0.0+git"), ("shim-signed", "1.44")];
        assert_eq!(versions(notes), expected.map(|(name, version)| (name.to_owned(), version.to_owned())));
    }

    #[test]
    fn report_has_a_row_for_each_loader() {
        let rows = report(&[], "sent");
        assert_eq!(rows.len(), LOADERS.len());
        assert!(rows.iter().all(|row| row["State"] == "not found"), "{rows:?}");
    }
}
