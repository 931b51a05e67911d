use formwork_sdk::Timestamp;
use formwork_sdk::http::{HttpError, Method};
use formwork_sdk::testing::{Host, Reply};

use super::*;

const HOOK: &str = "https://hook.example/in?x=1";

/// What the manifest of the pack asks for, for a service of ours.
const GRANTS: [&str; 2] = ["http: https://hook.example/*", "secrets: webhook/secret"];

fn host() -> Host {
    Host::new().grants(GRANTS).unwrap()
}

fn config(more: impl IntoIterator<Item = (&'static str, Value)>) -> Config {
    [(URL, json!(HOOK))].into_iter().chain(more).collect()
}

fn event(kind: &str, action: &str) -> Event {
    Event {
        kind: kind.to_owned(),
        action: action.to_owned(),
        key: "n\u{e4}1".to_owned(),
        object: json!({"Name": "n1"}),
        time: Timestamp(1_767_225_599_000),
        revision: 7,
    }
}

#[test]
fn event_is_posted_once_with_its_delivery_and_signed() {
    let host = host().secret(SECRET, "Jefe").route(Method::Post, HOOK, Reply::status(204));
    let config = config([(HEADERS, json!({"X-Site": "a", "x-number": 5}))]);
    host.deliver::<Webhook>(&event("machines", "update"), &config).unwrap();
    let requests = host.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let expected = json!({
        "Time": "2025-12-31T23:59:59.000Z", "Type": "machines", "Action": "update", "Key": "n\u{e4}1",
        "Object": {"Name": "n1"}, "Revision": 7,
    });
    assert_eq!(body, expected);
    let header =
        |name: &str| request.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    assert_eq!(header("x-formwork-event"), Some("machines.update"));
    assert_eq!(header("x-formwork-delivery"), Some("7/machines/n?1"));
    assert_eq!((header("x-site"), header("x-number")), (Some("a"), Some("5")));
    let signature = signature::header(b"Jefe", &request.body);
    assert_eq!(header("x-formwork-signature"), Some(signature.as_str()));
}

#[test]
fn event_that_is_not_wanted_is_not_sent() {
    let host = host();
    host.deliver::<Webhook>(&event("jobs", "update"), &config([])).unwrap();
    let wanted = config([(EVENTS, json!(["machines.create.*"]))]);
    host.deliver::<Webhook>(&event("machines", "update"), &wanted).unwrap();
    assert!(host.requests().is_empty());
}

#[test]
fn refusal_of_the_service_is_told_with_the_beginning_of_its_words() {
    let words = "no room ".repeat(100);
    let host = host().route(Method::Post, HOOK, Reply::status(503).body(words));
    let failure = host.deliver::<Webhook>(&event("machines", "create"), &config([])).unwrap_err();
    assert_eq!(failure.code, "refused");
    assert!(failure.message.starts_with("`https://hook.example/in?x=1` answered with status 503: no room"));
    assert!(failure.message.len() < 300, "{failure}");
}

#[test]
fn redirect_is_a_refusal_and_is_not_followed() {
    let reply = Reply::status(302).header("location", "https://hook.example/other");
    let host = host().route(Method::Post, HOOK, reply);
    let failure = host.deliver::<Webhook>(&event("machines", "create"), &config([])).unwrap_err();
    assert!(failure.message.contains("status 302"), "{failure}");
    assert_eq!(host.requests().len(), 1);
}

#[test]
fn address_that_is_not_granted_or_does_not_answer_fails_the_delivery() {
    let fails = |host: &Host, config: &Config| {
        host.deliver::<Webhook>(&event("machines", "create"), config).unwrap_err().message
    };
    let elsewhere = Config::from_iter([(URL, "https://other.example/")]);
    assert_eq!(fails(&host(), &elsewhere), "`https://other.example/` is not granted to this component");
    let dead = host().http(|_| Err(HttpError::Unavailable("connection refused".to_owned())));
    assert_eq!(fails(&dead, &config([])), "no answer: connection refused");
    assert_eq!(fails(&host(), &Config::default()), "the plugin has no `webhook/url`");
    let own = config([(HEADERS, json!({"Host": "evil.example"}))]);
    assert!(fails(&host(), &own).contains("header `host`"));
}

#[test]
fn action_test_says_what_the_service_answered() {
    let host = host().route(Method::Post, HOOK, Reply::status(202));
    let call = ActionCall {
        plugin: "hook1".to_owned(),
        action: "test".to_owned(),
        config: config([]),
        ..ActionCall::default()
    };
    assert_eq!(host.act::<Webhook>(&call).unwrap(), json!({"status": 202}));
    let body: Value = serde_json::from_slice(&host.requests()[0].body).unwrap();
    assert_eq!(body["Key"], "hook1");
    let call = ActionCall { action: "other".to_owned(), ..call };
    assert_eq!(host.act::<Webhook>(&call).unwrap_err().code, "unknown-action");
}
