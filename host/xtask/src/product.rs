//! The static `formwork` program: how it is built, so that the demo, the tests and the release share one build.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::debian;
use crate::shell;
use crate::workspace::Workspace;

/// The variable that names a program that is built already.
const GIVEN: &str = "FORMWORK_PROGRAM";

/// Builds the release program and returns its path. It is endpoint, agent and command line in one file, and static:
/// the discovery system has no dynamic loader.
///
/// A program named by `FORMWORK_PROGRAM` is taken as it is instead, for who has built it already.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(program) = env::var_os(GIVEN) {
        return fs::canonicalize(&program)
            .with_context(|| format!("{GIVEN} names `{}`, which is not there", program.display()));
    }
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
/// scripts and macros; equal flags keep the dependencies shared between all commands that are made static. They are no
/// variable of the environment, which a test that runs Cargo would hand on.
pub(crate) fn make_static<'a>(cargo: &'a mut Command, triple: &str) -> &'a mut Command {
    // RUSTFLAGS would win over the flags of the target.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let flags = format!("target.{triple}.rustflags=['-C', 'target-feature=+crt-static']");
    cargo.args(["--target", triple, "--config", &flags])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_build_names_the_target_and_its_flags() {
        let mut cargo = Command::new("cargo");
        make_static(&mut cargo, "x86_64-unknown-linux-gnu");
        let flags = "target.x86_64-unknown-linux-gnu.rustflags=['-C', 'target-feature=+crt-static']";
        let arguments = ["--target", "x86_64-unknown-linux-gnu", "--config", flags];
        assert_eq!(cargo.get_args().collect::<Vec<_>>(), arguments);
        assert!(cargo.get_envs().all(|(_, value)| value.is_none()), "a test would hand it on");
    }
}
