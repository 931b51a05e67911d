//! Lists, long polls and indexes as clients see them.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, Response, header},
};
use formwork_api::{BASE_PATH, Resolved};
use formwork_model::{Claim, Record, Tenant, kind_of};
use formwork_store::Store;
use proptest::prelude::*;
use serde_json::json;
use tower::ServiceExt;

use super::*;
use crate::{
    http::routes,
    testing::{Site, Wishes},
};

/// An answer: status, headers, body.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Got {
    fn tag(&self) -> &str {
        self.headers[header::ETAG].to_str().unwrap()
    }

    fn counts(&self) -> [usize; 3] {
        [LIST_COUNT, LIST_FILTER_COUNT, LIST_TOTAL_COUNT]
            .map(|name| self.headers[name].to_str().unwrap().parse().unwrap())
    }

    /// The values of a member of all objects.
    fn all(&self, member: &str) -> Vec<&str> {
        let objects = self.body.as_array().unwrap();
        objects.iter().map(|object| object[member].as_str().unwrap()).collect()
    }
}

/// Sends a request with headers, as a user who may do everything.
async fn ask(site: &Site, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Got {
    let token = site.token(3_600, &[Claim::new("*", "*", "*")]);
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{BASE_PATH}{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let request = request.body(Body::from(text)).unwrap();
    let answer: Response<Body> = routes(Arc::clone(&site.endpoint)).oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let bytes = to_bytes(body, 1 << 24).await.unwrap();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    Got { status: parts.status, headers: parts.headers, body }
}

async fn get(site: &Site, path: &str) -> Got {
    ask(site, "GET", path, &[], &Value::Null).await
}

async fn make(site: &Site, prefix: &str, members: Value) {
    let made = ask(site, "POST", &format!("/{prefix}"), &[], &members).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

/// A site with three machines, and a param that one of them has through a profile.
async fn three_machines() -> Site {
    let site = Site::new(Wishes::default());
    make(&site, "params", json!({"Name": "rack/heat", "Schema": {"type": "integer", "default": 20}})).await;
    make(&site, "profiles", json!({"Name": "hot", "Params": {"rack/heat": 90}})).await;
    make(&site, "machines", json!({"Name": "web-1", "Address": "10.0.0.10", "Profiles": ["hot"]})).await;
    let db = json!({"Name": "db-1", "Address": "10.0.0.9", "Params": {"rack/heat": 30, "rack/row": "b"},
                    "Meta": {"floor": "cellar"}, "HardwareAddrs": ["52:54:00:0A:0B:0C"]});
    make(&site, "machines", db).await;
    make(&site, "machines", json!({"Name": "web-2", "Description": "spare"})).await;
    site
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_cut() {
    let site = three_machines().await;
    for (query, names) in [
        ("sort=Name", vec!["db-1", "web-1", "web-2"]),
        ("sort=Name&reverse=True", vec!["web-2", "web-1", "db-1"]),
        ("sort=Name&offset=1&limit=1", vec!["web-1"]),
        ("limit=0", vec![]),
        ("sort=Address", vec!["web-2", "db-1", "web-1"]),
        ("Profiles=In(hot,cold)", vec!["web-1"]),
        ("Name=Re(^web)&sort=Name", vec!["web-1", "web-2"]),
        ("Name=In(db-1,web-2,db-1)&sort=Description", vec!["db-1", "web-2"]),
        ("floor=cellar", vec!["db-1"]),
        ("rack/row=b", vec!["db-1"]),
        ("raw=Name%3Ddb-1%26slim%3DMeta", vec!["db-1"]),
    ] {
        let got = get(&site, &format!("/machines?{query}")).await;
        assert_eq!(got.all("Name"), names, "{query}");
        assert_eq!(got.counts()[2], 3);
        assert_eq!(got.counts()[0], names.len(), "{query}");
    }
}

#[tokio::test]
async fn param_default_is_seen_by_filters() {
    let site = three_machines().await;
    for (query, names) in [
        ("rack/heat=20", vec!["web-2"]),
        ("rack/heat=Gt(25)&sort=rack/heat", vec!["db-1", "web-1"]),
        ("Params.rack/heat=90", vec!["web-1"]),
    ] {
        assert_eq!(get(&site, &format!("/machines?{query}")).await.all("Name"), names, "{query}");
    }
}

#[tokio::test]
async fn queries_that_mean_nothing_are_406() {
    let site = three_machines().await;
    for query in [
        "Beeblebrox=2",
        "Secret=x",
        "Available=perhaps",
        "sort=Profiles",
        "limit=-1",
        "rack/heat=hot",
        "filter=none",
        "raw=Beeblebrox%3D2",
    ] {
        let got = get(&site, &format!("/machines?{query}")).await;
        assert_eq!((got.status.as_u16(), &got.body["Model"]), (406, &json!("machines")), "{query}");
    }
}

#[tokio::test]
async fn head_counts_without_building_a_list() {
    let site = three_machines().await;
    for query in ["", "Name=Re(^web)", "sort=Name&offset=1&limit=1", "Name=db-1", "offset=9", "rack/heat=20"]
    {
        let path = format!("/machines?{query}");
        let (head, whole) = (ask(&site, "HEAD", &path, &[], &Value::Null).await, get(&site, &path).await);
        assert_eq!(head.counts(), whole.counts(), "{query}");
        assert_eq!((head.status, head.tag(), &head.body), (whole.status, whole.tag(), &Value::Null));
    }
    let snapshot = site.endpoint.snapshot();
    let look = Look::new(&snapshot);
    let found = search(&look, &Resolved::default(), (0, 2), true).run();
    assert_eq!((found.page.len(), found.in_page, found.matched), (0, 2, 3));
}

#[tokio::test]
async fn objects_are_shown_without_what_was_not_asked_for() {
    let site = three_machines().await;
    let got = get(&site, "/machines?Name=web-1&slim=Meta,Profiles&params=rack/heat&aggregate=true").await;
    let machine = &got.body[0];
    assert_eq!((machine.get("Meta"), machine.get("Profiles")), (None, None));
    assert_eq!((&machine["Partial"], &machine["Params"]), (&json!(true), &json!({"rack/heat": 90})));
    let one = get(&site, "/machines/Name:db-1?reduced=true").await.body;
    assert_eq!((one.get("Available"), &one["Name"]), (None, &json!("db-1")));
    let whole = get(&site, "/machines/HardwareAddr:52:54:00:0a:0b:0C").await.body;
    assert_eq!((&whole["Name"], &whole["Partial"]), (&json!("db-1"), &json!(false)));
}

#[test]
fn every_type_is_written_as_it_is_shown() {
    let store = Store::memory(Vec::new());
    let snapshot = store.snapshot();
    let (look, projection) = (Look::new(&snapshot), Projection::default());
    // Of content bundles clients see summaries, which no list of objects writes.
    for kind in formwork_model::KINDS.iter().filter(|kind| kind.prefix != "contents") {
        let members = json!({"Name": "ab", "PasswordHash": "secret", "Params": {"a": 1}});
        let object = (kind.decode)(members).unwrap();
        let mut out = Vec::new();
        Shaper::new(&look, kind, &projection).write(object.as_ref(), &mut out);
        let written: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(written, crate::kinds::shown(object.as_ref()), "{}", kind.prefix);
    }
}

#[tokio::test]
async fn stored_filter_is_applied() {
    let site = three_machines().await;
    let queries = json!([{"Name": "Name", "Op": "Re", "Value": "^web"}]);
    let filter = json!({"Id": "webs", "Object": "machines", "Queries": queries, "Sort": ["Name"], "Reverse": true,
                        "Slim": "Meta"});
    make(&site, "filters", filter).await;
    let got = get(&site, "/machines?filter=webs").await;
    assert_eq!(got.all("Name"), ["web-2", "web-1"]);
    assert_eq!(got.body[0].get("Meta"), None);
    assert_eq!(get(&site, "/machines?filter=webs&Name=web-1").await.all("Name"), ["web-1"]);
    assert_eq!(get(&site, "/profiles?filter=webs").await.status, 406, "it is for machines");
}

#[tokio::test]
async fn groups_nest() {
    let site = three_machines().await;
    let got = get(&site, "/machines?group-by=rack/heat&group-by=Name&sort=Name&slim=Meta").await;
    let told: Vec<_> = got.body.as_array().unwrap().iter().map(|g| (&g["Value"], &g["Count"])).collect();
    assert_eq!(told, [(&json!(20), &json!(1)), (&json!(30), &json!(1)), (&json!(90), &json!(1))]);
    let inner = &got.body[1]["Items"][0];
    assert_eq!((&inner["Field"], &inner["Value"]), (&json!("Name"), &json!("db-1")));
    assert_eq!(inner["Items"][0]["Address"], "10.0.0.9");
    let counts = get(&site, "/machines?group-by=Runnable&range-only=true").await.body;
    let runnable = &counts[0]["Value"];
    assert_eq!(counts, json!([{"Field": "Runnable", "Value": runnable, "Count": 3, "Items": []}]));
}

#[tokio::test]
async fn tenant_sees_his_own_in_lists_and_counts() {
    let site = three_machines().await;
    let uuid = get(&site, "/machines?Name=db-1").await.all("Uuid")[0].to_owned();
    let tenant = json!({"Name": "cellar", "Users": ["anna"], "Members": {"machines": [uuid]}});
    make(&site, Tenant::KIND.prefix, tenant).await;
    for query in ["", "sort=Name", "sort=Address&reverse=true", "rack/row=b"] {
        let got = get(&site, &format!("/machines?{query}")).await;
        assert_eq!((got.all("Name"), got.counts()), (vec!["db-1"], [1, 1, 1]), "{query}");
    }
    assert_eq!(get(&site, "/machines?Name=web-1").await.counts(), [0, 0, 1]);
}

#[tokio::test]
async fn indexes_are_told() {
    let site = three_machines().await;
    let all = get(&site, "/indexes").await.body;
    let name = json!({"Type": "string", "Unique": true, "Unordered": false, "Regex": true});
    assert_eq!(all["machines"]["Name"], name);
    assert_eq!(get(&site, "/indexes/machines").await.body, all["machines"]);
    assert_eq!(get(&site, "/indexes/machines/Name").await.body, name);
    let heat = json!({"Type": "number", "Unique": false, "Unordered": false, "Regex": false});
    assert_eq!(get(&site, "/indexes/machines/rack/heat").await.body, heat);
    let none = json!({"Type": "", "Unique": false, "Unordered": false, "Regex": false});
    assert_eq!(get(&site, "/indexes/machines/Beeblebrox").await.body, none);
    assert_eq!(get(&site, "/indexes/machines/Secret").await.body, none);
    assert_eq!(get(&site, "/indexes/tasks/rack/heat").await.body, none);
    assert_eq!(get(&site, "/indexes/cakes").await.status, 404);
}

/// Asks for the profile `pp` with patience.
async fn poll(site: &Site, method: &str, tag: &str, wait: &str) -> Got {
    let headers = [("if-none-match", tag), ("prefer", wait)];
    ask(site, method, "/profiles/pp", &headers, &Value::Null).await
}

async fn describe(site: &Site, text: &str) {
    let patch = json!([{"op": "add", "path": "/Description", "value": text}]);
    let got = ask(site, "PATCH", "/profiles/pp", &[], &patch).await;
    assert_eq!(got.status, 200, "{}", got.body);
}

/// Fails instead of waiting for ever.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it does not end")
}

#[tokio::test]
async fn poll_ends_with_304_when_its_time_is_up() {
    let site = Site::new(Wishes::default());
    make(&site, "profiles", json!({"Name": "pp"})).await;
    let tag = get(&site, "/profiles/pp").await.tag().to_owned();
    // Nothing happens any more: the clock jumps to the end of the longest wait.
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    for method in ["GET", "HEAD"] {
        let got = poll(&site, method, &tag, "wait=7m").await;
        assert_eq!((got.status.as_u16(), got.tag(), &got.body), (304, tag.as_str(), &Value::Null));
    }
    assert_eq!(before.elapsed().as_secs() / 60, 14);
    for known in ["", "\"older\""] {
        assert_eq!(poll(&site, "GET", known, "wait=7m").await.status, 200, "{known}");
    }
    assert_eq!(poll(&site, "GET", &tag, "").await.status, 304);
    assert_eq!(before.elapsed().as_secs() / 60, 14);
}

#[tokio::test]
async fn poll_answers_on_change_and_on_deletion_and_not_on_changes_of_others() {
    let site = Site::new(Wishes::default());
    make(&site, "profiles", json!({"Name": "pp"})).await;
    let tag = get(&site, "/profiles/pp").await.tag().to_owned();
    let change = async {
        make(&site, "profiles", json!({"Name": "other"})).await;
        describe(&site, "changed").await;
    };
    let (got, ()) = soon(async { tokio::join!(poll(&site, "GET", &tag, "wait=10m"), change) }).await;
    assert_eq!((got.status.as_u16(), &got.body["Description"]), (200, &json!("changed")));
    let tag = got.tag().to_owned();
    let remove = ask(&site, "DELETE", "/profiles/pp", &[], &Value::Null);
    let (got, removed) = soon(async { tokio::join!(poll(&site, "GET", &tag, "wait=10m"), remove) }).await;
    assert_eq!((got.status.as_u16(), removed.status.as_u16()), (404, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poll_never_misses_a_change_in_between() {
    const CHANGES: usize = 60;
    let site = Arc::new(Site::new(Wishes::default()));
    make(&site, "profiles", json!({"Name": "pp"})).await;
    let mut tag = get(&site, "/profiles/pp").await.tag().to_owned();
    let writer = Arc::clone(&site);
    let writing = tokio::spawn(async move {
        for number in 1..=CHANGES {
            describe(&writer, &number.to_string()).await;
        }
    });
    let last = CHANGES.to_string();
    // A change between the look at the object and the wait for the next would let the last poll wait for ever.
    loop {
        let got = soon(poll(&site, "GET", &tag, "wait=10m")).await;
        assert_eq!(got.status, 200);
        assert_ne!(got.tag(), tag);
        tag = got.tag().to_owned();
        if got.body["Description"].as_str() == Some(&last) {
            break;
        }
    }
    writing.await.unwrap();
}

fn search<'a>(
    look: &'a Look<'a>,
    resolved: &'a Resolved,
    (offset, limit): (usize, usize),
    counts_only: bool,
) -> Search<'a> {
    Search {
        look,
        kind: kind_of("machines").unwrap(),
        conditions: &resolved.conditions,
        sort: &resolved.sort,
        reverse: false,
        offset,
        limit,
        among: None,
        counts_only,
        large: search::LARGE,
    }
}

/// A machine out of few values, so that queries find some.
fn machine() -> impl Strategy<Value = Value> {
    let profiles = prop::collection::vec(0_u8..4, 0..3);
    (0_u8..3, profiles, 0_u8..12, any::<bool>(), 0_i64..9).prop_map(
        |(stage, profiles, host, runnable, heat)| {
            let profiles: Vec<String> = profiles.iter().map(|number| format!("p{number}")).collect();
            let address = if host == 0 { String::new() } else { format!("10.0.0.{host}") };
            json!({"Stage": format!("s{stage}"), "Profiles": profiles, "Address": address, "Runnable": runnable,
                   "CurrentTask": heat, "Params": {"heat": heat}})
        },
    )
}

fn condition() -> impl Strategy<Value = String> {
    let values = |member: &'static str, values: Vec<&'static str>| {
        let one = prop::sample::select(values);
        (Just(member), one.clone(), one)
    };
    let member = prop_oneof![
        values("Name", vec!["m05", "m11", "m40", "none"]),
        values("Uuid", vec!["u05", "u11", "none"]),
        values("Stage", vec!["s0", "s1", "s2"]),
        values("Profiles", vec!["p0", "p1", "p3"]),
        values("Address", vec!["10.0.0.2", "10.0.0.9", "10.0.0.10", ""]),
        values("Runnable", vec!["true", "f"]),
        values("CurrentTask", vec!["2", "5"]),
        values("heat", vec!["2", "5"]),
    ];
    let word =
        prop::sample::select(vec!["Eq", "Ne", "Lt", "Lte", "Gt", "Gte", "In", "Nin", "Between", "Except"]);
    (member, word).prop_map(|((member, low, high), word)| match word {
        "In" | "Nin" | "Between" | "Except" => format!("{member}={word}({low},{high})"),
        word => format!("{member}={word}({low})"),
    })
}

/// Does what a search promises by looking at all objects.
fn scan(look: &Look<'_>, search: &Search<'_>) -> (Vec<String>, usize) {
    let mut found: Vec<Arc<dyn Object>> = Vec::new();
    look.snapshot.visit(search.kind.prefix, &mut |object| {
        let passes = |condition: &formwork_api::Condition| {
            condition.accepts(look.value(&condition.index, object.as_ref()).as_ref())
        };
        let is_there = search.among.as_ref().is_none_or(|keys| keys.iter().any(|key| **key == object.key()));
        if is_there && search.conditions.iter().all(passes) {
            found.push(Arc::clone(object));
        }
        true
    });
    let keys = |object: &Arc<dyn Object>| -> Vec<formwork_model::SortKey> {
        let key = |index: &Index| {
            let value = look.value(index, object.as_ref()).unwrap_or_default();
            formwork_model::SortKey::of(index.member(), &value)
        };
        search.sort.iter().map(key).collect()
    };
    found.sort_by_key(keys);
    if search.reverse {
        found.reverse();
    }
    let page = found.iter().skip(search.offset).take(search.limit).map(|object| object.key()).collect();
    (page, found.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn plan_and_scan_agree(
        machines in prop::collection::vec(machine(), 0..60),
        conditions in prop::collection::vec(condition(), 0..3),
        sort in prop::sample::subsequence(vec!["Name", "Stage", "Address", "Uuid", "heat", "CurrentTask"], 0..3),
        (reverse, among, large) in (any::<bool>(), any::<bool>(), prop::sample::select(vec![0, 10, 2_000])),
        page in (0_usize..40, prop_oneof![Just(usize::MAX), 0_usize..20]),
    ) {
        let decode = kind_of("machines").unwrap().decode;
        let mut objects: Vec<Arc<dyn Object>> = machines.into_iter().enumerate().map(|(number, mut machine)| {
            // Names run against the keys.
            machine["Uuid"] = json!(format!("u{number:02}"));
            machine["Name"] = json!(format!("m{:02}", 60 - number));
            decode(machine).unwrap()
        }).collect();
        let heat = json!({"Name": "heat", "Schema": {"type": "integer"}});
        objects.push((kind_of("params").unwrap().decode)(heat).unwrap());
        let snapshot = Store::memory(objects).snapshot();
        let pairs = conditions.iter().map(|text| text.split_once('=').unwrap());
        let query = ListQuery::parse(pairs.chain(sort.into_iter().map(|name| ("sort", name)))).unwrap();
        let resolved = query.resolve(kind_of("machines").unwrap(), &snapshot).unwrap();
        let look = Look::new(&snapshot);
        let some = || (0..60).step_by(3).map(|number| Arc::from(format!("u{number:02}")));
        let among = among.then(|| some().filter(|key: &Arc<str>| snapshot.stored("machines", key).is_some()).collect());
        let whole = Search { reverse, large, among, ..search(&look, &resolved, page, false) };
        let (expected, matched) = scan(&look, &whole);
        let found = whole.run();
        let keys: Vec<String> = found.page.iter().map(|object| object.key()).collect();
        prop_assert_eq!(&keys, &expected);
        prop_assert_eq!((found.in_page, found.matched), (expected.len(), matched));
        let counted = Search { counts_only: true, ..whole }.run();
        prop_assert_eq!((counted.page.len(), counted.in_page, counted.matched), (0, expected.len(), matched));
    }
}
