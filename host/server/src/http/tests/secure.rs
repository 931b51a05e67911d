//! Secure params as clients see them (drp-api.md 6.3; drp-behaviour.md 1.6).

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto_box::{PublicKey, SalsaBox, SecretKey, aead::Aead};
use formwork_model::{Machine, ObjectKey, Profile};
use serde_json::Value;

use super::*;
use crate::{commit::commit, random, render, secure::Vault};

/// A text that is in nothing but the secure param of these tests.
const SECRET: &str = "Correct-Horse-77";

/// What lets somebody do everything with profiles but see what is sealed.
fn without(action: &str) -> serde_json::Value {
    let actions =
        ["list", "get", "create", "update", "delete", "getSecure", "updateSecure"].map(String::from);
    let actions: Vec<String> = actions.into_iter().filter(|own| own != action).collect();
    json!([{"scope": "profiles", "action": actions.join(","), "specific": "*"}])
}

/// A site with a secure param, and the profiles `p1` and `p2` without values.
async fn site() -> Site {
    let site = Site::new(Wishes::default());
    define(&site).await;
    site
}

async fn define(site: &Site) {
    let schema = json!({"type": "string", "minLength": 3});
    site.taken("POST", "/params", &json!({"Name": "bmc/password", "Secure": true, "Schema": schema})).await;
    for name in ["p1", "p2"] {
        site.taken("POST", "/profiles", &json!({"Name": name})).await;
    }
}

/// Seals as a client does: with the public key of an object, a key pair and a nonce for this one value.
async fn seal(site: &Site, path: &str, value: &Value) -> Value {
    let (public, _) = site.taken("GET", &format!("{path}/pubkey"), &Value::Null).await;
    let public: [u8; 32] = STANDARD.decode(public.as_str().unwrap()).unwrap().try_into().unwrap();
    let ephemeral = SecretKey::from_bytes(random::bytes());
    let nonce: [u8; 24] = random::bytes();
    let sealing = SalsaBox::new(&PublicKey::from_bytes(public), &ephemeral);
    let payload = sealing.encrypt(&nonce.into(), value.to_string().as_bytes()).unwrap();
    json!({
        "Key": STANDARD.encode(ephemeral.public_key().as_bytes()),
        "Nonce": STANDARD.encode(nonce),
        "Payload": STANDARD.encode(payload),
    })
}

fn is_sealed(value: &Value) -> bool {
    let length =
        |name: &str| STANDARD.decode(value[name].as_str().unwrap_or_default()).map_or(0, |b| b.len());
    value.as_object().is_some_and(|members| members.len() == 3)
        && (length("Key"), length("Nonce")) == (32, 24)
        && length("Payload") >= 16
}

impl Site {
    async fn got(&self, path: &str) -> Value {
        self.taken("GET", path, &Value::Null).await.0
    }

    async fn invalid(&self, method: &str, path: &str, body: &Value) -> String {
        let all = self.token(60, &[Claim::new("*", "*", "*")]);
        let error = self.refused(method, path, &all, &body.to_string()).await;
        assert_eq!(error.code, 422, "{error}");
        error.messages.join("\n")
    }
}

#[tokio::test]
async fn sealed_by_the_client_opens_to_the_same_value() {
    let site = site().await;
    let sealed = seal(&site, "/profiles/p1", &json!(SECRET)).await;
    let (answer, _) = site.taken("POST", "/profiles/p1/params/bmc/password", &sealed).await;
    assert_eq!(answer, sealed);
    for path in ["/profiles/p1/params/bmc/password", "/profiles/p1/params/bmc%2Fpassword?aggregate=true"] {
        assert_eq!(site.got(path).await, sealed, "{path}");
    }
    assert_eq!(site.got("/profiles/p1/params/bmc/password?decode=true").await, SECRET);
    assert_eq!(site.got("/profiles/p1/params?decode=true").await, json!({"bmc/password": SECRET}));
    assert_eq!(site.got("/profiles/p1?decode=true").await["Params"]["bmc/password"], SECRET);
    assert_eq!(site.got("/profiles/p1").await["Params"]["bmc/password"], sealed);
    let listed = site.got("/profiles?Name=p1&decode=true").await;
    assert_eq!(listed[0]["Params"]["bmc/password"], SECRET);
    // What was read goes back as it is, whole.
    let whole = site.got("/profiles/p1").await;
    site.taken("PUT", "/profiles/p1", &whole).await;
    assert_eq!(site.got("/profiles/p1?decode=true").await["Params"]["bmc/password"], SECRET);
}

