//! The static `formwork` program: how it is built, so that the demo, the tests and the release share one build.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::debian;
use crate::shell;
use crate::workspace::Workspace;

/// Builds the release program and returns its path. It is endpoint, agent and command line in one file, and static:
/// the discovery system has no dynamic loader.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    let triple = shell::host_triple()?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--locked", "--package", "formwork-cli"]);
    shell::run(make_static(&mut cargo, &triple))?;
    let program = workspace.target.join(&triple).join("release/formwork");
    let bytes = fs::read(&program).with_context(|| format!("failed to read `{}`", program.display()))?;
    if !debian::is_static(&bytes) {
        bail!("`{}` is not static\nhint: is a static C library installed (`libc6-dev`)?", program.display());
    }
    Ok(program)
}

/// Makes a Cargo command build for `triple` with a static C library. A named target keeps the flags away from build
/// scripts and macros; equal flags keep the dependencies shared between all commands that are made static.
pub(crate) fn make_static<'a>(cargo: &'a mut Command, triple: &str) -> &'a mut Command {
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
    let mut flags = env::var(&variable).unwrap_or_default();
    flags.push_str(" -C target-feature=+crt-static");
    // RUSTFLAGS would win over the variable of the target.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo.args(["--target", triple]).env(variable, flags.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_build_names_the_target_and_its_flags() {
        let mut cargo = Command::new("cargo");
        make_static(&mut cargo, "x86_64-unknown-linux-gnu");
        let variable =
            cargo.get_envs().find(|(name, _)| *name == "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS");
        let flags = variable.and_then(|(_, value)| value).unwrap().to_string_lossy().into_owned();
        assert!(flags.ends_with("-C target-feature=+crt-static"));
        assert_eq!(cargo.get_args().collect::<Vec<_>>(), ["--target", "x86_64-unknown-linux-gnu"]);
    }
}
