//! Rules of machines, one named test each (features.md).

use serde_json::Value;

use super::*;

mod boot;

impl Site {
    async fn all_rights(&self, method: &str, path: &str, body: Value) -> ApiError {
        let token = self.token(60, &[Claim::new("*", "*", "*")]);
        self.refused(method, path, &token, &body.to_string()).await
    }

    /// Makes a machine of a name and some members, and returns its path and what it is.
    async fn machine_of(&self, mut body: Value) -> (String, Value) {
        if body.get("Name").is_none() {
            body["Name"] = json!("m1");
        }
        let (made, _) = self.taken("POST", "/machines", &body).await;
        (format!("/machines/{}", made["Uuid"].as_str().unwrap()), made)
    }

    async fn now(&self, path: &str) -> Value {
        self.taken("GET", path, &Value::Null).await.0
    }

    /// Makes a machine with one task, and a job of it that runs. Returns the paths of both.
    async fn running_job(&self, name: &str) -> (String, String) {
        if self.endpoint.snapshot().find("tasks", "one").is_none() {
            self.taken("POST", "/tasks", &json!({"Name": "one"})).await;
        }
        let (path, made) = self.machine_of(json!({"Name": name, "Tasks": ["one"]})).await;
        let (job, _) = self.taken("POST", "/jobs", &json!({"Machine": made["Uuid"]})).await;
        let of_job = format!("/jobs/{}", job["Uuid"].as_str().unwrap());
        self.taken("PATCH", &of_job, &replace("/State", json!("running"))).await;
        (path, of_job)
    }
}

fn replace(path: &str, value: Value) -> Value {
    json!([{"op": "replace", "path": path, "value": value}])
}

#[tokio::test]
async fn row_001_uuid_never_changes() {
    let site = Site::new(Wishes::default());
    let (path, made) = site.machine_of(json!({})).await;
    let other = "7e7047c3-baab-454e-bc1b-5623a221450b";
    let error = site.all_rights("PATCH", &path, replace("/Uuid", json!(other))).await;
    assert!(error.code == 422 && error.to_string().contains("Uuid cannot change"), "{error}");
    let mut whole = made.clone();
    whole["Uuid"] = json!(other);
    assert_eq!(site.all_rights("PUT", &path, whole).await.code, 422);
    assert_eq!(site.now(&path).await, made);
}

#[tokio::test]
async fn row_003_name_is_needed_and_unique() {
    let site = Site::new(Wishes::default());
    site.machine_of(json!({"Name": "twin"})).await;
    for name in ["", "twin"] {
        assert_eq!(site.all_rights("POST", "/machines", json!({"Name": name})).await.code, 422, "{name}");
    }
}

#[tokio::test]
async fn row_005_work_order_mode_is_a_mode_of_the_machine() {
    let site = Site::new(Wishes::default());
    let (path, made) = site.machine_of(json!({})).await;
    assert_eq!(made["WorkOrderMode"], false);
    site.taken("PATCH", &path, &replace("/WorkOrderMode", json!(true))).await;
    assert_eq!(site.now(&path).await["WorkOrderMode"], true);
}

#[tokio::test]
async fn row_008_own_value_goes_before_those_of_profiles_and_of_global() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/profiles", &json!({"Name": "p1", "Params": {"a/b": "profile"}})).await;
    site.taken("POST", "/profiles", &json!({"Name": "global", "Params": {"a/b": "global"}})).await;
    let body = json!({"Profiles": ["p1"], "Params": {"a/b": "own"}});
    let (path, _) = site.machine_of(body).await;
    let param = format!("{path}/params/a%2Fb?aggregate=true");
    for (value, holder) in
        [("own", path.as_str()), ("profile", "/profiles/p1"), ("global", "/profiles/global")]
    {
        assert_eq!(site.now(&param).await, value);
        site.taken("DELETE", &format!("{holder}/params/a%2Fb"), &Value::Null).await;
    }
    assert_eq!(site.now(&param).await, Value::Null);
}

#[tokio::test]
async fn row_009_first_profile_wins() {
    let site = Site::new(Wishes::default());
    for (name, value) in [("p1", 1), ("p2", 2)] {
        site.taken("POST", "/profiles", &json!({"Name": name, "Params": {"a/b": value}})).await;
    }
    let (path, _) = site.machine_of(json!({"Profiles": ["p1", "p2"]})).await;
    let param = format!("{path}/params/a%2Fb?aggregate=true");
    assert_eq!(site.now(&param).await, 1);
    site.taken("PATCH", &path, &replace("/Profiles", json!(["p2", "p1"]))).await;
    assert_eq!(site.now(&param).await, 2);
}