#[tokio::test]
async fn clear_value_is_sealed_before_it_is_stored_whichever_way_it_comes() {
    let site = site().await;
    let clear = json!({"bmc/password": SECRET});
    let patch = json!([{"op": "add", "path": "/Params/bmc~1password", "value": SECRET}]);
    let inner = json!([{"op": "add", "path": "/bmc~1password", "value": SECRET}]);
    let ways = [
        ("POST", "/profiles", json!({"Name": "p3", "Params": clear})),
        ("PUT", "/profiles/p1", json!({"Name": "p1", "Params": clear})),
        ("PATCH", "/profiles/p1", patch),
        ("POST", "/profiles/p1/params", clear.clone()),
        ("PATCH", "/profiles/p1/params", inner),
        ("POST", "/profiles/p1/params/bmc/password", json!(SECRET)),
    ];
    for (method, path, body) in ways {
        let (answer, _) = site.taken(method, path, &body).await;
        let text = answer.to_string();
        assert!(!text.contains(SECRET) && text.contains("Payload"), "{method} {path}: {text}");
        let name = if path == "/profiles" { "p3" } else { "p1" };
        let stored = site.endpoint.snapshot().get::<Profile>(name).unwrap();
        assert!(is_sealed(&stored.params.get("bmc/password").unwrap()), "{method} {path}");
        assert_eq!(site.got(&format!("/profiles/{name}/params/bmc/password?decode=true")).await, SECRET);
    }
    let (removed, _) = site.taken("DELETE", "/profiles/p1/params/bmc/password", &Value::Null).await;
    assert!(is_sealed(&removed));
    assert_eq!(site.got("/profiles/p1/params/bmc/password?decode=true").await, Value::Null);
}

#[tokio::test]
async fn wrong_lengths_are_422_with_the_documented_words() {
    let site = site().await;
    let good = seal(&site, "/profiles/p1", &json!(SECRET)).await;
    let short = |length: usize| json!(STANDARD.encode(vec![0; length]));
    let cases = [
        ("Key", short(31), "p1: Key `bmc/password`: key must be 32 bytes"),
        ("Nonce", short(23), "p1: Key `bmc/password`: nonce must be 24 bytes"),
        ("Payload", short(15), "p1: Key `bmc/password`: corrupt"),
        (
            "Payload",
            short(40),
            "p1: Key `bmc/password`: the value cannot be opened with the key of this object",
        ),
    ];
    for (member, text, words) in cases {
        let mut bad = good.clone();
        bad[member] = text;
        let told = site.invalid("POST", "/profiles/p1/params/bmc/password", &bad).await;
        assert!(told.starts_with(words), "{told}");
    }
    assert_eq!(site.got("/profiles/p1/params").await, json!({}));
}

