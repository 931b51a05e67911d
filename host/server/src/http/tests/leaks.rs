//! No secret gets out: not by the log, not by events, not by errors, not by what auditors and those who look for faults are
//! told (drp-behaviour.md 8; features.md row 188).
//!
//! Every secret that is sent is marked. The marks are then looked for in all that the endpoint tells by itself; words that are
//! no secrets are looked for too, so that a scan that sees nothing does not pass.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tracing::{Subscriber, span};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _};

use super::*;

mod templates;

/// How every secret of this test begins.
const SECRET: &str = "Zq7-secret-";

/// How every word of this test begins that is none, and that is to be found.
const PLAIN: &str = "Zq7-plain-";

/// Lines of all threads with a word of this test, at every level: work goes on in threads of its own.
fn lines() -> Arc<Mutex<Vec<String>>> {
    static KEPT: OnceLock<Arc<Mutex<Vec<String>>>> = OnceLock::new();
    let begin = || {
        let marked = Marked::default();
        let subscriber = tracing_subscriber::registry().with(marked.clone());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        marked.0
    };
    Arc::clone(KEPT.get_or_init(begin))
}

#[derive(Clone, Default)]
struct Marked(Arc<Mutex<Vec<String>>>);

impl Marked {
    fn add(&self, text: String) {
        if text.contains(SECRET) || text.contains(PLAIN) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
    }
}

impl<S: Subscriber> Layer<S> for Marked {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        self.add(format!("{event:?}"));
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, _id: &span::Id, _context: Context<'_, S>) {
        self.add(format!("{attributes:?}"));
    }

    fn on_record(&self, _id: &span::Id, values: &span::Record<'_>, _context: Context<'_, S>) {
        self.add(format!("{values:?}"));
    }
}

/// What was told, each piece with where it was told.
#[derive(Default)]
struct Told(Vec<(String, String)>);

impl Told {
    fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push((place.into(), text.into()));
    }

    /// Returns the places, cut short, where a word was told.
    fn with(&self, word: &str) -> String {
        let mut found = String::new();
        for (place, text) in self.0.iter().filter(|(_, text)| text.contains(word)) {
            let at = text.find(word).unwrap_or(0);
            let around =
                &text[text.floor_char_boundary(at.saturating_sub(120))..text.floor_char_boundary(at + 60)];
            writeln!(found, "{place}: ...{around}").unwrap();
        }
        found
    }
}