#[tokio::test]
async fn row_010_missing_profile_is_named_with_its_place() {
    let site = Site::new(Wishes::default());
    let body = json!({"Name": "m1", "Profiles": ["global", "not-there"]});
    let error = site.all_rights("POST", "/machines", body).await;
    assert!(
        error.code == 422 && error.to_string().contains("Profile not-there (at 1) does not exist"),
        "{error}"
    );
}

#[tokio::test]
async fn row_011_values_are_as_their_param_says() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/params", &json!({"Name": "rack/unit", "Schema": {"type": "integer"}})).await;
    let (path, _) = site.machine_of(json!({})).await;
    let error = site.all_rights("POST", &format!("{path}/params/rack%2Funit"), json!("x")).await;
    assert!(error.code == 422 && error.to_string().contains("rack/unit"), "{error}");
    let body = json!({"Name": "m2", "Params": {"rack/unit": "x"}});
    assert_eq!(site.all_rights("POST", "/machines", body).await.code, 422);
    site.taken("POST", &format!("{path}/params/rack%2Funit"), &json!(7)).await;
}

#[tokio::test]
async fn row_012_param_without_a_definition_takes_any_json() {
    let site = Site::new(Wishes::default());
    let (path, _) = site.machine_of(json!({})).await;
    for value in [json!("x"), json!(1.5), json!([1, "a"]), json!({"a": {"b": []}}), json!(false)] {
        site.taken("POST", &format!("{path}/params/free%2Fone"), &value).await;
        assert_eq!(site.now(&format!("{path}/params/free%2Fone")).await, value);
    }
}

#[tokio::test]
async fn row_013_put_replaces_params() {
    let site = Site::new(Wishes::default());
    let (path, mut made) = site.machine_of(json!({"Params": {"a/a": 1, "b/b": 2}})).await;
    made["Params"] = json!({"c/c": 3});
    site.taken("PUT", &path, &made).await;
    assert_eq!(site.now(&path).await["Params"], json!({"c/c": 3}));
}

#[tokio::test]
async fn row_014_patch_keeps_the_other_params() {
    let site = Site::new(Wishes::default());
    let (path, _) = site.machine_of(json!({"Params": {"a/a": 1}})).await;
    let add = json!([{"op": "add", "path": "/Params/b~1b", "value": 2}]);
    site.taken("PATCH", &path, &add).await;
    assert_eq!(site.now(&path).await["Params"], json!({"a/a": 1, "b/b": 2}));
}

#[tokio::test]
async fn row_015_post_of_params_replaces_all_of_them() {
    let site = Site::new(Wishes::default());
    let (path, _) = site.machine_of(json!({"Params": {"a/a": 1}})).await;
    let (answer, _) = site.taken("POST", &format!("{path}/params"), &json!({"b/b": 2})).await;
    assert_eq!(answer, json!({"b/b": 2}));
    assert_eq!(site.now(&format!("{path}/params")).await, json!({"b/b": 2}));
}

#[tokio::test]
async fn row_033_machine_learns_who_it_is_and_gets_a_token() {
    let site = Site::new(Wishes::default());
    let (path, made) = site.machine_of(json!({"HardwareAddrs": ["52:54:00:00:00:01"]})).await;
    let (told, _) = site.taken("POST", "/whoami", &json!({"MacAddrs": ["52:54:00:00:00:01"]})).await;
    assert_eq!((&told["Result"]["Uuid"], &told["Result"]["Score"]), (&made["Uuid"], &json!(100)));
    let token = told["Result"]["Token"].as_str().unwrap();
    assert_eq!(site.send("GET", &path, token, "").await.status(), 200);
}

#[tokio::test]
async fn row_034_job_state_is_that_of_the_current_job() {
    let site = Site::new(Wishes::default());
    let (path, job) = site.running_job("m1").await;
    assert_eq!(site.now(&path).await["JobState"], "running");
    site.taken("PATCH", &job, &replace("/State", json!("failed"))).await;
    assert_eq!(site.now(&path).await["JobState"], "failed");
    let forged = replace("/JobState", json!("finished"));
    site.taken("PATCH", &path, &forged).await;
    assert_eq!(site.now(&path).await["JobState"], "failed", "it is only a mirror");
}

