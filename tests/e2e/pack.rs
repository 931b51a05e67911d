//! What an author types: a pack is made, built, called, checked, tested and bundled, in every language; then an operator
//! installs it.
//!
//! Tools of languages are installed into a cache of the target folder, so a second run needs no network.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::endpoint::{Endpoint, program};

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
        let file = self.bundled("hello");
        if !self.runs_here() {
            return say(&format!(
                "skipped: a call of {}, whose engine takes a debug build too long",
                self.language
            ));
        }
        let (out, _) = self.done(&["pack", "check", "hello"]);
        let found: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&found["Errors"], &found["Warnings"]), (&json!([]), &json!([])), "{out}");
        let (out, _) = self.done(&["pack", "test", "hello"]);
        assert_eq!(out, "ok      greet  (3 steps)\n1 passed, 0 failed\n");
        let endpoint = Endpoint::start_with(&["--allow-unsigned"]);
        let installed = endpoint.cli(&["pack", "install", file.to_str().unwrap(), "--grant", "all"]);
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
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

    /// Tells whether this build runs components of the language in good time: a debug build takes minutes to compile the
    /// engines that the others bring along.
    fn runs_here(&self) -> bool {
        self.language == "rust" || !cfg!(debug_assertions)
    }

    /// Bundles a pack and returns its file, which has the component.
    fn bundled(&self, name: &str) -> PathBuf {
        let file = self.folder.path().join(name).with_extension("fwpack");
        let (out, _) = self.done(&["pack", "bundle", name, "--out", file.to_str().unwrap()]);
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&told["Name"], &told["Version"]), (&json!(name), &json!("0.1.0")), "{out}");
        file
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
        self.bundled(kind);
        if self.runs_here() {
            let (out, _) = self.done(&["pack", "test", kind]);
            let passed = if kind == "plugin" { "2 passed, 0 failed" } else { "1 passed, 0 failed" };
            assert!(out.ends_with(&format!("{passed}\n")), "{out}");
        }
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