/// A request: method, path, headers and body.
type Sent<'a> = (&'a str, String, Vec<(&'a str, String)>, String);

/// Requests that hold secrets, by somebody who may do everything. Each is meant as it stands: many are refused.
fn requests(all: &str, machine: &str) -> Vec<Sent<'static>> {
    let secret = |kind: &str| format!("{SECRET}{kind}");
    let bearer = ("authorization", format!("Bearer {all}"));
    let basic = |pair: String| ("authorization", format!("Basic {}", STANDARD.encode(pair)));
    let mut sent: Vec<Sent<'static>> = Vec::new();
    let mut ask = |method: &'static str, path: &str, body: Value| {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        sent.push((method, path.to_owned(), vec![bearer.clone()], text));
    };
    let param = secret("param");
    let sealed = json!({"leak/pin": param});
    // Passwords.
    ask(
        "POST",
        "/users",
        json!({"Name": "joe", "PasswordHash": secret("hash"), "Secret": secret("usersecret")}),
    );
    ask("PUT", "/users/joe/password", json!({"Password": secret("password")}));
    ask("PUT", "/users/nobody/password", json!({"Password": secret("password")}));
    ask("PUT", "/users/joe/password", json!({"Password": {"deep": secret("password")}}));
    ask("PUT", "/users/joe/password", json!([secret("password")]));
    ask("PUT", "/users/joe/password", json!(secret("password")));
    ask("PATCH", "/users/joe", json!([{"op": "replace", "path": "/PasswordHash", "value": secret("hash")}]));
    ask("PATCH", "/users/joe", json!([{"op": "test", "path": "/PasswordHash", "value": secret("hash")}]));
    ask(
        "PATCH",
        "/users/joe",
        json!([{"op": "add", "path": "/PasswordHash", "value": {"x": secret("hash")}}]),
    );
    ask("PATCH", "/users/joe", json!([{"op": "add", "path": "/PasswordHash", "value": [secret("hash")]}]));
    // Secure params, right and wrong.
    ask("POST", "/params", json!({"Name": "leak/pin", "Secure": true, "Schema": {"type": "string"}}));
    ask("POST", "/params", json!({"Name": "leak/number", "Secure": true, "Schema": {"type": "integer"}}));
    ask("POST", "/params", json!({"Name": "leak/word", "Secure": true, "Schema": {"enum": ["a"]}}));
    ask(
        "POST",
        "/params",
        json!({"Name": "leak/map", "Secure": true,
        "Schema": {"type": "object", "additionalProperties": false}}),
    );
    ask(
        "POST",
        "/params",
        json!({"Name": "leak/short", "Secure": true,
        "Schema": {"type": "string", "maxLength": 3, "pattern": "^x"}}),
    );
    for (prefix, key) in [("profiles", "leak"), ("machines", machine)] {
        ask(
            "POST",
            &format!("/{prefix}"),
            json!({"Name": "leak", "Params": sealed, "Description": format!("{PLAIN}event")}),
        );
        let path = format!("/{prefix}/{key}");
        ask("POST", &format!("{path}/params"), sealed.clone());
        ask("POST", &format!("{path}/params/leak%2Fpin"), json!(param));
        ask(
            "PATCH",
            &format!("{path}/params"),
            json!([{"op": "test", "path": "/leak~1pin", "value": param}]),
        );
        ask(
            "PATCH",
            &format!("{path}/params"),
            json!([{"op": "replace", "path": "/leak~1pin", "value": param}]),
        );
        ask("PATCH", &path, json!([{"op": "test", "path": "/Params/leak~1pin", "value": param}]));
        ask("PATCH", &path, json!([{"op": "add", "path": "/Params/leak~1pin", "value": param}]));
        for name in ["number", "word", "map", "short"] {
            let wrong = if name == "map" { json!({param.as_str(): param}) } else { json!(param) };
            ask("POST", &format!("{path}/params/leak%2F{name}"), wrong.clone());
            ask("POST", &format!("{path}/params"), json!({format!("leak/{name}"): wrong}));
            let add = json!([{"op": "add", "path": format!("/leak~1{name}"), "value": wrong}]);
            ask("PATCH", &format!("{path}/params"), add);
            ask(
                "PUT",
                &path,
                json!({"Name": "leak", "Uuid": key, "Params": {format!("leak/{name}"): wrong}}),
            );
        }
        ask("GET", &format!("{path}?aggregate=true&leak%2Fpin={param}"), Value::Null);
        ask("GET", &format!("/{prefix}?leak%2Fpin=Re({param})"), Value::Null);
    }
    templates::ask_all(machine, &mut ask);
    // Content, certificates, preferences, events, content of other services.
    let content = |pin: Value| {
        json!({"meta": {"Name": "leaky"}, "sections": {"profiles": {"leaky": {"Name": "leaky", "Params": {"leak/number": pin}}},
               "users": {"ann": {"Name": "ann", "PasswordHash": secret("hash"), "Roles": [7]}}}})
    };
    ask("POST", "/contents", content(json!(secret("param"))));
    ask("PUT", "/contents/leaky", content(json!({"x": secret("param")})));
    ask("POST", "/system/cert", json!({"Cert": STANDARD.encode("x"), "Key": STANDARD.encode(secret("key"))}));
    ask("POST", "/system/cert", json!({"Cert": "x", "Key": secret("key")}));
    ask(
        "POST",
        "/plugins",
        json!({"Name": "leak", "Provider": "none", "Params": {"leak/pin": secret("license")}}),
    );
    // Broken bodies.
    sent.push((
        "PUT",
        "/users/joe/password".into(),
        vec![bearer.clone()],
        format!("{{\"Password\": \"{SECRET}broken"),
    ));
    sent.push(("POST", "/users".into(), vec![bearer.clone()], format!("{SECRET}broken")));
    // Credentials, right and wrong, in headers and in URLs.
    let trace = |headers: Vec<(&'static str, String)>| {
        let mut headers = headers;
        headers.push(("x-log-request", String::from("trace")));
        headers.push(("x-log-token", format!("{PLAIN}log")));
        headers
    };
    for user in ["joe", "nobody"] {
        let pair = format!("{user}:{SECRET}password");
        sent.push(("GET", "/info".into(), trace(vec![basic(pair.clone())]), String::new()));
        sent.push(("GET", format!("/info?token={pair}"), trace(Vec::new()), String::new()));
        sent.push((
            "GET",
            format!("/machines/none?Token={pair}"),
            trace(vec![basic(String::from("joe:x"))]),
            String::new(),
        ));
    }
    sent.push(("GET", "/info".into(), trace(vec![basic(format!("{SECRET}asname:x"))]), String::new()));
    for header in
        [format!("Bearer {SECRET}bearer"), format!("Basic {SECRET}"), format!("Digest {SECRET}digest")]
    {
        sent.push(("GET", "/info".into(), trace(vec![("authorization", header)]), String::new()));
    }
    sent.push(("GET", format!("/info?token={SECRET}query"), trace(Vec::new()), String::new()));
    sent.push((
        "DELETE",
        format!("/machines/x?token={SECRET}query"),
        trace(vec![bearer.clone()]),
        String::new(),
    ));
    // Something that is no secret, in an error.
    sent.push(("GET", format!("/machines/{PLAIN}error"), vec![bearer.clone()], String::new()));
    // Last, as it ends the token.
    for (name, other) in [("systemGrantorSecret", "nonsense"), ("baseTokenSecret", "baseTokenSecret")] {
        let body = json!({name: secret("preference"), other: secret("preference")}).to_string();
        sent.push(("POST", "/prefs".into(), vec![bearer.clone()], body));
    }
    sent
}

