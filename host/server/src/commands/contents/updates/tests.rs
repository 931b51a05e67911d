use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use formwork_blobs::BlobPath;
use formwork_model::{Claim, Content, Profile};
use serde_json::json;

use super::*;
use crate::{
    auth::{self, Credentials},
    clock::Clock,
    testing::{Site, Wishes},
};

/// A site whose clock stands still.
fn site() -> Site {
    let clock = Clock::invented(Timestamp::from_millis(1_700_000_000_000));
    Site::new(Wishes { clock, allow_unsigned: true, ..Wishes::default() })
}

fn caller() -> Caller {
    Caller::operator()
}

/// Adds bytes as if they had been received.
async fn send(site: &Site, token: &str, bytes: &[u8]) -> Result<Vec<StagedItem>, ApiError> {
    let place = place(&site.endpoint, &caller(), token)?;
    let mut upload = site.endpoint.updates.space().begin(&BlobPath::parse(&place).unwrap()).unwrap();
    upload.write(bytes).unwrap();
    upload.finish().unwrap();
    let wanted = Wanted { grants: vec![String::from("all")], ..Wanted::default() };
    add(&site.endpoint, &caller(), (token, &place), wanted).await
}

fn bundle(name: &str, needs: &str, profile: &str) -> Vec<u8> {
    let meta = json!({"Name": name, "Version": "v1.2.3", "Prerequisites": needs, "Writable": true});
    json!({"meta": meta, "sections": {"profiles": {profile: {}}}}).to_string().into_bytes()
}

/// A pack of one profile.
fn pack(profile: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pack.yaml"), "{name: boxed, version: 1.0.0}").unwrap();
    fs::create_dir(folder.path().join("profiles")).unwrap();
    fs::write(folder.path().join(format!("profiles/{profile}.yaml")), format!("Name: {profile}\n")).unwrap();
    let mut bytes = Vec::new();
    formwork_packs::Archive::from_folder(folder.path()).unwrap().write(&mut bytes, None).unwrap();
    bytes
}

fn operation(op: &str, name: &str) -> CommitOperation {
    CommitOperation { op: op.to_owned(), name: name.to_owned(), ..CommitOperation::default() }
}

fn has(site: &Site, profile: &str) -> bool {
    site.endpoint.snapshot().get::<Profile>(profile).is_some()
}

async fn done(site: &Site, token: &str, operations: &[CommitOperation]) -> Result<(), ApiError> {
    commit(&site.endpoint, &caller(), token, operations.to_vec()).await
}

#[tokio::test]
async fn staged_update_applies_all_or_nothing_and_one_at_a_time() {
    let site = site();
    let started = start(&site.endpoint, &caller()).unwrap();
    let second = start(&site.endpoint, &caller()).unwrap_err();
    assert_eq!((second.code, second.messages[0].contains("is under way until")), (409, true));
    let token = started.token.as_str();
    let items = send(&site, token, &bundle("b1", "", "p1")).await.unwrap();
    let told = (items[0].name.as_str(), items[0].version.as_str(), items[0].path.as_str());
    assert_eq!(told, ("b1", "v1.2.3", "b1.json"));
    assert_eq!(items[0].metadata["Name"], "b1");
    // The object is that of the first bundle already.
    send(&site, token, &bundle("b2", "", "p1")).await.unwrap();
    assert_eq!(status(&site.endpoint, &caller()).unwrap().items.len(), 2);
    let both = [operation("add", "b1"), operation("add", "b2")];
    let refused = done(&site, token, &both).await.unwrap_err();
    assert_eq!(refused.code, 422);
    assert_eq!(refused.messages, ["profiles:p1 in layer dynamic-b2 would override layer dynamic-b1"]);
    assert!(!has(&site, "p1") && super::super::list(&site.endpoint).len() == 3, "nothing of it is in use");
    // It can be mended and tried again.
    send(&site, token, &bundle("b2", "b1: >=1.0.0", "p2")).await.unwrap();
    let both = [operation("add", "b2"), operation("add", "b1")];
    let before = site.endpoint.snapshot().revision().0;
    done(&site, token, &both).await.unwrap();
    assert!(has(&site, "p1") && has(&site, "p2"));
    assert_eq!(site.endpoint.snapshot().revision().0, before + 1, "in one transaction");
    assert_eq!(status(&site.endpoint, &caller()).unwrap_err().code, 404);
    assert!(site.endpoint.updates.space().list(&BlobPath::default(), true).unwrap().is_empty());
}

#[tokio::test]
async fn bundles_and_packs_come_and_go_in_one_transaction() {
    let site = site();
    let token = start(&site.endpoint, &caller()).unwrap().token;
    send(&site, &token, &bundle("old", "", "shared")).await.unwrap();
    done(&site, &token, &[operation("add", "old")]).await.unwrap();
    let token = start(&site.endpoint, &caller()).unwrap().token;
    // By itself it collides with what is installed now.
    assert_eq!(send(&site, &token, &pack("shared")).await.unwrap_err().code, 422);
    let pack = pack("own");
    let items = send(&site, &token, &pack).await.unwrap();
    assert_eq!((items[0].name.as_str(), items[0].path.as_str()), ("boxed", "boxed.fwpack"));
    send(&site, &token, &bundle("fresh", "", "shared")).await.unwrap();
    let all = [operation("add", "boxed"), operation("add", "fresh"), operation("remove", "old")];
    done(&site, &token, &all).await.unwrap();
    assert!(has(&site, "own") && has(&site, "shared"));
    let snapshot = site.endpoint.snapshot();
    assert_eq!(snapshot.find("profiles", "shared").unwrap().header().bundle, "fresh");
    assert!(snapshot.get::<formwork_model::InstalledPack>("boxed").unwrap().is_in_use());
    assert!(snapshot.get::<InstalledContent>("old").is_none());
}

