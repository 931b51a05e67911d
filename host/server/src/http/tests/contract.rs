//! Rules of the contract of the API that hold for many types at once, one named test each.

use serde_json::Value;

use super::*;

/// Sends a request of somebody who may do everything, and returns the status and the error object.
async fn refused(site: &Site, method: &str, path: &str, body: &Value) -> (u16, String, Vec<String>) {
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let error = site.refused(method, path, &all, &body.to_string()).await;
    (error.code, error.r#type, error.messages)
}

#[tokio::test]
async fn word_that_a_job_does_not_know_is_a_validation_error_with_the_word() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/tasks", &json!({"Name": "aa"})).await;
    let machine = site.taken("POST", "/machines", &json!({"Name": "m1", "Tasks": ["aa"]})).await.0;
    let job = site.taken("POST", "/jobs", &json!({"Machine": machine["Uuid"]})).await.0;
    let (uuid, path) = (job["Uuid"].as_str().unwrap(), format!("/jobs/{}", job["Uuid"].as_str().unwrap()));
    for (member, method) in
        [("State", "PATCH"), ("ExitState", "PATCH"), ("State", "PUT"), ("ExitState", "PUT")]
    {
        let body = match method {
            "PATCH" => json!([{"op": "replace", "path": format!("/{member}"), "value": "bogus"}]),
            _ => json!({member: "bogus"}),
        };
        let told = refused(&site, method, &path, &body).await;
        let wanted = vec![format!("{uuid}: Invalid {member} `bogus`")];
        assert_eq!(told, (422, String::from("ValidationError"), wanted), "{method}");
    }
    let told = refused(&site, "POST", "/jobs", &json!({"Machine": machine["Uuid"], "State": "bogus"})).await;
    assert_eq!((told.0, told.2), (422, vec![String::from(": Invalid State `bogus`")]));
}

#[tokio::test]
async fn who_has_no_claim_on_a_type_learns_nothing_of_its_keys() {
    let site = Site::new(Wishes::default());
    let mut there =
        std::collections::BTreeMap::from([("bootenvs", "local"), ("stages", "none"), ("users", "ben")]);
    for (prefix, body) in [
        ("users", json!({"Name": "ben"})),
        ("profiles", json!({"Name": "there"})),
        ("params", json!({"Name": "a/there"})),
        ("templates", json!({"ID": "there", "Contents": ""})),
        ("tasks", json!({"Name": "there"})),
        ("workflows", json!({"Name": "there"})),
        ("roles", json!({"Name": "there"})),
        ("contexts", json!({"Name": "there"})),
        ("blueprints", json!({"Name": "there"})),
        ("pools", json!({"Id": "there"})),
    ] {
        site.taken("POST", &format!("/{prefix}"), &body).await;
        there.entry(prefix).or_insert(if prefix == "params" { "a/there" } else { "there" });
    }
    let machine = site.taken("POST", "/machines", &json!({"Name": "m1", "Tasks": ["there"]})).await.0;
    let uuid = machine["Uuid"].as_str().unwrap();
    let job = site.taken("POST", "/jobs", &json!({"Machine": uuid})).await.0;
    there.extend([("machines", uuid), ("jobs", job["Uuid"].as_str().unwrap())]);
    let token = site.token(60, &[Claim::new("info", "get", "*"), Claim::new("events", "create", "*")]);
    let service = routes(Arc::clone(&site.endpoint));
    let mut tried = 0;
    for route in all() {
        let mut parts = route.path.split('/').skip(1);
        let (prefix, key) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (Some(known), true) = (there.get(prefix), matches!(key, "{key}" | "{*key}")) else { continue };
        let below: Vec<&str> = parts.map(|part| if part.starts_with('{') { "ab" } else { part }).collect();
        let method = route.method.as_str();
        let body = if route.path.ends_with("params") || method == "GET" { "{}" } else { "[]" };
        let by_index = if prefix == "machines" { "Uuid:" } else { "Key:" };
        for index in ["", by_index] {
            let mut told = Vec::new();
            for key in [format!("{index}{known}"), format!("{index}zz-unknown")] {
                let path = [&[prefix, &key], below.as_slice()].concat().join("/");
                let request = Request::builder().method(method).uri(format!("{BASE_PATH}/{path}"));
                let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
                let request = request.body(Body::from(body)).unwrap();
                let answer = service.clone().oneshot(request).await.unwrap();
                let status = answer.status().as_u16();
                let bytes = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
                let words = String::from_utf8_lossy(&bytes).replace(&key, "KEY");
                told.push((status, words.replace(key.strip_prefix(index).unwrap_or(&key), "KEY")));
            }
            assert_eq!(told[0], told[1], "{method} {}", route.path);
            assert!(matches!(told[0].0, 400 | 403 | 422), "{method} {}: {told:?}", route.path);
            tried += 1;
        }
    }
    assert!(tried > 200, "{tried}");
}

