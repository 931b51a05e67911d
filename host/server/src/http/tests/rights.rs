//! Who may do what, as clients see it (drp-api.md 2; drp-behaviour.md 8).

use std::net::{IpAddr, Ipv4Addr};

use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::STANDARD};
use formwork_model::Timestamp;
use serde_json::Value;

use super::*;
use crate::{accept::PeerAddress, clock::Clock};

/// An invented time at which tests begin.
const START: i64 = 1_700_000_000_000;

/// A record of scrypt of the password `pleaseletmein` (RFC 7914 section 12, as simple-scrypt writes it).
const SCRYPT: &str =
    "16384$8$1$536f6469756d43686c6f72696465$7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2";

impl Site {
    /// Sends a request with a user and a password from an address, and returns status, headers and body.
    async fn with_password(&self, pair: &str, address: Ipv4Addr, path: &str) -> (u16, HeaderMap, String) {
        let request = Request::builder()
            .uri(format!("{BASE_PATH}{path}"))
            .header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)))
            .extension(PeerAddress(IpAddr::V4(address)));
        let request = request.body(Body::empty()).unwrap();
        let answer = routes(Arc::clone(&self.endpoint)).oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&body).into_owned())
    }

    /// Makes a role and a user who has it, and returns a token of that user.
    pub(super) async fn user(&self, name: &str, claims: Value) -> String {
        let role = json!({"Name": format!("{name}s"), "Claims": claims});
        self.taken("POST", "/roles", &role).await;
        self.taken("POST", "/users", &json!({"Name": name, "Roles": [format!("{name}s")]})).await;
        self.token_of(name, "").await
    }

    /// Has somebody who may do everything make a token of a user.
    async fn token_of(&self, name: &str, query: &str) -> String {
        let (token, _) = self.taken("GET", &format!("/users/{name}/token{query}"), &Value::Null).await;
        token["Token"].as_str().unwrap().to_owned()
    }

    async fn status(&self, method: &str, path: &str, token: &str, body: Value) -> u16 {
        self.send(method, path, token, &body.to_string()).await.status().as_u16()
    }
}

fn claim(scope: &str, action: &str, specific: &str) -> Value {
    json!({"scope": scope, "action": action, "specific": specific})
}

#[tokio::test]
async fn deep_pointer_is_enough_for_a_deep_change() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/profiles", &json!({"Name": "p1", "Params": {"a/b": 1, "cc": {"d": 1, "e": 1}}}))
        .await;
    let claims = json!([claim("profiles", "update:/Params/a~1b, update:/Params/cc/d, get", "p1")]);
    let token = site.user("deep", claims).await;
    let patch = |params: Value| json!([{"op": "replace", "path": "/Params", "value": params}]);
    let fits = patch(json!({"a/b": [2, 3], "cc": {"d": 2, "e": 1}}));
    assert_eq!(site.status("PATCH", "/profiles/p1", &token, fits).await, 200);
    assert_eq!(site.status("PUT", "/profiles/p1/params/a~1b", &token, json!(5)).await / 100, 4);
    let error = site
        .refused(
            "PATCH",
            "/profiles/p1",
            &token,
            &patch(json!({"a/b": 2, "cc": {"d": 2, "e": 2}})).to_string(),
        )
        .await;
    assert_eq!(error.code, 403);
    assert!(
        error.messages[0].starts_with("user:deep lacks profiles update:/Params/cc/e p1; role `deeps` has"),
        "{error}"
    );
    assert_eq!(site.status("PATCH", "/profiles/p2", &token, json!([])).await, 403, "nothing is told of p2");
}

#[tokio::test]
async fn claims_of_two_roles_do_not_add_up() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/profiles", &json!({"Name": "p1"})).await;
    for (name, action) in [("one", "update:/Description"), ("two", "update:/Documentation")] {
        let role = json!({"Name": name, "Claims": [claim("profiles", action, "*")]});
        site.taken("POST", "/roles", &role).await;
    }
    site.taken("POST", "/users", &json!({"Name": "both", "Roles": ["one", "two"]})).await;
    let token = site.token_of("both", "").await;
    let set = |name: &str| json!({"op": "replace", "path": format!("/{name}"), "value": "x"});
    let (one, two) = (set("Description"), set("Documentation"));
    assert_eq!(site.status("PATCH", "/profiles/p1", &token, json!([one, two])).await, 403);
    assert_eq!(site.status("PATCH", "/profiles/p1", &token, json!([one])).await, 200);
    assert_eq!(site.status("PATCH", "/profiles/p1", &token, json!([two])).await, 200);
}