#[tokio::test]
async fn update_ends_when_nothing_happens_to_it_and_when_it_is_cancelled() {
    let site = site();
    let first = start(&site.endpoint, &caller()).unwrap();
    assert_eq!(first.expires_at, after(first.created_at));
    site.endpoint.clock.advance_to(first.expires_at);
    assert_eq!(status(&site.endpoint, &caller()).unwrap_err().code, 404);
    assert_eq!(send(&site, &first.token, b"{}").await.unwrap_err().code, 404);
    let second = start(&site.endpoint, &caller()).unwrap();
    assert_ne!(first.token, second.token);
    let path = place(&site.endpoint, &caller(), &second.token).unwrap();
    fs::create_dir_all(site.endpoint.updates.file(&path)).unwrap();
    assert_eq!(cancel(&site.endpoint, &caller()).unwrap(), second);
    assert!(!site.endpoint.updates.file(&second.token).exists());
    assert_eq!(cancel(&site.endpoint, &caller()).unwrap_err().code, 404);
    assert!(KEPT > Duration::from_secs(60));
}

#[tokio::test]
async fn what_is_none_of_it_is_refused_when_it_is_added() {
    let site = site();
    let token = start(&site.endpoint, &caller()).unwrap().token;
    for (bytes, code, words) in [
        (&b"\x7fELF\x02\x01"[..], 422, "runs no plugins outside of its sandbox"),
        (b"#!/bin/sh\n", 422, "it is a script"),
        (b"words", 400, "not a content bundle"),
        (b"{\"meta\": {}}", 422, "Store at content- has no Name metadata"),
        (b"{\"meta\": {\"Name\": \"core\"}}", 409, "the endpoint's own"),
        (b"\0asm rest", 422, "a component needs a name"),
    ] {
        let refused = send(&site, &token, bytes).await.unwrap_err();
        assert_eq!(refused.code, code, "{refused}");
        assert!(refused.messages[0].contains(words), "{refused}");
    }
    for (operation, code) in [
        (operation("add", "nothing"), 404),
        (operation("add", ""), 404),
        (operation("remove", "nothing"), 404),
        (operation("remove", "BasicStore"), 409),
        (operation("turn", "x"), 422),
    ] {
        let refused = done(&site, &token, &[operation]).await.unwrap_err();
        assert_eq!(refused.code, code, "{refused}");
    }
    assert!(status(&site.endpoint, &caller()).unwrap().items.is_empty());
}

#[tokio::test]
async fn what_an_earlier_process_put_together_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let staged = folder.path().join("content-archives/staging/token");
    fs::create_dir_all(&staged).unwrap();
    fs::write(staged.join("upload"), "x").unwrap();
    fs::write(folder.path().join(format!("content-archives/{}.drpca", "0".repeat(64))), "x").unwrap();
    let site = site();
    let updates = Updates::new(folder.path()).unwrap();
    assert!(!staged.exists());
    assert_eq!(updates.archives.names().len(), 1);
    updates.recover(&site.endpoint.files, &site.endpoint.snapshot()).unwrap();
    assert!(updates.archives.names().is_empty(), "nothing names it");
}

#[tokio::test]
async fn bundle_gives_no_rights_that_its_uploader_lacks() {
    let site = site();
    let claims = [Claim::new("contents", "*", "*"), Claim::new("jobs", "get", "*")];
    let bearer = format!("Bearer {}", site.token(60, &claims));
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&bearer).unwrap())]);
    let given = Credentials { headers: &headers, token: None, address: None };
    let narrow = auth::authenticate(&site.endpoint, given).await.unwrap();
    let content = |sections: serde_json::Value| -> Content {
        serde_json::from_value(json!({"meta": {"Name": "gift"}, "sections": sections})).unwrap()
    };
    let mut refused = Vec::new();
    for sections in [
        json!({"roles": {"boss": {"Claims": [{"scope": "*", "action": "*", "specific": "*"}]}}}),
        json!({"users": {"friend": {"Roles": ["superuser"], "PasswordHash": "x"}}}),
    ] {
        let how = super::super::Installation::default();
        let error = super::super::install(&site.endpoint, &narrow, content(sections), how).await.unwrap_err();
        refused.push((error.code, error.model.clone(), error.key.clone()));
    }
    assert_eq!(refused, [(403, "roles".into(), "boss".into()), (403, "users".into(), "friend".into())]);
    let allowed = json!({"roles": {"reader": {"Claims": [{"scope": "jobs", "action": "get", "specific": "*"}]}},
        "users": {"friend": {"Roles": ["reader"]}}});
    let how = super::super::Installation::default();
    super::super::install(&site.endpoint, &narrow, content(allowed), how).await.unwrap();
    assert!(site.endpoint.snapshot().find("users", "friend").is_some());
}

#[tokio::test]
async fn update_whose_commit_breaks_off_can_be_changed_again() {
    let site = site();
    let token = start(&site.endpoint, &caller()).unwrap().token;
    let (busy, _) = Busy::begin(&site.endpoint, &token).unwrap();
    assert_eq!(cancel(&site.endpoint, &caller()).unwrap_err().code, 409);
    let broken = std::thread::spawn(move || {
        let _busy = busy;
        panic!("as a commit might");
    });
    assert!(broken.join().is_err());
    assert!(cancel(&site.endpoint, &caller()).is_ok());
}
