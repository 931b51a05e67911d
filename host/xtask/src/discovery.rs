//! `cargo xtask discovery`: the kernel and the initramfs that an unknown machine boots.
//!
//! The initramfs holds a static busybox, the kernel modules of [`modules`], the static agent, `kexec` with what it is linked to, and
//! `init.sh`. It is made without root, and the same inputs give the same bytes.

mod modules;
mod newc;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use flate2::{Compression, GzBuilder};

use crate::build;
use crate::debian::{self, Flavour, Kernel, Tool};
use crate::report::say;
use crate::shell;
use crate::workspace::Workspace;
use newc::Archive;

/// What goes into the discovery system, and where it is written.
#[derive(Debug, clap::Args)]
pub(crate) struct DiscoveryArgs {
    /// The data folder of `formwork serve`, its `--base-root`: below it are the files that machines boot.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The static `formwork` program that becomes the agent; without it, that of `cargo xtask build`.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
    /// A Debian kernel package to take instead of the distribution's present one with the drivers of real machines.
    #[arg(long, value_name = "FILE")]
    kernel_deb: Option<PathBuf>,
}

/// Writes the boot loaders, the kernel and the initramfs.
pub(crate) fn run(args: &DiscoveryArgs) -> Result<()> {
    let workspace = Workspace::read()?;
    debian::install(debian::TO_DISCOVER)?;
    let kernel = match &args.kernel_deb {
        Some(file) => Kernel::from_package(file, &workspace.cache())?,
        None => Kernel::fetch(Flavour::Generic, &workspace.cache())?,
    };
    let agent = match &args.agent {
        Some(file) => file.clone(),
        None => build::program(&workspace)?,
    };
    let loaders = debian::loaders(&workspace.cache());
    let loaders =
        loaders.inspect_err(|error| say(&format!("loaders are those installed here: {error:#}"))).ok();
    let out = boot_files(&args.data, &agent, loaders.as_deref())?;
    let size = make(&kernel, &agent, &workspace.cache(), &out)?;
    say(&format!(
        "discovery: boot loaders, {} and initrd.img ({size} bytes) in {}",
        kernel.release(),
        args.data.display()
    ));
    Ok(())
}

/// Has `program`, the product, put boot loaders where its `serve` of a data folder reads files, and returns the folder
/// beside them for the discovery system. They are those of `packages`, a folder that packages are unpacked in; without it
/// those that are installed here, of which there may be none.
pub(crate) fn boot_files(data: &Path, program: &Path, packages: Option<&Path>) -> Result<PathBuf> {
    let root = data.join("tftpboot");
    let out = root.join("discovery/install");
    fs::create_dir_all(&out).with_context(|| format!("failed to make `{}`", out.display()))?;
    let mut copy = Command::new(program);
    copy.args(["loaders", "copy"]).arg(&root).stdout(Stdio::null());
    match packages {
        Some(packages) => shell::run(copy.arg("--from").arg(packages))?,
        None => {
            if let Err(error) = shell::run(&mut copy) {
                say(&format!("no boot loaders: {error:#}"));
            }
        }
    }
    Ok(out)
}

/// Writes `vmlinuz` and `initrd.img` into `out` and returns the size of the latter in bytes. `cache` is where `kexec` is, or is
/// fetched to. An image without it is as good, but that machines reboot through their firmware: where there is none to be had,
/// that is told, and the image is made.
///
/// # Errors
/// An agent or a busybox that needs a dynamic loader: there is none in the initramfs.
pub(crate) fn make(kernel: &Kernel, agent: &Path, cache: &Path, out: &Path) -> Result<usize> {
    let kexec = Tool::fetch("kexec-tools", "kexec", cache);
    let kexec = kexec.inspect_err(|error| say(&format!("the image has no kexec: {error:#}"))).ok();
    let programs = [read_static(agent)?, read_static(Path::new(debian::BUSYBOX))?];
    let archive = archive(kernel, programs.each_ref().map(Vec::as_slice), kexec.as_ref())?;
    // Speed before size: the guest reads it from a local network, and it is made anew with each agent.
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::fast());
    encoder.write_all(&archive).context("failed to compress the initramfs")?;
    let compressed = encoder.finish().context("failed to compress the initramfs")?;
    copy(&kernel.image, &out.join("vmlinuz"))?;
    let initramfs = out.join("initrd.img");
    fs::write(&initramfs, &compressed)
        .with_context(|| format!("failed to write `{}`", initramfs.display()))?;
    Ok(compressed.len())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("failed to write `{}`", to.display()))?;
    Ok(())
}

