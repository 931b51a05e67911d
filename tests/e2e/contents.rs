//! Content bundles as the ecosystem's tools send them, and the commands for them (drp-behaviour.md 7.1, 7.2).

use std::{fs, path::PathBuf, process::Output};

use formwork_client::{ClientError, Query};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;

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
    assert_eq!(operator.names(), ["BackingStore", "BasicStore"]);
    assert_eq!(out(operator.contents(&["count"])), "2\n");
    let error = words(&operator.contents(&["exists", "loose"]));
    assert!(error.contains("No such content store"), "{error}");
    let created: Value = serde_json::from_str(&out(operator.contents(&["create", &loose]))).unwrap();
    assert_eq!((&created["meta"]["Order"], &created["Warnings"]), (&json!("1"), &json!([WARNING])));
    assert_eq!(operator.names(), ["BackingStore", "loose", "BasicStore"]);
    assert_eq!(out(operator.contents(&["count"])), "3\n");
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
    assert_eq!(operator.names(), ["BackingStore", "other", "BasicStore"]);
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
        for verb in [&["create", &bundle][..], &["update", name, &bundle], &["upload", &bundle]] {
            let refused = words(&operator.contents(verb));
            assert!(refused.contains(&format!("the name `{name}` is the endpoint's own")), "{refused}");
        }
    }
    assert_eq!(operator.names(), ["BackingStore", "BasicStore"]);
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