#[tokio::test]
async fn decode_needs_get_secure_and_is_never_in_events() {
    let site = site().await;
    let mut feed = site.endpoint.store.feed();
    let paths = [
        "/profiles/p1/params/bmc/password?decode=true",
        "/profiles/p1/params?decode=true",
        "/profiles/p1?decode=true",
        "/profiles?decode=true",
    ];
    site.taken("POST", "/profiles/p1/params/bmc/password", &json!(SECRET)).await;
    site.taken("PATCH", "/profiles/p1", &json!([{"op": "add", "path": "/Description", "value": "x"}])).await;
    let blind = site.user("blind", without("getSecure")).await;
    let seeing = site.user("seeing", without("updateSecure")).await;
    for path in paths {
        let error = site.refused("GET", path, &blind, "").await;
        assert!(error.code == 403 && error.messages[0].contains("profiles getSecure"), "{path}: {error}");
        assert!(!error.to_string().contains(SECRET));
        let answer = site.send("GET", path, &seeing, "").await;
        let text = String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        assert!(text.contains(SECRET), "{path}: {text}");
        let sealed = path.replace("decode=true", "");
        let answer = site.send("GET", &sealed, &blind, "").await;
        let text = String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        assert!(text.contains("Payload") && !text.contains(SECRET), "{sealed}: {text}");
    }
    let mut told = 0;
    let last = site.endpoint.snapshot().revision();
    loop {
        let entry = feed.next().await.unwrap();
        for event in site.endpoint.hub.of(&entry).iter() {
            assert!(!event.text().contains(SECRET), "{}", event.text().as_str());
            assert_ne!(event.r#type, "object_keys");
            told += usize::from(event.text().contains("Payload"));
        }
        if entry.revision >= last {
            break;
        }
    }
    assert!(told >= 2, "the sealed form was told");
}

#[tokio::test]
async fn schema_is_checked_on_the_opened_value_which_is_not_repeated() {
    let site = site().await;
    let path = "/profiles/p1/params/bmc/password";
    let short = seal(&site, "/profiles/p1", &json!("Zq")).await;
    let number = seal(&site, "/profiles/p1", &json!(77_123)).await;
    for (body, secret) in [(short, "Zq"), (number, "77123"), (json!("Zq"), "Zq"), (json!(77_123), "77123")] {
        let told = site.invalid("POST", path, &body).await;
        assert!(told.starts_with("p1: Key `bmc/password`: "), "{told}");
        assert!(!told.contains(secret), "{told}");
        assert_eq!(told.lines().count(), 1, "told once: {told}");
    }
    assert_eq!(site.got(path).await, Value::Null);
}

#[tokio::test]
async fn value_copied_to_another_object_is_refused() {
    let site = site().await;
    let (sealed, _) = site.taken("POST", "/profiles/p1/params/bmc/password", &json!(SECRET)).await;
    let copied = site.invalid("POST", "/profiles/p2/params/bmc/password", &sealed).await;
    assert!(
        copied.contains("hint: seal it to the public key that GET /profiles/p2/pubkey answers"),
        "{copied}"
    );
    site.invalid("POST", "/profiles", &json!({"Name": "p3", "Params": {"bmc/password": sealed}})).await;
    assert_eq!(site.got("/profiles/p2/params").await, json!({}));
}

#[tokio::test]
async fn param_of_an_action_is_opened_with_the_key_of_the_object() {
    let site = site().await;
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let own = json!({"bmc/password": seal(&site, "/profiles/p1", &json!(SECRET)).await});
    let short = json!({"bmc/password": seal(&site, "/profiles/p1", &json!("Zq")).await});
    let cases = [
        ("/profiles/p1/actions/none", &own, 404, "no plugin offers the action `none`"),
        ("/profiles/p1/actions/none", &short, 400, "none: Key `bmc/password`: value is shorter"),
        (
            "/profiles/p2/actions/none",
            &own,
            400,
            "the value of `bmc/password` cannot be opened with the key of",
        ),
    ];
    for (path, body, code, words) in cases {
        let error = site.refused("POST", path, &all, &body.to_string()).await;
        assert!(error.code == code && error.messages[0].starts_with(words), "{path}: {error}");
    }
}

#[tokio::test]
async fn key_goes_with_its_object_and_a_new_one_has_another() {
    let site = site().await;
    let keys = || site.endpoint.snapshot().list::<ObjectKey>().len();
    let (sealed, _) = site.taken("POST", "/profiles/p1/params/bmc/password", &json!(SECRET)).await;
    let first = site.got("/profiles/p1/pubkey").await;
    assert_eq!(site.got("/profiles/p1/pubkey").await, first, "it stays");
    assert_ne!(site.got("/profiles/p2/pubkey").await, first, "each has its own");
    assert_eq!(keys(), 2);
    site.taken("DELETE", "/profiles/p1", &Value::Null).await;
    assert_eq!(keys(), 1);
    site.taken("POST", "/profiles", &json!({"Name": "p1"})).await;
    assert_ne!(site.got("/profiles/p1/pubkey").await, first);
    site.invalid("POST", "/profiles/p1/params/bmc/password", &sealed).await;
    assert_eq!(
        site.send("GET", "/profiles/p9/pubkey", &site.token(60, &[Claim::new("*", "*", "*")]), "")
            .await
            .status(),
        404
    );
}

#[tokio::test]
async fn every_type_that_bears_params_has_a_public_key_and_no_other() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let mut bearing = 0;
    for kind in KINDS.iter().filter(|kind| is_generic(kind)) {
        let id = if kind.address_key { "0A070001" } else { "x1" };
        let path = format!("/{}/{id}/pubkey", kind.prefix);
        if !kind.bears_params {
            let status = site.send("GET", &path, &all, "").await.status();
            assert!(status == 404 || status == 405, "{path}: {status}");
            continue;
        }
        assert_eq!(site.send("GET", &path, &all, "").await.status(), 404, "{path}");
        let text = if kind.address_key { "10.7.0.1" } else { "x1" };
        let object = (kind.decode)(json!({kind.key: text})).unwrap();
        commit(&site.endpoint, "system", move |work| work.put_unchecked(object.boxed()).map(drop))
            .await
            .unwrap();
        let key = site.got(&path).await;
        assert_eq!(STANDARD.decode(key.as_str().unwrap()).unwrap().len(), 32, "{path}");
        assert_eq!(site.got(&path).await, key, "{path}");
        bearing += 1;
    }
    assert!(bearing >= 19, "{bearing}");
}

