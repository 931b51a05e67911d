//! `cargo xtask discovery`: the kernel and the initramfs that an unknown machine boots.
//!
//! The initramfs holds a static busybox, the kernel modules of [`modules`], the static agent and `init.sh`. It is
//! made without root, and the same inputs give the same bytes.

mod modules;
mod newc;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use flate2::{Compression, GzBuilder};

use crate::debian::{self, Kernel};
use crate::report::say;
use crate::shell;
use crate::workspace::Workspace;
use newc::Archive;

/// What goes into the discovery system, and where it is written.
#[derive(Debug, clap::Args)]
pub(crate) struct DiscoveryArgs {
    /// The static `formwork` program that becomes the agent.
    #[arg(long, value_name = "FILE")]
    pub(crate) agent: PathBuf,
    /// The folder that gets `vmlinuz` and `initrd.img`.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// A Debian kernel package to take instead of the distribution's present one.
    #[arg(long, value_name = "FILE")]
    pub(crate) kernel_deb: Option<PathBuf>,
}

/// Writes the kernel and the initramfs.
pub(crate) fn run(args: &DiscoveryArgs) -> Result<()> {
    let cache = Workspace::read()?.cache();
    let kernel = match &args.kernel_deb {
        Some(file) => Kernel::from_package(file, &cache)?,
        None => Kernel::fetch(&cache)?,
    };
    let size = build(&kernel, &args.agent, &args.out)?;
    say(&format!(
        "discovery: {} and initrd.img ({} bytes) in {}",
        kernel.release(),
        size,
        args.out.display()
    ));
    Ok(())
}

/// Writes `vmlinuz` and `initrd.img` into `out` and returns the size of the latter in bytes.
///
/// # Errors
/// An agent or a busybox that needs a dynamic loader: there is none in the initramfs.
pub(crate) fn build(kernel: &Kernel, agent: &Path, out: &Path) -> Result<usize> {
    let archive = archive(kernel, &read_static(agent)?, &read_static(Path::new(debian::BUSYBOX))?)?;
    // Speed before size: the guest reads it from a local network, and it is made anew with each agent.
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::fast());
    encoder.write_all(&archive).context("failed to compress the initramfs")?;
    let compressed = encoder.finish().context("failed to compress the initramfs")?;
    fs::create_dir_all(out).with_context(|| format!("failed to make `{}`", out.display()))?;
    let image = out.join("vmlinuz");
    fs::copy(&kernel.image, &image).with_context(|| format!("failed to write `{}`", image.display()))?;
    let initramfs = out.join("initrd.img");
    fs::write(&initramfs, &compressed)
        .with_context(|| format!("failed to write `{}`", initramfs.display()))?;
    Ok(compressed.len())
}

fn archive(kernel: &Kernel, agent: &[u8], busybox: &[u8]) -> Result<Vec<u8>> {
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
    archive.file("init", 0o755, include_bytes!("discovery/init.sh"))?;
    archive.finish()
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
    fn scripts_of_the_initramfs_parse() {
        for script in ["init.sh", "udhcpc.sh"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/discovery").join(script);
            shell::stdout(Command::new("sh").arg("-n").arg(path)).unwrap();
        }
    }
}
