//! The routes as a client sees them, without a socket.

use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, header},
};
use formwork_model::{Claim, ObjectsExt, User};
use formwork_store::Store;
use serde_json::json;
use tower::ServiceExt;

mod agents;
mod audit;
mod concurrent;
mod contract;
mod dynamic;
mod guards;
mod hostile;
mod killed;
mod leaks;
mod lives;
mod params;
mod queue;
mod rights;
mod rows;
mod secure;
mod signed_urls;
mod system;
mod triggers;

use super::*;
use crate::{
    commit::commit,
    content::Base,
    secure::Vault,
    testing::{Site, Wishes},
};

impl Site {
    /// Returns a token of a user who may do everything.
    fn everything(&self) -> String {
        self.token(60, &[Claim::new("*", "*", "*")])
    }

    /// Sends a request, without credentials where the token is empty.
    async fn send(&self, method: &str, path: &str, token: &str, body: &str) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(format!("{BASE_PATH}{path}"));
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        routes(Arc::clone(&self.endpoint)).oneshot(request).await.unwrap()
    }

    /// Sends a request that is refused, and returns the error object.
    async fn refused(&self, method: &str, path: &str, token: &str, body: &str) -> ApiError {
        let answer = self.send(method, path, token, body).await;
        let status = answer.status();
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json; charset=utf-8");
        assert_eq!(answer.headers().contains_key(header::WWW_AUTHENTICATE), status == 401, "{method} {path}");
        let bytes = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        let error: ApiError = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(error.code, status, "{method} {path}: {error}");
        error
    }
}

impl Site {
    /// Sends a request that is taken, and returns the answer and its tag.
    async fn taken(&self, method: &str, path: &str, body: &serde_json::Value) -> (serde_json::Value, String) {
        let all = self.token(60, &[Claim::new("*", "*", "*")]);
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(method, path, &all, &text).await;
        let (status, tag) = (answer.status(), answer.headers().get(header::ETAG).cloned());
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let value = serde_json::from_slice(&bytes).unwrap();
        assert!(status.is_success(), "{method} {path}: {value}");
        (value, tag.map(|tag| tag.to_str().unwrap().to_owned()).unwrap_or_default())
    }
}

impl Site {
    /// Keeps the objects in a file, with those that are in it already.
    async fn on_disk(&mut self, path: &std::path::Path) {
        let base = Base::own().unwrap().objects(&self.endpoint.files);
        let vault = Vault::load(&self.folder.path().join("secure.key")).unwrap();
        let user = self.endpoint.snapshot().get::<User>("anna").unwrap();
        let endpoint = Arc::get_mut(&mut self.endpoint).unwrap();
        endpoint.store = Store::open(path, base).unwrap();
        endpoint.vault = Arc::new(vault);
        if endpoint.snapshot().get::<User>("anna").is_none() {
            let user = user.as_ref().clone();
            commit(&self.endpoint, "system", move |work| work.put(Box::new(user.clone())).map(drop))
                .await
                .unwrap();
        }
    }
}