#[tokio::test]
async fn batch_shows_its_templates_also_where_there_are_none() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/blueprints", &json!({"Name": "bp"})).await;
    let made = json!({"SetupWorkOrderTemplate": {"Blueprint": "bp"}});
    let (batch, _) = site.taken("POST", "/batches", &made).await;
    for name in ["WorkOrderTemplate", "PostWorkOrderTemplate"] {
        assert_eq!(batch.get(name), Some(&Value::Null), "{name}");
    }
}

#[tokio::test]
async fn null_is_an_empty_string_in_every_body() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let nulls =
        json!({"Time": null, "Type": null, "Action": null, "Key": null, "Principal": null, "Object": null});
    assert_eq!(site.send("POST", "/events", &all, &nulls.to_string()).await.status(), 204);
    assert_eq!(site.send("POST", "/prefs", &all, r#"{"debugDhcp": null}"#).await.status(), 201);
    let told = refused(&site, "PUT", "/users/anna/password", &json!({"Password": null})).await;
    assert_eq!((told.0, told.2), (422, vec![String::from("the password is empty")]));
}

#[tokio::test]
async fn patch_without_operations_changes_nothing_and_tells_nobody() {
    let site = Site::new(Wishes::default());
    let (_, before) = site.taken("POST", "/profiles", &json!({"Name": "p1", "Params": {"a/b": 1}})).await;
    let revision = site.endpoint.snapshot().revision();
    for path in ["/profiles/p1", "/profiles/p1/params", "/meta/profiles/p1"] {
        site.taken("PATCH", path, &json!([])).await;
    }
    let (_, after) = site.taken("PATCH", "/profiles/p1", &json!([])).await;
    assert_eq!((before, revision), (after, site.endpoint.snapshot().revision()));
    let reader = site.token(60, &[Claim::new("profiles", "get", "*")]);
    assert_eq!(site.refused("PATCH", "/profiles/p1", &reader, "[]").await.code, 403);
}

#[tokio::test]
async fn patch_and_post_take_values_of_the_same_depth() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/profiles", &json!({"Name": "p1"})).await;
    let nested = |depth: usize| (1..depth).fold(json!([]), |inner, _| json!([inner]));
    // The object and its params are around it.
    for (depth, fits) in [(99, true), (118, true), (119, false), (122, false)] {
        let patch = json!([{"op": "add", "path": "/ab", "value": nested(depth)}]);
        let whole = json!([{"op": "add", "path": "/Params/ab", "value": nested(depth)}]);
        for (method, path, body) in [
            ("POST", "/profiles/p1/params/ab", &nested(depth)),
            ("PATCH", "/profiles/p1/params", &patch),
            ("PATCH", "/profiles/p1", &whole),
        ] {
            let all = site.token(60, &[Claim::new("*", "*", "*")]);
            let answer = site.send(method, path, &all, &body.to_string()).await;
            let (status, bytes) = (answer.status(), to_bytes(answer.into_body(), 1 << 16).await.unwrap());
            assert_eq!(status, if fits { 200 } else { 422 }, "{method} {path} {depth}: {}", bytes.len());
            assert!(fits || bytes.len() < 1000, "{method} {path}: the patch is not repeated");
        }
    }
}

#[tokio::test]
async fn job_that_is_deleted_is_still_the_predecessor_and_its_task_is_not_done_again() {
    let site = Site::new(Wishes::default());
    for name in ["aa", "bb"] {
        site.taken("POST", "/tasks", &json!({"Name": name})).await;
    }
    let body = json!({"Name": "m1", "Tasks": ["aa", "bb"]});
    let machine = site.taken("POST", "/machines", &body).await.0;
    let path = format!("/machines/{}", machine["Uuid"].as_str().unwrap());
    let ask = json!({"Machine": machine["Uuid"]});
    let say = |state: &str| json!([{"op": "replace", "path": "/State", "value": state}]);
    for (end, next) in [("failed", "aa"), ("finished", "bb")] {
        site.taken("PATCH", &path, &json!([{"op": "replace", "path": "/Runnable", "value": true}])).await;
        let job = site.taken("POST", "/jobs", &ask).await.0;
        let of_job = format!("/jobs/{}", job["Uuid"].as_str().unwrap());
        site.taken("PATCH", &of_job, &say("running")).await;
        site.taken("PATCH", &of_job, &say(end)).await;
        site.taken("DELETE", &of_job, &Value::Null).await;
        site.taken("PATCH", &path, &json!([{"op": "replace", "path": "/Runnable", "value": true}])).await;
        let later = site.taken("POST", "/jobs", &ask).await.0;
        assert_eq!((&later["Previous"], &later["Task"]), (&job["Uuid"], &json!(next)), "{end}");
        let of_later = format!("/jobs/{}", later["Uuid"].as_str().unwrap());
        site.taken("PATCH", &of_later, &say("running")).await;
        site.taken("PATCH", &of_later, &say("failed")).await;
    }
}

