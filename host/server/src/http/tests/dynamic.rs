//! Types that somebody declares while the endpoint runs (drp-api.md 7.26, 7A.10).

use std::collections::{BTreeMap, BTreeSet};

use formwork_model::{KINDS, PluginProvider};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::commit::commit;

/// Declares a type of lamps.
async fn declare(site: &Site, name: &str) {
    let properties = json!({"Watts": {"type": "integer", "maximum": 100}, "Rooms": {"type": "array"}});
    site.taken("POST", "/store_objects", &json!({"Name": name, "Properties": properties})).await;
}

async fn read(site: &Site, path: &str) -> Value {
    site.taken("GET", path, &Value::Null).await.0
}

/// Sends a request and returns the status.
async fn status(site: &Site, method: &str, path: &str, body: &Value) -> u16 {
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let text = if body.is_null() { String::new() } else { body.to_string() };
    site.send(method, path, &all, &text).await.status().as_u16()
}

/// Sends a request that is refused, and returns the status and the messages.
async fn why(site: &Site, method: &str, path: &str, body: &Value) -> (u16, String) {
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let error = site.refused(method, path, &all, &body.to_string()).await;
    (error.code, error.messages.join("; "))
}

/// Returns what was told since a revision, as `TYPE.ACTION.KEY`.
async fn events(site: &Site, from: formwork_store::Revision) -> BTreeSet<String> {
    let (mut feed, last) =
        (site.endpoint.store.feed_since(from).unwrap(), site.endpoint.snapshot().revision());
    let mut told = BTreeSet::new();
    loop {
        let entry = feed.next().await.unwrap();
        let events = site.endpoint.hub.of(&entry);
        told.extend(events.iter().map(|event| format!("{}.{}.{}", event.r#type, event.action, event.key)));
        if entry.revision >= last {
            return told;
        }
    }
}

fn keys(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|object| object["Id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn declared_type_has_the_whole_life_of_a_type() {
    let site = Site::new(Wishes::default());
    assert_eq!(status(&site, "GET", "/lamps", &Value::Null).await, 404);
    let role =
        json!({"Name": "lighter", "Claims": [{"scope": "lamps", "action": "getSecure", "specific": "*"}]});
    assert_eq!(status(&site, "POST", "/roles", &role).await, 422);
    declare(&site, "lamps").await;
    let from = site.endpoint.snapshot().revision();

    let lamp = |id: &str, watts: i64| json!({"Type": "lamps", "Id": id, "Watts": watts, "Color": "red", "Params": {"a/b": 1}});
    let (made, _) = site.taken("POST", "/lamps", &lamp("hall", 40)).await;
    assert_eq!(
        (&made["Type"], &made["Watts"], &made["Available"]),
        (&json!("lamps"), &json!(40), &json!(true))
    );
    site.taken("POST", "/lamps", &json!({"Id": "attic", "Watts": 7.0, "Nested": {"x": null}})).await;
    assert_eq!(why(&site, "POST", "/lamps", &lamp("hall", 1)).await.0, 409);
    assert_eq!(why(&site, "POST", "/lamps", &json!({"Type": "candles", "Id": "c"})).await.0, 400);

    assert_eq!(read(&site, "/lamps/attic").await["Nested"], json!({"x": null}));
    assert_eq!(read(&site, "/lamps/Id:attic").await["Type"], "lamps", "a body without a type gets it");
    assert_eq!(keys(&read(&site, "/lamps").await), ["attic", "hall"]);
    for (query, found) in [
        ("Watts=Gt(8)", vec!["hall"]),
        ("sort=Watts&reverse=true", vec!["hall", "attic"]),
        ("Color=Eq(red)", vec!["hall"]),
        ("Color=Ne(red)", vec!["attic"]),
        ("a/b=1", vec!["hall"]),
        ("Key=In(hall,attic)&limit=1", vec!["attic"]),
    ] {
        assert_eq!(keys(&read(&site, &format!("/lamps?{query}")).await), found, "{query}");
    }
    assert_eq!(status(&site, "GET", "/lamps?Nothing=1", &Value::Null).await, 406);

    let (put, _) = site.taken("PUT", "/lamps/hall", &json!({"Id": "hall", "Watts": 41})).await;
    assert_eq!((&put["Watts"], put.get("Color"), &put["Params"]), (&json!(41), None, &json!({})));
    let patch =
        json!([{"op": "test", "path": "", "value": put}, {"op": "add", "path": "/Color", "value": "blue"}]);
    assert_eq!(site.taken("PATCH", "/lamps/hall", &patch).await.0["Color"], "blue");

    site.taken("POST", "/lamps/hall/params", &json!({"a/b": 2})).await;
    site.taken("POST", "/lamps/hall/params/c/d", &json!("e")).await;
    assert_eq!(read(&site, "/lamps/hall/params").await, json!({"a/b": 2, "c/d": "e"}));
    assert_eq!(site.taken("DELETE", "/lamps/hall/params/c/d", &Value::Null).await.0, "e");
    site.taken("POST", "/params", &json!({"Name": "pin", "Secure": true, "Schema": {"type": "string"}}))
        .await;
    site.taken("POST", "/lamps/hall/params/pin", &json!("1234")).await;
    assert!(!read(&site, "/lamps/hall").await.to_string().contains("1234"));
    assert_eq!(read(&site, "/lamps/hall/params/pin?decode=true").await, "1234");
    assert!(read(&site, "/lamps/hall/pubkey").await.is_string());
    let meta = json!([{"op": "add", "path": "/icon", "value": "lamp"}]);
    assert_eq!(site.taken("PATCH", "/meta/lamps/hall", &meta).await.0["icon"], "lamp");
    assert_eq!(read(&site, "/lamps/hall/actions").await, json!([]));
    assert_eq!(why(&site, "POST", "/lamps/hall/actions/blink", &json!({})).await.0, 404);

    assert!(read(&site, "/objects").await.as_array().unwrap().contains(&json!("lamps")));
    let indexes = read(&site, "/indexes").await;
    assert_eq!(
        (&indexes["lamps"]["Watts"]["Type"], &indexes["lamps"]["Id"]["Unique"]),
        (&json!("number"), &json!(true))
    );
    assert_eq!(read(&site, "/indexes/lamps/Rooms").await["Type"], "list");
    assert!(read(&site, "/info").await["scopes"]["lamps"]["updateSecure"].is_object());
    site.taken("POST", "/roles", &role).await;
    let few = site.token(60, &[Claim::new("lamps", "get,update:/Watts", "hall")]);
    let dim = json!([{"op": "replace", "path": "/Watts", "value": 5}]).to_string();
    let stain = json!([{"op": "replace", "path": "/Color", "value": "grey"}]).to_string();
    for (method, path, body, code) in [
        ("GET", "/lamps/hall", "", 200),
        ("PATCH", "/lamps/hall", dim.as_str(), 200),
        ("PATCH", "/lamps/hall", stain.as_str(), 403),
        ("GET", "/lamps", "", 403),
        ("DELETE", "/lamps/hall", "", 403),
    ] {
        assert_eq!(site.send(method, path, &few, body).await.status(), code, "{method} {path} {body}");
    }
    assert_eq!(site.send("GET", "/lamps", "", "").await.status(), 401);

    site.taken("DELETE", "/lamps/attic", &Value::Null).await;
    site.taken("DELETE", "/lamps/hall", &Value::Null).await;
    let events = events(&site, from).await;
    for wanted in ["lamps.create.hall", "lamps.update.hall", "lamps.delete.attic"] {
        assert!(events.contains(wanted), "{wanted}: {events:?}");
    }
    site.taken("DELETE", "/store_objects/lamps", &Value::Null).await;
    assert_eq!(status(&site, "GET", "/lamps", &Value::Null).await, 404);
    assert!(!read(&site, "/objects").await.as_array().unwrap().contains(&json!("lamps")));
    assert!(read(&site, "/info").await["scopes"].get("lamps").is_none());
}

#[tokio::test]
async fn schema_of_the_declaration_is_enforced() {
    let site = Site::new(Wishes::default());
    declare(&site, "bulbs").await;
    site.taken("POST", "/bulbs", &json!({"Id": "b1", "Watts": 100})).await;
    let heavier = json!([{"op": "replace", "path": "/Watts", "value": 101}]);
    for (method, path, body) in [
        ("POST", "/bulbs", json!({"Id": "b2", "Watts": "many"})),
        ("POST", "/bulbs", json!({"Id": "b2", "Watts": 1.5})),
        ("PUT", "/bulbs/b1", json!({"Id": "b1", "Watts": -0.5})),
        ("PATCH", "/bulbs/b1", heavier),
    ] {
        let (code, words) = why(&site, method, path, &body).await;
        assert!(code == 422 && words.contains("/Watts"), "{method} {body}: {code} {words}");
    }
    assert_eq!(read(&site, "/bulbs/b1").await["Watts"], 100);
    let broken = json!({"Name": "tubes", "Properties": {"Watts": {"type": "number of watts"}}});
    assert_eq!(status(&site, "POST", "/store_objects", &broken).await, 422);

    // The schema of a plugin provider is of the whole object; it need not tell what all types have.
    let schema = json!({"properties": {"Watts": {"type": "integer"}, "Id": {"pattern": "^s"}},
                        "required": ["Watts"], "additionalProperties": false});
    let provider = PluginProvider {
        name: "shop".into(),
        store_objects: [(String::from("switches"), schema), (String::from("machines"), json!({}))].into(),
        ..PluginProvider::default()
    };
    let put = commit(&site.endpoint, "system", move |work| {
        work.put_unchecked(Box::new(provider.clone())).map(drop)
    });
    put.await.unwrap();
    site.taken("POST", "/switches", &json!({"Id": "s1", "Watts": 1, "Description": "d", "Meta": {"a": "b"}}))
        .await;
    for (body, part) in [
        (json!({"Id": "s2"}), "Watts"),
        (json!({"Id": "t2", "Watts": 1}), "/Id"),
        (json!({"Id": "s2", "Watts": 1, "Color": "red"}), "Color"),
    ] {
        let (code, words) = why(&site, "POST", "/switches", &body).await;
        assert!(code == 422 && words.contains(part), "{body}: {code} {words}");
    }
    // A type is declared once.
    let (code, words) = why(&site, "POST", "/store_objects", &json!({"Name": "switches"})).await;
    assert!(code == 422 && words.contains("shop"), "{code} {words}");
    let types = read(&site, "/objects").await;
    assert_eq!(types.as_array().unwrap().iter().filter(|name| *name == "machines").count(), 1);
}

#[tokio::test]
async fn bundle_brings_a_type_with_its_objects_and_takes_them_away() {
    let site = Site::new(Wishes::default());
    let bundle = |watts: Value| {
        json!({"meta": {"Name": "light"}, "sections": {
            "candles": {"c1": {"Id": "c1", "Watts": watts}},
            "store_objects": {"candles": {"Name": "candles", "Properties": {"Watts": {"type": "integer"}}}},
        }})
    };
    let (code, words) = why(&site, "POST", "/contents", &bundle(json!("few"))).await;
    assert!(code == 422 && words.contains("candles:c1") && words.contains("/Watts"), "{code} {words}");
    assert_eq!(status(&site, "GET", "/candles", &Value::Null).await, 404);
    site.taken("POST", "/contents", &bundle(json!(2))).await;
    let candle = read(&site, "/candles/c1").await;
    assert_eq!(
        (&candle["Bundle"], &candle["ReadOnly"], &candle["Watts"]),
        (&json!("light"), &json!(true), &json!(2))
    );
    assert_eq!(read(&site, "/contents/light").await["sections"]["candles"]["c1"]["Type"], "candles");
    site.taken("POST", "/candles", &json!({"Id": "c2", "Watts": 1})).await;
    let own = &read(&site, "/contents/BackingStore").await["sections"]["candles"];
    assert_eq!(own.as_object().unwrap().len(), 1);
    // The type goes with the bundle, unless somebody else has objects of it.
    assert_eq!(status(&site, "DELETE", "/contents/light", &Value::Null).await, 409);
    site.taken("DELETE", "/candles/c2", &Value::Null).await;
    assert_eq!(status(&site, "DELETE", "/contents/light", &Value::Null).await, 204);
    assert_eq!(status(&site, "GET", "/candles", &Value::Null).await, 404);
}

#[tokio::test]
async fn prefix_of_a_built_in_type_is_refused() {
    let site = Site::new(Wishes::default());
    let first = |path: &str| path.split('/').nth(1).unwrap().to_owned();
    let of_routes: BTreeSet<String> = all().iter().map(|route| first(&route.path)).collect();
    let of_types = KINDS.iter().map(|kind| kind.prefix.to_owned());
    let mut taken = Vec::new();
    for name in of_routes.into_iter().chain(of_types).chain([String::from("a b"), String::from("a%2Fb")]) {
        if status(&site, "POST", "/store_objects", &json!({"Name": name})).await != 422 {
            taken.push(name);
        }
    }
    assert_eq!(taken, Vec::<String>::new(), "each is a part of the API, and `PATHS` of the model lacks it");
}

/// What a test does to the types and objects.
#[derive(Clone, Copy, Debug)]
enum Step {
    Declare(usize),
    Undeclare(usize, bool),
    Create(usize, u8),
    Delete(usize, u8),
}

/// Types of which tests declare some; no other test uses them.
const TYPES: [&str; 3] = ["chairs", "tables", "rugs"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_usize).prop_map(Step::Declare),
        (0..3_usize, any::<bool>()).prop_map(|(kind, force)| Step::Undeclare(kind, force)),
        (0..3_usize, 0..2_u8).prop_map(|(kind, key)| Step::Create(kind, key)),
        (0..3_usize, 0..2_u8).prop_map(|(kind, key)| Step::Delete(kind, key)),
    ]
}

/// What there should be: the objects of each type that is declared.
type Expected = BTreeMap<usize, BTreeSet<u8>>;

/// Does a step, and returns the status and the one that is expected.
async fn done(site: &Site, step: Step, expected: &mut Expected) -> (u16, u16) {
    match step {
        Step::Declare(kind) => {
            let wanted = if expected.contains_key(&kind) { 409 } else { 201 };
            expected.entry(kind).or_default();
            (status(site, "POST", "/store_objects", &json!({"Name": TYPES[kind]})).await, wanted)
        }
        Step::Undeclare(kind, force) => {
            let wanted = match expected.get(&kind) {
                None => 404,
                Some(objects) if objects.is_empty() => 200,
                Some(_) => 409,
            };
            if wanted == 200 {
                expected.remove(&kind);
            }
            let path = format!("/store_objects/{}?force={force}", TYPES[kind]);
            (status(site, "DELETE", &path, &Value::Null).await, wanted)
        }
        Step::Create(kind, key) => {
            let wanted = match expected.get_mut(&kind).map(|objects| objects.insert(key)) {
                None => 404,
                Some(true) => 201,
                Some(false) => 409,
            };
            (
                status(site, "POST", &format!("/{}", TYPES[kind]), &json!({"Id": format!("k{key}")})).await,
                wanted,
            )
        }
        Step::Delete(kind, key) => {
            let gone = expected.get_mut(&kind).is_some_and(|objects| objects.remove(&key));
            let path = format!("/{}/k{key}", TYPES[kind]);
            (status(site, "DELETE", &path, &Value::Null).await, if gone { 200 } else { 404 })
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn type_with_objects_is_not_undeclared(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome: Result<(), TestCaseError> = runtime.block_on(async {
            let (site, mut expected) = (Site::new(Wishes::default()), Expected::new());
            for step in steps {
                let (found, wanted) = done(&site, step, &mut expected).await;
                prop_assert_eq!(found, wanted, "{:?}", step);
            }
            let types = read(&site, "/objects").await;
            for (kind, name) in TYPES.iter().enumerate() {
                prop_assert_eq!(types.as_array().unwrap().contains(&json!(name)), expected.contains_key(&kind));
                if let Some(objects) = expected.get(&kind) {
                    let wanted: Vec<String> = objects.iter().map(|key| format!("k{key}")).collect();
                    let list = read(&site, &format!("/{name}")).await;
                    prop_assert_eq!(keys(&list), wanted);
                }
            }
            Ok(())
        });
        outcome?;
    }
}
