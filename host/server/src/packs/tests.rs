//! Packs below HTTP: a real store, library and sandbox; what must be compiled is in the end to end tests.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header::AUTHORIZATION},
};
use formwork_api::ApiError;
use formwork_model::{
    Claim, ComponentKind, Content, IncomingPack, Object, PackState, Publisher, Task, Timestamp,
};
use formwork_packs::{Archive, Signer, SigningKey};
use serde_json::{Value, json};

use super::*;
use crate::{
    auth::{self, Caller, Credentials},
    clock::Clock,
    commands::contents::{self, Installation},
    commit::commit,
    testing::{self, Wishes},
};

/// The time at which all tests begin.
const START: i64 = 1_700_000_000_000;

/// An endpoint over a store in memory, whose clock stands still and whose compiler does not exist.
struct Site {
    folder: tempfile::TempDir,
    endpoint: Arc<Endpoint>,
    caller: Caller,
}

impl Site {
    async fn new(allow_unsigned: bool) -> Self {
        let clock = Clock::invented(Timestamp::from_millis(START));
        let base = testing::Site::new(Wishes { allow_unsigned, clock, ..Wishes::default() });
        let token = base.token(3600 * 24, &[Claim::new("*", "*", "*")]);
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        let given = Credentials { headers: &headers, token: None, address: None };
        let caller = auth::authenticate(&base.endpoint, given).await.unwrap();
        Self { folder: base.folder, endpoint: base.endpoint, caller }
    }

    /// Uploads a pack and waits until it is ready or refused.
    async fn send(&self, bytes: &[u8], wanted: Wanted) -> Result<Arc<InstalledPack>, ApiError> {
        let pack = self.received(bytes, wanted).await?;
        drive(Arc::clone(&self.endpoint), String::from("user:anna"), pack).await
    }

    async fn received(&self, bytes: &[u8], wanted: Wanted) -> Result<Arc<InstalledPack>, ApiError> {
        let upload = Upload::receive(&self.endpoint.packs, Body::from(bytes.to_vec())).await?;
        receive(&self.endpoint, &self.caller, upload, wanted).await
    }

    fn pack(&self, name: &str) -> Arc<InstalledPack> {
        self.endpoint.snapshot().get::<InstalledPack>(name).unwrap()
    }

    fn task(&self, name: &str) -> Option<Arc<Task>> {
        self.endpoint.snapshot().get::<Task>(name)
    }

    async fn put(&self, object: Arc<dyn Object>) {
        let put = commit(&self.endpoint, "user:anna", move |work| work.put(object.boxed()).map(drop));
        put.await.unwrap();
    }

    async fn bundle(&self, content: Value, how: Installation) -> Result<(), ApiError> {
        let content: Content = serde_json::from_value(content).unwrap();
        contents::install(&self.endpoint, &self.caller, content, how).await.map(drop)
    }