#[tokio::test]
async fn marked_secrets_are_nowhere_in_what_is_told() {
    let lines = lines();
    let site = Site::new(Wishes::default());
    let mut heard = site.endpoint.hub.listen();
    let mut feed = site.endpoint.store.snapshot_and_feed().1;
    let mut changes = site.endpoint.store.snapshot_and_feed().1;
    let all = site.token(600, &[Claim::new("*", "*", "*")]);
    let machine = "11111111-2222-4333-8444-555555555555";
    let make = json!({"Name": "first", "Uuid": machine}).to_string();
    assert_eq!(site.send("POST", "/machines", &all, &make).await.status(), 201);
    let mut told = Told::default();
    let mut taken = 0;
    for (method, path, headers, body) in requests(&all, machine) {
        let mut request = Request::builder().method(method).uri(format!("{BASE_PATH}{path}"));
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(body.clone())).unwrap();
        let answer = routes(Arc::clone(&site.endpoint)).oneshot(request).await.unwrap();
        let (status, headers) = (answer.status(), format!("{:?}", answer.headers()));
        let body =
            String::from_utf8_lossy(&to_bytes(answer.into_body(), 1 << 22).await.unwrap()).into_owned();
        taken += usize::from(status.is_success());
        told.add(format!("headers of {method} {path}"), headers);
        // What is taken comes back to whoever sent it where the API says so, and what is rendered is what it is. What is
        // refused is in words without secrets.
        if !status.is_success() {
            told.add(format!("{status} of {method} {path}"), body);
        }
    }
    assert!(taken > 25, "{taken} requests were taken");
    crate::housekeeping::note_rendering(&site.endpoint, &mut changes).await;
    let fresh = site.token(600, &[Claim::new("*", "*", "*")]);
    for path in [
        "/drp_debug/index",
        "/drp_debug/index/users",
        "/drp_debug/index/profiles",
        "/debug/status",
        "/logs",
        "/connections",
        "/users",
        "/profiles",
        "/machines",
        "/plugins",
        "/contents",
        "/info",
    ] {
        let answer = site.send("GET", path, &fresh, "").await;
        assert_eq!(answer.status(), 200, "{path}");
        let body = to_bytes(answer.into_body(), 1 << 24).await.unwrap();
        told.add(path, String::from_utf8_lossy(&body));
    }
    while let Some(entry) = feed.try_next().unwrap() {
        crate::auth::tell_written(&entry);
        for event in site.endpoint.hub.of(&entry).iter() {
            told.add("event", event.text().as_str());
        }
    }
    while let Ok(event) = heard.try_recv() {
        told.add("event", event.text().as_str());
    }
    for line in lines.lock().unwrap().iter() {
        told.add("log", line.as_str());
    }
    for (kind, place) in [("event", "event"), ("error", "404"), ("log", "log")] {
        let found = told.with(&format!("{PLAIN}{kind}"));
        assert!(found.contains(place), "the scan does not see {kind}: {found}");
    }
    // Where templates fail, the words of it stand without the value.
    let withheld = told.with("<secure param");
    for place in ["/render:", "/actions:", "?raw=", "?expand=true:", "/machines:", "event:"] {
        assert!(withheld.contains(place), "{place} {withheld}");
    }
    let mut words = vec![SECRET.to_owned(), STANDARD.encode(SECRET)[..12].to_owned(), all.clone(), fresh];
    words.push(all.split('.').next().unwrap_or_default().to_owned());
    let leaks: Vec<String> =
        words.iter().map(|word| told.with(word)).filter(|found| !found.is_empty()).collect();
    assert!(leaks.is_empty(), "secrets were told:\n{}", leaks.join("\n"));
}
