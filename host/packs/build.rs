//! Builds the components of the pack `core` and lists what the program embeds of it and of `BasicStore`.
//!
//! `cargo build`, `cargo check`, `cargo clippy` and editors all come through here, so nothing is installed: what is
//! missing is said in one line. Guests are compiled in a target folder of their own, as the one of the cargo around
//! us is locked.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use formwork_toolchain::{GuestBuild, Install, Toolchain};
use serde::Deserialize;

/// Files below the workspace's root whose change means that the components may change.
const SOURCES: [&str; 6] = ["content/basic", "content/core", "plugins", "wit", "Cargo.toml", "Cargo.lock"];

fn main() {
    if let Err(error) = run() {
        let words = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        println!("cargo::error={words}");
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let root = workspace_root()?;
    println!("cargo::rerun-if-env-changed=FORMWORK_GUEST_RUSTC");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    let mut basic = BTreeMap::new();
    list(&root.join("content/basic"), "", &mut basic)?;
    embed("basic_files.rs", &basic)?;
    let pack = root.join("content/core");
    let mut core = BTreeMap::new();
    list(&pack, "", &mut core)?;
    components(&root, &pack, &mut core)?;
    embed("core_files.rs", &core)
}

/// Writes the list of a pack's files that the program is compiled with.
fn embed(name: &str, files: &BTreeMap<String, PathBuf>) -> Result<(), Box<dyn Error>> {
    let mut list = String::from("&[\n");
    for (name, path) in files {
        writeln!(list, "    ({name:?}, include_bytes!({:?})),", path.display().to_string())?;
    }
    list.push_str("]\n");
    Ok(fs::write(out_dir()?.join(name), list)?)
}

/// Builds what `pack.yaml` lists and adds the components to the pack's files.
fn components(root: &Path, pack: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<(), Box<dyn Error>> {
    let manifest: Manifest = serde_saphyr::from_str(&fs::read_to_string(pack.join("pack.yaml"))?)?;
    let toolchain = Toolchain::find(&root.join("target/guest-toolchain"), Install::Never)
        .map_err(|error| format!("{error} (or run `cargo xtask setup`, which does it)"))?;
    let built = toolchain.build(&GuestBuild {
        workspace_dir: root.to_owned(),
        packages: manifest.components.iter().map(|component| component.package.clone()).collect(),
        target_dir: root.join("target/guests"),
        profile: String::from("guest"),
    })?;
    for (component, guest) in manifest.components.iter().zip(built) {
        let path = out_dir()?.join(format!("{}.wasm", component.name));
        fs::write(&path, guest.wasm)?;
        files.insert(format!("components/{}.wasm", component.name), path);
    }
    Ok(())
}

/// Adds the files of a folder by their paths below the pack.
fn list(pack: &Path, folder: &str, files: &mut BTreeMap<String, PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(pack.join(folder))? {
        let entry = entry?;
        let name = format!("{folder}{}", entry.file_name().display());
        if entry.file_type()?.is_dir() {
            list(pack, &format!("{name}/"), files)?;
        } else {
            files.insert(name, entry.path());
        }
    }
    Ok(())
}

/// The folder of the workspace, two above this crate. It does not depend on what the cargo around us was told.
fn workspace_root() -> Result<PathBuf, Box<dyn Error>> {
    let crate_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("no CARGO_MANIFEST_DIR")?);
    Ok(crate_dir.ancestors().nth(2).ok_or("the crate is in no workspace")?.to_owned())
}

fn out_dir() -> Result<PathBuf, Box<dyn Error>> {
    Ok(PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?))
}

/// The part of `pack.yaml` that says what to build.
#[derive(Deserialize)]
struct Manifest {
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    package: String,
}
