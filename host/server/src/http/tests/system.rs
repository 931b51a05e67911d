//! The endpoint as a whole: its certificate, its releases, its set of one (drp-api.md 12.5, 12.9, 14.4).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::*;

#[tokio::test]
async fn certificate_is_replaced_without_a_restart_and_a_wrong_pair_changes_nothing() {
    let site = Site::new(Wishes::default());
    let made = rcgen::generate_simple_self_signed(vec![String::from("other")]).unwrap();
    let (cert, key) = (STANDARD.encode(made.cert.pem()), STANDARD.encode(made.signing_key.serialize_pem()));
    let token = site.everything();
    let (before, _) = site.taken("GET", "/system/cert", &Value::Null).await;
    let mixed = json!({"Cert": cert, "Key": before["Key"]}).to_string();
    assert_eq!(site.refused("POST", "/system/cert", &token, &mixed).await.code, 422);
    assert_eq!(site.refused("POST", "/system/cert", &token, r#"{"Cert": "?"}"#).await.code, 400);
    assert_eq!(site.taken("GET", "/system/cert", &Value::Null).await.0, before);
    let right = json!({"Cert": cert, "Key": key});
    assert_eq!(site.send("POST", "/static/cert", &token, &right.to_string()).await.status(), 204);
    assert_eq!(site.taken("GET", "/system/cert", &Value::Null).await.0, right);
    let reader = site.token(60, &[Claim::new("system", "upgrade", "*")]);
    assert_eq!(site.refused("GET", "/system/cert", &reader, "").await.code, 403);
}

#[tokio::test]
async fn staged_release_is_kept_told_and_removed() {
    let site = Site::new(Wishes::default());
    let token = site.everything();
    let status = async || site.taken("GET", "/system/upgrade/status", &Value::Null).await.0["Params"].clone();
    assert_eq!(status().await, json!({"upgrade/state": "idle"}));
    for path in ["/system/upgrade/exec", "/system/upgrade/run"] {
        assert_eq!(site.refused("POST", path, &token, "{}").await.code, 404);
    }
    let none = site.refused("POST", "/system/upgrade/stage", &token, "no release").await;
    assert!(none.code == 400 && none.messages[0].contains("this is no release"), "{none}");
    assert_eq!(status().await, json!({"upgrade/state": "idle"}));
    let staged = site.send("POST", "/system/upgrade/stage", &token, "PK\u{3}\u{4}12345").await;
    assert_eq!(staged.status(), 201);
    assert_eq!(
        (&status().await["upgrade/state"], &status().await["upgrade/size"]),
        (&json!("staged"), &json!(9))
    );
    let none = site.refused("POST", "/system/upgrade/stage", &token, "PK").await;
    assert_eq!(none.code, 400, "{none}");
    assert_eq!(status().await["upgrade/state"], "staged", "what is no release replaces none");
    let error = site.refused("POST", "/system/upgrade/run", &token, "{}").await;
    assert!(error.code == 501 && error.messages[0].contains("cannot upgrade itself yet"), "{error}");
    assert_eq!(site.send("DELETE", "/system/upgrade/stage", &token, "").await.status(), 204);
    assert_eq!(site.refused("DELETE", "/system/upgrade/stage", &token, "").await.code, 404);
    let other = site.token(60, &[Claim::new("files", "*", "*")]);
    assert_eq!(site.refused("POST", "/system/upgrade/stage", &other, "x").await.code, 403);
}

#[tokio::test]
async fn not_here_yet_is_501_and_says_what() {
    let site = Site::new(Wishes::default());
    let token = site.everything();
    for (path, words) in [
        ("/system/upgrade", "cannot upgrade itself yet"),
        ("/system/passive", "stands alone"),
        ("/system/consensus/enroll", "stands alone"),
        ("/system/consensus/failOverSafe", "stands alone"),
    ] {
        let error = site.refused("POST", path, &token, "{}").await;
        assert!(error.code == 501 && error.messages[0].contains(words), "{path}: {error}");
    }
    assert_eq!(site.send("POST", "/system/active", &token, "").await.status(), 204);
}

#[tokio::test]
async fn endpoint_that_stands_alone_is_a_set_of_one() {
    let site = Site::new(Wishes::default());
    let id = site.taken("GET", "/system/consensus/id", &Value::Null).await.0;
    assert!(id.is_string());
    let peers = site.taken("GET", "/system/consensus/peers", &Value::Null).await.0;
    assert_eq!(peers[0]["ConsensusID"], id);
    let state = site.taken("GET", "/system/consensus/state", &Value::Null).await.0;
    assert_eq!((&state["Enabled"], &state["ConsensusEnabled"]), (&json!(false), &json!(false)));
    assert!(state["Roots"].is_array() && state.get("Nodes").is_none());
    let token = site.everything();
    assert_eq!(site.refused("DELETE", "/system/consensus/node/x", &token, "").await.code, 404);
}

#[tokio::test]
async fn process_and_store_are_shown_to_who_may_read_the_log() {
    let site = Site::new(Wishes::default());
    let token = site.everything();
    let answer = site.send("GET", "/debug/status?seconds=3", &token, "").await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/octet-stream");
    let text = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    assert!(text.starts_with(b"Name:"));
    let error = site.refused("GET", "/debug/environ", &token, "").await;
    assert!(error.code == 404 && error.messages[0].contains("smaps_rollup"), "{error}");
    site.taken("POST", "/profiles", &json!({"Name": "p1"})).await;
    let (all, _) = site.taken("GET", "/drp_debug/index", &Value::Null).await;
    let (one, _) = site.taken("GET", "/drp_debug/index/profiles", &Value::Null).await;
    assert_eq!(all["profiles"]["Count"], one["Count"]);
    assert!(
        one["Keys"].as_array().unwrap().contains(&json!("p1")) && one["Indexes"]["Name"]["Unique"] == true
    );
    assert_eq!(site.refused("GET", "/drp_debug/index/nothing", &token, "").await.code, 404);
    let blind = site.token(60, &[Claim::new("profiles", "*", "*")]);
    for path in ["/debug/status", "/drp_debug/index", "/drp_debug/index/profiles"] {
        assert_eq!(site.refused("GET", path, &blind, "").await.code, 403, "{path}");
    }
}

#[tokio::test]
async fn preference_manager_is_true_or_false_and_says_that_true_is_not_here_yet() {
    let site = Site::new(Wishes::default());
    assert_eq!(site.taken("GET", "/prefs", &Value::Null).await.0["manager"], "false");
    let error = site.refused("POST", "/prefs", &site.everything(), r#"{"manager": "maybe"}"#).await;
    assert!(error.code == 422 && error.messages[0].contains("neither true nor false"), "{error}");
    let both = r#"{"manager": "true", "jobsToKeep": "7"}"#;
    let error = site.refused("POST", "/prefs", &site.everything(), both).await;
    assert!(error.code == 501 && error.messages[0].contains("cannot manage others yet"), "{error}");
    let (prefs, _) = site.taken("POST", "/prefs", &json!({"manager": "false"})).await;
    assert_eq!(prefs["manager"], "false");
    assert_ne!(prefs.get("jobsToKeep"), Some(&json!("7")), "nothing of it was taken");
}
