//! The files of a new pack.

use std::collections::BTreeMap;

use clap::ValueEnum;

use super::embedded::{below, file};

/// The languages of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    Javascript,
    Python,
}

/// The kinds of components that a new pack can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    Task,
    Workflow,
    Plugin,
}

/// Params of the example that every language has; those of a new pack are named after the pack.
const EXAMPLE_PARAMS: &str = "greet/";

/// Where the guest crate finds the WIT packages in this tree, and in a pack.
const WIT_PATHS: (&str, &str) = ("../../wit/", "../wit/");

/// What no component may be called in a new pack: folders beside it, and the pack that every endpoint has.
pub(super) const RESERVED: [&str; 4] = ["core", "sdk", "target", "wit"];

/// What git shall not keep.
const IGNORED: &str = "/components/*.wasm\n*.fwpack\ntarget/\nnode_modules/\n__pycache__/\n";

impl Language {
    /// The name for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Javascript => "JavaScript",
            Self::Python => "Python",
        }
    }

    /// The word in names of folders.
    fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Javascript => "javascript",
            Self::Python => "python",
        }
    }

    /// The file that holds the program, among the templates and in the source of a component.
    fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Rust => ("lib.rs", "src/lib.rs"),
            Self::Javascript => ("app.js", "app.js"),
            Self::Python => ("app.py", "app.py"),
        }
    }
}

impl Kind {
    /// The word in `pack.yaml`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Workflow => "workflow",
            Self::Plugin => "plugin",
        }
    }
}

/// Returns the files of a new pack by their paths in its folder.
pub(super) fn files(name: &str, kind: Kind, language: Language) -> BTreeMap<String, String> {
    let (word, source) = (language.word(), format!("source/{name}"));
    let notes = file(&format!("templates/language/{word}/notes.md")).trim_end();
    let fill = |text: &str| {
        text.replace("@NOTES@", notes)
            .replace("@NAME@", name)
            .replace("@KIND@", kind.word())
            .replace("@LANGUAGE@", language.title())
    };
    let mut files = BTreeMap::from([(String::from(".gitignore"), IGNORED.to_owned())]);
    for (path, text) in below(&format!("templates/pack/{}", kind.word())) {
        files.insert(fill(path), fill(text));
    }
    for (path, text) in below(&format!("templates/language/{word}")).filter(|(path, _)| *path != "notes.md") {
        files.insert(format!("{source}/{path}"), fill(text));
    }
    let (template, program) = language.program();
    let text = match kind {
        Kind::Task => file(&format!("greet/{word}/{template}")).replace(EXAMPLE_PARAMS, &format!("{name}/")),
        _ => fill(file(&format!("templates/program/{}/{template}", kind.word()))),
    };
    files.insert(format!("{source}/{program}"), text);
    files.extend(below("wit").map(|(path, text)| (format!("source/wit/{path}"), text.to_owned())));
    if language == Language::Rust {
        let (here, there) = WIT_PATHS;
        files.extend(
            below("sdk").map(|(path, text)| (format!("source/sdk/{path}"), text.replace(here, there))),
        );
        files.insert(String::from("source/Cargo.toml"), workspace(name, file("workspace.toml")));
    }
    files
}

/// The manifest of the workspace around a component and the guest crate: what the guest crate takes from ours.
fn workspace(name: &str, ours: &str) -> String {
    let mut text = format!("[workspace]\nresolver = \"3\"\nmembers = [\"{name}\", \"sdk\"]\n");
    for section in
        ["workspace.package", "workspace.dependencies", "workspace.lints.rust", "workspace.lints.clippy"]
    {
        let header = format!("[{section}]");
        text.push_str(&format!("\n{header}\n"));
        let lines = ours.lines().skip_while(|line| *line != header).skip(1);
        for line in lines.take_while(|line| !line.starts_with('[')) {
            let kept = section != "workspace.dependencies" || is_used(line);
            if kept && !line.is_empty() {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

/// Whether the guest crate takes a dependency from the workspace.
fn is_used(line: &str) -> bool {
    let name = line.split([' ', '=']).next().unwrap_or_default();
    let manifest = file("sdk/Cargo.toml").lines();
    let words = |line: &str| {
        line.strip_prefix(name).is_some_and(|rest| {
            rest.starts_with(".workspace") || rest.trim_start_matches([' ', '=']).contains("workspace = true")
        })
    };
    !name.is_empty() && manifest.into_iter().any(words)
}

#[cfg(test)]
mod tests {
    use formwork_model::kind_of;
    use serde_json::Value;

    use super::*;

    fn every() -> impl Iterator<Item = (Kind, Language, BTreeMap<String, String>)> {
        let kinds = Kind::value_variants().iter();
        kinds.flat_map(|kind| {
            let languages = Language::value_variants().iter();
            languages.map(|language| (*kind, *language, files("hello", *kind, *language)))
        })
    }

    #[test]
    fn a_new_pack_is_whole_and_nothing_is_left_to_fill_in() {
        for (kind, language, files) in every() {
            let program = format!("source/hello/{}", language.program().1);
            for needed in ["pack.yaml", "README.md", "tests/greet.yaml", "source/wit/README.md", &program] {
                let text = files.get(needed).unwrap_or_else(|| panic!("{kind:?} {language:?}: no {needed}"));
                assert!(!text.is_empty(), "{kind:?} {language:?}: {needed} is empty");
            }
            for (path, text) in files {
                for mark in ["@NAME@", "@KIND@", "@LANGUAGE@", "@NOTES@", WIT_PATHS.0] {
                    assert!(!path.contains(mark) && !text.contains(mark), "{kind:?} {language:?}: {path}");
                }
            }
        }
    }

    #[test]
    fn objects_of_a_new_pack_are_valid_and_named_as_their_files() {
        for (_, _, files) in every() {
            for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".yaml")) {
                let value: Value =
                    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}"));
                let Some(kind) = path.split_once('/').and_then(|(prefix, _)| kind_of(prefix)) else {
                    continue;
                };
                let object = (kind.decode)(value).unwrap();
                assert_eq!(object.problems(), Vec::<String>::new(), "{path}");
                let expected = format!("{}/{}.yaml", kind.prefix, object.key().replace('/', "."));
                assert_eq!(*path, expected);
            }
        }
    }

    #[test]
    fn the_workspace_of_a_new_pack_has_what_the_guest_crate_takes_from_ours() {
        let text = workspace("hello", file("workspace.toml"));
        assert!(
            text.contains("members = [\"hello\", \"sdk\"]") && text.contains("\nwit-bindgen = {"),
            "{text}"
        );
        assert!(!text.contains("wasmtime") && !text.contains("profile"), "{text}");
    }
}