#[tokio::test]
async fn patch_tells_nothing_to_who_may_not_ask() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/profiles", &json!({"Name": "p1", "Params": {"hidden": 1}})).await;
    let blind = site.user("blind", json!([claim("profiles", "update:/Description", "*")])).await;
    let reader = site.user("reader", json!([claim("profiles", "get", "*")])).await;
    let writer = site.user("writer", json!([claim("profiles", "get,update:/Description", "*")])).await;
    let test = |value: i64| json!([{"op": "test", "path": "/Params/hidden", "value": value}]);
    for value in [1, 2] {
        assert_eq!(site.status("PATCH", "/profiles/p1", &blind, test(value)).await, 403);
        assert_eq!(site.status("PATCH", "/profiles/p1", &reader, test(value)).await, 403);
    }
    assert_eq!(site.status("PATCH", "/profiles/p1", &writer, test(1)).await, 200);
    assert_eq!(site.status("PATCH", "/profiles/p1", &writer, test(2)).await, 409);
    let copy = json!([{"op": "copy", "from": "/Params/hidden", "path": "/Description"}]);
    assert_eq!(site.status("PATCH", "/profiles/p1", &blind, copy).await, 403);
    let remove = json!([{"op": "remove", "path": "/Params/nothing"}]);
    assert_eq!(site.status("PATCH", "/profiles/p1", &writer, remove).await, 403, "before it is looked for");
}

#[tokio::test]
async fn role_with_an_unknown_scope_is_refused() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let role = json!({"Name": "r1", "Claims": [claim("cakes", "get", "*"), claim("machines", "eat", "*")]});
    let error = site.refused("POST", "/roles", &all, &role.to_string()).await;
    assert_eq!(about(&error), ("roles", "r1", "ValidationError", 422));
    assert_eq!(error.messages, ["r1: No such scope 'cakes'", "r1: No such action 'eat'"]);
}

#[tokio::test]
async fn nobody_gives_rights_that_he_does_not_have() {
    let site = Site::new(Wishes::default());
    let claims = json!([claim("roles,users", "*", "*"), claim("machines", "get", "*")]);
    let token = site.user("clerk", claims).await;
    let role = |action: &str| json!({"Name": "r1", "Claims": [claim("machines", action, "m1")]});
    assert_eq!(site.status("POST", "/roles", &token, role("get")).await, 201);
    assert_eq!(site.status("PUT", "/roles/r1", &token, role("update")).await, 403);
    let raise = json!([{"op": "add", "path": "/Roles/-", "value": "superuser"}]);
    let error = site.refused("PATCH", "/users/clerk", &token, &raise.to_string()).await;
    assert_eq!(about(&error), ("users", "clerk", "AUTH", 403));
    let give = json!([{"op": "add", "path": "/Roles/-", "value": "r1"}]);
    assert_eq!(site.status("PATCH", "/users/clerk", &token, give).await, 200);
}

#[tokio::test]
async fn row_193_tenant_hides_before_roles_404_not_403() {
    let site = Site::new(Wishes::default());
    for name in ["p1", "p2"] {
        site.taken("POST", "/profiles", &json!({"Name": name})).await;
    }
    let claims =
        json!([claim("profiles", "list,get,create,delete,update", "p1,p3"), claim("stages", "get", "*")]);
    let token = site.user("guest", claims).await;
    assert_eq!(site.status("GET", "/profiles/p2", &token, Value::Null).await, 403);
    site.taken("POST", "/users", &json!({"Name": "other"})).await;
    let tenant =
        json!({"Name": "t1", "Users": ["guest"], "Members": {"profiles": ["p1"], "users": ["other"]}});
    site.taken("POST", "/tenants", &tenant).await;
    for (method, body) in
        [("GET", Value::Null), ("PATCH", json!([])), ("PUT", json!({})), ("DELETE", Value::Null)]
    {
        assert_eq!(site.status(method, "/profiles/p2", &token, body).await, 404, "{method}");
    }
    assert_eq!(site.status("GET", "/profiles/p1", &token, Value::Null).await, 200);
    assert_eq!(
        site.status("GET", "/stages/none", &token, Value::Null).await,
        200,
        "stages are not restricted"
    );
    assert_eq!(site.status("GET", "/users/anna/token", &token, Value::Null).await, 404);
    assert_eq!(
        site.status("GET", "/users/guest/token", &token, Value::Null).await,
        200,
        "everybody sees himself"
    );
    let made = json!({"Name": "p3"});
    assert_eq!(site.status("POST", "/profiles", &token, made).await, 201);
    assert_eq!(site.status("GET", "/profiles/p3", &token, Value::Null).await, 200, "what he makes is his");
    let (tenant, _) = site.taken("GET", "/tenants/t1", &Value::Null).await;
    assert_eq!(tenant["Members"]["profiles"], json!(["p1", "p3"]));
}

