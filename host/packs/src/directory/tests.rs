use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::{from_content, to_content};

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn files_become_meta_data_and_sections() {
    let folder = folder(&[
        ("._Name.meta", "acme\n"),
        ("._Version.meta", "v1.2.0"),
        ("._Documentation.meta", "one\n\ntwo\n"),
        ("._Overwritable.meta", "true\n"),
        ("._Type.meta", "default\n"),
        ("._Unheard.meta", "x"),
        ("tasks/one.yaml", "Name:\tone\nTimeout: 3\n"),
        ("tasks/two.json", "{\"Name\": \"two\"}"),
        ("tasks/README.md", "no object"),
        ("params/a.b.yml", "Name: a/b\nDescription: 7\n"),
        ("templates/run.sh.tmpl", "#!/bin/sh\n"),
        ("templates/sub/conf.yaml", "not: [an object"),
        ("subnets/s1.yaml", "Name: s1\n"),
        ("docs/deep/er/and/deeper/still.txt", "ignored"),
        ("notes.yaml", "ignored: ["),
    ]);
    symlink("/", folder.path().join("link")).unwrap();
    let content = bundle_folder(folder.path()).unwrap();
    let meta = ContentMeta {
        name: "acme".into(),
        version: "v1.2.0".into(),
        documentation: "one\n\ntwo\n".into(),
        overwritable: true,
        r#type: "default".into(),
        ..ContentMeta::default()
    };
    assert_eq!(content.meta, meta);
    assert_eq!(
        json!(content.sections),
        json!({
            "params": {"a/b": {"Name": "a/b", "Description": "7"}},
            "subnets": {"s1": {"Name": "s1"}},
            "tasks": {"one": {"Name": "one", "Timeout": 3}, "two": {"Name": "two"}},
            "templates": {
                "run.sh.tmpl": {"ID": "run.sh.tmpl", "Contents": "#!/bin/sh\n"},
                "sub/conf.yaml": {"ID": "sub/conf.yaml", "Contents": "not: [an object"},
            },
        })
    );
}

#[test]
fn file_of_the_meta_data_says_what_no_file_of_one_member_says() {
    for (file, text) in [
        ("meta.yaml", "Name:\tacme\nVersion: v0.1.0\nOrder: 100\nWritable: true\nIcon:\nUnheard: x\n"),
        ("meta.yml", "{Name: acme, Version: v0.1.0, Order: '100', Writable: true}"),
        (
            "meta.json",
            r#"{"Name": "acme", "Version": "v0.1.0", "Order": "100", "Writable": true, "Icon": null}"#,
        ),
    ] {
        let folder = folder(&[(file, text), ("._Version.meta", "v1.2.0\n"), ("README.md", "# Acme\n")]);
        symlink("README.md", folder.path().join("._Documentation.meta")).unwrap();
        let meta = ContentMeta {
            name: "acme".into(),
            version: "v1.2.0".into(),
            documentation: "# Acme\n".into(),
            order: "100".into(),
            writable: true,
            r#type: "dynamic".into(),
            ..ContentMeta::default()
        };
        assert_eq!(bundle_folder(folder.path()).unwrap().meta, meta, "{file}");
    }
}

#[test]
fn meta_data_that_cannot_be_read_is_refused_by_its_file() {
    let refusal = |files: &[(&str, &str)], link: Option<&str>| {
        let folder = folder(files);
        if let Some(target) = link {
            symlink(target, folder.path().join("._Name.meta")).unwrap();
        }
        bundle_folder(folder.path()).unwrap_err().to_string()
    };
    for (files, words) in [
        (&[("meta.yaml", "- Name\n")][..], "`meta.yaml`: it must be a map"),
        (&[("meta.yaml", "Name: [\n")], "`meta.yaml`: "),
        (
            &[("meta.json", "{}"), ("meta.yaml", "{}")],
            "`meta.yaml`: only one of meta.json, meta.yaml, meta.yml",
        ),
    ] {
        let told = refusal(files, None);
        assert!(told.contains(words), "{told}");
    }
    for target in ["/etc/hostname", "../name", "tasks/name", "."] {
        let told = refusal(&[("tasks/name", "acme")], Some(target));
        assert!(told.contains("`._Name.meta`: a link that leads to no file beside it"), "{target}: {told}");
    }
    let told = refusal(&[("tasks/one.yaml", "Name: one\n")], Some("gone"));
    assert!(told.contains("`._Name.meta`: it leads to `gone`, which is no file"), "{told}");
}