#[tokio::test]
async fn writable_layer_is_put_back_as_it_was_shown_and_nothing_begins_by_that() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/tasks", &json!({"Name": "aa"})).await;
    site.taken("POST", "/stages", &json!({"Name": "first"})).await;
    site.taken("POST", "/profiles", &json!({"Name": "p1", "Params": {"a/b": 1}})).await;
    site.taken("POST", "/prefs", &json!({"defaultStage": "first"})).await;
    let body = json!({"Name": "m1", "Stage": "first", "Tasks": ["aa"], "Profiles": ["p1"]});
    let made = site.taken("POST", "/machines", &body).await.0;
    let path = format!("/machines/{}", made["Uuid"].as_str().unwrap());
    let job = site.taken("POST", "/jobs", &json!({"Machine": made["Uuid"]})).await.0;
    for state in ["running", "finished"] {
        let patch = json!([{"op": "replace", "path": "/State", "value": state}]);
        site.taken("PATCH", &format!("/jobs/{}", job["Uuid"].as_str().unwrap()), &patch).await;
    }
    let (all, ask) =
        (site.token(60, &[Claim::new("*", "*", "*")]), json!({"Machine": made["Uuid"]}).to_string());
    assert_eq!(site.send("POST", "/jobs", &all, &ask).await.status(), 204);
    let before = site.taken("GET", &path, &Value::Null).await.0;
    let (backup, _) = site.taken("GET", "/contents/BackingStore", &Value::Null).await;

    let other = Site::new(Wishes::default());
    let (told, _) = other.taken("PUT", "/contents/BackingStore", &backup).await;
    assert_eq!((&told["meta"]["Name"], &told["Counts"]["machines"]), (&json!("BackingStore"), &json!(1)));
    let after = other.taken("GET", &path, &Value::Null).await.0;
    for name in ["Name", "Stage", "Profiles", "Tasks", "CurrentTask", "Runnable", "BootEnv", "ReadOnly"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_eq!(other.taken("GET", "/prefs", &Value::Null).await.0["defaultStage"], "first");
    let (again, _) = other.taken("GET", "/contents/BackingStore", &Value::Null).await;
    assert_eq!(again["sections"]["profiles"], backup["sections"]["profiles"]);
    // Over what is there, too; and only by those who may write it all.
    other.taken("PUT", "/contents/BackingStore", &again).await;
    let narrow = other.token(60, &[Claim::new("contents", "*", "*")]);
    let error = other.refused("PUT", "/contents/BackingStore", &narrow, &again.to_string()).await;
    assert_eq!(error.code, 403, "{error}");
}