#[tokio::test]
async fn changed_grantor_secret_ends_the_token() {
    let site = Site::new(Wishes::default());
    let clerk = site.user("clerk", json!([claim("users", "token", "*")])).await;
    site.taken("POST", "/users", &json!({"Name": "bob"})).await;
    let fetched = |token: String| {
        let site = &site;
        async move {
            let answer = site.send("GET", "/users/bob/token", &token, "").await;
            let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            value["Token"].as_str().unwrap().to_owned()
        }
    };
    let granted = fetched(clerk.clone()).await;
    let own = fetched(granted.clone()).await;
    let uses = async |token: &str| site.status("GET", "/users/bob", token, Value::Null).await;
    assert_eq!((uses(&granted).await, uses(&own).await), (200, 200));
    let secret = json!([{"op": "replace", "path": "/Secret", "value": "x"}]);
    site.taken("PATCH", "/users/clerk", &secret).await;
    assert_eq!((uses(&granted).await, uses(&own).await), (403, 200));
    for name in ["systemGrantorSecret", "baseTokenSecret"] {
        let (token, keeper) = (site.token_of("bob", "").await, site.token(60, &[]));
        assert_eq!(uses(&token).await, 200);
        site.taken("POST", "/prefs", &json!({(name): "changed"})).await;
        assert_eq!(uses(&token).await, 403, "{name}");
        assert_eq!(site.status("GET", "/info", &keeper, Value::Null).await, 403, "{name}");
    }
}

#[tokio::test]
async fn role_change_holds_for_tokens_already_out() {
    let site = Site::new(Wishes::default());
    let plain = site.user("ops", json!([claim("profiles,stages", "list", "*")])).await;
    let narrowed = site.token_of("ops", "?roles=opss,superuser").await;
    let direct = site.token_of("ops", "?scope=profiles&action=list").await;
    let uses = async |token: &str, path: &str| site.status("GET", path, token, Value::Null).await;
    for token in [&plain, &narrowed, &direct] {
        assert_eq!(uses(token, "/profiles").await, 200);
        assert_eq!(uses(token, "/users").await, 403);
    }
    assert_eq!((uses(&narrowed, "/stages").await, uses(&direct, "/stages").await), (200, 403));
    let role = json!({"Name": "opss", "Claims": [claim("stages", "list", "*")]});
    site.taken("PUT", "/roles/opss", &role).await;
    for token in [&plain, &narrowed, &direct] {
        assert_eq!(uses(token, "/profiles").await, 403);
    }
    assert_eq!((uses(&narrowed, "/stages").await, uses(&direct, "/stages").await), (200, 403));
    site.taken("PATCH", "/users/ops", &json!([{"op": "replace", "path": "/Roles", "value": []}])).await;
    assert_eq!(uses(&narrowed, "/stages").await, 403, "a role that the user lost");
}

#[tokio::test]
async fn narrowed_token_gets_no_wider_one() {
    let site = Site::new(Wishes::default());
    site.user("ops", json!([claim("*", "*", "*")])).await;
    let narrow = site.token_of("ops", "?scope=profiles&action=list,get").await;
    for query in ["", "?roles=opss", "?scope=users&action=list", "?ttl=7200"] {
        let answer = site.send("GET", &format!("/users/ops/token{query}"), &narrow, "").await;
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let again = value["Token"].as_str().unwrap();
        assert_eq!(site.status("GET", "/users", again, Value::Null).await, 403, "{query}");
    }
    let password = json!({"Password": "new"});
    assert_eq!(site.status("PUT", "/users/ops/password", &narrow, password).await, 403);
    let long = format!("/users/ops/token?scope=machines&specific={}", "m,".repeat(3000));
    assert_eq!(site.status("GET", &long, &site.token_of("ops", "").await, Value::Null).await, 400);
}