#[test]
fn empty_folder_has_the_default_meta_data() {
    let content = bundle_folder(folder(&[("._Name.meta", "\n")]).path()).unwrap();
    let meta = &content.meta;
    assert_eq!(
        (meta.name.as_str(), meta.version.as_str(), meta.r#type.as_str()),
        ("Unspecified", "v0.0.0", "dynamic")
    );
    assert!(content.sections.is_empty());
}

#[test]
fn all_files_that_are_no_objects_are_told_at_once() {
    let folder = folder(&[
        ("._Writable.meta", "perhaps"),
        ("stages/open.yaml", "Name: [\n"),
        ("stages/list.yaml", "- Name\n"),
        ("stages/twice.yaml", "Name: a1\nName: a2\n"),
        ("tasks/x1.yaml", "Name: same\n"),
        ("tasks/x2.yaml", "Name: same\n"),
    ]);
    fs::write(folder.path().join("templates"), "a file").unwrap();
    let error = bundle_folder(folder.path()).unwrap_err();
    let PackError::Refused { faults } = &error else { panic!("{error}") };
    let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
    assert_eq!(
        places,
        [
            "._Writable.meta",
            "stages/list.yaml",
            "stages/open.yaml",
            "stages/twice.yaml",
            "tasks/x2.yaml",
            "templates"
        ]
    );
    assert!(error.to_string().contains("`tasks/x2.yaml`: tasks:same is in another file too"), "{error}");
}

#[test]
fn core_survives_the_way_into_a_folder_and_back() {
    let core = crate::core().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder");
    let notes = unbundle(&to_content(&core.meta, &core.objects), &path).unwrap();
    assert!(path.join("params/inventory.cpu.yaml").is_file());
    let again = bundle_folder(&path).unwrap();
    assert_eq!(again.meta, core.meta);
    let again = from_content(again).unwrap();
    let json = |objects: &[Arc<dyn formwork_model::Object>]| -> Vec<Value> {
        let plain = |object: &Arc<dyn formwork_model::Object>| {
            let mut value = object.to_json();
            let template = object.kind().prefix == "templates";
            // The description of a template is nowhere in its file.
            value.as_object_mut().unwrap().retain(|name, _| !(template && name == "Description"));
            value
        };
        objects.iter().map(plain).collect()
    };
    assert_eq!(json(&again.objects), json(&core.objects));
    assert_eq!(notes.len(), core.objects.iter().filter(|object| object.kind().prefix == "templates").count());
    let error = unbundle(&Content::default(), &path).unwrap_err();
    assert!(error.to_string().ends_with("the folder is not empty"), "{error}");
}

#[test]
fn texts_that_look_like_other_things_stay_texts() {
    let odd = [
        "yes",
        "1.10",
        "0755",
        "null",
        "~",
        "",
        "a: b",
        "- x",
        "#no",
        "x\ty",
        "line\nline\n",
        "  lead",
        "é\u{7}",
    ];
    let task = json!({"Name": "t1", "Params": odd, "Documentation": odd[10], "n": [0, -1, 1.5, true, null]});
    let content: Content =
        serde_json::from_value(json!({"meta": {"Name": "xy"}, "sections": {"tasks": {"t1": task}}})).unwrap();
    let folder = tempfile::tempdir().unwrap();
    unbundle(&content, folder.path()).unwrap();
    assert_eq!(bundle_folder(folder.path()).unwrap().sections, content.sections);
}

#[test]
fn names_from_a_bundle_never_leave_the_folder() {
    let sections = json!({
        "../up": {"x": {}},
        "tasks": {"../../x": {}, "a/b": {}, "a.b": {}, "nul\u{0}": {}},
        "templates": {"..": {"Contents": ""}, "/etc/passwd": {"Contents": ""}, "": {"Contents": ""}},
    });
    let content: Content =
        serde_json::from_value(json!({"meta": {"Name": "xy"}, "sections": sections})).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = unbundle(&content, folder.path()).unwrap_err();
    let PackError::Refused { faults } = &error else { panic!("{error}") };
    let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
    assert_eq!(places, ["sections.../up", "tasks:a/b", "tasks:nul\u{0}", "templates:", "templates:.."]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
