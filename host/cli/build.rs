//! Lists what `formwork pack new` writes: templates, the guest crate and the WIT packages, as they are in this tree.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// What is embedded: the name that it has in the program, and where it is below the workspace's root.
const SOURCES: [(&str, &str); 7] = [
    ("templates", "host/cli/templates"),
    ("sdk", "plugins/sdk"),
    ("wit", "wit"),
    ("greet/rust", "plugins/greet/src"),
    ("greet/javascript", "plugins/greet-javascript"),
    ("greet/python", "plugins/greet-python"),
    ("workspace.toml", "Cargo.toml"),
];

/// Endings of the files that are part of it; anything else was left there by a tool.
const ENDINGS: [&str; 9] = ["js", "json", "md", "py", "rs", "sh", "toml", "wit", "yaml"];

fn main() {
    if let Err(error) = run() {
        println!("cargo::error={error}");
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let crate_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("no CARGO_MANIFEST_DIR")?);
    let root = crate_dir.ancestors().nth(2).ok_or("the crate is in no workspace")?;
    let mut files = BTreeMap::new();
    for (name, folder) in SOURCES {
        let path = root.join(folder);
        println!("cargo::rerun-if-changed={}", path.display());
        add(name.to_owned(), &path, &mut files)?;
    }
    let mut list = String::from("&[\n");
    for (name, path) in files {
        writeln!(list, "    ({name:?}, include_str!({:?})),", path.display().to_string())?;
    }
    list.push_str("]\n");
    let out = env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    Ok(fs::write(Path::new(&out).join("author_files.rs"), list)?)
}

/// Adds a file, or those of a folder, by their names in the program.
fn add(name: String, path: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<(), Box<dyn Error>> {
    if !path.is_dir() {
        files.insert(name, path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let ending = Path::new(&file).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let is_part = if entry.file_type()?.is_dir() { file != "target" } else { ENDINGS.contains(&ending) };
        if is_part && !file.starts_with(['.', '_']) {
            add(format!("{name}/{file}"), &entry.path(), files)?;
        }
    }
    Ok(())
}