#[tokio::test]
async fn placeholder_in_the_path_is_the_user_of_the_query_or_the_caller() {
    let site = Site::new(Wishes::default());
    let bob = site.user("bob", json!([])).await;
    assert_eq!(site.status("GET", "/users/%7Bname%7D/token?name=bob", &bob, Value::Null).await, 200);
    assert_eq!(site.status("GET", "/users/%7Bname%7D/token", &bob, Value::Null).await, 200);
    assert_eq!(site.status("GET", "/users/%7Bname%7D/token?name=anna", &bob, Value::Null).await, 403);
}

#[tokio::test]
async fn imported_scrypt_record_logs_in() {
    let site = Site::new(Wishes::default());
    let user = json!({"Name": "old", "PasswordHash": STANDARD.encode(SCRYPT)});
    let (shown, _) = site.taken("POST", "/users", &user).await;
    assert_eq!(shown["PasswordHash"], "");
    let from = Ipv4Addr::new(192, 0, 2, 1);
    assert_eq!(site.with_password("old:pleaseletmein", from, "/users/old").await.0, 200);
    assert_eq!(site.with_password("old:pleaseletmeon", from, "/users/old").await.0, 403);
}

#[tokio::test]
async fn eleventh_wrong_password_in_a_minute_is_429() {
    let clock = Clock::invented(Timestamp::from_millis(START));
    let site = Site::new(Wishes { clock: clock.clone(), ..Wishes::default() });
    site.taken("PUT", "/users/anna/password", &json!({"Password": "right"})).await;
    let (one, two) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
    let status = async |pair, from| site.with_password(pair, from, "/info").await.0;
    assert_eq!(status("anna:right", one).await, 200);
    for _ in 0..10 {
        assert_eq!(status("anna:wrong", one).await, 403);
    }
    let hashes = || site.endpoint.desk.logins.hashes.load(std::sync::atomic::Ordering::Relaxed);
    let before = hashes();
    let (code, headers, body) = site.with_password("anna:wrong", one, "/info").await;
    assert_eq!((code, headers[header::RETRY_AFTER].to_str().unwrap()), (429, "60"), "{body}");
    assert_eq!(status("anna:right", one).await, 429, "a remembered password is not told either");
    assert_eq!(hashes(), before, "nothing is hashed");
    assert_eq!(status("anna:right", two).await, 200);
    clock.advance_to(Timestamp::from_millis(START + 60_000));
    assert_eq!(status("anna:right", one).await, 200);
}

