//! A program of a package with the libraries that it is linked to, for a system that has none of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};

use super::{dependencies, depends, interpreter};
use crate::shell;

/// Where packages put programs and libraries, below the root.
const PROGRAMS: [&str; 4] = ["sbin", "usr/sbin", "bin", "usr/bin"];
const LIBRARIES: [&str; 2] = ["lib", "usr/lib"];

/// A program and what it runs with.
#[derive(Debug)]
pub(crate) struct Tool {
    /// What to put into a system: the path below its root, and the bytes. Programs are in `bin`, libraries in `lib`.
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

impl Tool {
    /// Returns the program `name` of the package `package`, unpacked below `cache`; fetches that when it is not there yet.
    ///
    /// Nothing is installed, as with a kernel.
    ///
    /// # Errors
    /// A download that failed, or a library that no package of its dependencies has.
    pub(crate) fn fetch(package: &str, name: &str, cache: &Path) -> Result<Self> {
        let folder = cache.join(package);
        if let Ok(tool) = Self::in_root(&folder, name) {
            return Ok(tool);
        }
        super::fetch(&with_libraries(package)?, &folder)?;
        Self::in_root(&folder, name)
    }

    /// Returns the program `name` of the system below `root`.
    fn in_root(root: &Path, name: &str) -> Result<Self> {
        let mut programs = PROGRAMS.iter().map(|folder| root.join(folder).join(name));
        let program = programs.find(|program| program.is_file());
        let program = program.ok_or_else(|| anyhow!("`{}` has no program `{name}`", root.display()))?;
        let bytes = read(&program)?;
        let loader = interpreter(&bytes);
        let mut files = vec![(format!("bin/{name}"), bytes)];
        let Some(loader) = loader else { return Ok(Self { files }) };
        let folders = library_folders(root)?;
        let loader_name = file_name(Path::new(&loader))?;
        let here = folders.iter().map(|folder| folder.join(&loader_name)).find(|file| file.is_file());
        let here = here.ok_or_else(|| anyhow!("`{}` has no `{loader_name}`", root.display()))?;
        files.push((loader.trim_start_matches('/').to_owned(), read(&here)?));
        let searched =
            folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(":");
        let mut list = Command::new(&here);
        list.args(["--inhibit-cache", "--library-path", &searched, "--list"]).arg(&program);
        for library in listed(&shell::stdout(&mut list)?)? {
            if !library.starts_with(root) {
                bail!(
                    "`{}` is linked to `{}`, which its packages do not have",
                    program.display(),
                    library.display()
                );
            }
            let library_name = file_name(&library)?;
            if library_name != loader_name {
                files.push((format!("lib/{library_name}"), read(&library)?));
            }
        }
        Ok(Self { files })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("failed to read `{}`", path.display()))
}

fn file_name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| anyhow!("`{}` is no name of a file", path.display()))
}

/// Returns the folders with libraries below `root`: those of the system, and in them those of the architecture.
fn library_folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in LIBRARIES.iter().map(|folder| root.join(folder)).filter(|folder| folder.is_dir()) {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("failed to list `{}`", folder.display()))?;
        let mut below: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        below.retain(|path| path.is_dir() && path.to_string_lossy().contains("-linux-gnu"));
        below.sort();
        found.extend(below);
        found.push(folder);
    }
    Ok(found)
}

/// Returns the files in what a loader printed of a program: `NAME => PATH (ADDRESS)` each. The kernel's own has no path, and the
/// loader's is known.
fn listed(text: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for (name, place) in text.lines().filter_map(|line| line.trim().split_once(" => ")) {
        match place.split_once(" (") {
            Some((path, _)) => found.push(PathBuf::from(path)),
            None => bail!("the library `{name}` is missing: {place}"),
        }
    }
    Ok(found)
}

/// Returns a package and the packages of libraries that it depends on, however far.
pub(super) fn with_libraries(package: &str) -> Result<Vec<String>> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![package.to_owned()]);
    while let Some(package) = next.pop() {
        if seen.insert(package.clone()) {
            let text = depends(&package).context("hint: run `apt-get update` as root")?;
            next.extend(libraries(&text));
        }
    }
    Ok(seen.into_iter().collect())
}

/// Returns the packages of libraries in what `apt-cache depends` printed.
fn libraries(text: &str) -> Vec<String> {
    // One is called by the name of its project.
    let is_library = |name: &&str| name.starts_with("lib") || *name == "zlib1g";
    dependencies(text).filter(is_library).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn program_runs_with_the_files_that_come_with_it_alone() {
        let tool = Tool::in_root(Path::new("/"), "sort").unwrap();
        let folder = std::env::temp_dir().join(format!("xtask-tool-{}", std::process::id()));
        for (path, bytes) in &tool.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let loader = interpreter(&tool.files[0].1).unwrap();
        let mut command = Command::new(folder.join(loader.trim_start_matches('/')));
        command.args(["--inhibit-cache", "--library-path"]).arg(folder.join("lib"));
        let listed = shell::stdout(
            Command::new(command.get_program())
                .args(command.get_args())
                .arg("--list")
                .arg(folder.join("bin/sort")),
        );
        let ran = shell::stdout(command.arg(folder.join("bin/sort")).arg("--version"));
        fs::remove_dir_all(&folder).unwrap();
        assert!(ran.unwrap().starts_with("sort "));
        for library in super::listed(&listed.unwrap()).unwrap() {
            assert!(library.starts_with(&folder), "{}", library.display());
        }
    }

    #[test]
    fn library_that_is_not_there_is_named() {
        let text = "\tlinux-vdso.so.1 (0x1)\n\tliba.so.1 => /r/lib/liba.so.1 (0x2)\n\t/lib64/ld.so.2 (0x3)\n";
        assert_eq!(listed(text).unwrap(), [PathBuf::from("/r/lib/liba.so.1")]);
        let error = listed("\tlibb.so.4 => not found\n").unwrap_err();
        assert_eq!(error.to_string(), "the library `libb.so.4` is missing: not found");
    }

    #[test]
    fn libraries_are_told_from_other_dependencies() {
        let text = "kexec-tools\n  Depends: libc6\n  Depends: libxen4\n Depends: zlib1g\n |Depends: debconf\n  Depends: <debconf-2.0>\n  \
                    Suggests: libnot\n";
        assert_eq!(libraries(text), ["libc6", "libxen4", "zlib1g"]);
    }
}
