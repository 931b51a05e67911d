//! The routes as a client sees them, without a socket.

use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, header},
};
use formwork_model::Claim;
use serde_json::json;
use tower::ServiceExt;

use super::*;
use crate::testing::{Site, Wishes};

impl Site {
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
    assert_eq!(error.messages, ["user:anna lacks the claim machines list *"]);
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