#[tokio::test]
async fn work_orders_and_batches_are_put_back_and_nothing_begins_by_that() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/tasks", &json!({"Name": "aa"})).await;
    site.taken("POST", "/blueprints", &json!({"Name": "bp", "Tasks": ["aa"]})).await;
    let machine = site.taken("POST", "/machines", &json!({"Name": "m1", "WorkOrderMode": true})).await.0;
    let uuid = machine["Uuid"].as_str().unwrap();
    let order = json!({"Blueprint": "bp", "Machine": uuid, "Params": {"a/b": 1}});
    let uuid_of = |made: &Value| made["Uuid"].as_str().unwrap().to_owned();
    let over = uuid_of(&site.taken("POST", "/work_orders", &order).await.0);
    let cancel = json!([{"op": "replace", "path": "/State", "value": "cancelled"}]);
    site.taken("PATCH", &format!("/work_orders/{over}"), &cancel).await;
    let begun = uuid_of(&site.taken("POST", "/work_orders", &order).await.0);
    assert_eq!(
        site.taken("POST", &format!("/machines/{uuid}/pick/agent"), &json!({})).await.0["Uuid"],
        begun
    );
    let waiting = uuid_of(&site.taken("POST", "/work_orders", &order).await.0);
    let batch = json!({"SetupWorkOrderTemplate": {"Blueprint": "bp", "Machine": uuid}});
    let open_batch = uuid_of(&site.taken("POST", "/batches", &batch).await.0);
    let batch_over = uuid_of(&site.taken("POST", "/batches", &batch).await.0);
    site.taken("PATCH", &format!("/batches/{batch_over}"), &cancel).await;
    let (backup, _) = site.taken("GET", "/contents/BackingStore", &Value::Null).await;

    let other = Site::new(Wishes::default());
    let (told, _) = other.taken("PUT", "/contents/BackingStore", &backup).await;
    assert_eq!(
        (&told["Counts"]["work_orders"], &told["Counts"]["batches"]),
        (&json!(3), &json!(2)),
        "{told}"
    );
    let same = ["Uuid", "Blueprint", "Machine", "Mode", "Tasks", "Params", "CreateTime", "Predecessor"];
    let ended = ["State", "Status", "CurrentTask", "StartTime", "EndTime", "SchedulingHold", "Meta"];
    for (uuid, is_over) in [(&over, true), (&begun, false), (&waiting, false)] {
        let kept = &backup["sections"]["work_orders"][uuid];
        let order = other.taken("GET", &format!("/work_orders/{uuid}"), &Value::Null).await.0;
        for name in same.iter().chain(ended.iter().filter(|_| is_over)) {
            assert_eq!(order[name], kept[name], "{uuid} {name}");
        }
        let held = (&order["State"], &order["SchedulingHold"], &order["CurrentTask"], &order["CurrentJob"]);
        assert!(is_over || held == (&json!("created"), &json!(true), &json!(-1), &json!("")), "{order}");
    }
    assert_eq!(
        other.taken("GET", &format!("/machines/{uuid}"), &Value::Null).await.0["PendingWorkOrders"],
        2
    );
    let all = other.token(60, &[Claim::new("*", "*", "*")]);
    let pick = format!("/machines/{uuid}/pick/agent");
    assert_eq!(other.send("POST", &pick, &all, "{}").await.status(), 204, "held orders are not run");
    let kept = &backup["sections"]["batches"];
    for (uuid, status) in
        [(&batch_over, ""), (&open_batch, "it was created when it was kept\nhint: make a new batch")]
    {
        let batch = other.taken("GET", &format!("/batches/{uuid}"), &Value::Null).await.0;
        assert_eq!((&batch["State"], &batch["Status"]), (&json!("cancelled"), &json!(status)));
        assert_eq!(batch["SetupWorkOrderTemplate"], kept[uuid]["SetupWorkOrderTemplate"]);
    }
    // Over what is there, which has gone on since.
    let free = json!([{"op": "replace", "path": "/SchedulingHold", "value": false}]);
    other.taken("PATCH", &format!("/work_orders/{waiting}"), &free).await;
    other.taken("PUT", "/contents/BackingStore", &backup).await;
    assert_eq!(other.taken("POST", &pick, &json!({})).await.0["Uuid"], waiting);
}

#[tokio::test]
async fn bundle_with_objects_that_none_can_bring_is_refused_by_its_name() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let bundle = json!({"meta": {"Name": "b1"}, "sections": {"machines": {"u": {"Name": "m1"}}}});
    let error = site.refused("POST", "/contents", &all, &bundle.to_string()).await;
    assert_eq!((error.key.as_str(), error.code), ("b1", 422));
    assert!(error.messages[0].contains("objects of type `machines` cannot be part of a pack"), "{error}");
}