fn archive(kernel: &Kernel, [agent, busybox]: [&[u8]; 2], kexec: Option<&Tool>) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["dev", "etc", "proc", "root", "run", "sys", "tmp"] {
        archive.folder(folder)?;
    }
    // The kernel opens the console before anything is mounted.
    archive.character_device("dev/console", 0o600, (5, 1))?;
    archive.character_device("dev/null", 0o666, (1, 3))?;
    archive.file("bin/busybox", 0o755, busybox)?;
    for applet in applets()? {
        archive.link(&format!("bin/{applet}"), "busybox")?;
    }
    // Scripts of tasks begin with `#!/usr/bin/env ...`.
    archive.link("usr/bin", "../bin")?;
    archive.link("sbin", "bin")?;
    let folder = format!("lib/modules/{}", kernel.release());
    let modules = modules::in_load_order(&kernel.modules)?;
    for module in &modules {
        archive.file(&format!("{folder}/{}.ko", module.name), 0o644, &module.bytes)?;
    }
    archive.file(&format!("{folder}/modules.dep"), 0o644, modules::dependency_file(&modules).as_bytes())?;
    archive.file(&format!("{folder}/modules.alias"), 0o644, modules::alias_file(&modules).as_bytes())?;
    archive.file("etc/udhcpc.script", 0o755, include_bytes!("discovery/udhcpc.sh"))?;
    archive.file("bin/formwork", 0o755, agent)?;
    add(kexec, &mut archive)?;
    archive.file("init", 0o755, include_bytes!("discovery/init.sh"))?;
    archive.finish()
}

/// Puts a program where the agent finds it, and what it is linked to where its loader does.
fn add(tool: Option<&Tool>, archive: &mut Archive) -> Result<()> {
    let files = tool.into_iter().flat_map(|tool| &tool.files);
    files.into_iter().try_for_each(|(path, bytes)| archive.file(path, 0o755, bytes))
}

/// Returns the names under which the busybox of this machine runs.
fn applets() -> Result<Vec<String>> {
    let text = shell::stdout(Command::new(debian::BUSYBOX).arg("--list"))?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != "busybox")
        .map(str::to_owned)
        .collect())
}

fn read_static(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("failed to read `{}`", path.display()))?;
    require_static(path, &bytes)?;
    Ok(bytes)
}

fn require_static(path: &Path, program: &[u8]) -> Result<()> {
    if !debian::is_static(program) {
        bail!("`{}` is no static program\nhint: the initramfs has no dynamic loader", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_with_a_dynamic_loader_is_refused() {
        let (load, interpreter) = (debian::tests::elf(1), debian::tests::elf(3));
        require_static(Path::new("agent"), &load).unwrap();
        let error = require_static(Path::new("agent"), &interpreter).unwrap_err();
        assert!(error.to_string().contains("`agent` is no static program"));
    }

    #[test]
    fn kexec_is_in_the_initramfs_with_what_it_is_linked_to() {
        let file = |path: &str| (path.to_owned(), path.as_bytes().to_vec());
        let tool = Tool { files: vec![file("bin/kexec"), file("lib64/ld.so.2"), file("lib/libc.so.6")] };
        let mut archive = Archive::default();
        add(Some(&tool), &mut archive).unwrap();
        let bytes = archive.finish().unwrap();
        for (path, _) in &tool.files {
            // The name of an entry ends with a zero, and its bytes follow.
            let entry = format!("{path}\0").into_bytes();
            assert!(bytes.windows(entry.len()).any(|part| part == entry), "{path}");
        }
    }

    #[test]
    fn scripts_of_the_initramfs_parse() {
        for script in ["init.sh", "udhcpc.sh"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/discovery").join(script);
            shell::stdout(Command::new("sh").arg("-n").arg(path)).unwrap();
        }
    }
}
