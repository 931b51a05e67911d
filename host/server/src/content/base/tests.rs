use std::fs;

use axum::body::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::{
    ServeError,
    auth::Caller,
    commands::contents::{self, Installation},
    testing::{Site, Wishes},
};

fn options(folder: &Path) -> ServeOptions {
    ServeOptions::new(folder.to_owned(), PathBuf::from("/nonexistent"))
}

fn names(base: &Base) -> Vec<(&str, &str)> {
    base.layers().iter().map(|layer| (layer.meta.name.as_str(), layer.kind().as_str())).collect()
}

/// What a start says of a file.
fn refusal(options: &ServeOptions) -> String {
    Base::read(options).unwrap_err().to_string()
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn profiles(name: &str, keys: &[&str]) -> String {
    let section: BTreeMap<_, _> =
        keys.iter().map(|key| (*key, json!({"Description": format!("of {name}")}))).collect();
    json!({"meta": {"Name": name}, "sections": {"profiles": section}}).to_string()
}

#[test]
fn core_is_left_out_under_the_name_dr_provision_until_content_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let usual = options(folder.path());
    let core = [("core", "default"), ("BasicStore", "basic")];
    assert_eq!(names(&Base::read(&usual).unwrap()), core);
    let named = ServeOptions { as_dr_provision: true, ..usual };
    assert_eq!(names(&Base::read(&named).unwrap()), core[1..]);
    let given = write(folder.path(), "given.yaml", "meta: {Description: without a name}\n");
    let given = ServeOptions { default_content: Some(given), ..named };
    assert_eq!(
        names(&Base::read(&given).unwrap()),
        [("DefaultStore", "default"), ("core", "default"), ("BasicStore", "basic")]
    );
}

#[test]
fn file_folder_of_bundles_and_folder_of_one_bundle_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "many/b.json", &profiles("bb", &["b1"]));
    write(at, "many/a.yml", "meta: {Name: aa}\nsections: {profiles: {a1: {}}}\n");
    write(at, "many/README.md", "not read");
    write(at, "one/profiles/p.yaml", "Name: p1\n");
    write(at, "one/._Description.meta", "of one folder\n");
    let usual = options(at);
    let many = ServeOptions { local_content: Some(at.join("many")), ..usual.clone() };
    let base = Base::read(&many).unwrap();
    assert_eq!(names(&base)[..2], [("aa", "local"), ("bb", "local")]);
    let one = ServeOptions { local_content: Some(at.join("one")), ..usual };
    let base = Base::read(&one).unwrap();
    let layer = base.layer("LocalStore").unwrap();
    assert_eq!((layer.meta.description.as_str(), layer.meta.overwritable), ("of one folder", true));
    assert_eq!(layer.summary().counts, BTreeMap::from([(String::from("profiles"), 1)]));
    assert_eq!(layer.content().sections["profiles"]["p1"]["Name"], "p1");
}

