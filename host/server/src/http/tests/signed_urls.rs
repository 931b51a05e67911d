//! URLs that let whoever has one read a file, and nothing else (drp-behaviour.md 5.4).

use formwork_model::Timestamp;
use serde_json::Value;

use super::*;
use crate::clock::Clock;

/// An invented time at which tests begin.
const START: i64 = 1_700_000_000_000;

impl Site {
    /// Has a URL signed and returns what follows the base path.
    async fn signed(&self, url: &str, query: &str) -> String {
        let (answer, _) = self.taken("GET", &format!("/system/signurl?url={url}{query}"), &Value::Null).await;
        let url = answer["URL"].as_str().unwrap();
        url.split_once(BASE_PATH).unwrap().1.to_owned()
    }

    async fn status_without_credentials(&self, method: &str, path: &str) -> u16 {
        self.send(method, path, "", "").await.status().as_u16()
    }

    async fn with_file(wishes: Wishes) -> Self {
        let site = Self::new(wishes);
        for path in ["/files/a/b%20c", "/files/a/other", "/isos/b"] {
            let all = site.token(60, &[Claim::new("*", "*", "*")]);
            assert_eq!(site.send("POST", path, &all, "content").await.status(), 201, "{path}");
        }
        site
    }
}

#[tokio::test]
async fn signed_url_reads_its_file_without_credentials_until_it_expires() {
    let clock = Clock::invented(Timestamp::from_millis(START));
    let site = Site::with_file(Wishes { clock: clock.clone(), ..Wishes::default() }).await;
    let url = site.signed("https://h:1/fred/api/v3/files/a/b%2520c", "&ttl=10m").await;
    assert!(url.starts_with("/files/a/b%20c?token="), "{url}");
    let answer = site.send("GET", &url, "", "").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(to_bytes(answer.into_body(), 100).await.unwrap(), "content");
    assert_eq!(site.status_without_credentials("HEAD", &url).await, 200);
    clock.advance_to(Timestamp::from_millis(START + 600_000));
    let expired = site.refused("GET", &url, "", "").await;
    assert!(expired.code == 403 && expired.messages[0].contains("the token is expired"), "{expired}");
}

#[tokio::test]
async fn signed_url_is_good_for_nothing_but_to_read_its_file() {
    let site = Site::with_file(Wishes::default()).await;
    let url = site.signed("files/a/b%2520c", "").await;
    let token = url.split_once("?token=").unwrap().1;
    for (method, path) in [
        ("DELETE", "/files/a/b%20c"),
        ("POST", "/files/a/b%20c"),
        ("GET", "/files/a/other"),
        ("GET", "/files"),
        ("GET", "/isos/b"),
        ("GET", "/machines"),
        ("GET", "/info"),
        ("GET", "/users/anna/token"),
        ("GET", "/system/signurl?url=files/a/other"),
    ] {
        let sign = if path.contains('?') { '&' } else { '?' };
        let with_token = format!("{path}{sign}token={token}");
        assert_eq!(site.status_without_credentials(method, &with_token).await, 403, "{method} {path}");
    }
    assert_eq!(site.send("GET", "/files/a/b%20c", token, "").await.status(), 403, "it is no token by itself");
    assert_eq!(site.status_without_credentials("GET", &url).await, 200);
}

#[tokio::test]
async fn signed_url_needs_the_right_to_read_when_it_is_made_and_when_it_is_used() {
    let site = Site::with_file(Wishes::default()).await;
    let narrow = site.token(60, &[Claim::new("files", "get", "a/other")]);
    let denied = site.refused("GET", "/system/signurl?url=files/a/b", &narrow, "").await;
    assert!(denied.code == 403 && denied.messages[0].contains("lacks files get a/b"), "{denied}");
    assert_eq!(site.send("GET", "/system/signurl?url=files/a/other", &narrow, "").await.status(), 200);
    for wrong in ["url=machines/x", "url=files/a/other&ttl=8d", "url=files/a/other&ttl=x", ""] {
        assert_eq!(
            site.refused("GET", &format!("/system/signurl?{wrong}"), &narrow, "").await.code,
            400,
            "{wrong}"
        );
    }
    let url = site.signed("isos/b", "").await;
    assert_eq!(site.status_without_credentials("GET", &url).await, 200);
    site.taken("POST", "/users", &json!({"Name": "bert", "Roles": ["superuser"]})).await;
    site.taken("PATCH", "/users/anna", &json!([{"op": "add", "path": "/Roles", "value": []}])).await;
    assert_eq!(
        site.status_without_credentials("GET", &url).await,
        403,
        "who had it signed may not read any more"
    );
}
