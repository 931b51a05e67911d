//! `cargo xtask setup`: what a fresh machine lacks. All is there: it says so and does nothing.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use formwork_toolchain::{Install, Toolchain};

use crate::debian::{self, Flavour, Kernel};
use crate::report::say;
use crate::shell;
use crate::workspace::Workspace;

/// What to set up.
#[derive(Debug, clap::Args)]
pub(crate) struct SetupArgs {
    /// Also what booting machines under QEMU takes.
    #[arg(long)]
    boot: bool,
}

/// Installs what is missing as root on Debian or Ubuntu; elsewhere fails with the list and the command.
pub(crate) fn run(args: &SetupArgs) -> Result<()> {
    let workspace = Workspace::read()?;
    to_build(&workspace)?;
    if args.boot {
        let kernel = to_boot(&workspace)?;
        say(&format!("boot: QEMU, firmware, boot loaders, kernel {}", kernel.release()));
    }
    say("set-up: all is there");
    Ok(())
}

/// Makes sure that the product can be built: a linker, a static C library, a way to build guests.
pub(crate) fn to_build(workspace: &Workspace) -> Result<()> {
    say(&format!("compiler: {}", shell::stdout(std::process::Command::new("rustc").arg("-V"))?));
    debian::install(debian::TO_BUILD)?;
    guest_toolchain(workspace)?;
    Ok(())
}

/// Finds or installs the way to build guests, and says which it is.
pub(crate) fn guest_toolchain(workspace: &Workspace) -> Result<Toolchain> {
    let toolchain =
        Toolchain::find(&guest_cache(workspace), Install::Allowed).context("found no way to build guests")?;
    say(&format!("guests: {}", toolchain.describe()));
    Ok(toolchain)
}

/// Returns the folder of what guests are built with, which the build scripts use too.
pub(crate) fn guest_cache(workspace: &Workspace) -> PathBuf {
    workspace.target.join("guest-toolchain")
}

/// Makes sure that a machine can boot under QEMU: the emulator, firmware, boot loaders, a kernel for virtual machines.
pub(crate) fn to_boot(workspace: &Workspace) -> Result<Kernel> {
    debian::install(debian::TO_BOOT)?;
    debian::install(debian::TO_DISCOVER)?;
    debian::loaders(&workspace.cache())?;
    Kernel::fetch(Flavour::Virtual, &workspace.cache())
}