    /// The names of the files that are kept in a folder.
    fn files(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The bytes of a component that is part of the program.
fn core_component(name: &str) -> Vec<u8> {
    let core = formwork_packs::core().unwrap();
    core.components.iter().find(|component| component.record.name == name).unwrap().wasm.to_vec()
}

/// Writes a pack of some files beside its `pack.yaml`.
fn packed(manifest: Value, files: &[(&str, Vec<u8>)], key: Option<&SigningKey>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pack.yaml"), manifest.to_string()).unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let mut bytes = Vec::new();
    let signer = key.map(|key| Signer { key, now: Timestamp::from_millis(START) });
    Archive::from_folder(folder.path()).unwrap().write(&mut bytes, signer).unwrap();
    bytes
}

/// A pack of one task, whose description is its version.
fn plain(name: &str, version: &str, task: &str) -> Vec<u8> {
    let object = json!({"Name": task, "Description": version});
    let file = format!("tasks/{task}.yaml");
    packed(json!({"name": name, "version": version}), &[(&file, object.to_string().into())], None)
}

/// A pack with the component `greet`, which imports params.
fn greeting(version: &str, grants: &[&str], kind: &str) -> Vec<u8> {
    let component = json!({"name": "greet", "kind": kind, "grants": grants});
    let manifest = json!({"name": "hello", "version": version, "components": [component]});
    packed(manifest, &[("components/greet.wasm", core_component("greet"))], None)
}

#[tokio::test]
async fn pack_is_installed_upgraded_rolled_back_and_removed_whole() {
    let site = Site::new(true).await;
    let first = site.send(&plain("p1", "1.0.0", "one"), Wanted::default()).await.unwrap();
    assert_eq!((first.state, first.version.as_str()), (PackState::Ready, "1.0.0"));
    assert!(first.previous.is_none() && first.incoming.is_none());
    let task = site.task("one").unwrap();
    assert_eq!((task.header.bundle.as_str(), task.header.read_only), ("p1", true));
    let second = site.send(&plain("p1", "2.0.0", "two"), Wanted::default()).await.unwrap();
    assert_eq!(second.previous.as_ref().unwrap().version, "1.0.0");
    assert!(site.task("one").is_none() && site.task("two").is_some());
    assert_eq!(site.files("packs").len(), 2);
    let back = roll_back(&site.endpoint, &site.caller, "p1").await.unwrap();
    assert_eq!((back.version.as_str(), back.previous.as_ref().unwrap().version.as_str()), ("1.0.0", "2.0.0"));
    assert!(site.task("one").is_some() && site.task("two").is_none());
    let forth = roll_back(&site.endpoint, &site.caller, "p1").await.unwrap();
    assert_eq!(forth.version, "2.0.0");
    remove(&site.endpoint, &site.caller, "p1").await.unwrap();
    assert!(site.task("two").is_none());
    assert!(site.files("packs").is_empty() && site.files("uploads").is_empty());
    assert_eq!(remove(&site.endpoint, &site.caller, "p1").await.unwrap_err().code, 404);
}

#[tokio::test]
async fn third_version_drops_the_archive_of_the_first() {
    let site = Site::new(true).await;
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        site.send(&plain("p1", version, "one"), Wanted::default()).await.unwrap();
    }
    let pack = site.pack("p1");
    let mut kept =
        vec![format!("{}.fwpack", pack.digest), format!("{}.fwpack", pack.previous.as_ref().unwrap().digest)];
    kept.sort();
    assert_eq!(site.files("packs"), kept);
}

#[tokio::test]
async fn refused_upgrade_leaves_the_version_in_use_as_it_was() {
    let site = Site::new(true).await;
    site.send(&plain("p1", "1.0.0", "one"), Wanted::default()).await.unwrap();
    let broken = json!({"Name": "one", "Templates": [{"Name": "t", "Path": "/tmp/x", "Contents": "{{ .Machine.Name"}]});
    let files = [("tasks/one.yaml", broken.to_string().into_bytes())];
    let bytes = packed(json!({"name": "p1", "version": "2.0.0"}), &files, None);
    let error = site.send(&bytes, Wanted::default()).await.unwrap_err();
    assert_eq!(error.code, 422);
    assert!(error.messages[0].starts_with("tasks:one: "), "{error}");
    let pack = site.pack("p1");
    assert_eq!((pack.version.as_str(), pack.state), ("1.0.0", PackState::Ready));
    assert_eq!(site.task("one").unwrap().description, "1.0.0");
    let incoming = pack.incoming.as_ref().unwrap();
    assert_eq!((incoming.version.as_str(), incoming.state), ("2.0.0", PackState::Refused));
    assert!(incoming.reason.contains("tasks:one") && pack.reason == incoming.reason);
    assert_eq!(site.files("packs").len(), 1, "the refused archive is gone");
    let third = site.send(&plain("p1", "3.0.0", "one"), Wanted::default()).await.unwrap();
    assert!(third.incoming.is_none() && third.reason.is_empty());
}

#[tokio::test]
async fn pack_that_is_sent_by_itself_brings_no_preferences() {
    let site = Site::new(true).await;
    let preference = json!({"Name": "defaultStage", "Val": "none"}).to_string().into_bytes();
    let files = [("preferences/defaultStage.yaml", preference)];
    let bytes = packed(json!({"name": "p1", "version": "1.0.0"}), &files, None);
    let error = site.send(&bytes, Wanted::default()).await.unwrap_err();
    assert_eq!(error.code, 422);
    assert!(error.messages[0].starts_with("preferences:defaultStage: "), "{error}");
    assert!(!site.pack("p1").is_in_use());
}

#[tokio::test]
async fn same_pack_again_changes_nothing_and_an_older_one_must_be_wanted() {
    let site = Site::new(true).await;
    let bytes = plain("p1", "2.0.0", "one");
    site.send(&bytes, Wanted::default()).await.unwrap();
    let again = site.send(&bytes, Wanted::default()).await.unwrap();
    assert!(again.previous.is_none() && again.incoming.is_none());
    let older = plain("p1", "1.9.0", "one");
    let error = site.send(&older, Wanted::default()).await.unwrap_err();
    assert_eq!(error.code, 409);
    assert!(
        error.messages[0].contains("older than 2.0.0") && error.messages[0].contains("rollback p1"),
        "{error}"
    );
    let wanted = Wanted { downgrade: true, ..Wanted::default() };
    assert_eq!(site.send(&older, wanted).await.unwrap().version, "1.9.0");
}

#[tokio::test]
async fn only_packs_of_trusted_publishers_are_installed() {
    let site = Site::new(false).await;
    let key = SigningKey::from_seed(&[7; 32]);
    let manifest = json!({"name": "p1", "version": "1.0.0"});
    let (signed, unsigned) = (packed(manifest.clone(), &[], Some(&key)), packed(manifest, &[], None));
    let error = site.send(&unsigned, Wanted::default()).await.unwrap_err();
    assert_eq!((error.code, error.r#type.as_str()), (422, "Untrusted"));
    assert!(error.messages[0].contains("--allow-unsigned"), "{error}");
    let error = site.send(&signed, Wanted::default()).await.unwrap_err();
    assert!(error.messages[0].contains(&key.public().to_string()), "{error}");
    assert_eq!(site.pack("p1").state, PackState::Refused);
    let publisher = |not_after| Publisher {
        id: String::from("acme"),
        public_key: key.public().to_string(),
        not_after: Timestamp::from_millis(not_after),
        ..Publisher::default()
    };
    site.put(Arc::new(publisher(START - 1))).await;
    let error = site.send(&signed, Wanted::default()).await.unwrap_err();
    assert!(error.messages[0].contains("was good until"), "{error}");
    site.put(Arc::new(publisher(START + 1))).await;
    let pack = site.send(&signed, Wanted::default()).await.unwrap();
    assert_eq!((pack.signer.as_str(), pack.state), ("acme", PackState::Ready));
}

#[tokio::test]
async fn what_waits_for_consent_is_kept_for_an_hour() {
    let site = Site::new(true).await;
    let asked =
        ["params: read greet/name", "params: read inventory/cpu", "params: write greet/message", "clock"];
    let bytes = greeting("1.0.0", &asked, "task");
    let error = site.send(&bytes, Wanted::default()).await.unwrap_err();
    assert_eq!((error.code, error.r#type.as_str()), (409, "NeedsConsent"));
    assert_eq!(error.messages.len(), 4, "the clock needs none: {error}");
    assert_eq!(error.messages[0], "component `greet` asks for `params: read greet/name`");
    let pack = site.pack("hello");
    let incoming = pack.incoming.clone().unwrap();
    assert_eq!((incoming.code.as_str(), incoming.wider.len(), incoming.asked.len()), ("NeedsConsent", 3, 4));
    assert_eq!(site.files("packs").len(), 1);
    // With part of it, the rest is still open; with all of it the compiler is next, which does not exist here.
    let part =
        again(&site.endpoint, &site.caller, &incoming.digest, vec![asked[0].to_owned()]).await.unwrap();
    let error = drive(Arc::clone(&site.endpoint), String::from("user:anna"), part).await.unwrap_err();
    assert_eq!(error.messages.len(), 3, "{error}");
    let all = again(&site.endpoint, &site.caller, &incoming.digest, vec![String::from("all")]).await.unwrap();
    let error = drive(Arc::clone(&site.endpoint), String::from("user:anna"), all).await.unwrap_err();
    assert!(error.messages[0].starts_with("`components/greet.wasm`: "), "{error}");
    assert!(site.files("packs").is_empty());
    site.send(&bytes, Wanted::default()).await.unwrap_err();
    site.endpoint.clock.advance_to(Timestamp::from_millis(START + 3600 * 1000 + 1));
    let late = again(&site.endpoint, &site.caller, &incoming.digest, vec![String::from("all")]).await;
    assert_eq!(late.unwrap_err().code, 404);
    sweep(&site.endpoint).await;
    assert!(site.files("packs").is_empty());
}

#[tokio::test]
async fn component_is_refused_for_what_it_imports_unasked_or_is_not() {
    let site = Site::new(true).await;
    let error = site.send(&greeting("1.0.0", &[], "task"), Wanted::default()).await.unwrap_err();
    assert!(
        error.messages[0].starts_with("`components/greet.wasm`: it imports `formwork:params`"),
        "{error}"
    );
    let error = site.send(&greeting("1.0.0", &["clock"], "workflow"), Wanted::default()).await.unwrap_err();
    assert!(
        error.messages[0].contains("it is a task component, but `pack.yaml` says that it is a workflow"),
        "{error}"
    );
    let manifest =
        json!({"name": "hello", "version": "1", "components": [{"name": "greet", "kind": "task"}]});
    let bytes = packed(manifest, &[("components/greet.wasm", b"\0asm\x01\0\0\0".to_vec())], None);
    let error = site.send(&bytes, Wanted::default()).await.unwrap_err();
    assert!(error.messages[0].contains("core module"), "{error}");
    let error =
        site.send(&greeting("1.0.0", &["params: own x"], "task"), Wanted::default()).await.unwrap_err();
    assert!(error.messages[0].contains("params: own x"), "{error}");
}

#[tokio::test]
async fn restart_in_any_state_goes_on_or_says_what_was_lost() {
    for state in [PackState::Received, PackState::Checking, PackState::Compiling] {
        let site = Site::new(true).await;
        let pack = site.received(&plain("p1", "1.0.0", "one"), Wanted::default()).await.unwrap();
        let mut interrupted = InstalledPack::clone(&pack);
        let incoming = IncomingPack { state, ..pack.incoming.clone().unwrap() };
        intake::show(&mut interrupted, Some(incoming));
        site.put(Arc::new(interrupted)).await;
        let (_, mut feed) = site.endpoint.store.snapshot_and_feed();
        resume(&site.endpoint);
        while site.pack("p1").state != PackState::Ready {
            feed.next().await.unwrap();
        }
        assert!(site.task("one").is_some(), "{state:?}");
    }
    let site = Site::new(true).await;
    let pack = site.received(&plain("p1", "1.0.0", "one"), Wanted::default()).await.unwrap();
    std::fs::remove_file(site.endpoint.library.archive(&pack.digest).unwrap()).unwrap();
    let (_, mut feed) = site.endpoint.store.snapshot_and_feed();
    resume(&site.endpoint);
    while site.pack("p1").state != PackState::Refused {
        feed.next().await.unwrap();
    }
    assert!(site.pack("p1").reason.contains("send the pack again"));
}

#[tokio::test]
async fn pack_that_is_on_its_way_is_left_alone() {
    let site = Site::new(true).await;
    site.received(&plain("p1", "1.0.0", "one"), Wanted::default()).await.unwrap();
    assert_eq!(site.received(&plain("p1", "2.0.0", "one"), Wanted::default()).await.unwrap_err().code, 409);
    assert_eq!(remove(&site.endpoint, &site.caller, "p1").await.unwrap_err().code, 409);
    assert_eq!(roll_back(&site.endpoint, &site.caller, "p1").await.unwrap_err().code, 409);
}

#[tokio::test]
async fn pack_that_is_needed_or_used_stays() {
    let site = Site::new(true).await;
    site.send(&plain("base", "1.2.0", "one"), Wanted::default()).await.unwrap();
    let needing = json!({"name": "top", "version": "1.0.0", "prerequisites": {"base": ">=1.0 <2.0"}});
    site.send(&packed(needing, &[], None), Wanted::default()).await.unwrap();
    let error = remove(&site.endpoint, &site.caller, "base").await.unwrap_err();
    assert_eq!((error.code, error.messages[0].as_str()), (409, "base is still in use by packs:top"));
    let error = site.send(&plain("base", "2.0.0", "one"), Wanted::default()).await.unwrap_err();
    assert!(error.messages[0].contains("top") && error.messages[0].contains("2.0.0"), "{error}");
    assert_eq!(site.pack("base").version, "1.2.0");
    remove(&site.endpoint, &site.caller, "top").await.unwrap();
    let stage = json!({"Name": "st", "Tasks": ["one"]});
    let stage = (formwork_model::kind_of("stages").unwrap().decode)(stage).unwrap();
    site.put(stage).await;
    let error = remove(&site.endpoint, &site.caller, "base").await.unwrap_err();
    assert_eq!(error.messages[0], "base is still in use by stages:st");
    assert!(site.task("one").is_some());
}

#[tokio::test]
async fn routes_of_bundles_leave_packs_alone_and_names_are_one_space() {
    let site = Site::new(true).await;
    site.send(&plain("p1", "1.0.0", "one"), Wanted::default()).await.unwrap();
    let error = contents::remove(&site.endpoint, &site.caller, String::from("p1")).await.unwrap_err();
    assert!(error.code == 409 && error.messages[0].contains("/packs/p1"), "{error}");
    let how = Installation { replacing: Some(String::from("p1")), ..Installation::default() };
    assert_eq!(site.bundle(json!({"meta": {"Name": "p1"}}), how).await.unwrap_err().code, 409);
    site.bundle(json!({"meta": {"Name": "b1"}}), Installation::default()).await.unwrap();
    let error = site.send(&plain("b1", "1.0.0", "two"), Wanted::default()).await.unwrap_err();
    assert!(error.code == 409 && error.messages[0].contains("content bundle"), "{error}");
    let error = site.send(&plain("core", "9.0.0", "two"), Wanted::default()).await.unwrap_err();
    assert_eq!(error.code, 409);
}

#[tokio::test]
async fn collision_names_both_layers_and_writable_objects_give_way_when_told() {
    let site = Site::new(true).await;
    site.put(Arc::new(Task { name: String::from("one"), ..Task::default() })).await;
    let bytes = plain("p1", "1.0.0", "one");
    let error = site.send(&bytes, Wanted::default()).await.unwrap_err();
    assert_eq!(error.messages, ["tasks:one in layer dynamic-p1 would override layer writable-BackingStore"]);
    let wanted = Wanted { replace_writable: true, ..Wanted::default() };
    site.send(&bytes, wanted).await.unwrap();
    assert_eq!(site.task("one").unwrap().header.bundle, "p1");
    let error = site.send(&plain("p2", "1.0.0", "one"), Wanted::default()).await.unwrap_err();
    assert_eq!(error.messages, ["tasks:one in layer dynamic-p2 would override layer dynamic-p1"]);
}

#[tokio::test]
async fn bundle_needs_its_prerequisites_features_and_no_circle() {
    let site = Site::new(true).await;
    let bundle = |name: &str, version: &str, needs: &str, features: &str| json!({"meta": {"Name": name, "Version": version, "Prerequisites": needs, "RequiredFeatures": features}});
    let error =
        site.bundle(bundle("b1", "v1", "base: >=1.0", ""), Installation::default()).await.unwrap_err();
    assert_eq!((error.code, error.r#type.as_str()), (422, "POST"));
    assert!(error.messages[0].contains("pack `base` >=1.0 is needed, but not installed"), "{error}");
    let error = site
        .bundle(bundle("b1", "v1", "", "sprig no-such-feature"), Installation::default())
        .await
        .unwrap_err();
    assert!(error.messages[0].contains("`no-such-feature`"), "{error}");
    site.bundle(bundle("base", "v1.5.0-tip", "", "sprig,workflows"), Installation::default()).await.unwrap();
    site.bundle(bundle("b1", "v1", "base: >=1.0 <2, BasicStore", ""), Installation::default()).await.unwrap();
    let replacing = || Installation { replacing: Some(String::from("base")), ..Installation::default() };
    let error = site.bundle(bundle("base", "v1.6", "b1", ""), replacing()).await.unwrap_err();
    assert!(error.messages[0].contains("circle") && error.messages[0].contains("b1"), "{error}");
    let error = site.bundle(bundle("base", "v2.0", "", ""), replacing()).await.unwrap_err();
    assert!(error.messages[0].starts_with("b1: "), "{error}");
    let error = contents::remove(&site.endpoint, &site.caller, String::from("base")).await.unwrap_err();
    assert_eq!(error.messages[0], "base is still in use by packs:b1");
}

#[tokio::test]
async fn bundle_is_refused_with_all_its_faults_and_changes_nothing() {
    let site = Site::new(true).await;
    let broken = json!([{"Name": "t", "Path": "/tmp/x", "Contents": "{{ end }}"}]);
    let content = json!({"meta": {"Name": "b1"}, "sections": {"tasks": {
        "good": {"Name": "good"}, "bad1": {"Name": "bad1", "Templates": broken}, "bad2": {"Name": "bad2", "Templates": broken}}}});
    let error = site.bundle(content, Installation::default()).await.unwrap_err();
    assert_eq!(error.messages.len(), 2, "{error}");
    assert!(error.messages[0].starts_with("tasks:bad1: ") && error.messages[1].starts_with("tasks:bad2: "));
    assert!(site.task("good").is_none());
}

#[tokio::test]
async fn bare_component_becomes_a_pack_of_its_name() {
    let site = Site::new(true).await;
    let wasm = core_component("greet");
    let error = site.received(&wasm, Wanted::default()).await.unwrap_err();
    assert!(error.messages[0].contains("?name=NAME"), "{error}");
    for name in ["../x", "A", "", "a/b", "a b"] {
        let wanted = Wanted { name: Some(name.to_owned()), ..Wanted::default() };
        assert_eq!(site.received(&wasm, wanted).await.unwrap_err().code, 422, "{name}");
    }
    let grants = vec![String::from("params: read greet/*")];
    let wanted = Wanted { name: Some(String::from("hey")), grants, ..Wanted::default() };
    let pack = site.received(&wasm, wanted).await.unwrap();
    let digest = formwork_packs::digest(&wasm);
    assert_eq!(pack.version, format!("0.0.0-{}", &digest[..8]));
    let path = site.endpoint.library.archive(&pack.digest).unwrap();
    let archive = Archive::read(std::fs::File::open(path).unwrap()).unwrap();
    let record = &archive.pack().components[0].record;
    assert_eq!((record.name.as_str(), record.kind, &record.digest), ("hey", ComponentKind::Task, &digest));
    assert_eq!(record.grants, ["params: read greet/*"]);
    assert!(site.files("uploads").is_empty());
}

#[tokio::test]
async fn what_is_neither_pack_nor_component_is_refused_at_once() {
    let site = Site::new(true).await;
    let error = site.received(b"meta: {Name: x}", Wanted::default()).await.unwrap_err();
    assert!(error.code == 422 && error.messages[0].contains("/contents"), "{error}");
    let error = site.received(b"\x1f\x8bnonsense", Wanted::default()).await.unwrap_err();
    assert_eq!(error.code, 422, "{error}");
    assert!(site.files("uploads").is_empty() && site.files("packs").is_empty());
}

#[tokio::test]
async fn uses_of_grants_are_written_down_in_one_batch() {
    let site = Site::new(true).await;
    let grant = |line: &str| formwork_model::PackGrant { component: "c".into(), line: line.into() };
    let pack = InstalledPack {
        name: "p1".into(),
        state: PackState::Ready,
        granted: vec![grant("params: read a"), grant("params: read b")],
        ..InstalledPack::default()
    };
    site.put(Arc::new(pack)).await;
    site.endpoint.packs.usage.note("p1/c", ["params: read a"], Timestamp::from_millis(START));
    site.endpoint.packs.usage.note("gone/c", ["params: read a"], Timestamp::from_millis(START));
    flush(&site.endpoint).await;
    let uses = site.pack("p1").grant_uses();
    let seen: BTreeMap<_, _> = uses.iter().map(|grant| (grant.line.as_str(), grant.count)).collect();
    assert_eq!(seen, BTreeMap::from([("params: read a", 1), ("params: read b", 0)]));
}
