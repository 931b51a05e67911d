//! What a component can be and can ask for here: the interfaces of `wit/`, all tracks of them, with the types of their
//! functions.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use wit_parser::Resolve;

use crate::{Capability, Kind};

pub(crate) mod shape;

use shape::Function;

/// The text of one package of `wit/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WitPackage {
    /// Its folder: name and track, such as `task-0.2`.
    pub folder: &'static str,
    /// The name of the one file in it.
    pub file: &'static str,
    /// The file.
    pub text: &'static str,
}

macro_rules! packages {
    ($($folder:literal $file:literal,)*) => {
        /// All packages of `wit/`, each after those that it uses.
        pub const WIT_PACKAGES: &[WitPackage] = &[$(WitPackage {
            folder: $folder,
            file: $file,
            text: include_str!(concat!("../../../wit/", $folder, "/", $file)),
        },)*];
    };
}

packages! {
    "log-0.1" "log.wit",
    "machine-0.1" "machine.wit",
    "params-0.1" "params.wit",
    "params-0.2" "params.wit",
    "http-0.1" "http.wit",
    "kv-0.1" "kv.wit",
    "files-0.1" "files.wit",
    "files-0.2" "files.wit",
    "exec-0.1" "exec.wit",
    "progress-0.1" "progress.wit",
    "secrets-0.1" "secrets.wit",
    "clock-0.1" "clock.wit",
    "random-0.1" "random.wit",
    "task-0.1" "task.wit",
    "task-0.2" "task.wit",
    "workflow-0.1" "workflow.wit",
    "migration-policy-0.1" "policy.wit",
    "upgrade-step-0.1" "step.wit",
    "plugin-0.1" "plugin.wit",
}

/// An interface on one track.
#[derive(Debug, Default)]
pub(crate) struct Interface {
    /// Its functions by name.
    pub(crate) functions: BTreeMap<String, Function>,
}

/// All interfaces, by name and then by track: `formwork:task/task`, `0.2`.
static INTERFACES: LazyLock<BTreeMap<String, BTreeMap<String, Interface>>> = LazyLock::new(interfaces);

/// Reads the interfaces out of the packages, which are a part of this program.
#[expect(clippy::expect_used, reason = "the texts are constants; a test parses them")]
fn interfaces() -> BTreeMap<String, BTreeMap<String, Interface>> {
    let mut resolve = Resolve::default();
    for package in WIT_PACKAGES {
        resolve.push_source(package.folder, package.text).expect("a package of `wit/` is malformed");
    }
    let mut all = BTreeMap::<String, BTreeMap<String, Interface>>::new();
    for (id, interface) in resolve.interfaces.iter() {
        let name = resolve.id_of(id);
        let Some((name, track)) = name.as_deref().and_then(split) else { continue };
        let functions = interface.functions.iter();
        let functions = functions.map(|(name, function)| (name.clone(), Function::known(&resolve, function)));
        let known = Interface { functions: functions.collect() };
        all.entry(name.to_owned()).or_default().insert(track.to_owned(), known);
    }
    all
}

/// What the name of an import or an export means here.
pub(crate) enum Named {
    /// An interface that is known on this track.
    Known(&'static Interface),
    /// An interface that is known, but not on this track; the tracks that are.
    WrongTrack(Vec<&'static str>),
    /// Something else.
    Unknown,
}

/// Looks up the name of an import or an export, such as `formwork:log/log@0.1.3`.
pub(crate) fn named(name: &str) -> Named {
    let (interface, track) = split(name).unwrap_or((name.split('@').next().unwrap_or_default(), ""));
    let Some(tracks) = INTERFACES.get(interface) else { return Named::Unknown };
    match tracks.get(track) {
        Some(known) => Named::Known(known),
        None => Named::WrongTrack(tracks.keys().map(String::as_str).collect()),
    }
}

/// The capability that an import's name means; none when it or its track is not known here.
pub(crate) fn capability_of_import(import: &str) -> Option<Capability> {
    match named(import) {
        Named::Known(_) => Capability::of_interface(split(import)?.0),
        _ => None,
    }
}

/// The kind that an export's name means, whatever its track.
pub(crate) fn kind_of_export(export: &str) -> Option<Kind> {
    let interface = export.split('@').next()?;
    Kind::ALL.into_iter().find(|kind| kind.interface() == interface)
}

/// Splits a name such as `formwork:log/log@0.1.3` into the interface and its compatibility track, `0.1`.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    let (interface, version) = name.split_once('@')?;
    let (track, patch) = version.rsplit_once('.')?;
    let is_number = !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((interface, track))
}

/// The exports that make a component useful, for messages.
pub(crate) fn known_exports() -> String {
    let names = Kind::ALL.into_iter().flat_map(|kind| {
        let tracks = INTERFACES.get(kind.interface()).into_iter().flat_map(BTreeMap::keys);
        tracks.map(move |track| format!("`{}@{track}.0`", kind.interface()))
    });
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use wit_parser::WorldItem;

    use super::*;

    #[test]
    fn a_track_is_the_version_without_its_last_number() {
        assert_eq!(split("formwork:log/log@0.1.7"), Some(("formwork:log/log", "0.1")));
        for name in
            ["formwork:log/log", "formwork:log/log@0.1.x", "formwork:log/log@1", "formwork:log/log@0.1."]
        {
            assert_eq!(split(name), None, "{name}");
        }
    }

    #[test]
    fn another_track_is_unknown() {
        assert_eq!(capability_of_import("formwork:log/log@0.1.9"), Some(Capability::Log));
        assert_eq!(capability_of_import("formwork:params/params@0.2.0"), Some(Capability::Params));
        assert_eq!(capability_of_import("formwork:log/log@0.2.0"), None);
        assert_eq!(capability_of_import("wasi:cli/environment@0.2.6"), None);
    }

    #[test]
    fn every_capability_and_every_kind_has_an_interface() {
        for capability in Capability::ALL {
            let interface = format!("formwork:{capability}/{capability}");
            assert!(INTERFACES.contains_key(&interface), "{interface}");
        }
        for kind in Kind::ALL {
            assert!(INTERFACES.contains_key(kind.interface()), "{kind}");
        }
        let known = known_exports();
        assert!(known.starts_with("`formwork:task/task@0.1.0`, `formwork:task/task@0.2.0`"), "{known}");
    }

    /// Every package of `wit/` is one of those that are compiled in, so that no world can be forgotten.
    #[test]
    fn every_folder_of_wit_is_known() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        let mut names: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
        let mut known: Vec<_> = WIT_PACKAGES.iter().map(|package| package.folder.to_owned()).collect();
        names.sort();
        known.sort();
        assert_eq!(names, known);
    }

    /// A world imports only what its kind may have, so that what the SDK binds and what the host links agree.
    #[test]
    fn worlds_import_what_their_kinds_may_have() {
        let mut resolve = Resolve::default();
        for package in WIT_PACKAGES {
            resolve.push_source(package.folder, package.text).unwrap();
        }
        let name = |item: &WorldItem| match item {
            WorldItem::Interface { id, .. } => resolve.id_of(*id).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(resolve.worlds.len(), 6);
        for (_, world) in resolve.worlds.iter() {
            let kind = world.exports.values().find_map(|item| kind_of_export(&name(item))).unwrap();
            for item in world.imports.values() {
                let import = name(item);
                let capability = capability_of_import(&import).unwrap();
                assert!(kind.may_import(capability), "{kind} {import}");
            }
        }
    }
}
