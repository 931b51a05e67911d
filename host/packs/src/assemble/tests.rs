use std::{fs, path::PathBuf};

use bytes::Bytes;

use super::*;

/// Set to rewrite the `expected.txt` of all cases from what is answered now.
const REWRITE: &str = "FORMWORK_REWRITE_EXPECTED";

fn invalid() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/packs/invalid")
}

fn check(case: &str) {
    let folder = invalid().join(case);
    let refusal = format!("{}\n", load_folder(&folder.join("pack")).unwrap_err());
    let expected = folder.join("expected.txt");
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&expected, &refusal).unwrap();
    }
    assert_eq!(refusal, fs::read_to_string(&expected).unwrap());
}

/// One test a folder of `tests/packs/invalid`, and a test that none was forgotten.
macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(&stringify!($name).replace('_', "-")); })*

        #[test]
        fn every_invalid_pack_has_a_test() {
            let listed = [$(stringify!($name).replace('_', "-")),*];
            let mut folders: Vec<String> = fs::read_dir(invalid())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                // Those are pack files, tested in `archive/tests.rs`.
                .filter(|name| !name.starts_with("archive-"))
                .collect();
            folders.sort();
            assert_eq!(folders, listed);
        }
    };
}

cases! {
    bad_limits
    bad_prerequisites
    broken_object
    broken_yaml
    component_not_listed
    missing_component
    missing_manifest
    source_in_pack
    symlink
    unfit_grant
    unknown_field
    unknown_prefix
    unknown_task_component
    wrong_key
    wrong_kind
}

fn files(files: &[(&str, &str)]) -> Files {
    files.iter().map(|(path, text)| ((*path).to_owned(), Bytes::from((*text).to_owned()))).collect()
}

#[test]
fn bytes_that_are_no_component_pass_here_as_the_sandbox_looks_into_them() {
    let pack = assemble(&files(&[
        ("pack.yaml", "{name: aa, version: 1.0.0, components: [{name: cc, kind: task}]}"),
        ("components/cc.wasm", "no component"),
    ]));
    assert_eq!(pack.unwrap().components[0].wasm, "no component");
}

#[test]
fn component_keeps_its_kind_grants_and_limits() {
    let manifest = "name: aa\nversion: v1.0.0-rc1\nprerequisites: {core: '>=0.1 <1 || 2', other: ''}\n\
                    required-features: [sprig]\ncomponents:\n\
                    - {name: p1, kind: plugin, source: ../p1, limits: {fuel: 5, wall-time-ms: 60000},\n   \
                    grants: [http: https://bmc.example/*, kv: rw, clock]}\n\
                    - {name: m1, kind: migration-policy}\n- {name: u1, kind: upgrade-step, source: src/u1}\n";
    let wasm = ["components/m1.wasm", "components/p1.wasm", "components/u1.wasm"].map(|path| (path, "x"));
    let pack = assemble(&files(&[&[("pack.yaml", manifest)], &wasm[..]].concat())).unwrap();
    let kinds: Vec<Value> = pack.components.iter().map(|component| json!(component.record.kind)).collect();
    assert_eq!(kinds, ["plugin", "migration-policy", "upgrade-step"]);
    let record = &pack.components[0].record;
    assert_eq!(record.grants, ["http: https://bmc.example/*", "kv: rw", "clock"]);
    assert_eq!(json!(record.limits), json!({"fuel": 5, "wall-time-ms": 60000}));
    assert_eq!(pack.meta.prerequisites, "core: >=0.1 <1 || 2,other");
}

#[test]
fn files_are_carried_by_their_paths_and_never_taken_for_objects() {
    let pack = assemble(&files(&[
        ("pack.yaml", "{name: aa, version: 1.0.0}"),
        ("files/scripts/one.sh", "#!/bin/sh\n"),
        ("files/tasks.yaml", "Name: ["),
    ]))
    .unwrap();
    let found: Vec<_> = pack.files.iter().map(|file| (file.path.as_str(), file.bytes.as_ref())).collect();
    assert_eq!(found, [("scripts/one.sh", "#!/bin/sh\n".as_bytes()), ("tasks.yaml", b"Name: [")]);
    assert_eq!(pack.files[1].digest, digest(b"Name: ["));
}

#[test]
fn component_of_another_pack_is_not_judged() {
    let pack = assemble(&files(&[
        ("pack.yaml", "{name: aa, version: 1.0.0}"),
        ("tasks/t1.yaml", "{Name: t1, Component: core/greet}"),
    ]));
    assert_eq!(pack.unwrap().objects.len(), 1);
}

#[test]
fn template_is_called_like_its_file_and_described_by_its_first_comment() {
    let pack = assemble(&files(&[
        ("pack.yaml", "{name: aa, version: 1.0.0}"),
        ("templates/setup.sh.tmpl", "{{- /* One\n  line */ -}}\n#!/bin/sh\n"),
    ]))
    .unwrap();
    let json = pack.objects[0].to_json();
    assert_eq!((&json["ID"], &json["Description"]), (&json!("setup.sh"), &json!("One line")));
    assert_eq!(opening_comment("{{.Param \"x\"}}"), None);
    assert_eq!(opening_comment("{{/* never ends"), None);
}

#[test]
fn component_names_are_plain_words_and_unique() {
    let pack = assemble(&files(&[(
        "pack.yaml",
        "{name: aa, version: 1.0.0, components: [{name: ../up, kind: task}, {name: up, kind: task}, {name: up, kind: task}]}",
    )]));
    let text = pack.unwrap_err().to_string();
    assert!(text.starts_with("`pack.yaml`: component `../up`: its name must be"), "{text}");
    assert!(text.contains("component `up` is listed twice"), "{text}");
}

#[test]
fn name_with_a_slash_or_of_one_letter_is_refused() {
    for name in ["a", "a/b", "''", "../x"] {
        let pack = assemble(&files(&[("pack.yaml", &format!("{{name: {name}, version: 1.0.0}}"))]));
        assert!(pack.unwrap_err().to_string().contains("Invalid Name"), "{name}");
    }
}

#[test]
fn core_loads_from_its_folder_as_from_the_program() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/core"), folder.path());
    let core = crate::core().unwrap();
    fs::create_dir(folder.path().join("components")).unwrap();
    for component in &core.components {
        fs::write(folder.path().join(format!("components/{}.wasm", component.record.name)), &component.wasm)
            .unwrap();
    }
    let loaded = load_folder(folder.path()).unwrap();
    let json = |pack: &Pack| pack.objects.iter().map(|object| object.to_json()).collect::<Vec<_>>();
    assert_eq!(json(&loaded), json(core));
    assert_eq!(loaded.meta.r#type, "dynamic");
    assert_eq!(loaded.components[0].record, core.components[0].record);
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