#[tokio::test]
async fn sealing_takes_a_right_of_its_own() {
    let site = site().await;
    let weak = site.user("weak", without("updateSecure")).await;
    let strong = site.user("strong", without("getSecure")).await;
    let path = "/profiles/p1/params/bmc/password";
    let made = json!({"Name": "p4", "Params": {"bmc/password": SECRET}});
    let requests = [
        ("POST", path, json!(SECRET)),
        ("PATCH", "/profiles/p1/params", json!([{"op": "add", "path": "/bmc~1password", "value": SECRET}])),
        ("PUT", "/profiles/p1", json!({"Name": "p1", "Params": {"bmc/password": SECRET}})),
        ("POST", "/profiles", made),
        ("GET", "/profiles/p1/pubkey", Value::Null),
        ("DELETE", path, Value::Null),
    ];
    for (method, path, body) in requests {
        if method == "DELETE" {
            site.taken("POST", path, &json!(SECRET)).await;
        }
        let error = site.refused(method, path, &weak, &body.to_string()).await;
        assert!(error.code == 403 && error.messages[0].contains("updateSecure"), "{method} {path}: {error}");
        let status = site.send(method, path, &strong, &body.to_string()).await.status();
        assert!(status.is_success(), "{method} {path}: {status}");
    }
    // What does not touch them needs nothing more.
    site.taken("POST", path, &json!(SECRET)).await;
    let other = json!([{"op": "add", "path": "/Params/free", "value": 1}]).to_string();
    assert_eq!(site.send("PATCH", "/profiles/p1", &weak, &other).await.status(), 200);
}

