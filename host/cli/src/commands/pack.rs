//! `formwork pack`: what authors of content packs do, without an endpoint; and what operators do, with one (`packs`).

mod build;
mod bundle;
mod check;
mod diff;
mod embedded;
mod manifest;
mod new;
mod scaffold;
mod simulate;
mod source;
mod test;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use clap::{ArgMatches, Command};

use super::Context;

pub(super) fn command() -> Command {
    Command::new("pack")
        .about("Makes, builds, tests and installs content packs")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(new::command())
        .subcommand(build::command())
        .subcommand(check::command())
        .subcommand(test::command())
        .subcommand(bundle::command())
        .subcommand(bundle::sign_command())
        .subcommand(bundle::key_command())
        .subcommand(diff::command())
        .subcommands(super::packs::commands())
}

/// What the manifest around a component asks for it; nothing when the file is not `components/NAME.wasm` of a pack that
/// lists it.
///
/// # Errors
///
/// The manifest cannot be read.
pub(super) fn asked_for(component: &Path) -> Result<Option<Vec<String>>> {
    let Some(pack) = pack_around(component) else { return Ok(None) };
    let name = component.file_stem().unwrap_or_default();
    let manifest = manifest::Manifest::read(&pack)?;
    let listed = manifest.components.iter().find(|component| name == component.name.as_str());
    Ok(listed.map(manifest::Component::grant_lines))
}

/// Returns the folder of the pack that a file `components/NAME.wasm` is in.
fn pack_around(component: &Path) -> Option<PathBuf> {
    let folder = component.parent()?;
    let pack = folder.parent()?;
    let pack = if pack.as_os_str().is_empty() { Path::new(".") } else { pack };
    (folder.ends_with("components") && pack.join("pack.yaml").is_file()).then(|| pack.to_owned())
}

pub(super) async fn run(matches: &ArgMatches, context: &mut Context) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("new", matches)) => new::run(matches, context)?,
        Some(("build", matches)) => build::run(matches, context)?,
        Some(("check", matches)) => check::run(matches, context).await?,
        Some(("test", matches)) => test::run(matches, context).await?,
        Some(("bundle", matches)) => bundle::run(matches, context)?,
        Some(("sign", matches)) => bundle::sign(matches, context)?,
        Some(("key", matches)) => bundle::key(matches, context)?,
        Some(("diff", matches)) => diff::run(matches, context)?,
        Some((verb, matches)) => super::packs::run(verb, matches, context).await?,
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn component_in_a_pack_is_asked_for_what_its_manifest_says_and_another_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let components = folder.path().join("components");
        fs::create_dir(&components).unwrap();
        assert_eq!(asked_for(&components.join("one.wasm")).unwrap(), None);
        let text = "{name: p, components: [{name: one, kind: task, grants: [kv: rw, clock]}]}";
        fs::write(folder.path().join("pack.yaml"), text).unwrap();
        let asked = asked_for(&components.join("one.wasm")).unwrap();
        assert_eq!(asked, Some(vec![String::from("kv: rw"), String::from("clock")]));
        assert_eq!(asked_for(&components.join("two.wasm")).unwrap(), None);
        assert_eq!(asked_for(&folder.path().join("elsewhere/one.wasm")).unwrap(), None);
    }
}
