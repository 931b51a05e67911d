//! The world of one component: that of its kind, cut down to the capabilities that it asks for.
//!
//! Rust's linker leaves out what a guest does not call. The toolchains of JavaScript and Python import the whole of a
//! world, used or not, and what is imported must be granted; so they are shown only what the manifest asks for.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wit_parser::{InterfaceId, Resolve, World as WitWorld, WorldItem};

/// The name of the world that [`World::cut`] writes.
pub(crate) const WORLD: &str = "component";

/// The package of that world. It holds nothing else.
const PACKAGE: &str = "package formwork:build;\n";

/// What every component may import and nobody is asked for.
const FREE: &str = "log";

/// A folder of WIT with one world, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct World {
    folder: TempDir,
}

/// There is no such world.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// A file or folder cannot be read or written.
    #[error("failed to copy the WIT packages at `{path}`")]
    Files {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's words.
        #[source]
        source: io::Error,
    },
    /// The packages are not valid WIT.
    #[error("the WIT packages at `{path}` are not in order: {words}")]
    Wit {
        /// Their folder.
        path: PathBuf,
        /// The parser's words.
        words: String,
    },
    /// No package has a world for the kind.
    #[error("there is no kind `{kind}`; the kinds are {known}")]
    Kind {
        /// The kind that was asked for.
        kind: String,
        /// Those that exist, in backticks.
        known: String,
    },
    /// Components of the kind cannot import the capability.
    #[error("a component of kind {kind} may not ask for `{capability}`; it may for {known}")]
    Capability {
        /// The kind.
        kind: String,
        /// The capability that was asked for.
        capability: String,
        /// Those that the kind may ask for, in backticks.
        known: String,
    },
}

impl World {
    /// Writes the newest world of a kind, with only these capabilities and the log.
    pub(crate) fn cut(wit: &Path, kind: &str, capabilities: &[String]) -> Result<Self, WorldError> {
        let folder = tempfile::tempdir().map_err(at(wit))?;
        copy_packages(wit, &folder.path().join("deps"))?;
        let file = folder.path().join("world.wit");
        fs::write(&file, PACKAGE).map_err(at(&file))?;
        let mut resolve = Resolve::default();
        if let Err(error) = resolve.push_dir(folder.path()) {
            return Err(WorldError::Wit { path: wit.to_owned(), words: format!("{error:#}") });
        }
        let text = text(&resolve, kind, capabilities)?;
        fs::write(&file, text).map_err(at(&file))?;
        Ok(Self { folder })
    }

    /// The folder, whose package is that of the world.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The text of the world.
fn text(resolve: &Resolve, kind: &str, capabilities: &[String]) -> Result<String, WorldError> {
    let Some(world) = newest(resolve, kind) else {
        let known = resolve.packages.iter().filter_map(|(_, package)| kind_of(package));
        return Err(WorldError::Kind { kind: kind.to_owned(), known: quoted(known) });
    };
    let offered = capabilities_of(resolve, world);
    let unknown = |name: &&String| offered.iter().all(|(capability, _)| capability != *name);
    if let Some(capability) = capabilities.iter().find(unknown) {
        return Err(WorldError::Capability {
            kind: kind.to_owned(),
            capability: capability.clone(),
            known: quoted(offered.iter().map(|(name, _)| *name)),
        });
    }
    let mut text = format!("{PACKAGE}\nworld {WORLD} {{\n");
    for (name, interface) in &offered {
        if *name == FREE || capabilities.iter().any(|capability| capability == name) {
            line(&mut text, "import", &interface_name(resolve, *interface));
        }
    }
    for interface in interfaces(world.exports.values()) {
        line(&mut text, "export", &interface_name(resolve, interface));
    }
    text.push_str("}\n");
    Ok(text)
}

/// The world of a kind on its newest track.
fn newest<'a>(resolve: &'a Resolve, kind: &str) -> Option<&'a WitWorld> {
    let of_kind = resolve.packages.iter().filter(|(_, package)| kind_of(package) == Some(kind));
    let (_, package) = of_kind.max_by(|(_, a), (_, b)| a.name.version.cmp(&b.name.version))?;
    package.worlds.get(&format!("{kind}-component")).and_then(|world| resolve.worlds.get(*world))
}