/// What an error is about: model, key, type and status.
fn about(error: &ApiError) -> (&str, &str, &str, u16) {
    (&error.model, &error.key, &error.r#type, error.code)
}

#[tokio::test]
async fn who_sends_no_credentials_is_told_what_was_refused_and_what_to_do() {
    let site = Site::new(Wishes::default());
    let token = site.refused("GET", "/users/anna/token", "", "").await;
    assert_eq!(about(&token), ("users", "anna", "GET", 401));
    assert!(
        token.messages[0].starts_with("`GET /users/anna/token` was refused: no credentials\nhint: send "),
        "{token}"
    );
    let create = site.refused("POST", "/machines", "", "not JSON").await;
    assert_eq!(about(&create), ("machines", "", "POST", 401));
    let info = site.refused("GET", "/info", "", "").await;
    assert_eq!(about(&info), ("info", "", "GET", 401));
    assert!(info.messages[0].starts_with("`GET /info` was refused: no credentials\nhint: send "), "{info}");
}

#[tokio::test]
async fn refused_token_is_told_why_and_what_to_do() {
    let site = Site::new(Wishes::default());
    let expired = site.token(0, &[Claim::new("*", "*", "*")]);
    for (token, why) in [(expired.as_str(), "expired"), ("AAAA.BBBB", "not one of this endpoint")] {
        let error = site.refused("PUT", "/machines/x", token, "{}").await;
        assert_eq!(about(&error), ("machines", "x", "PUT", 403));
        let start = format!("`PUT /machines/x` was refused: the token is {why}\nhint: send ");
        assert!(error.messages[0].starts_with(&start), "{error}");
    }
}

#[tokio::test]
async fn missing_claim_is_named() {
    let site = Site::new(Wishes::default());
    let narrow = site.token(60, &[Claim::new("machines", "get", "*")]);
    let error = site.refused("GET", "/machines", &narrow, "").await;
    assert_eq!((error.model.as_str(), error.code), ("machines", 403));
    assert_eq!(error.messages, ["user:anna lacks machines list *; the token has machines get *"]);
}

#[tokio::test]
async fn error_about_an_object_names_the_method_and_the_object() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    for (method, path, body) in [
        ("GET", "/machines/none", ""),
        ("PUT", "/machines/none", "{}"),
        ("PATCH", "/machines/none", "[]"),
        ("DELETE", "/machines/none", ""),
        ("GET", "/meta/machines/none", ""),
        ("PATCH", "/meta/machines/none", "[]"),
        ("POST", "/machines/none/params", "{}"),
        ("PATCH", "/machines/none/params", "[]"),
        ("GET", "/machines/none/params/a/b", ""),
        ("DELETE", "/machines/none/params/a/b", ""),
        ("GET", "/machines/none/token", ""),
    ] {
        let error = site.refused(method, path, &all, body).await;
        assert_eq!(about(&error), ("machines", "none", method, 404), "{method} {path}");
    }
    let built_in = site.refused("DELETE", "/stages/none/params/x", &all, "").await;
    assert_eq!(about(&built_in), ("stages", "none", "DELETE", 409));
}

#[tokio::test]
async fn path_that_is_no_text_is_refused_with_the_error_object() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let error = site.refused("GET", "/machines/%FF", &all, "").await;
    assert_eq!(about(&error), ("machines", "", "GET", 400));
}

#[tokio::test]
async fn bundle_is_taken_as_json_and_as_careless_yaml_and_put_in_its_own_place() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let yaml = "meta:\n  Name:\tloose\n  Order: 1\n  Beeblebrox: 2\nsections:\n  params:\n    loose/a: \n      \
                Schema:\t{type: string}\n";
    let summary = async |method: &str, path: &str, body: &str| {
        let answer = site.send(method, path, &all, body).await;
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        let summary: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        (status, summary["meta"]["Order"].clone(), summary["Counts"].clone())
    };
    let expected = |status| (status, json!("1"), json!({"params": 1}));
    assert_eq!(summary("POST", "/contents", yaml).await, expected(201));
    assert_eq!(summary("PUT", "/contents/loose", yaml).await, expected(200));
    let json = json!({"meta": {"Name": "loose", "Order": 1}, "sections": {"params": {"loose/a": {}}}});
    assert_eq!(summary("PUT", "/contents/loose", &json.to_string()).await, expected(200));
    for text in ["", "words", "{"] {
        let error = site.refused("POST", "/contents", &all, text).await;
        assert_eq!(about(&error), ("contents", "", "POST", 400), "{text}");
        assert!(error.messages[0].starts_with("not a content bundle: "), "{error}");
    }
    let narrow = site.token(60, &[Claim::new("contents", "get", "*")]);
    assert_eq!(site.refused("POST", "/contents", &narrow, "{").await.code, 403, "before it is read");
}

#[tokio::test]
async fn patch_tests_see_what_get_shows() {
    let site = Site::new(Wishes::default());
    let hashed = json!({"Name": "bob", "PasswordHash": "aGFzaA==", "Description": "one"});
    assert_eq!(site.taken("POST", "/users", &hashed).await.0["PasswordHash"], "");
    let (shown, _) = site.taken("GET", "/users/bob", &json!(null)).await;
    let patch = json!([
        {"op": "test", "path": "", "from": "", "value": shown},
        {"op": "test", "path": "/PasswordHash", "value": ""},
        {"op": "replace", "path": "/Description", "value": "two"},
    ]);
    let (changed, _) = site.taken("PATCH", "/users/bob", &patch).await;
    assert_eq!((&changed["Description"], &changed["PasswordHash"]), (&json!("two"), &json!("")));
    let stored = site.endpoint.snapshot().get::<formwork_model::User>("bob").unwrap();
    assert_eq!(stored.password_hash, "aGFzaA==", "what nobody sees stays");
    let patch = json!([{"op": "replace", "path": "/PasswordHash", "value": "bmV3"}]);
    assert_eq!(site.taken("PATCH", "/users/bob", &patch).await.0["PasswordHash"], "");
    let stored = site.endpoint.snapshot().get::<formwork_model::User>("bob").unwrap();
    assert_eq!(stored.password_hash, "bmV3", "but it can be written");
}

