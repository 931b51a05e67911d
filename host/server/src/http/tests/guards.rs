//! What is refused because it would take more than the one who asks for it.

use super::*;

#[tokio::test]
async fn last_user_who_may_do_everything_stays() {
    let site = Site::new(Wishes::default());
    let all = site.everything();
    let refused = site.refused("DELETE", "/users/anna", &all, "").await;
    assert_eq!(about(&refused), ("users", "anna", "DELETE", 409));
    let none = r#"[{"op": "add", "path": "/Roles", "value": []}]"#;
    assert_eq!(site.refused("PATCH", "/users/anna", &all, none).await.code, 409);
    site.taken("POST", "/users", &json!({"Name": "bert", "Roles": ["superuser"]})).await;
    site.taken("PATCH", "/users/anna", &serde_json::from_str(none).unwrap()).await;
}

#[tokio::test]
async fn machine_is_named_by_a_uuid_in_one_form() {
    let site = Site::new(Wishes::default());
    let all = site.everything();
    for uuid in ["notauuid", "../../x", "{3e7031fe-5555-45c1-835b-92541bc9cbd4}"] {
        let body = json!({"Name": "x1", "Uuid": uuid}).to_string();
        for kind in ["machines", "clusters", "resource_brokers"] {
            let refused = site.refused("POST", &format!("/{kind}"), &all, &body).await;
            assert!(refused.code == 422 && refused.messages[0].contains("Invalid Uuid"), "{refused}");
        }
    }
    let upper = "3E7031FE-5555-45C1-835B-92541BC9CBD4";
    let (made, _) = site.taken("POST", "/machines", &json!({"Name": "x1", "Uuid": upper})).await;
    assert_eq!(made["Uuid"], upper.to_lowercase());
    let path = format!("/machines/{upper}");
    assert_eq!(site.taken("GET", &path, &serde_json::Value::Null).await.0["Name"], "x1");
    let again = json!({"Name": "x2", "Uuid": upper.to_lowercase()}).to_string();
    assert_eq!(site.refused("POST", "/machines", &all, &again).await.code, 409);
}

#[tokio::test]
async fn what_a_preference_names_is_in_use() {
    let site = Site::new(Wishes::default());
    let all = site.everything();
    site.taken("POST", "/stages", &json!({"Name": "first"})).await;
    site.taken("POST", "/prefs", &json!({"defaultStage": "first"})).await;
    let refused = site.refused("DELETE", "/stages/first", &all, "").await;
    assert!(refused.code == 409 && refused.messages[0].contains("preferences:defaultStage"), "{refused}");
    site.taken("POST", "/prefs", &json!({"defaultStage": "none"})).await;
    site.taken("DELETE", "/stages/first", &serde_json::Value::Null).await;
}

#[tokio::test]
async fn values_that_lie_too_deep_are_the_callers_error() {
    let site = Site::new(Wishes::default());
    let all = site.everything();
    site.taken("POST", "/profiles", &json!({"Name": "deep"})).await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for depth in [119, 126, 200] {
        let refused = site.refused("POST", "/profiles/deep/params/ab", &all, &nested(depth)).await;
        assert!(matches!(refused.code, 400 | 422), "{depth}: {refused}");
    }
    site.taken("POST", "/profiles/deep/params/ab", &serde_json::from_str(&nested(90)).unwrap()).await;
}

#[tokio::test]
async fn members_of_a_question_who_one_is_may_be_null() {
    let site = Site::new(Wishes::default());
    let (told, _) = site
        .taken("POST", "/whoami", &json!({
            "Fingerprint": {"SSNHash": null, "CSNHash": null, "CloudInstanceID": "", "SystemUUID": "", "MemoryIds": null},
            "MacAddrs": null, "OnDiskUUID": null,
        }))
        .await;
    assert_eq!(told["Result"]["Score"], 0);
}

#[tokio::test]
async fn boot_environment_beside_that_of_the_stage_is_refused() {
    let site = Site::new(Wishes::default());
    let all = site.everything();
    site.taken("POST", "/bootenvs", &json!({"Name": "rescue", "OS": {"Name": "rescue"}})).await;
    site.taken("POST", "/stages", &json!({"Name": "rescued", "BootEnv": "rescue"})).await;
    let (made, _) = site.taken("POST", "/machines", &json!({"Name": "x1", "Stage": "rescued"})).await;
    assert_eq!(made["BootEnv"], "rescue");
    let path = format!("/machines/{}", made["Uuid"].as_str().unwrap());
    let other = r#"[{"op": "replace", "path": "/BootEnv", "value": "local"}]"#;
    let refused = site.refused("PATCH", &path, &all, other).await;
    assert!(refused.code == 422 && refused.messages[0].contains("contradicts stage rescued"), "{refused}");
}