/// The kind that a package is for; `None` when it is for none.
fn kind_of(package: &wit_parser::Package) -> Option<&str> {
    let kind = package.name.name.as_str();
    package.worlds.contains_key(&format!("{kind}-component")).then_some(kind)
}

/// What a world imports and somebody must ask for: all but packages of types.
fn capabilities_of<'a>(resolve: &'a Resolve, world: &WitWorld) -> Vec<(&'a str, InterfaceId)> {
    let named = interfaces(world.imports.values()).filter_map(|id| {
        let interface = resolve.interfaces.get(id)?;
        let package = resolve.packages.get(interface.package?)?;
        (!interface.functions.is_empty()).then_some((package.name.name.as_str(), id))
    });
    named.collect()
}

fn interfaces<'a>(items: impl Iterator<Item = &'a WorldItem>) -> impl Iterator<Item = InterfaceId> {
    items.filter_map(|item| match item {
        WorldItem::Interface { id, .. } => Some(*id),
        _ => None,
    })
}

/// Such as `formwork:log/log@0.1.0`.
fn interface_name(resolve: &Resolve, interface: InterfaceId) -> String {
    resolve.id_of(interface).unwrap_or_default()
}

fn line(text: &mut String, word: &str, interface: &str) {
    // Writing to a text cannot fail.
    writeln!(text, "  {word} {interface};").ok();
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

/// Copies each package, a folder with files of WIT, to where a world looks for what it uses.
fn copy_packages(from: &Path, to: &Path) -> Result<(), WorldError> {
    for entry in fs::read_dir(from).map_err(at(from))? {
        let package = entry.map_err(at(from))?.path();
        let Some(name) = package.file_name().filter(|_| package.is_dir()) else { continue };
        let folder = to.join(name);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        for entry in fs::read_dir(&package).map_err(at(&package))? {
            let file = entry.map_err(at(&package))?.path();
            if let Some(name) = file.file_name().filter(|_| file.extension().is_some_and(|end| end == "wit"))
            {
                fs::copy(&file, folder.join(name)).map_err(at(&file))?;
            }
        }
    }
    Ok(())
}

fn at(path: &Path) -> impl Fn(io::Error) -> WorldError + '_ {
    move |source| WorldError::Files { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wit() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
    }

    fn cut(kind: &str, capabilities: &[&str]) -> Result<String, WorldError> {
        let capabilities: Vec<_> = capabilities.iter().map(|&name| name.to_owned()).collect();
        let world = World::cut(&wit(), kind, &capabilities)?;
        // What was written is valid, or a toolchain could do nothing with it.
        Resolve::default().push_dir(world.folder()).unwrap();
        Ok(fs::read_to_string(world.folder().join("world.wit")).unwrap())
    }

    #[test]
    fn a_world_has_the_log_and_what_is_asked_for_on_the_newest_track() {
        let expected = "package formwork:build;\n\nworld component {\n  import formwork:log/log@0.1.0;\n  \
                        import formwork:params/params@0.2.0;\n  export formwork:task/task@0.2.0;\n}\n";
        assert_eq!(cut("task", &["params"]).unwrap(), expected);
    }

    #[test]
    fn every_kind_has_a_world() {
        for kind in ["task", "workflow", "plugin", "migration-policy", "upgrade-step"] {
            let text = cut(kind, &[]).unwrap();
            assert!(text.contains(&format!("export formwork:{kind}/")), "{text}");
        }
    }

    #[test]
    fn a_kind_that_does_not_exist_is_told_with_those_that_do() {
        let words = cut("wizard", &[]).unwrap_err().to_string();
        let known = "`migration-policy`, `plugin`, `task`, `upgrade-step`, `workflow`";
        assert_eq!(words, format!("there is no kind `wizard`; the kinds are {known}"));
    }

    #[test]
    fn a_capability_that_the_kind_may_not_have_is_told_with_those_that_it_may() {
        let words = cut("workflow", &["params"]).unwrap_err().to_string();
        assert_eq!(words, "a component of kind workflow may not ask for `params`; it may for `log`");
    }
}