#[tokio::test]
async fn put_without_a_secret_keeps_tokens() {
    let site = Site::new(Wishes::default());
    let shown = async |path: &str| site.taken("GET", path, &json!(null)).await.0;
    let (machine, _) = site.taken("POST", "/machines", &json!({"Name": "m1"})).await;
    let machine = format!("/machines/{}", machine["Uuid"].as_str().unwrap());
    site.taken("POST", "/users", &json!({"Name": "bob"})).await;
    for path in [machine.as_str(), "/users/bob"] {
        let object = shown(path).await;
        let with = |secret: serde_json::Value| {
            let mut object = object.clone();
            object["Secret"] = secret;
            object
        };
        assert_ne!(object["Secret"], "");
        let mut without = with(json!(null));
        without.as_object_mut().unwrap().remove("Secret");
        without["Description"] = json!("two");
        for body in [without, with(json!(null)), with(json!(""))] {
            site.taken("PUT", path, &body).await;
        }
        site.taken("PATCH", path, &json!([{"op": "replace", "path": "/Secret", "value": ""}])).await;
        assert_eq!(shown(path).await["Secret"], object["Secret"], "{path}");
        site.taken("PUT", path, &with(json!("x"))).await;
        let after = shown(path).await;
        assert!(after["Secret"] != object["Secret"] && after["Secret"] != "x", "{path}");
    }
}

#[tokio::test]
async fn answer_to_a_write_has_the_tag_of_that_write() {
    let site = Arc::new(Site::new(Wishes::default()));
    site.taken("POST", "/profiles", &json!({"Name": "p1"})).await;
    let writer = |name: &'static str| {
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let mut seen = Vec::new();
            for count in 0..40 {
                let patch =
                    json!([{"op": "add", "path": format!("/Meta/{name}"), "value": count.to_string()}]);
                let (object, tag) = site.taken("PATCH", "/profiles/p1", &patch).await;
                assert_eq!(object["Meta"][name], count.to_string(), "the answer is of this write");
                seen.push((tag, object["Meta"].clone()));
            }
            seen
        })
    };
    let (one, two) = tokio::join!(writer("one"), writer("two"));
    let mut seen = [one.unwrap(), two.unwrap()].concat();
    let number = |tag: &str| tag.trim_matches('"').parse::<u64>().unwrap();
    seen.sort_by_key(|(tag, _)| number(tag));
    assert!(
        seen.windows(2).all(|pair| number(&pair[0].0) < number(&pair[1].0)),
        "each write has its own tag"
    );
    // In the order of the tags each answer differs from the one before in its own member alone.
    for pair in seen.windows(2) {
        let (before, after) = (pair[0].1.as_object().unwrap(), pair[1].1.as_object().unwrap());
        assert_eq!(
            after.iter().filter(|(name, value)| before.get(*name) != Some(value)).count(),
            1,
            "{pair:?}"
        );
    }
    let (_, tag) = site.taken("GET", "/profiles/p1", &json!(null)).await;
    assert_eq!(tag, seen.last().unwrap().0);
}

#[tokio::test]
async fn address_keys_are_hex_in_urls_and_errors() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    for (prefix, object) in [
        ("reservations", json!({"Addr": "10.7.0.171", "Token": "52:54:00:00:00:01", "Strategy": "MAC"})),
        (
            "leases",
            json!({"Addr": "10.7.0.171", "Token": "52:54:00:00:00:01", "Strategy": "MAC", "State": "ACK"}),
        ),
    ] {
        for id in ["10.7.0.171", "0a0700ab", "0A0700AB"] {
            for (method, body) in [("GET", ""), ("PATCH", "[]"), ("PUT", "{}"), ("DELETE", "")] {
                let error = site.refused(method, &format!("/{prefix}/{id}"), &all, body).await;
                assert_eq!(about(&error), (prefix, "0A0700AB", method, 404), "{id}");
            }
        }
        let (made, _) = site.taken("POST", &format!("/{prefix}"), &object).await;
        for id in ["10.7.0.171", "0a0700ab", "Addr:10.7.0.171", "Key:0A0700AB", "Key%3A0a0700ab"] {
            assert_eq!(site.taken("GET", &format!("/{prefix}/{id}"), &json!(null)).await.0, made, "{id}");
        }
        let narrow = site.token(60, &[Claim::new(prefix, "get", "0A0700AB")]);
        assert_eq!(site.send("GET", &format!("/{prefix}/10.7.0.171"), &narrow, "").await.status(), 200);
        let again = site.refused("POST", &format!("/{prefix}"), &all, &object.to_string()).await;
        assert_eq!(about(&again), (prefix, "0A0700AB", "CREATE", 409));
        site.taken("DELETE", &format!("/{prefix}/10.7.0.171"), &json!(null)).await;
    }
}

