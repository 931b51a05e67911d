//! What an author types: a pack is made, built and called, in every language. No endpoint takes part.
//!
//! Tools of languages are installed into a cache of the target folder, so a second run needs no network.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::endpoint::program;

/// A folder in which an author works in one language.
struct Author {
    language: &'static str,
    folder: TempDir,
}

impl Author {
    /// Begins to work. `None` when a program that the language needs is not on this machine, which is said.
    fn of(language: &'static str, needs: &[&[&str]]) -> Option<Self> {
        let missing = needs.iter().find(|command| !runs(command));
        if let Some(command) = missing {
            say(&format!("skipped: {language} components, as `{}` does not run here", command.join(" ")));
            return None;
        }
        Some(Self { language, folder: tempfile::tempdir().unwrap() })
    }

    fn formwork(&self, arguments: &[&str]) -> Output {
        let target = Path::new(env!("CARGO_BIN_EXE_formwork")).ancestors().nth(2).unwrap();
        program()
            .args(arguments)
            .current_dir(self.folder.path())
            .env("XDG_CACHE_HOME", target.join("author-cache"))
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed; returns its standard output and error.
    fn done(&self, arguments: &[&str]) -> (String, String) {
        let output = self.formwork(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, words) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{words}");
        (out, words)
    }

    /// Makes a pack, builds it, and returns the path of its component.
    fn built(&self, name: &str, kind: &str) -> PathBuf {
        self.done(&["pack", "new", name, "--language", self.language, "--kind", kind]);
        let (out, words) = self.done(&["pack", "build", name]);
        assert!(out.starts_with(&format!("components/{name}.wasm  {kind}  ")), "{out}");
        assert!(words.contains(&format!("\n{name}: ")) || words.starts_with(&format!("{name}: ")), "{words}");
        self.folder.path().join(name).join("components").join(name).with_extension("wasm")
    }

    /// Builds the task that a new pack begins with and calls it.
    fn task_greets(&self) {
        let component = self.built("hello", "task");
        if cfg!(debug_assertions) && self.language != "rust" {
            return say(&format!(
                "skipped: a call of {}, whose engine takes a debug build too long",
                self.language
            ));
        }
        let component = component.to_str().unwrap();
        let grants = ["params: read hello/name", "params: read inventory/cpu", "params: write hello/message"];
        let mut call = vec!["component", "call", component, "run"];
        call.extend(grants.iter().flat_map(|grant| ["--grant", grant]));
        let cpu = "inventory/cpu={\"model\": \"Made CPU 5\", \"threads\": 8}";
        let (_, words) = self.done(&[&call[..], &["--param", "hello/name=Ann", "--param", cpu]].concat());
        let message = "hello Ann, 8 threads of Made CPU 5";
        assert!(words.contains(&format!("param hello/message = \"{message}\"")), "{words}");
        let (_, words) = self.done(&call);
        assert!(words.contains("param hello/message = \"hello machine\""), "{words}");
    }

    /// Runs the tests that a new pack in Rust begins with, as its notes say.
    fn own_tests_pass(&self, name: &str, kind: &str) {
        let target = Path::new(env!("CARGO_BIN_EXE_formwork")).ancestors().nth(2).unwrap();
        let output = Command::new("cargo")
            .args(["test", "--quiet", "--package", &format!("{name}-{kind}")])
            .current_dir(self.folder.path().join(name).join("source"))
            .env("CARGO_TARGET_DIR", target.join("author-cache/tests"))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, words) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{name}: {out}{words}");
        assert!(out.contains("test result: ok") && !out.contains("running 0 tests"), "{name}: {out}");
    }

    /// Builds a pack of another kind and looks at its component.
    fn is_built_as(&self, kind: &str) {
        let component = self.built(kind, kind);
        let (out, _) = self.done(&["component", "inspect", component.to_str().unwrap()]);
        let shown: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(shown["kind"], kind, "{out}");
        // Nothing was asked for, so nothing but the log and types is imported.
        let imports = shown["imports"].as_array().unwrap();
        assert!(imports.iter().all(|import| import == "log" || import == "machine"), "{out}");
    }
}

/// Says something whatever comes of the test; the words of macros are shown for failed ones only.
fn say(words: &str) {
    io::stderr().write_all(format!("{words}\n").as_bytes()).unwrap();
}

/// Whether a program is there and answers.
fn runs(command: &[&str]) -> bool {
    let (program, arguments) = command.split_first().unwrap();
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn packs_in_rust_are_made_built_and_called() {
    let author = Author::of("rust", &[]).unwrap();
    author.task_greets();
    author.is_built_as("workflow");
    author.is_built_as("plugin");
    author.own_tests_pass("hello", "task");
    author.own_tests_pass("workflow", "workflow");
    author.own_tests_pass("plugin", "plugin");
}

#[test]
fn packs_in_javascript_are_made_built_and_called() {
    let Some(author) = Author::of("javascript", &[&["node", "--version"], &["npm", "--version"]]) else {
        return;
    };
    author.task_greets();
    author.is_built_as("workflow");
    author.is_built_as("plugin");
}

#[test]
fn packs_in_python_are_made_built_and_called() {
    let Some(author) = Author::of("python", &[&["python3", "-c", "import ensurepip, venv"]]) else { return };
    author.task_greets();
    author.is_built_as("workflow");
    author.is_built_as("plugin");
}

#[test]
fn source_in_no_known_language_is_told_with_what_is_looked_for() {
    let author = Author::of("python", &[]).unwrap();
    author.done(&["pack", "new", "hello", "--language", "python"]);
    fs::remove_file(author.folder.path().join("hello/source/hello/pyproject.toml")).unwrap();
    let output = author.formwork(&["pack", "build", "hello"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && words.contains("component `hello`"), "{words}");
    assert!(words.contains("a `Cargo.toml`, a `package.json` or a `pyproject.toml`"), "{words}");
}

#[test]
fn program_that_is_not_installed_is_told_with_the_command_that_installs_it() {
    let author = Author::of("javascript", &[]).unwrap();
    author.done(&["pack", "new", "hello", "--language", "javascript"]);
    let output = program()
        .args(["pack", "build", "hello"])
        .current_dir(author.folder.path())
        .env("PATH", author.folder.path())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("no `node` for JavaScript components; mend it with: apt-get install"), "{words}");
}