#[tokio::test]
async fn row_035_exit_state_is_that_of_the_current_job() {
    let site = Site::new(Wishes::default());
    for exit in ["reboot", "poweroff", "stop", "complete"] {
        let (path, job) = site.running_job(exit).await;
        let ends = json!([{"op": "replace", "path": "/State", "value": "finished"},
                          {"op": "replace", "path": "/ExitState", "value": exit}]);
        site.taken("PATCH", &job, &ends).await;
        let now = site.now(&path).await;
        assert_eq!((&now["JobState"], &now["JobExitState"]), (&json!("finished"), &json!(exit)));
    }
}

#[tokio::test]
async fn row_036_result_errors_of_the_job_are_seen_without_its_log() {
    let site = Site::new(Wishes::default());
    let (path, job) = site.running_job("m1").await;
    let ends = json!([{"op": "replace", "path": "/State", "value": "failed"},
                      {"op": "replace", "path": "/ResultErrors", "value": ["no disk", "no raid"]}]);
    site.taken("PATCH", &job, &ends).await;
    assert_eq!(site.now(&path).await["JobResultErrors"], json!(["no disk", "no raid"]));
}

#[tokio::test]
async fn row_037_locked_machine_takes_only_what_unlocks_it_from_users() {
    let site = Site::new(Wishes::default());
    let (path, made) = site.machine_of(json!({"Locked": true})).await;
    let mut whole = made.clone();
    whole["Description"] = json!("d");
    let meta = path.replace("/machines/", "/meta/machines/");
    for (method, path, body) in [
        ("PATCH", path.clone(), replace("/Description", json!("d"))),
        ("PATCH", path.clone(), replace("/Locked", json!(true))),
        ("PUT", path.clone(), whole),
        ("POST", format!("{path}/params"), json!({"a/b": 1})),
        ("POST", format!("{path}/params/a%2Fb"), json!(1)),
        ("PATCH", meta, json!([{"op": "add", "path": "/color", "value": "red"}])),
        ("DELETE", path.clone(), Value::Null),
    ] {
        let error = site.all_rights(method, &path, body).await;
        assert!(error.code == 422 && error.to_string().contains("the machine is locked"), "{method} {error}");
    }
    assert_eq!(site.now(&path).await, made);
    let (unlocked, _) = site.taken("PATCH", &path, &replace("/Locked", json!(false))).await;
    assert_eq!(unlocked["Locked"], false);
    site.taken("PATCH", &path, &replace("/Description", json!("d"))).await;
}

#[tokio::test]
async fn row_044_machine_without_a_pool_is_in_the_default_one() {
    let site = Site::new(Wishes::default());
    let (_, made) = site.machine_of(json!({})).await;
    assert_eq!((&made["Pool"], &made["PoolStatus"]), (&json!("default"), &json!("Free")));
}

#[tokio::test]
async fn row_046_profile_is_named_once() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/profiles", &json!({"Name": "p1"})).await;
    let (path, _) = site.machine_of(json!({"Profiles": ["p1"]})).await;
    let twice = json!([{"op": "add", "path": "/Profiles/-", "value": "p1"}]);
    let error = site.all_rights("PATCH", &path, twice).await;
    assert!(error.code == 422 && error.to_string().contains("Duplicate profile"), "{error}");
}

#[tokio::test]
async fn row_047_machine_that_is_not_runnable_gets_no_job() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/tasks", &json!({"Name": "one"})).await;
    let (path, made) = site.machine_of(json!({"Tasks": ["one"]})).await;
    site.taken("PATCH", &path, &replace("/Runnable", json!(false))).await;
    let error = site.all_rights("POST", "/jobs", json!({"Machine": made["Uuid"]})).await;
    assert_eq!(error.code, 409, "{error}");
}

#[tokio::test]
async fn row_048_new_secret_ends_the_tokens_of_the_machine() {
    let site = Site::new(Wishes::default());
    let (path, _) = site.machine_of(json!({})).await;
    let token = site.now(&format!("{path}/token")).await["Token"].as_str().unwrap().to_owned();
    assert_eq!(site.send("GET", &path, &token, "").await.status(), 200);
    site.taken("PATCH", &path, &replace("/Secret", json!("other"))).await;
    assert_eq!(site.refused("GET", &path, &token, "").await.code, 403);
    let fresh = site.now(&format!("{path}/token")).await["Token"].as_str().unwrap().to_owned();
    assert_eq!(site.send("GET", &path, &fresh, "").await.status(), 200);
}
