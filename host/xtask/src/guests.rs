//! `cargo xtask guests`: builds the plugins as components, for whoever works on one.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use formwork_toolchain::GuestBuild;

use crate::report::say;
use crate::setup;
use crate::workspace::Workspace;

/// Which plugins to build.
#[derive(Debug, clap::Args)]
pub(crate) struct GuestsArgs {
    /// The packages; all in `plugins/` when none is named.
    #[arg(short, long = "package", value_name = "NAME")]
    packages: Vec<String>,
}

/// Builds what is named, and says where it is.
pub(crate) fn run(args: &GuestsArgs) -> Result<()> {
    let workspace = Workspace::read()?;
    let packages = if args.packages.is_empty() { plugins(&workspace) } else { args.packages.clone() };
    build(&workspace, packages).map(drop)
}

/// Writes the component of each package to `components/NAME.wasm` in the target folder, and returns the files in order.
pub(crate) fn build(workspace: &Workspace, packages: Vec<String>) -> Result<Vec<PathBuf>> {
    let toolchain = setup::guest_toolchain(workspace)?;
    let components = toolchain.build(&GuestBuild {
        workspace_dir: workspace.root.clone(),
        packages,
        target_dir: workspace.target.join("guests"),
        profile: "guest".to_owned(),
    })?;
    let folder = workspace.target.join("components");
    fs::create_dir_all(&folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
    let mut files = Vec::new();
    for component in components {
        let file = folder.join(format!("{}.wasm", component.package));
        fs::write(&file, &component.wasm).with_context(|| format!("failed to write `{}`", file.display()))?;
        say(&format!(
            "{}: {} bytes, core module {} bytes",
            file.display(),
            component.wasm.len(),
            component.core_size
        ));
        files.push(file);
    }
    Ok(files)
}

fn plugins(workspace: &Workspace) -> Vec<String> {
    let is_plugin = |folder: &std::path::Path| folder.starts_with("plugins") && !folder.ends_with("sdk");
    let packages = workspace.packages.iter();
    let plugins =
        packages.filter(|package| workspace.relative(&package.manifest_path).parent().is_some_and(is_plugin));
    plugins.map(|package| package.name.clone()).collect()
}