#[tokio::test]
async fn param_that_becomes_secure_has_its_values_sealed_and_one_that_was_does_not_open() {
    let site = Site::new(Wishes::default());
    for name in ["p1", "p2"] {
        site.taken("POST", "/profiles", &json!({"Name": name, "Params": {"later": SECRET, "free": 1}})).await;
    }
    site.taken("POST", "/params", &json!({"Name": "later", "Schema": {"type": "string"}})).await;
    let secure = |is: bool| json!([{"op": "replace", "path": "/Secure", "value": is}]);
    site.taken("PATCH", "/params/later", &secure(true)).await;
    for name in ["p1", "p2"] {
        let params = site.got(&format!("/profiles/{name}/params")).await;
        assert!(is_sealed(&params["later"]) && params["free"] == 1, "{params}");
        assert_eq!(site.got(&format!("/profiles/{name}/params/later?decode=true")).await, SECRET);
    }
    site.taken("PATCH", "/params/later", &secure(false)).await;
    assert!(is_sealed(&site.got("/profiles/p1/params/later?decode=true").await));
}

#[tokio::test]
async fn what_looks_sealed_in_a_param_that_is_not_secure_is_never_opened() {
    let site = site().await;
    let sealed = seal(&site, "/profiles/p1", &json!(SECRET)).await;
    site.taken("POST", "/profiles/p1/params/free", &sealed).await;
    assert_eq!(site.got("/profiles/p1/params/free?decode=true").await, sealed);
}

#[tokio::test]
async fn secure_clear_values_of_a_bundle_are_sealed_at_load_and_sealed_ones_taken_as_they_are() {
    let site = site().await;
    let foreign = seal(&site, "/profiles/p1", &json!(SECRET)).await;
    let bundle = |version: &str| {
        json!({
            "meta": {"Name": "bundled", "Version": version},
            "sections": {
                "profiles": {
                    "b1": {"Name": "b1", "Params": {"b/secret": SECRET, "bmc/password": SECRET}},
                    "b2": {"Name": "b2", "Params": {"bmc/password": foreign}},
                },
                "params": {"b/secret": {"Name": "b/secret", "Secure": true, "Schema": {"type": "string"}}},
            },
        })
    };
    site.taken("POST", "/contents", &bundle("1.0.0")).await;
    for _ in 0..2 {
        let shown = site.got("/contents/bundled").await.to_string();
        assert!(!shown.contains(SECRET) && shown.contains("Payload"), "{shown}");
        let clear = site.got("/profiles/b1/params?decode=true").await;
        assert_eq!(clear, json!({"b/secret": SECRET, "bmc/password": SECRET}));
        assert_eq!(site.got("/profiles/b2/params/bmc/password").await, foreign);
        site.taken("PUT", "/contents/bundled", &bundle("1.0.1")).await;
    }
    let bad = json!({
        "meta": {"Name": "bad"},
        "sections": {"profiles": {"b3": {"Name": "b3", "Params": {"bmc/password": "Zq"}}}},
    });
    let told = site.invalid("POST", "/contents", &bad).await;
    assert!(told.contains("b3: Key `bmc/password`") && !told.contains("Zq"), "{told}");
    site.taken("POST", "/contents", &json!({"meta": {"Name": "other"}})).await;
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    assert_eq!(site.send("DELETE", "/contents/bundled", &all, "").await.status(), 204);
    let left = site.endpoint.snapshot().list::<ObjectKey>();
    assert!(left.iter().all(|pair| !pair.id.starts_with("profiles/b")), "{left:?}");
}