#[tokio::test]
async fn unknown_user_costs_the_time_of_a_known_one() {
    let site = Site::new(Wishes::default());
    site.taken("PUT", "/users/anna/password", &json!({"Password": "right"})).await;
    site.taken("POST", "/users", &json!({"Name": "empty"})).await;
    let hashes = || site.endpoint.desk.logins.hashes.load(std::sync::atomic::Ordering::Relaxed);
    let mut answers = Vec::new();
    for name in ["anna", "nobody", "empty"] {
        let before = hashes();
        answers.push(site.with_password(&format!("{name}:wrong"), Ipv4Addr::LOCALHOST, "/info").await.2);
        assert_eq!(hashes(), before + 1, "{name}");
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[tokio::test]
async fn hundred_equal_logins_at_once_cost_few_hashes() {
    let site = Site::new(Wishes::default());
    site.taken("PUT", "/users/anna/password", &json!({"Password": "right"})).await;
    let logins = (0..100).map(|_| site.with_password("anna:right", Ipv4Addr::LOCALHOST, "/info"));
    let answers = futures_util::future::join_all(logins).await;
    assert!(answers.iter().all(|(status, ..)| *status == 200));
    let hashes = site.endpoint.desk.logins.hashes.load(std::sync::atomic::Ordering::Relaxed);
    assert!((1..=2).contains(&hashes), "{hashes}");
}

#[tokio::test]
async fn every_denial_unlock_and_password_change_is_audited_once() {
    let site = Site::new(Wishes::default());
    let bob = site.user("bob", json!([claim("machines", "update", "*")])).await;
    let (machine, _) = site.taken("POST", "/machines", &json!({"Name": "m1", "Locked": true})).await;
    let uuid = machine["Uuid"].as_str().unwrap().to_owned();
    let mut heard = site.endpoint.hub.listen();
    let mut audited = || {
        let mut found = Vec::new();
        while let Ok(told) = heard.try_recv() {
            let event = told.passing().unwrap();
            assert!(!event.object.to_string().contains("opensesame"));
            found.push(format!("{}.{}.{} {}", told.r#type, told.action, told.key, event.principal));
        }
        found
    };
    let path = format!("/machines/{uuid}");
    let unlock = json!([{"op": "replace", "path": "/Locked", "value": false}]);
    assert_eq!(site.status("PATCH", &path, &bob, unlock.clone()).await, 200);
    assert_eq!(audited(), [format!("audit.unlock.{uuid} user:bob")]);
    assert_eq!(site.status("PATCH", &path, &bob, unlock).await, 200);
    assert_eq!(audited(), [""; 0], "it was not locked any more");
    assert_eq!(site.status("DELETE", &path, &bob, Value::Null).await, 403);
    assert_eq!(site.status("GET", "/machines", &bob, Value::Null).await, 403);
    assert_eq!(audited(), [format!("audit.denied.{uuid} user:bob"), String::from("audit.denied.* user:bob")]);
    let move_on = json!([{"op": "replace", "path": "/Description", "value": "x"}, {"op": "test", "path": "/Name", "value": "no"}]);
    assert_eq!(site.status("PATCH", &path, &bob, move_on).await, 409);
    assert_eq!(audited(), [""; 0]);
    assert_eq!(site.status("PUT", "/users/bob/password", &bob, json!({"Password": "opensesame"})).await, 200);
    site.taken("PATCH", "/users/bob", &json!([{"op": "add", "path": "/Secret", "value": "x"}])).await;
    site.taken("PATCH", "/users/bob", &json!([{"op": "add", "path": "/PasswordHash", "value": "eA=="}]))
        .await;
    assert_eq!(
        audited(),
        ["audit.password.bob user:bob", "audit.secret.bob user:anna", "audit.password.bob user:anna"]
    );
    site.with_password("opensesame:x", Ipv4Addr::LOCALHOST, "/info").await;
    assert_eq!(audited(), ["audit.login.unknown user:unknown"], "a password in the wrong place is not told");
    site.token_of("bob", "").await;
    assert_eq!(audited(), ["audit.token.bob user:anna"]);
}

#[tokio::test]
async fn whocan_names_roles_and_users() {
    let site = Site::new(Wishes::default());
    site.user("ops", json!([claim("machines", "update:/Params", "m1")])).await;
    let bob = site.user("bob", json!([claim("machines", "get", "*")])).await;
    let ask = async |query: &str| site.taken("GET", &format!("/whocan?{query}"), &Value::Null).await.0;
    let answer = ask("scope=machines&action=update:/Params/x&specific=m1").await;
    assert_eq!(answer["Roles"], json!(["opss", "superuser"]));
    assert_eq!(answer["Users"], json!(["anna", "ops"]));
    assert_eq!(ask("scope=machines&action=update:/Params/x&specific=*").await["Users"], json!(["anna"]));
    site.taken("POST", "/tenants", &json!({"Name": "t1", "Users": ["ops"], "Members": {"machines": []}}))
        .await;
    assert_eq!(ask("scope=machines&action=update:/Params/x&specific=m1").await["Users"], json!(["anna"]));
    assert_eq!(site.status("GET", "/whocan?scope=machines&action=get", &bob, Value::Null).await, 403);
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    assert_eq!(site.refused("GET", "/whocan?scope=machines", &all, "").await.code, 400);
}

#[tokio::test]
async fn artifact_of_a_bundle_is_no_way_to_read_a_file() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    assert_eq!(site.send("POST", "/files/hidden/a", &all, "content").await.status(), 201);
    let install = json!([{"action": "copy", "target": "files/open/a"}]);
    let bundle = |sha256: &str| {
        let artifacts = json!({"files/hidden/a": {"sha256": sha256, "install": install}});
        json!({"meta": {"Name": "b1"}, "sections": {}, "artifacts": artifacts}).to_string()
    };
    let mut claims = vec![Claim::new("contents", "*", "*"), Claim::new("files", "post", "*")];
    claims.push(Claim::new("files", "get", "open/a"));
    let blind = site.token(60, &claims);
    for sha256 in ["", "wrong"] {
        let error = site.refused("POST", "/contents", &blind, &bundle(sha256)).await;
        assert_eq!(error.code, 403, "{error}");
        assert!(
            error.messages[0].contains("lacks files get hidden/a"),
            "nothing is told of the file: {error}"
        );
    }
    assert_eq!(site.send("GET", "/files/open/a", &blind, "").await.status(), 404);
    claims.push(Claim::new("files", "get", "hidden/a"));
    let seeing = site.token(60, &claims);
    assert_eq!(site.send("POST", "/contents", &seeing, &bundle("")).await.status(), 201);
    assert_eq!(site.send("GET", "/files/open/a", &seeing, "").await.status(), 200);
}