/// Writes files into the folder of a pack.
fn write_pack(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Checks a pack that has faults; returns what was found and what was said of it.
fn checked(author: &Author, pack: &str) -> (Value, String) {
    let output = author.formwork(&["pack", "check", pack]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    (serde_json::from_slice(&output.stdout).unwrap_or_default(), words)
}

#[test]
fn check_tells_every_fault_of_objects_and_components_at_once_and_then_the_warnings() {
    let author = Author::of("rust", &[]).unwrap();
    let component = author.built("hello", "task");
    let pack = author.folder.path().join("faulty");
    let manifest = "name: faulty
version: 1.0.0
components:
  - {name: greedy, kind: task, grants: ['params: read *', 'params: write *', 'kv: rw']}
  - {name: other, kind: plugin, grants: ['params: read *', 'params: write *']}
  - {name: shy, kind: task}
";
    let files = [
        ("pack.yaml", manifest),
        ("params/faulty.size.yaml", "{Name: faulty/size, Schema: {type: integer}}"),
        ("profiles/faulty.yaml", "{Name: faulty, Params: {faulty/size: large}}"),
        ("tasks/faulty.yaml", "{Name: faulty, Templates: [{Name: one, Contents: '{{ .Param '}]}"),
        ("stages/faulty.yaml", "{Name: faulty, Tasks: [faulty, nowhere]}"),
    ];
    write_pack(&pack, &files);
    fs::create_dir(pack.join("components")).unwrap();
    for name in ["greedy", "other", "shy"] {
        fs::copy(&component, pack.join("components").join(name).with_extension("wasm")).unwrap();
    }
    let unused = "pack.yaml: component `greedy` asks for `kv` and does not import it";
    let (found, words) = checked(&author, "faulty");
    assert_eq!(
        found["Errors"],
        json!([
            "components/other.wasm: it is a task component, the manifest says \"plugin\"",
            "components/shy.wasm: it imports `params`, which pack.yaml does not ask for: add a line to its `grants`",
            "profiles:faulty: faulty: Key `faulty/size`: \"large\" is not of type \"integer\" at ``",
            "tasks:faulty: faulty: template `one` line 1 column 1 at `{{ .Param`: unclosed action\nhint: the closing delimiter is \
             missing; a plain `{{` is written as `{{\"{{\"}}`",
        ])
    );
    assert_eq!((&found["Warnings"], words.as_str()), (&json!([unused]), "Error: the pack has 4 faults\n"));
    // What only makes an object unusable is a warning.
    let manifest = "{name: faulty, version: 1.0.0, components: [{name: greedy, kind: task, \
                    grants: ['params: read *', 'params: write *', 'kv: rw']}]}";
    write_pack(&pack, &[("pack.yaml", manifest), ("tasks/faulty.yaml", "{Name: faulty}")]);
    for gone in ["profiles/faulty.yaml", "components/other.wasm", "components/shy.wasm"] {
        fs::remove_file(pack.join(gone)).unwrap();
    }
    let (out, _) = author.done(&["pack", "check", "faulty"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        found,
        json!({"Name": "faulty", "Version": "1.0.0", "Objects": 3, "Components": 1, "Errors": [],
               "Warnings": [unused, "faulty: Task nowhere (at 1) does not exist"]})
    );
    // What is no object at all is told before anything else is looked at.
    write_pack(&pack, &[("tasks/faulty.yaml", "{Name: 7}"), ("stages/faulty.yaml", "[]")]);
    let (found, words) = checked(&author, "faulty");
    let faults = [
        "`faulty`: `stages/faulty.yaml`: the stage has no `Name`",
        "`tasks/faulty.yaml`: the task has no `Name`",
    ];
    assert_eq!((found, words), (Value::Null, format!("Error: {}\n", faults.join("\n"))));
}

#[test]
fn scenario_that_is_not_met_is_told_word_by_word_and_the_others_are_played() {
    let author = Author::of("rust", &[]).unwrap();
    let files = [
        ("pack.yaml", "{name: plain, version: 1.0.0}"),
        ("tasks/one.yaml", "{Name: one, Templates: [{Name: one, Contents: 'echo {{.Machine.Name}}'}]}"),
        ("stages/one.yaml", "{Name: one, Tasks: [one]}"),
        (
            "tests/good.yaml",
            "{machines: [m1, m2], stage: one, expect: {steps: [one], log: [was here, was here]}, \
          world: {scripts: {one: {log: 'one was here'}}}}",
        ),
        (
            "tests/wrong.yaml",
            "{machines: [m1, m2], stage: one, world: {scripts: {one: {ends: [failed], log: x}}}, \
          expect: {params: {a: 1}, log: [nothing], machines: {m1: {errors: [a script failed]}}}}",
        ),
    ];
    write_pack(&author.folder.path().join("plain"), &files);
    let output = author.formwork(&["pack", "test", "plain"]);
    let out = String::from_utf8(output.stdout).unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), words.as_str()), (Some(1), "Error: 1 of 2 scenarios failed\n"));
    assert_eq!(
        out,
        "ok      good  (2 steps)
FAILED  wrong  (2 steps)
        m1: param a: expected 1, found null
        m2: param a: expected 1, found null
        m2: a task failed: a script failed, as the scenario says
        log: `nothing` is not in the log, or not in this order:
xa script failed, as the scenario says
xa script failed, as the scenario says

1 passed, 1 failed
"
    );
    let deaf =
        "{events: [{action: create}, {type: jobs, action: save, key: j1}], expect: {machine: {Stage: none}}}";
    write_pack(&author.folder.path().join("plain"), &[("tests/wrong.yaml", deaf)]);
    let output = author.formwork(&["pack", "test", "plain", "--only", "wrong"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "FAILED  wrong  (0 steps)
        event machines.create.machine: no plugin wants events `machines.create`
        event jobs.save.j1: there is no such object
0 passed, 1 failed
"
    );
    let strange = "{machines: [m1], expect: {machines: {m2: {}}}}";
    write_pack(&author.folder.path().join("plain"), &[("tests/wrong.yaml", strange)]);
    let output = author.formwork(&["pack", "test", "plain", "--only", "wrong"]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(words.contains("`expect`: `machines` has `m2`, which is no machine of the scenario"), "{words}");
}