#[tokio::test]
async fn machine_uses_the_opened_values_of_its_profiles() {
    let site = site().await;
    site.taken("POST", "/params", &json!({"Name": "keys", "Secure": true, "Schema": {"type": "array"}}))
        .await;
    let params = json!({"bmc/password": SECRET, "keys": ["of profile"]});
    site.taken("POST", "/profiles/p1/params", &params).await;
    let machine = json!({"Name": "m1.example", "Profiles": ["p1"], "Params": {"keys": ["own"]}});
    let (machine, _) = site.taken("POST", "/machines", &machine).await;
    let uuid = machine["Uuid"].as_str().unwrap();
    let one = |name: &str, query: &str| format!("/machines/{uuid}/params/{name}?{query}");
    assert_eq!(site.got(&one("bmc/password", "aggregate=true&decode=true")).await, SECRET);
    assert_eq!(site.got(&one("bmc/password", "decode=true")).await, Value::Null);
    assert_eq!(site.got(&one("keys", "compose=true&decode=true")).await, json!(["own", "of profile"]));
    let all = site.got(&format!("/machines/{uuid}/params?aggregate=true&decode=true")).await;
    assert_eq!((&all["bmc/password"], &all["keys"]), (&json!(SECRET), &json!(["own"])));
    let listed = site.got("/machines?aggregate=true&decode=true&params=bmc/password").await;
    assert_eq!(listed[0]["Params"], json!({"bmc/password": SECRET}));
    let text = "{{.Param \"bmc/password\"}} {{.ParamExists \"bmc/password\"}} {{.ParamAsJSON \"keys\"}} \
                {{range .ParamCompose \"keys\"}}{{.}};{{end}}";
    let entry = formwork_model::TemplateInfo { contents: text.to_owned(), ..Default::default() };
    let snapshot = site.endpoint.snapshot();
    let machine = snapshot.get::<Machine>(uuid).unwrap();
    let rendered = render::text_for(&site.endpoint, &snapshot, machine, entry, &Arc::default()).unwrap();
    assert_eq!(rendered, format!("{SECRET} true [\"own\"] own;of profile;"));
    // The agent's own token reads what the machine uses.
    let token = site.got(&format!("/machines/{uuid}/token")).await["Token"].as_str().unwrap().to_owned();
    let answer = site.send("GET", &one("bmc/password", "aggregate=true&decode=true"), &token, "").await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn group_has_the_key_of_its_profile() {
    let site = site().await;
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let (cluster, _) = site.taken("POST", "/clusters", &json!({"Name": "p1"})).await;
    let path = format!("/clusters/{}/group/pubkey", cluster["Uuid"].as_str().unwrap());
    assert_eq!(site.got(&path).await, site.got("/profiles/p1/pubkey").await);
    assert_eq!(site.send("GET", "/clusters/none/group/pubkey", &all, "").await.status(), 404);
}

#[tokio::test]
async fn keys_survive_a_restart_and_are_sealed_on_disk() {
    let mut site = Site::new(Wishes::default());
    let path = site.folder.path().join("objects.redb");
    site.on_disk(&path).await;
    define(&site).await;
    site.taken("POST", "/profiles/p1/params/bmc/password", &json!(SECRET)).await;
    let public = site.got("/profiles/p1/pubkey").await;
    let pair = site.endpoint.snapshot().get::<ObjectKey>("profiles/p1").unwrap();
    assert!(STANDARD.decode(&pair.sealed).unwrap().len() == 12 + 32 + 16, "nonce, secret, tag");
    site.endpoint.store.close().await;
    let bytes = std::fs::read(&path).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("bmc/password") && holds("Payload"), "the file is what it is taken for");
    assert!(!holds(SECRET) && !holds(&STANDARD.encode(format!("\"{SECRET}\""))));
    site.on_disk(&path).await;
    assert_eq!(site.got("/profiles/p1/pubkey").await, public);
    assert_eq!(site.got("/profiles/p1/params/bmc/password?decode=true").await, SECRET);
}

#[tokio::test]
async fn lost_key_of_the_endpoint_loses_old_values_and_not_new_ones() {
    let mut site = site().await;
    site.taken("POST", "/profiles/p1/params/bmc/password", &json!(SECRET)).await;
    let lost = Vault::load(&site.folder.path().join("other.key")).unwrap();
    Arc::get_mut(&mut site.endpoint).unwrap().vault = Arc::new(lost);
    let path = "/profiles/p1/params/bmc/password";
    let told = site.invalid("GET", &format!("{path}?decode=true"), &Value::Null).await;
    assert_eq!(told, "the value of `bmc/password` cannot be opened with the key of `profiles:p1`");
    assert!(is_sealed(&site.got("/profiles/p1/params?decode=true").await["bmc/password"]));
    site.taken("POST", path, &json!("anew")).await;
    assert_eq!(site.got(&format!("{path}?decode=true")).await, "anew");
    let sealed = seal(&site, "/profiles/p1", &json!("again")).await;
    site.taken("POST", path, &sealed).await;
    assert_eq!(site.got(&format!("{path}?decode=true")).await, "again");
}