#[tokio::test]
async fn bundle_brings_preferences_as_long_as_it_is_installed() {
    let site = Site::new(Wishes::default());
    let prefs = async || site.taken("GET", "/prefs", &Value::Null).await.0;
    let bundle = |preferences: Value| json!({"meta": {"Name": "b1"}, "sections": {"preferences": preferences, "stages": {"first": {}}}});
    let stage = json!({"defaultStage": {"Meta": {"color": "red"}, "Name": "defaultStage", "Val": "first"}});
    let (told, _) = site.taken("POST", "/contents", &bundle(stage.clone())).await;
    assert_eq!((&told["Counts"]["preferences"], &told["Warnings"]), (&json!(1), &json!([])));
    assert_eq!(prefs().await["defaultStage"], "first");
    assert_eq!(site.taken("POST", "/machines", &json!({"Name": "m1"})).await.0["Stage"], "first");
    let error = refused(&site, "POST", "/prefs", &json!({"defaultStage": "none", "jobsToKeep": "5"})).await;
    assert_eq!(error, (409, String::from("POST"), vec![String::from("readonly: defaultStage")]));
    assert_eq!(prefs().await["jobsToKeep"], "");
    for (name, value, words) in [
        ("baseTokenSecret", "abc", "is a secret of the endpoint"),
        ("defaultStage", "nowhere", "Stage nowhere does not exist"),
        ("defaultColour", "red", "unknown preference `defaultColour`"),
        ("manager", "true", "cannot manage others yet"),
    ] {
        let wrong = bundle(json!({name: {"Name": name, "Val": value}}));
        let (code, _, messages) = refused(&site, "PUT", "/contents/b1", &wrong).await;
        assert!(code == 422 && messages[0].contains(words), "{code} {messages:?}");
        assert!(messages[0].starts_with(&format!("preferences:{name}: ")), "{messages:?}");
    }
    let narrow = site.token(60, &[Claim::new("contents,stages", "*", "*")]);
    let error = site.refused("PUT", "/contents/b1", &narrow, &bundle(stage).to_string()).await;
    assert!(error.code == 403 && error.messages[0].contains("lacks preferences post"), "{error}");
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    assert_eq!(site.send("DELETE", "/machines/Name:m1?force=true", &all, "").await.status(), 200);
    assert_eq!(site.send("DELETE", "/contents/b1", &all, "").await.status(), 204);
    assert_eq!(prefs().await["defaultStage"], "none");

    let named = json!({"meta": {"Name": "b2"}, "sections": {"stages": {"second": {}}}});
    site.taken("POST", "/contents", &named).await;
    site.taken("POST", "/prefs", &json!({"defaultStage": "second"})).await;
    let error = site.refused("DELETE", "/contents/b2", &all, "").await;
    assert!(error.code == 409 && error.messages[0].contains("preferences:defaultStage"), "{error}");
}

#[tokio::test]
async fn path_that_is_no_text_is_refused_with_the_error_object() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let error = site.refused("GET", "/files/%ff", &all, "").await;
    assert_eq!((error.model.as_str(), error.code), ("files", 400));
    let stranger = site.refused("GET", "/files/a/b", "", "").await;
    assert_eq!(about(&stranger), ("files", "/a/b", "GET", 401));
}

#[tokio::test]
async fn whole_number_that_reading_would_change_is_refused_with_its_place() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    site.taken("POST", "/profiles", &json!({"Name": "p1"})).await;
    let long = "123456789012345678901234567890";
    let patch = format!(r#"[{{"op": "add", "path": "/Params/ab", "value": {long}}}]"#);
    let bundle = format!(
        r#"{{"meta": {{"Name": "b1"}}, "sections": {{"profiles": {{"p2": {{"Params": {{"ab": {long}}}}}}}}}}}"#
    );
    for (method, path, body) in [
        ("POST", "/profiles/p1/params/ab", long),
        ("PATCH", "/profiles/p1", &patch),
        ("POST", "/contents", &bundle),
    ] {
        let error = site.refused(method, path, &all, body).await;
        let place = body.find(long).unwrap();
        assert_eq!(error.code, 400, "{error}");
        assert!(
            error.messages[0].starts_with(&format!("the whole number {long} at byte {place} ")),
            "{error}"
        );
    }
    let most = json!([u64::MAX, i64::MIN]);
    assert_eq!(site.taken("POST", "/profiles/p1/params/ab", &most).await.0, most);
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let entries = json!([{"Path": "{{bad", "Contents": "a", "ID": "b"}, {"Name": "x", "Path": "p"}, {"Name": "x", "Path": "p"}]);
    let error = site
        .refused("POST", "/bootenvs", &all, &json!({"Name": "b1", "Templates": entries}).to_string())
        .await;
    let words = error.messages.join("; ");
    for part in ["b1: Template[0] is missing a Name", "Template 1 and 2 have the same name x", "unclosed"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    site.taken("POST", "/tasks", &json!({"Name": "aa"})).await;
    let machine = site.taken("POST", "/machines", &json!({"Name": "m1", "Tasks": ["aa", "aa"]})).await.0;
    site.taken("POST", "/jobs", &json!({"Machine": machine["Uuid"]})).await;
    let path = format!("/machines/{}", machine["Uuid"].as_str().unwrap());
    let patch = json!([{"op": "replace", "path": "/Stage", "value": "s-none"},
                       {"op": "replace", "path": "/BootEnv", "value": "b-none"}]);
    let error = site.refused("PATCH", &path, &all, &patch.to_string()).await;
    for part in [
        "Can not change stages with pending tasks",
        "Stage s-none does not exist",
        "Bootenv b-none does not exist",
    ] {
        assert!(error.messages.iter().any(|message| message.contains(part)), "{part}: {error}");
    }
}
