//! Content bundles as the ecosystem's tools send them, and the commands for them (drp-behaviour.md 7.1, 7.2).

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use formwork_client::{ClientError, Query};
use serde_json::{Value, json};

use crate::{
    endpoint::{Endpoint, program},
    files::{curl, post},
    plugins::webhook_pack,
};

/// A bundle as tools with another reader of YAML accept it: TABs, numbers for texts, a word for a boolean, a member that
/// nobody knows, and a section that is null.
const LOOSE: &str = "\
meta:
  Name:\tloose
  Version: 4.1
  Order: 1
  Beeblebrox: 2
sections:
  params:
    loose/size:
      Schema:\t{type: integer, default: 3}
      Meta: {order: 7}
      Zaphod: [1]
  stages:
    loose:
      Tasks: [loose, nowhere]
      Reboot: yes
  tasks:
    loose:
      Description: 42
      Templates:
        - {Name: one, Contents: \"echo {{.Param \\\"loose/size\\\"}}\"}
  workflows:
";

/// What an endpoint says of the stage's second task.
const WARNING: &str = "loose: Task nowhere (at 1) does not exist";

/// Sends a body as it is, with a media type, and returns the status and the answer.
async fn send(endpoint: &Endpoint, method: &str, path: &str, body: &str) -> (u16, Value) {
    // Another test may have done it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let token = endpoint.client().user_token("rocketskates", &Query::new()).await.unwrap().token;
    let http = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).no_proxy().build().unwrap();
    let request = http
        .request(method.parse().unwrap(), format!("{}/api/v3/{path}", endpoint.url()))
        .bearer_auth(token)
        .header("Content-Type", "application/yaml")
        .body(body.to_owned());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn careless_yaml_is_loaded_whole_and_its_summary_tells_what_is_missing() {
    let endpoint = Endpoint::start();
    let (status, summary) = send(&endpoint, "POST", "contents", LOOSE).await;
    let meta = &summary["meta"];
    assert_eq!(
        (status, &meta["Name"], &meta["Version"], &meta["Order"], &meta["Type"]),
        (201, &json!("loose"), &json!("4.1"), &json!("1"), &json!("dynamic")),
        "{summary}"
    );
    assert_eq!(summary["Counts"], json!({"params": 1, "stages": 1, "tasks": 1}));
    assert_eq!(summary["Warnings"], json!([WARNING]));
    let client = endpoint.client();
    let task = client.collection("tasks").show("loose", &Query::new()).await.unwrap();
    assert_eq!((&task["Description"], &task["Bundle"]), (&json!("42"), &json!("loose")));
    let param = client.collection("params").show("loose/size", &Query::new()).await.unwrap();
    assert_eq!((&param["Schema"]["default"], &param["Meta"]["order"]), (&json!(3), &json!("7")));
    let stage = client.collection("stages").show("loose", &Query::new()).await.unwrap();
    assert_eq!((&stage["Reboot"], &stage["Available"]), (&json!(true), &json!(false)));
    assert_eq!(stage["Errors"], json!([WARNING]));
    let mended = LOOSE.replace(", nowhere", "");
    let (status, summary) = send(&endpoint, "PUT", "contents/loose", &mended).await;
    assert_eq!((status, &summary["Warnings"]), (200, &json!([])));
    let (status, error) = send(&endpoint, "POST", "contents", "meta:\n\t- {").await;
    assert_eq!((status, &error["Model"]), (400, &json!("contents")), "{error}");
}

/// What a command wrote; it must have succeeded.
fn out(output: Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a command that fails says.
fn words(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An operator with an endpoint and files.
struct Operator {
    endpoint: Endpoint,
    folder: tempfile::TempDir,
}

impl Operator {
    fn new() -> Self {
        Self { endpoint: Endpoint::start(), folder: tempfile::tempdir().unwrap() }
    }

    fn contents(&self, arguments: &[&str]) -> Output {
        self.endpoint.cli(&[&["contents"], arguments].concat())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn names(&self) -> Vec<String> {
        let list: Value = serde_json::from_str(&out(self.contents(&["list"]))).unwrap();
        let list = list.as_array().unwrap();
        list.iter().map(|summary| summary["meta"]["Name"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn bundle_lives_from_create_to_destroy_by_its_commands() {
    let operator = Operator::new();
    let loose = operator.file("loose.yaml", LOOSE);
    assert_eq!(operator.names(), ["BackingStore", "core", "BasicStore"]);
    assert_eq!(out(operator.contents(&["count"])), "3\n");
    let error = words(&operator.contents(&["exists", "loose"]));
    assert!(error.contains("No such content store"), "{error}");
    let created: Value = serde_json::from_str(&out(operator.contents(&["create", &loose]))).unwrap();
    assert_eq!((&created["meta"]["Order"], &created["Warnings"]), (&json!("1"), &json!([WARNING])));
    assert_eq!(operator.names(), ["BackingStore", "loose", "core", "BasicStore"]);
    assert_eq!(out(operator.contents(&["count"])), "4\n");
    assert_eq!(out(operator.contents(&["exists", "loose"])), "");
    let table = out(operator.contents(&["list", "-F", "table"]));
    assert!(table.lines().any(|line| line.trim_end().ends_with("loose         4.1      dynamic")), "{table}");
    let again = words(&operator.contents(&["create", &loose]));
    assert!(again.contains("already exists"), "{again}");
    let shown: Value = serde_json::from_str(&out(operator.contents(&["show", "loose"]))).unwrap();
    assert_eq!(shown["sections"]["stages"]["loose"]["Tasks"], json!(["loose", "nowhere"]));
    // What was shown is a bundle again.
    let mended = LOOSE.replace(", nowhere", "").replace("Version: 4.1", "Version: 4.2");
    let mended = operator.file("mended.yaml", &mended);
    let updated: Value =
        serde_json::from_str(&out(operator.contents(&["update", "loose", &mended]))).unwrap();
    assert_eq!((&updated["meta"]["Version"], &updated["Warnings"]), (&json!("4.2"), &json!([])));
    let shown = operator.file("shown.json", &shown.to_string());
    let uploaded: Value = serde_json::from_str(&out(operator.contents(&["upload", &shown]))).unwrap();
    assert_eq!((&uploaded["meta"]["Version"], &uploaded["Warnings"]), (&json!("4.1"), &json!([WARNING])));
    let other = operator.file("other.yaml", "meta: {Name: other}\n");
    let uploaded: Value = serde_json::from_str(&out(operator.contents(&["upload", &other]))).unwrap();
    assert_eq!((&uploaded["Counts"], &uploaded["Warnings"]), (&json!({}), &json!([])));
    assert_eq!(out(operator.contents(&["destroy", "loose"])), "Deleted content loose\n");
    assert_eq!(operator.names(), ["BackingStore", "other", "core", "BasicStore"]);
    assert!(!operator.endpoint.cli(&["tasks", "exists", "loose"]).status.success());
}

#[tokio::test]
async fn bundle_that_is_not_there_is_told_by_every_verb() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let bundle = json!({"meta": {"Name": "nowhere"}});
    for refused in [
        client.content("nowhere").await.map(drop),
        client.content_update("nowhere", &bundle).await.map(drop),
        client.content_destroy("nowhere").await,
    ] {
        let Err(ClientError::Api(error)) = refused else { panic!("it is not there") };
        assert_eq!(
            (error.code, error.messages.as_slice()),
            (404, &[String::from("No such content store")][..])
        );
        assert_eq!((error.model.as_str(), error.key.as_str()), ("contents", "nowhere"));
    }
}

#[test]
fn layers_of_the_endpoint_itself_stay() {
    let operator = Operator::new();
    for name in ["BackingStore", "BasicStore", "core"] {
        let refused = words(&operator.contents(&["destroy", name]));
        assert!(refused.contains(&format!("the layer `{name}` is the endpoint's own")), "{refused}");
        let bundle = operator.file("own.json", &json!({"meta": {"Name": name}}).to_string());
        let verbs = [&["create", &bundle][..], &["update", name, &bundle], &["upload", &bundle]];
        // The writable one is put back by the others.
        let count = if name == "BackingStore" { 1 } else { verbs.len() };
        for verb in verbs.into_iter().take(count) {
            let refused = words(&operator.contents(verb));
            assert!(refused.contains(&format!("the name `{name}` is the endpoint's own")), "{refused}");
        }
    }
    assert_eq!(operator.names(), ["BackingStore", "core", "BasicStore"]);
}

#[test]
fn writable_layer_is_backed_up_and_put_back_on_another_endpoint() {
    let (operator, other) = (Operator::new(), Operator::new());
    let bundle =
        json!({"meta": {"Name": "BackingStore"}, "sections": {"profiles": {"p1": {"Params": {"a/b": 1}}}}});
    let made = operator.file("made.json", &bundle.to_string());
    let before: Value = serde_json::from_str(&out(operator.contents(&["upload", &made]))).unwrap();
    let backup = out(operator.contents(&["show", "BackingStore"]));
    assert!(backup.contains("p1") && backup.contains("users"), "{backup}");
    let file = other.file("backup.json", &backup);
    let told: Value = serde_json::from_str(&out(other.contents(&["upload", &file]))).unwrap();
    assert_eq!(
        (&told["meta"]["Name"], &told["Counts"]),
        (&json!("BackingStore"), &before["Counts"]),
        "{told}"
    );
    assert_eq!(other.names(), ["BackingStore", "core", "BasicStore"]);
}

#[test]
fn file_that_is_no_bundle_is_refused_before_it_is_sent() {
    let operator = Operator::new();
    for (text, why) in [
        ("meta: {Version: 1}\n", "it has no `meta.Name`"),
        ("[]", "it must be a map with `meta` and `sections`"),
        ("{\"meta\": ", "is no content bundle"),
    ] {
        let file = operator.file("broken", text);
        let output = operator.contents(&["create", &file]);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.contains(why), "{words}");
    }
}

/// Makes an archive of a folder.
fn tar(folder: &Path) -> Vec<u8> {
    let made = Command::new("tar").args(["-C", folder.to_str().unwrap(), "-cz", "."]).output().unwrap();
    assert!(made.status.success());
    made.stdout
}

/// Adds bytes to a new update, and returns its token.
fn update(endpoint: &Endpoint, bytes: &[u8]) -> String {
    let started = post(endpoint, "content_archives/update/start", b"{}");
    assert_eq!(started.code, "201");
    let token = started.json()["Token"].as_str().unwrap().to_owned();
    let added = post(endpoint, &format!("content_archives/update/{token}/add"), bytes);
    assert_eq!(added.code, "201", "{}", added.json());
    token
}

fn commit(endpoint: &Endpoint, token: &str, operations: &Value) -> (String, Value) {
    let path = format!("content_archives/update/{token}/commit");
    let answer = post(endpoint, &path, operations.to_string().as_bytes());
    (answer.code.clone(), answer.json())
}

/// The bundle `boxed` with two artifacts, as an archive.
fn archive(profile: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("bin")).unwrap();
    fs::write(at("bin/tool"), "tool 1").unwrap();
    let inner = tempfile::tempdir().unwrap();
    fs::create_dir(inner.path().join("page")).unwrap();
    fs::write(inner.path().join("page/index.html"), "<p>").unwrap();
    fs::write(at("web.tgz"), tar(inner.path())).unwrap();
    let bundle = json!({
        "meta": {"Name": "boxed", "Version": "v1.0.0"},
        "sections": {"profiles": {profile: {}}},
        "artifacts": {
            "bin/tool": {"source": "made here", "install": [{"action": "copy", "target": "tools/tool"}]},
            "web.tgz": {"install": [{"action": "explode", "target": "site"}]},
        },
    });
    fs::write(at("boxed.json"), bundle.to_string()).unwrap();
    tar(folder.path())
}

#[test]
fn artifact_is_copied_or_exploded_with_the_load_and_undone_when_it_fails() {
    let endpoint = Endpoint::start();
    let add = json!([{"Op": "add", "Name": "boxed"}]);
    assert_eq!(post(&endpoint, "profiles", br#"{"Name": "mine"}"#).code, "201");
    assert_eq!(post(&endpoint, "files/tools/tool", b"tool 0").code, "201");
    let token = update(&endpoint, &archive("mine"));
    let (code, refused) = commit(&endpoint, &token, &add);
    assert_eq!(code, "422", "{refused}");
    let text = |path: &str| curl(&endpoint, &format!("files/{path}"), &[], b"");
    assert_eq!(text("tools/tool").body, b"tool 0", "what was there is there again");
    assert_eq!(text("site/page/index.html").code, "404");
    assert_eq!(curl(&endpoint, "content_archives/sources", &[], b"").json(), json!([]));
    assert_eq!(curl(&endpoint, "content_archives/update", &["-X", "DELETE"], b"").json()["Token"], token);

    let token = update(&endpoint, &archive("fresh"));
    let (code, done) = commit(&endpoint, &token, &add);
    assert_eq!((code.as_str(), &done[0]["Name"]), ("200", &json!("boxed")), "{done}");
    assert_eq!(text("tools/tool").body, b"tool 1");
    assert_eq!(text("site/page/index.html").body, b"<p>");
    let sources = curl(&endpoint, "content_archives/sources", &[], b"").json();
    let view = curl(&endpoint, "content_archives", &[], b"").json();
    assert_eq!((&view[0]["Name"], &view[0]["Source"]), (&json!("boxed"), &sources[0]));
    assert_eq!(view[0]["Artifacts"]["bin/tool"]["source"], "made here");
    let shown = curl(&endpoint, "contents/boxed", &[], b"").json();
    assert_eq!(shown["artifacts"]["web.tgz"]["install"][0]["target"], "site");
}

#[test]
fn update_survives_no_restart_and_what_it_committed_does() {
    let mut endpoint = Endpoint::start();
    let token = update(&endpoint, &archive("fresh"));
    endpoint.kill_and_start_again();
    let (code, _) = commit(&endpoint, &token, &json!([{"Op": "add", "Name": "boxed"}]));
    assert_eq!(code, "404");
    assert_eq!(curl(&endpoint, "content_archives/update/status", &[], b"").code, "404");
    let staged = endpoint.folder().join("content-archives/staging");
    assert_eq!(fs::read_dir(staged).unwrap().count(), 0, "nothing is left");
    let token = update(&endpoint, &archive("fresh"));
    assert_eq!(commit(&endpoint, &token, &json!([{"Op": "add", "Name": "boxed"}])).0, "200");
    endpoint.kill_and_start_again();
    assert_eq!(curl(&endpoint, "content_archives/sources", &[], b"").json().as_array().unwrap().len(), 1);
    assert_eq!(curl(&endpoint, "profiles/fresh", &[], b"").code, "200");
    let remove = json!([{"Op": "remove", "Name": "boxed", "Version": "v1.0.0"}]);
    let started = post(&endpoint, "content_archives/update/start", b"").json();
    assert_eq!(commit(&endpoint, started["Token"].as_str().unwrap(), &remove).0, "200");
    assert_eq!(curl(&endpoint, "content_archives/sources", &[], b"").json(), json!([]));
}

#[test]
fn content_that_is_given_at_the_start_is_there_and_a_bad_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("local.yaml");
    fs::write(&local, "meta: {Name: site}\nsections:\n  profiles:\n    here: {Description: local}\n")
        .unwrap();
    let mut endpoint = Endpoint::start();
    endpoint.kill();
    endpoint.start_again_with(&["--local-content", local.to_str().unwrap()]);
    let profile = curl(&endpoint, "profiles/here", &[], b"").json();
    assert_eq!((&profile["Bundle"], &profile["ReadOnly"]), (&json!("site"), &json!(true)));
    assert_eq!(curl(&endpoint, "contents/site", &[], b"").json()["meta"]["Type"], "local");
    let refused = curl(&endpoint, "profiles/here", &["-X", "DELETE"], b"");
    assert_eq!(refused.code, "409");
    endpoint.kill();
    endpoint.start_again();
    assert_eq!(curl(&endpoint, "profiles/here", &[], b"").code, "404");
    fs::write(&local, "meta: {Name: site}\nsections: {gadgets: {one: {}}}\n").unwrap();
    let mut command = program();
    command
        .args(["serve", "--base-root"])
        .arg(folder.path().join("data"))
        .arg("--default-content")
        .arg(&local);
    let output =
        command.args(["--api-port", "0", "--static-port", "0"]).stdin(Stdio::null()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && words.contains("of --default-content"), "{words}");
    assert!(words.contains("`gadgets` is no type of object"), "{words}");
}

#[test]
fn row_054_machine_is_not_available_while_a_referenced_object_is_missing() {
    let endpoint = Endpoint::start();
    let bundle = br#"{"meta": {"Name": "parts"}, "sections": {"profiles": {"part": {}}}}"#;
    assert_eq!(post(&endpoint, "contents", bundle).code, "201");
    let machine = post(&endpoint, "machines", br#"{"Name": "m1.local", "Profiles": ["part"]}"#).json();
    assert_eq!(machine["Available"], true);
    let put = ["-X", "PUT", "--data-binary", "@-"];
    // The bundle without the profile: what is in use may go with a new version.
    let less = br#"{"meta": {"Name": "parts"}, "sections": {"profiles": {"other": {}}}}"#;
    assert_eq!(curl(&endpoint, "contents/parts", &put, less).code, "200");
    let path = format!("machines/{}", machine["Uuid"].as_str().unwrap());
    let machine = || curl(&endpoint, &path, &[], b"").json();
    assert_eq!(machine()["Available"], false);
    assert!(machine()["Errors"][0].as_str().unwrap().contains("part"), "{}", machine()["Errors"]);
    assert_eq!(curl(&endpoint, "contents/parts", &put, bundle).code, "200");
    assert_eq!((&machine()["Available"], &machine()["Errors"]), (&json!(true), &json!([])));
}

#[test]
fn row_196_packs_and_plugins_are_uploaded_collide_and_go() {
    let endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let bundle = |name: &str| {
        format!(r#"{{"meta": {{"Name": "{name}"}}, "sections": {{"profiles": {{"pp": {{}}}}}}}}"#)
    };
    assert_eq!(post(&endpoint, "contents", bundle("one").as_bytes()).code, "201");
    let refused = post(&endpoint, "contents", bundle("two").as_bytes());
    assert_eq!(refused.code, "422");
    let told = json!(["profiles:pp in layer dynamic-two would override layer dynamic-one"]);
    assert_eq!(refused.json()["Messages"], told);
    let needs = br#"{"meta": {"Name": "three", "Prerequisites": "one: >=2.0.0"}}"#;
    assert_eq!(post(&endpoint, "contents", needs).code, "422");
    let features = br#"{"meta": {"Name": "four", "RequiredFeatures": "sprig, time-travel"}}"#;
    let refused = post(&endpoint, "contents", features);
    assert!(refused.code == "422" && refused.json()["Messages"][0].as_str().unwrap().contains("time-travel"));
    assert_eq!(curl(&endpoint, "contents/one", &["-X", "DELETE"], b"").code, "204");
    assert_eq!(curl(&endpoint, "profiles/pp", &[], b"").code, "404");
    let native = post(&endpoint, "plugin_providers/ipmi", b"\x7fELF\x02\x01\x01");
    assert_eq!(native.code, "422");
    let words = native.json()["Messages"][0].as_str().unwrap().to_owned();
    assert!(words.contains("a Linux program") && words.contains("formwork pack new"), "{words}");
    let folder = tempfile::tempdir().unwrap();
    let pack = fs::read(webhook_pack(folder.path(), "http://127.0.0.1:9")).unwrap();
    assert_eq!(post(&endpoint, "plugin_providers/webhook?grant=all", &pack).code, "201");
    let provider = || curl(&endpoint, "plugin_providers/webhook", &[], b"");
    assert_eq!(provider().json()["Available"], true);
    let plugin =
        br#"{"Name": "hooks", "Provider": "webhook", "Params": {"webhook/url": "http://127.0.0.1:9/in"}}"#;
    assert_eq!(post(&endpoint, "plugins", plugin).code, "201");
    // What it brings is no other's to bring.
    let override_ = br#"{"meta": {"Name": "five"}, "sections": {"params": {"webhook/url": {}}}}"#;
    assert_eq!(post(&endpoint, "contents", override_).code, "422");
    assert_eq!(curl(&endpoint, "plugins/hooks", &["-X", "DELETE"], b"").code, "200");
    assert_eq!(curl(&endpoint, "plugin_providers/webhook", &["-X", "DELETE"], b"").code, "200");
    assert_eq!(provider().code, "404");
}