#[test]
fn bad_file_keeps_the_endpoint_from_starting_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let usual = options(at);
    for (name, text, words) in [
        ("no.yaml", "meta:\n\t- {", "must be a map"),
        (
            "type.json",
            r#"{"meta": {"Name": "xx"}, "sections": {"gadgets": {"gg": {}}}}"#,
            "no type of object",
        ),
        ("own.json", r#"{"meta": {"Name": "BasicStore"}}"#, "another layer is called `BasicStore`"),
        ("core.json", r#"{"meta": {"Name": "core"}}"#, "another layer is called `core`"),
    ] {
        let path = write(at, name, text);
        let said = refusal(&ServeOptions { default_content: Some(path.clone()), ..usual.clone() });
        let start = format!("failed to load `{}` of --default-content\n", path.display());
        assert!(said.starts_with(&start), "{said}");
        assert!(said.contains(words) || name == "no.yaml", "{said}");
    }
    let said = refusal(&ServeOptions { local_content: Some(at.join("nowhere")), ..usual.clone() });
    assert!(said.contains("nowhere` of --local-content\n"), "{said}");
    write(at, "two/a.json", &profiles("aa", &["same"]));
    write(at, "two/b.json", &profiles("bb", &["same"]));
    let said = refusal(&ServeOptions { local_content: Some(at.join("two")), ..usual });
    assert!(said.contains("profiles:same in layer local-bb would override layer local-aa"), "{said}");
}

/// A site with content of both flags, as it is at the end of its start.
async fn site(local: &Value, default: &Value) -> (Site, Result<(), ServeError>) {
    let folder = tempfile::tempdir().unwrap();
    let options = ServeOptions {
        local_content: Some(write(folder.path(), "local.json", &local.to_string())),
        default_content: Some(write(folder.path(), "default.json", &default.to_string())),
        ..options(folder.path())
    };
    let site = Site::new(Wishes { base: Base::read(&options).unwrap(), ..Wishes::default() });
    let settled = settle(&site.endpoint).await;
    (site, settled)
}

async fn upload(site: &Site, content: Value, replace_writable: bool) -> Result<ContentSummary, String> {
    let body = Bytes::from(content.to_string());
    let content = formwork_packs::parse_content(&body).unwrap();
    let how = Installation { replace_writable, ..Installation::default() };
    let installed = contents::install(&site.endpoint, &Caller::operator(), content, how).await;
    installed.map_err(|error| error.messages.join("\n"))
}

fn bundle_of(site: &Site, prefix: &str, key: &str) -> String {
    site.endpoint.snapshot().find(prefix, key).unwrap().header().bundle.clone()
}

#[tokio::test]
async fn local_wins_over_dynamic_and_default_loses() {
    let content = |keys: &[&str]| serde_json::from_str::<Value>(&profiles("", keys)).unwrap();
    let (site, settled) = site(&content(&["here", "both"]), &content(&["below", "both"])).await;
    settled.unwrap();
    assert_eq!(bundle_of(&site, "profiles", "both"), "LocalStore");
    assert_eq!(bundle_of(&site, "profiles", "below"), "DefaultStore");
    let dynamic = |keys: &[&str]| serde_json::from_str::<Value>(&profiles("up", keys)).unwrap();
    let refused = upload(&site, dynamic(&["here"]), true).await.unwrap_err();
    assert_eq!(refused, "profiles:here in layer dynamic-up would override layer local-LocalStore");
    upload(&site, dynamic(&["below"]), false).await.unwrap();
    assert_eq!(bundle_of(&site, "profiles", "below"), "up");
    let order: Vec<_> = contents::list(&site.endpoint).into_iter().map(|summary| summary.meta.name).collect();
    assert_eq!(order, ["BackingStore", "LocalStore", "up", "DefaultStore", "core", "BasicStore"]);
    contents::remove(&site.endpoint, &Caller::operator(), String::from("up")).await.unwrap();
    assert_eq!(bundle_of(&site, "profiles", "below"), "DefaultStore");
}

#[tokio::test]
async fn layers_of_a_start_are_read_only_for_uploads_and_shadowed_by_writable_objects() {
    let content = serde_json::from_str(&profiles("", &["here"])).unwrap();
    let (site, settled) = site(&content, &json!({"meta": {}})).await;
    settled.unwrap();
    for name in ["LocalStore", "DefaultStore", "core", "BasicStore", "BackingStore"] {
        let refused = upload(&site, json!({"meta": {"Name": name}}), false).await.unwrap_err();
        assert_eq!(refused, format!("the name `{name}` is the endpoint's own"));
        let removed = contents::remove(&site.endpoint, &Caller::operator(), name.to_owned()).await;
        assert_eq!(removed.unwrap_err().code, 409, "{name}");
    }
    let put = |bundle: &'static str| {
        commit(&site.endpoint, "user:anna", move |work| {
            let mut own = formwork_model::Profile { name: String::from("here"), ..Default::default() };
            own.header.bundle = bundle.to_owned();
            work.put(Box::new(own)).map(drop)
        })
    };
    put("").await.unwrap();
    assert_eq!(bundle_of(&site, "profiles", "here"), "");
    // Without the writable object the local one would be there again.
    let up = serde_json::from_str(&profiles("up", &["here"])).unwrap();
    let refused = upload(&site, up, true).await.unwrap_err();
    assert_eq!(refused, "profiles:here in layer dynamic-up would override layer local-LocalStore");
}

#[tokio::test]
async fn given_content_is_looked_at_as_an_upload_is() {
    let needs = json!({"meta": {"RequiredFeatures": "time-travel", "Prerequisites": "core: >=0.0.1, other"},
        "sections": {"templates": {"tt": {"Contents": "{{.Broken"}}}});
    let (_, settled) = site(&needs, &json!({"meta": {}})).await;
    let said = settled.unwrap_err().to_string();
    for words in ["local.json` of --local-content\n", "time-travel", "other", "templates:tt: "] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("core"), "{said}");
}

#[tokio::test]
async fn soft_faults_are_seen_and_secure_clear_values_are_sealed_at_load() {
    let local = json!({"meta": {}, "sections": {
        "stages": {"s1": {"Tasks": ["nowhere"]}},
        "params": {"pass": {"Secure": true, "Schema": {"type": "string"}}},
        "profiles": {"p1": {"Params": {"pass": "sesame"}}, "p2": {}},
    }});
    let (site, settled) = site(&local, &json!({"meta": {}})).await;
    settled.unwrap();
    let snapshot = site.endpoint.snapshot();
    let stage = snapshot.find("stages", "s1").unwrap();
    assert_eq!(
        (stage.header().available, stage.header().errors.join(" ").contains("nowhere")),
        (false, true)
    );
    let profile = snapshot.find("profiles", "p1").unwrap();
    assert!(profile.params().unwrap().get("pass").unwrap()["Payload"].is_string(), "{profile:?}");
    assert!(snapshot.stored("profiles", "p2").unwrap().base, "nothing is kept of what is in order");
}

#[tokio::test]
async fn secrets_of_local_content_are_shown_nowhere_in_the_clear() {
    let local = json!({"meta": {}, "sections": {
        "params": {"bmc/password": {"Secure": true}},
        "profiles": {"p1": {"Params": {"bmc/password": "Hidden-Horse-77", "free": 1}}},
    }});
    let (site, settled) = site(&local, &json!({"meta": {}})).await;
    settled.unwrap();
    let shown = contents::show(&site.endpoint, &Caller::operator(), "LocalStore").unwrap();
    let object = site.endpoint.snapshot().find("profiles", "p1").unwrap().to_json();
    for text in [serde_json::to_string(&shown).unwrap(), object.to_string()] {
        assert!(text.contains("free") && !text.contains("Hidden-Horse-77"), "{text}");
    }
}