#[tokio::test]
async fn object_is_found_by_any_unique_index_and_by_no_other() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let (machine, _) = site.taken("POST", "/machines", &json!({"Name": "m1", "Address": "10.0.0.1"})).await;
    let uuid = machine["Uuid"].as_str().unwrap();
    for id in
        [String::from("Name:m1"), format!("Uuid:{uuid}"), format!("Key:{uuid}"), String::from("Name%3Am1")]
    {
        assert_eq!(site.taken("GET", &format!("/machines/{id}"), &json!(null)).await.0["Uuid"], uuid, "{id}");
    }
    for id in ["Name:m2", "Address:10.0.0.1", "OnlyUnknown:true", "Nothing:x"] {
        let error = site.refused("GET", &format!("/machines/{id}"), &all, "").await;
        assert_eq!(about(&error), ("machines", id, "GET", 404));
        assert_eq!(error.messages, ["Not Found"]);
    }
}

#[tokio::test]
async fn row_002_object_without_a_uuid_gets_one_and_keeps_one_that_it_has() {
    let site = Site::new(Wishes::default());
    for prefix in ["clusters", "machines", "resource_brokers"] {
        let (made, _) =
            site.taken("POST", &format!("/{prefix}"), &json!({"Name": "one", "Uuid": null})).await;
        let random = uuid::Uuid::try_parse(made["Uuid"].as_str().unwrap()).unwrap();
        assert_eq!(random.get_version_num(), 4, "{made}");
        assert_ne!(made["Secret"], "");
        // One of its own for each type: what has jobs is known by its UUID alone.
        let given = uuid::Uuid::new_v4().to_string();
        let (kept, _) =
            site.taken("POST", &format!("/{prefix}"), &json!({"Name": "two", "Uuid": given})).await;
        assert_eq!(kept["Uuid"], given);
    }
}

#[tokio::test]
async fn numbers_and_nulls_are_taken_as_clients_in_go_write_them() {
    let site = Site::new(Wishes::default());
    let body =
        json!({"Name": "p1", "Profiles": null, "Meta": null, "Params": {"aa": 1.0, "bb": [2.0, null]}});
    let (made, _) = site.taken("POST", "/profiles", &body).await;
    assert_eq!((&made["Profiles"], &made["Meta"]), (&json!([]), &json!({})));
    assert_eq!(made["Params"].to_string(), r#"{"aa":1,"bb":[2,null]}"#);
    let (set, _) = site.taken("POST", "/profiles/p1/params/cc", &json!(3.0)).await;
    assert_eq!(set.to_string(), "3");
    let patch = json!([{"op": "test", "path": "/Params/aa", "value": 1.0}, {"op": "test", "path": "/Params/cc", "value": 3}]);
    site.taken("PATCH", "/profiles/p1", &patch).await;
}

#[tokio::test]
async fn caller_needs_no_claim_for_members_that_stay_as_they_are() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/profiles", &json!({"Name": "p1", "Description": "one"})).await;
    let narrow = site.token(60, &[Claim::new("profiles", "update:/Description", "p1")]);
    let body = json!({"Name": "p1", "Description": "two", "Profiles": null, "Unknown": 1}).to_string();
    assert_eq!(site.send("PUT", "/profiles/p1", &narrow, &body).await.status(), 200);
    let body = json!({"Name": "p1", "Description": "two", "Params": {"aa": 1}}).to_string();
    let error = site.refused("PUT", "/profiles/p1", &narrow, &body).await;
    assert_eq!(
        error.messages,
        ["user:anna lacks profiles update:/Params/aa p1; the token has profiles update:/Description p1"]
    );
    let body = json!([{"op": "replace", "path": "/Params", "value": 5}]).to_string();
    assert_eq!(
        site.refused("PATCH", "/profiles/p1", &narrow, &body).await.code,
        403,
        "before its type is looked at"
    );
}
