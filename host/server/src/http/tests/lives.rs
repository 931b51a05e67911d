//! How what is like a machine begins, goes through pools and ends (drp-api.md 7A.5, 13, 14).

use serde_json::Value;

use super::*;

impl Site {
    /// Makes a machine and returns its UUID.
    async fn machine(&self, name: &str, more: Value) -> String {
        let mut body = json!({"Name": name});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.taken("POST", "/machines", &body).await.0["Uuid"].as_str().unwrap().to_owned()
    }

    async fn shown(&self, path: &str) -> Value {
        self.taken("GET", path, &Value::Null).await.0
    }
}

fn names(results: &Value) -> Vec<String> {
    let results = results.as_array().unwrap().iter();
    let mut names: Vec<String> = results.map(|result| result["Name"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn machines_are_allocated_and_released_and_too_few_change_nothing() {
    let site = Site::new(Wishes::default());
    for name in ["m1", "m2", "m3"] {
        site.machine(name, json!({"Pool": "lab"})).await;
    }
    let revision = site.endpoint.snapshot().revision();
    let body = r#"{"pool/count": 4}"#;
    let few = site.refused("POST", "/pools/lab/allocateMachines", &site.everything(), body).await;
    assert!(
        few.code == 409 && few.messages[0].contains("3 of 4 machines can be taken from pool lab"),
        "{few}"
    );
    assert_eq!(site.endpoint.snapshot().revision(), revision);

    let filter = json!({"pool/filter": ["Name=In(m2,m3)"], "pool/count": 9, "pool/minimum": 1});
    let (got, _) = site.taken("POST", "/pools/lab/allocateMachines", &filter).await;
    assert_eq!(names(&got), ["m2", "m3"]);
    assert_eq!((&got[0]["Status"], &got[0]["Allocated"]), (&json!("InUse"), &json!(true)));
    let status = site.shown("/pools/lab/status").await;
    assert_eq!((names(&status["Free"]), names(&status["InUse"]).len()), (vec!["m1".into()], 2));
    let again = json!({"pool/machine-list": ["Name:m2"]});
    let held =
        site.refused("POST", "/pools/lab/allocateMachines", &site.everything(), &again.to_string()).await;
    assert!(held.messages[0].contains("1 is InUse and allocated"), "{held}");

    let all = json!({"pool/all-machines": true, "pool/wait-timeout": "1s"});
    assert_eq!(names(&site.taken("POST", "/pools/lab/releaseMachines", &all).await.0), ["m2", "m3"]);
    assert_eq!(names(&site.shown("/pools/lab/status").await["Free"]).len(), 3);
    let (none, _) = site.taken("POST", "/pools/lab/releaseMachines", &all).await;
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn machines_come_from_the_parent_and_go_back_with_what_the_pools_do() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/profiles", &json!({"Name": "in-lab"})).await;
    let lab = json!({"Id": "lab", "EnterActions": {"AddProfiles": ["in-lab"]},
                     "ExitActions": {"RemoveProfiles": ["in-lab"]}});
    site.taken("POST", "/pools", &lab).await;
    let uuid = site.machine("m1", json!({})).await;
    site.taken("POST", "/pools/lab/addMachines", &json!({})).await;
    let machine = site.shown(&format!("/machines/{uuid}")).await;
    assert_eq!((&machine["Pool"], &machine["Profiles"]), (&json!("lab"), &json!(["in-lab"])));
    site.taken("POST", "/pools/lab/removeMachines", &json!({})).await;
    let machine = site.shown(&format!("/machines/{uuid}")).await;
    assert_eq!((&machine["Pool"], &machine["Profiles"]), (&json!("default"), &json!([])));
    let wrong = json!({"pool/add-profiles": ["not-there"]}).to_string();
    let error = site.refused("POST", "/pools/default/allocateMachines", &site.everything(), &wrong).await;
    assert_eq!(error.code, 422, "{error}");
    assert_eq!(site.shown(&format!("/machines/{uuid}")).await["PoolStatus"], "Free");
}

#[tokio::test]
async fn agent_gives_its_own_machine_back_and_no_other() {
    let site = Site::new(Wishes::default());
    let (own, other) = (site.machine("m1", json!({})).await, site.machine("m2", json!({})).await);
    site.taken("POST", "/pools/default/allocateMachines", &json!({"pool/all-machines": true})).await;
    let token = site.shown(&format!("/machines/{own}/token")).await["Token"].as_str().unwrap().to_owned();
    let path = |uuid: &str| format!("/machines/{uuid}/releaseToPool");
    assert_eq!(site.refused("POST", &path(&other), &token, "{}").await.code, 403);
    let given = site.send("POST", &path(&own), &token, "{}").await;
    assert_eq!(given.status(), 200);
    assert_eq!(site.refused("POST", &path(&own), &token, "{}").await.code, 409);
}

#[tokio::test]
async fn agent_of_a_group_has_the_jobs_of_its_own_and_no_others() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/tasks", &json!({"Name": "greet"})).await;
    for prefix in ["clusters", "resource_brokers"] {
        let group = json!({"Name": format!("in-{prefix}"), "Tasks": ["greet"]});
        let uuid = site.taken("POST", &format!("/{prefix}"), &group).await.0["Uuid"].clone();
        let path = format!("/{prefix}/{}", uuid.as_str().unwrap());
        let token = site.shown(&format!("{path}/token")).await["Token"].as_str().unwrap().to_owned();
        let asked = json!({"Machine": uuid, "Context": "drpcli-runner"}).to_string();
        let answer = site.send("POST", "/jobs", &token, &asked).await;
        assert_eq!(answer.status(), 201, "{prefix}");
        let job = site.shown(&path).await["CurrentJob"].as_str().unwrap().to_owned();
        assert_eq!(site.send("GET", &format!("/jobs/{job}/actions"), &token, "").await.status(), 200);
        for state in ["running", "finished"] {
            let change = json!([{"op": "replace", "path": "/State", "value": state}]).to_string();
            let answer = site.send("PATCH", &format!("/jobs/{job}"), &token, &change).await;
            assert_eq!(answer.status(), 200, "{prefix} {state}");
        }
        assert_eq!(site.send("POST", "/jobs", &token, &asked).await.status(), 204);
        assert_eq!(site.shown(&path).await["WorkflowComplete"], true);
        let other = site.machine(&format!("m-{prefix}"), json!({"Tasks": ["greet"]})).await;
        let stolen = json!({"Machine": other}).to_string();
        assert_eq!(site.refused("POST", "/jobs", &token, &stolen).await.code, 403);
    }
}

#[tokio::test]
async fn who_may_not_use_a_pool_is_told_what_he_lacks() {
    let site = Site::new(Wishes::default());
    site.machine("m1", json!({})).await;
    let narrow = site.token(60, &[Claim::new("pools", "action:allocateMachines", "*")]);
    let path = "/pools/default/releaseMachines";
    assert_eq!(site.refused("POST", path, &narrow, "{}").await.code, 403);
    let body = r#"{"pool/add-parameters": {"a/b": 1}}"#;
    let error = site.refused("POST", "/pools/default/allocateMachines", &narrow, body).await;
    assert!(error.code == 403 && error.messages[0].contains("update:/Params"), "{error}");
    assert_eq!(site.send("POST", "/pools/default/allocateMachines", &narrow, "{}").await.status(), 200);
}

#[tokio::test]
async fn start_clears_then_patches_in_one_commit() {
    let site = Site::new(Wishes::default());
    let uuid = site.machine("m1", json!({})).await;
    let before = site.endpoint.snapshot().revision();
    let patch = json!([{"op": "test", "path": "/Runnable", "value": false},
                       {"op": "replace", "path": "/Description", "value": "d"}]);
    let (started, _) = site.taken("PATCH", &format!("/machines/{uuid}/start"), &patch).await;
    assert_eq!((&started["Runnable"], &started["Description"]), (&json!(false), &json!("d")));
    assert_eq!(site.endpoint.snapshot().revision().0, before.0 + 1);
    let wrong = json!([{"op": "test", "path": "/Description", "value": "x"}]).to_string();
    let error = site.refused("PATCH", &format!("/machines/{uuid}/start"), &site.everything(), &wrong).await;
    assert_eq!(error.code, 409);
}

#[tokio::test]
async fn cleanup_without_a_last_workflow_removes_at_once() {
    let site = Site::new(Wishes::default());
    for prefix in ["machines", "clusters", "resource_brokers"] {
        let (made, _) = site.taken("POST", &format!("/{prefix}"), &json!({"Name": "one-more"})).await;
        let path = format!("/{prefix}/{}", made["Uuid"].as_str().unwrap());
        let gone = site.send("DELETE", &format!("{path}/cleanup"), &site.everything(), "{}").await;
        assert_eq!(gone.status(), 200);
        assert_eq!(site.refused("GET", &path, &site.everything(), "").await.code, 404);
    }
}

#[tokio::test]
async fn token_of_a_cluster_works_for_it_alone() {
    let site = Site::new(Wishes::default());
    let make = |name: &'static str| json!({"Name": name});
    let own = site.taken("POST", "/clusters", &make("c1")).await.0["Uuid"].as_str().unwrap().to_owned();
    let other = site.taken("POST", "/clusters", &make("c2")).await.0["Uuid"].as_str().unwrap().to_owned();
    let token = site.shown(&format!("/clusters/{own}/token")).await["Token"].as_str().unwrap().to_owned();
    assert_eq!(site.send("GET", &format!("/clusters/{own}"), &token, "").await.status(), 200);
    assert_eq!(site.refused("GET", &format!("/clusters/{other}"), &token, "").await.code, 403);
}

#[tokio::test]
async fn group_has_a_profile_of_its_name_that_goes_with_it_unless_it_is_used() {
    let site = Site::new(Wishes::default());
    let (made, _) = site.taken("POST", "/clusters", &json!({"Name": "c1"})).await;
    let path = format!("/clusters/{}", made["Uuid"].as_str().unwrap());
    site.taken("POST", &format!("{path}/group/params/a%2Fb"), &json!(1)).await;
    assert_eq!(site.shown(&format!("{path}/group/params")).await, json!({"a/b": 1}));
    assert_eq!(site.shown("/profiles/c1").await["Params"], json!({"a/b": 1}));
    let rename = json!([{"op": "replace", "path": "/Name", "value": "c9"}]);
    site.taken("PATCH", &path, &rename).await;
    assert_eq!(site.shown(&format!("{path}/group/params/a%2Fb")).await, json!(1));
    assert_eq!(site.refused("GET", "/profiles/c1", &site.everything(), "").await.code, 404);
    let member = site.machine("m1", json!({"Profiles": ["c9"]})).await;
    let used = site.refused("DELETE", &path, &site.everything(), "{}").await;
    assert!(used.code == 409 && used.messages[0].contains("still in use"), "{used}");
    site.taken("DELETE", &format!("/machines/{member}"), &json!({})).await;
    site.taken("DELETE", &path, &json!({})).await;
    assert_eq!(site.refused("GET", "/profiles/c9", &site.everything(), "").await.code, 404);
}

#[tokio::test]
async fn release_takes_the_address_from_the_body() {
    let site = Site::new(Wishes::default());
    let subnet = json!({"Name": "lab", "Subnet": "10.9.0.0/24", "OnlyReservations": true});
    site.taken("POST", "/subnets", &subnet).await;
    let uuid = site.machine("m1", json!({"HardwareAddrs": ["52:54:00:00:00:01"]})).await;
    let asked = json!({"Machine": uuid, "Parameter": "net/address"});
    let (made, _) = site.taken("POST", "/subnets/lab/allocate", &asked).await;
    assert_eq!((&made["Addr"], &made["Subnet"]), (&json!("10.9.0.1"), &json!("lab")));
    assert_eq!((&made["Allocated"], &made["Token"]), (&json!(true), &json!("52:54:00:00:00:01")));
    let param = format!("/machines/{uuid}/params/net%2Faddress");
    assert_eq!(site.shown(&param).await, "10.9.0.1");
    let token = site.everything();
    let taken = site.refused("POST", "/subnets/lab/allocate", &token, r#"{"Addr": "10.9.0.1"}"#).await;
    assert_eq!(taken.code, 409);
    let path = "/subnets/lab/release/%7Bip%7D";
    assert_eq!(site.refused("DELETE", path, &token, "\"10.9.0.7\"").await.code, 404);
    assert_eq!(site.send("DELETE", path, &token, "\"10.9.0.1\"").await.status(), 200);
    assert_eq!(site.shown(&param).await, Value::Null);
    assert_eq!(site.refused("GET", "/reservations/0A090001", &token, "").await.code, 404);
    let by_hand = json!({"Addr": "10.9.0.5", "Token": "52:54:00:00:00:05"});
    assert_eq!(site.taken("POST", "/reservations", &by_hand).await.0["Subnet"], "lab");
    assert_eq!(site.refused("DELETE", "/subnets/lab/release/10.9.0.5", &token, "").await.code, 409);
    site.taken("DELETE", "/subnets/lab", &json!({})).await;
    assert_eq!(site.shown("/reservations/10.9.0.5").await["Subnet"], "");
}

#[tokio::test]
async fn zone_file_is_imported_and_looked_at() {
    let site = Site::new(Wishes::default());
    let token = site.everything();
    let file = "$ORIGIN lab.example.\nwww 60 IN A 10.0.0.2\n";
    let made = site.send("POST", "/zones-import", &token, file).await;
    assert_eq!(made.status(), 201);
    assert_eq!(site.shown("/zones/lab.example/view").await, json!({"www": {"A": ["10.0.0.2"]}}));
    assert_eq!(site.shown("/zones-info").await["MX"]["Value"], json!(["preference", "name"]));
    let wrong = site.refused("POST", "/zones-import", &token, "www IN A ten").await;
    assert!(wrong.code == 400 && wrong.messages[0].starts_with("zone file: no origin"), "{wrong}");
}

#[tokio::test]
async fn work_orders_of_machines_that_are_gone_are_purged_and_those_in_task_mode_are_not_run_again() {
    let site = Site::new(Wishes::default());
    let uuid = site.machine("m1", json!({})).await;
    site.taken("POST", "/blueprints", &json!({"Name": "wipe"})).await;
    let order = json!({"Blueprint": "wipe", "Machine": uuid, "Meta": {"pipeline-uuid": "p"}});
    let (made, _) = site.taken("POST", "/work_orders", &order).await;
    let run = site.shown(&format!("/machines/{uuid}/pipeline-execution")).await;
    assert_eq!((&run["Machine"]["Uuid"], &run["WorkOrders"][0]["Uuid"]), (&json!(uuid), &made["Uuid"]));
    let token = site.everything();
    let other = format!("/machines/{uuid}/pipeline-execution/q");
    assert_eq!(site.refused("GET", &other, &token, "").await.code, 404);
    let path = format!("/work_orders/{}/restart", made["Uuid"].as_str().unwrap());
    let error = site.refused("POST", &path, &token, "{}").await;
    assert!(error.code == 409 && error.messages[0].contains("is in task mode"), "{error}");
    let error = site.refused("POST", &path, &token, r#"{"mode": "sideways"}"#).await;
    let uuid_of_order = made["Uuid"].as_str().unwrap();
    let wanted =
        format!("{uuid_of_order}: Invalid mode `sideways`\nhint: it is one of retry, continue, from-start");
    assert_eq!(
        (error.code, error.r#type.as_str(), error.key.as_str()),
        (422, "ValidationError", uuid_of_order)
    );
    assert_eq!(error.messages, [wanted]);
    let error = site.refused("POST", &format!("/machines/{uuid}/pick/agent"), &token, "{}").await;
    assert!(error.code == 409 && error.messages[0].contains("not in work order mode"), "{error}");
    assert_eq!(site.refused("POST", "/work_orders/x/restart", &token, "{}").await.code, 404);
    assert_eq!(site.send("DELETE", "/work_orders", &token, "").await.status(), 204);
    site.shown(&format!("/work_orders/{}", made["Uuid"].as_str().unwrap())).await;
    site.taken("DELETE", &format!("/machines/{uuid}?force=true"), &json!({})).await;
    assert_eq!(site.send("DELETE", "/work_orders", &token, "").await.status(), 204);
    let path = format!("/work_orders/{}", made["Uuid"].as_str().unwrap());
    assert_eq!(site.refused("GET", &path, &token, "").await.code, 404);
}

#[tokio::test]
async fn no_cluster_has_the_uuid_of_a_machine_nor_a_machine_that_of_a_cluster() {
    let site = Site::new(Wishes::default());
    let uuid = site.machine("m1", json!({})).await;
    let twin = json!({"Name": "c1", "Uuid": uuid}).to_string();
    assert_eq!(site.refused("POST", "/clusters", &site.everything(), &twin).await.code, 409);
    let (made, _) = site.taken("POST", "/clusters", &json!({"Name": "c2"})).await;
    let twin = json!({"Name": "m2", "Uuid": made["Uuid"]}).to_string();
    assert_eq!(site.refused("POST", "/machines", &site.everything(), &twin).await.code, 409);
}

#[tokio::test]
async fn what_becomes_of_a_machine_is_not_written_by_clients() {
    let site = Site::new(Wishes::default());
    let marks = json!({"delete-after-workflow": "", "pool-destination": "{}", "machine-role": "self", "color": "red",
                       "work-order": "w", "work-order-mode": "true"});
    let uuid = site.machine("m1", json!({"Meta": marks})).await;
    let path = format!("/machines/{uuid}");
    let meta = site.shown(&path).await["Meta"].clone();
    assert_eq!((&meta["color"], meta.get("machine-role")), (&json!("red"), None));
    for name in ["delete-after-workflow", "pool-destination", "machine-role", "work-order", "work-order-mode"]
    {
        assert!(meta.get(name).is_none(), "{name}");
        let add = json!([{"op": "add", "path": format!("/{name}"), "value": ""}]);
        site.taken("PATCH", &format!("/meta/machines/{uuid}"), &add).await;
        assert!(site.shown(&path).await["Meta"].get(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn secure_params_are_not_given_by_pools_without_the_right_nor_on_the_way() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/params", &json!({"Name": "bmc/word", "Secure": true})).await;
    site.machine("m1", json!({})).await;
    let claims =
        [("pools", "action"), ("machines", "update")].map(|(scope, action)| Claim::new(scope, action, "*"));
    let narrow = site.token(60, &claims);
    let body = r#"{"pool/add-parameters": {"bmc/word": "x"}}"#;
    let error = site.refused("POST", "/pools/default/allocateMachines", &narrow, body).await;
    assert!(error.code == 403 && error.messages[0].contains("updateSecure"), "{error}");
    let error = site.refused("POST", "/pools/lab/addMachines", &site.everything(), body).await;
    assert_eq!(error.code, 422, "{error}");
}

#[tokio::test]
async fn allocated_address_has_nothing_that_clients_cannot_write() {
    let site = Site::new(Wishes::default());
    site.taken(
        "POST",
        "/subnets",
        &json!({"Name": "lab", "Subnet": "10.9.0.0/24", "OnlyReservations": true}),
    )
    .await;
    let asked = json!({"ReadOnly": true, "Bundle": "x", "CreatedBy": "nobody", "Meta": {"color": "red"}});
    let (made, _) = site.taken("POST", "/subnets/lab/allocate", &asked).await;
    assert_eq!(
        (&made["ReadOnly"], &made["Bundle"], &made["Meta"]["color"]),
        (&json!(false), &json!(""), &json!("red"))
    );
}

#[tokio::test]
async fn group_goes_through_its_tasks_in_the_context_that_it_names_or_in_that_of_groups() {
    let site = Site::new(Wishes::default());
    for prefix in ["clusters", "resource_brokers"] {
        for (name, given, context) in [
            ("g1", json!({}), "drpcli-runner"),
            ("g2", json!({"Context": "host"}), "host"),
            ("g3", json!({"Meta": {"BaseContext": "shelf"}}), "shelf"),
            ("g4", json!({"Meta": {"BaseContext": ""}}), ""),
        ] {
            let mut group = given;
            group["Name"] = json!(format!("{prefix}-{name}"));
            let (made, _) = site.taken("POST", &format!("/{prefix}"), &group).await;
            let stands = (&made["Context"], &made["Meta"]["BaseContext"]);
            assert_eq!(stands, (&json!(context), &json!(context)), "{prefix} {name}");
        }
    }
}

#[tokio::test]
async fn group_carries_its_profile_also_under_another_name() {
    let site = Site::new(Wishes::default());
    let (made, _) = site.taken("POST", "/clusters", &json!({"Name": "c1"})).await;
    assert_eq!(made["Profiles"], json!(["c1"]));
    let path = format!("/clusters/{}", made["Uuid"].as_str().unwrap());
    site.taken("POST", &format!("{path}/group/params"), &json!({"size/nodes": 3})).await;
    let rename = json!([{"op": "replace", "path": "/Name", "value": "c2"}]);
    let (renamed, _) = site.taken("PATCH", &path, &rename).await;
    assert_eq!((&renamed["Profiles"], &renamed["Errors"]), (&json!(["c2"]), &json!([])));
    assert_eq!(site.shown(&format!("{path}/params/size%2Fnodes?aggregate=true")).await, 3);
    assert_eq!(site.refused("GET", "/profiles/c1", &site.everything(), "").await.code, 404);
    site.taken("DELETE", &path, &json!({})).await;
    assert_eq!(site.refused("GET", "/profiles/c2", &site.everything(), "").await.code, 404);
}

#[tokio::test]
async fn one_call_moves_no_more_machines_than_writers_can_wait_for() {
    let site = Site::new(Wishes::default());
    for number in 0..51 {
        site.machine(&format!("m{number}"), json!({})).await;
    }
    let all = json!({"pool/all-machines": true}).to_string();
    let error = site.refused("POST", "/pools/default/allocateMachines", &site.everything(), &all).await;
    assert!(error.code == 409 && error.messages[0].contains("51 machines are more than 50"), "{error}");
    let some = json!({"pool/count": 50});
    assert_eq!(names(&site.taken("POST", "/pools/default/allocateMachines", &some).await.0).len(), 50);
}
