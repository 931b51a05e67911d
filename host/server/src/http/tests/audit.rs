//! What auditors are told of changes (drp-behaviour.md 8.4).

use serde_json::Value;

use super::*;
use crate::{auth, testing::Lines};

/// The lines for auditors that came since the last time, those of the feed among them.
fn told(lines: &Lines, feed: &mut formwork_store::Feed) -> Vec<String> {
    while let Some(entry) = feed.try_next().unwrap() {
        auth::tell_written(&entry);
    }
    let own = |line: String| line.strip_prefix("audit ").map(str::to_owned);
    lines.take().into_iter().filter_map(own).collect()
}

#[tokio::test]
async fn every_write_of_a_user_leaves_a_line_without_its_values() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let (lines, _guard) = Lines::keep();
    let mut feed = site.endpoint.store.snapshot_and_feed().1;
    let mut told = || told(&lines, &mut feed);
    let profile = json!({"Name": "p1", "Params": {"a/b": "opensesame"}}).to_string();
    let rename = json!([{"op": "add", "path": "/Description", "value": "opensesame"}]).to_string();
    for (method, path, body, status, line) in [
        (
            "POST",
            "/profiles",
            &*profile,
            201,
            "what=create scope=profiles key=p1 principal=user:anna outcome=done",
        ),
        (
            "PATCH",
            "/profiles/p1",
            &rename,
            200,
            "what=update scope=profiles key=p1 principal=user:anna outcome=done",
        ),
        (
            "POST",
            "/profiles/p1/params/a/b",
            "\"opensesame\"",
            200,
            "what=update scope=profiles key=p1 principal=user:anna outcome=done",
        ),
        (
            "POST",
            "/profiles",
            &profile,
            409,
            "what=POST path=/api/v3/profiles principal=user:anna outcome=409",
        ),
        (
            "PUT",
            "/profiles/p1",
            "opensesame",
            400,
            "what=PUT path=/api/v3/profiles/p1 principal=user:anna outcome=400",
        ),
        (
            "DELETE",
            "/profiles/p1",
            "",
            200,
            "what=delete scope=profiles key=p1 principal=user:anna outcome=done",
        ),
        (
            "DELETE",
            "/profiles/p1",
            "",
            404,
            "what=DELETE path=/api/v3/profiles/p1 principal=user:anna outcome=404",
        ),
        (
            "POST",
            "/prefs",
            r#"{"knownTokenTimeout": "77"}"#,
            201,
            "what=create scope=preferences key=knownTokenTimeout principal=user:anna outcome=done",
        ),
        (
            "POST",
            "/files/f",
            "opensesame",
            201,
            "what=create scope=files key=/f principal=user:anna outcome=done",
        ),
        ("DELETE", "/files/f", "", 204, "what=delete scope=files key=/f principal=user:anna outcome=done"),
    ] {
        assert_eq!(site.send(method, path, &all, body).await.status(), status, "{method} {path}");
        let told = told();
        assert_eq!(told.len(), 1, "{method} {path}: {told:?}");
        assert!(told[0].contains(line), "{method} {path}: {told:?}");
        assert!(!told[0].contains("opensesame") && !told[0].contains("77"), "{told:?}");
    }
    site.send("GET", "/profiles", &all, "").await;
    site.send("POST", "/profiles", "", &profile).await;
    assert_eq!(told(), [""; 0], "a look is no write, and nobody is nobody");
}

#[tokio::test]
async fn what_agents_and_the_endpoint_write_is_no_write_of_a_user() {
    let site = Site::new(Wishes::default());
    let (machine, _) = site.taken("POST", "/machines", &json!({"Name": "m1"})).await;
    let path = format!("/machines/{}", machine["Uuid"].as_str().unwrap());
    let (token, _) = site.taken("GET", &format!("{path}/token"), &Value::Null).await;
    let (lines, _guard) = Lines::keep();
    let mut feed = site.endpoint.store.snapshot_and_feed().1;
    let change = json!([{"op": "add", "path": "/Description", "value": "x"}]).to_string();
    let agent = token["Token"].as_str().unwrap();
    assert_eq!(site.send("PATCH", &path, agent, &change).await.status(), 200);
    assert_eq!(told(&lines, &mut feed), [""; 0]);
}