#[tokio::test]
async fn what_an_older_release_left_in_the_clear_is_sealed_at_the_start() {
    let site = site().await;
    let clear = Profile {
        name: "old".into(),
        params: [("bmc/password".to_owned(), json!(SECRET))].into(),
        ..Default::default()
    };
    commit(&site.endpoint, "system", move |work| work.put_unchecked(Box::new(clear.clone())).map(drop))
        .await
        .unwrap();
    let revision = || site.endpoint.snapshot().revision();
    crate::secure::seal_existing(&site.endpoint).await.unwrap();
    assert!(is_sealed(&site.got("/profiles/old/params/bmc/password").await));
    assert_eq!(site.got("/profiles/old/params/bmc/password?decode=true").await, SECRET);
    let before = revision();
    crate::secure::seal_existing(&site.endpoint).await.unwrap();
    assert_eq!(revision(), before, "what is sealed stays");
}

#[tokio::test]
async fn merged_values_are_opened_where_the_caller_may_see_those_of_their_own_object() {
    let site = site().await;
    site.taken("POST", "/params", &json!({"Name": "own/secret", "Secure": true})).await;
    site.taken("POST", "/profiles/p1/params/bmc%2Fpassword", &json!(SECRET)).await;
    let body = json!({"Name": "m1", "Profiles": ["p1"], "Params": {"own/secret": "mine"}});
    let (machine, _) = site.taken("POST", "/machines", &body).await;
    let path = format!("/machines/{}", machine["Uuid"].as_str().unwrap());
    let narrow = site.token(60, &[Claim::new("machines", "list,get,getSecure", "*")]);
    let wide = site.token(
        60,
        &[Claim::new("machines", "list,get,getSecure", "*"), Claim::new("profiles", "getSecure", "p1")],
    );
    for (path, place) in [
        (format!("{path}/params?decode=true&aggregate=true"), ""),
        (format!("{path}?decode=true&aggregate=true"), "/Params"),
        (String::from("/machines?decode=true&aggregate=true"), "/0/Params"),
    ] {
        for (token, opens) in [(&narrow, false), (&wide, true)] {
            let answer = site.send("GET", &path, token, "").await;
            let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            let answer: Value = serde_json::from_slice(&bytes).unwrap();
            let params = answer.pointer(place).unwrap();
            assert_eq!(params["own/secret"], "mine", "{path}");
            assert_eq!(params["bmc/password"] == SECRET, opens, "{path}");
            assert_eq!(is_sealed(&params["bmc/password"]), !opens, "{path}");
        }
    }
}

#[tokio::test]
async fn secure_params_of_a_cluster_go_with_its_name() {
    let site = site().await;
    let (cluster, _) = site.taken("POST", "/clusters", &json!({"Name": "c1"})).await;
    site.taken("POST", "/profiles/c1/params/bmc%2Fpassword", &json!(SECRET)).await;
    let path = format!("/clusters/{}", cluster["Uuid"].as_str().unwrap());
    site.taken("PATCH", &path, &json!([{"op": "replace", "path": "/Name", "value": "c2"}])).await;
    assert_eq!(site.got("/profiles/c2/params/bmc%2Fpassword?decode=true").await, SECRET);
    assert!(is_sealed(&site.got("/profiles/c2/params/bmc%2Fpassword").await));
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    assert_eq!(site.refused("GET", "/profiles/c1", &all, "").await.code, 404);
}
