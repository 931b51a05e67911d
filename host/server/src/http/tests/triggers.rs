//! Triggers that fire: by schedule, on events and by their hooks (drp-api.md 14.7).

use formwork_model::Timestamp;
use serde_json::Value;

use super::*;
use crate::{clock::Clock, housekeeping::Follower};

/// 2031-03-28 01:59:30 UTC.
const START: i64 = 1_932_429_570_000;

/// A site with a blueprint, a provider of each sort, and machines of which two take work orders.
async fn site(clock: &Clock) -> Site {
    let site = Site::new(Wishes { clock: clock.clone(), ..Wishes::default() });
    site.taken("POST", "/blueprints", &json!({"Name": "patch"})).await;
    for (name, no_url, needs) in [
        ("cron-trigger", true, json!(["cron-trigger/schedule"])),
        ("event-trigger", true, json!(["event-trigger/event-match"])),
        ("hooks", false, json!([])),
    ] {
        let provider = json!({"Name": name, "NoURL": no_url, "RequiredParameters": needs});
        site.taken("POST", "/trigger_providers", &provider).await;
    }
    for (name, takes, pool) in [("m1", true, "lab"), ("m2", true, "shop"), ("m3", false, "lab")] {
        let machine = json!({"Name": name, "WorkOrderMode": takes, "Runnable": true, "Pool": pool});
        site.taken("POST", "/machines", &machine).await;
    }
    site
}

async fn orders(site: &Site) -> Vec<Value> {
    site.taken("GET", "/work_orders", &Value::Null).await.0.as_array().unwrap().clone()
}

#[tokio::test]
async fn row_200_triggers_fire_by_schedule_and_by_hook() {
    let clock = Clock::invented(Timestamp::from_millis(START));
    let site = site(&clock).await;
    let trigger = json!({"Name": "often", "TriggerProvider": "cron-trigger", "Blueprint": "patch", "Enabled": true,
                         "Filter": "Pool=lab", "Params": {"cron-trigger/schedule": "* * * * *"},
                         "WorkOrderParams": {"a/b": 1}});
    let mut follower = Follower::new(&site.endpoint);
    site.taken("POST", "/triggers", &trigger).await;
    follower.turn(&site.endpoint).await;
    assert_eq!(orders(&site).await.len(), 0, "it is half a minute too early");
    clock.advance_to(Timestamp::from_millis(START + 30_000));
    follower.turn(&site.endpoint).await;
    follower.turn(&site.endpoint).await;
    let made = orders(&site).await;
    let machine = site.taken("GET", "/machines/Name:m1", &Value::Null).await.0;
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(
        (&made[0]["Machine"], &made[0]["Blueprint"], &made[0]["Params"], &made[0]["State"]),
        (&machine["Uuid"], &json!("patch"), &json!({"a/b": 1}), &json!("created"))
    );
    clock.advance_to(Timestamp::from_millis(START + 600_000));
    follower.turn(&site.endpoint).await;
    assert_eq!(orders(&site).await.len(), 2, "times that passed unseen are left out");
    site.taken("PATCH", "/triggers/often", &json!([{"op": "replace", "path": "/Enabled", "value": false}]))
        .await;
    clock.advance_to(Timestamp::from_millis(START + 900_000));
    follower.turn(&site.endpoint).await;
    assert_eq!(orders(&site).await.len(), 2);

    let hook = json!({"Name": "bell", "TriggerProvider": "hooks", "Blueprint": "patch", "Enabled": true,
                      "AllInFilter": true, "MergeDataIntoParams": true, "StoreDataInParameter": "bell/all"});
    let (made, _) = site.taken("POST", "/triggers", &hook).await;
    assert_eq!(made["Meta"]["URL"], "/api/v3/webhook/bell");
    let (rung, _) = site.taken("POST", "/webhook/bell", &json!({"who": "ann"})).await;
    assert_eq!(rung.as_array().unwrap().len(), 2, "a work order for each machine that takes them");
    let path = format!("/work_orders/{}", rung[0].as_str().unwrap());
    let order = site.taken("GET", &path, &Value::Null).await.0;
    assert_eq!(order["Params"], json!({"who": "ann", "bell/all": {"who": "ann"}}));
}

#[tokio::test]
async fn hook_refuses_what_is_not_for_it() {
    let site = site(&Clock::Real).await;
    let hook =
        json!({"Name": "bell", "TriggerProvider": "hooks", "Blueprint": "patch", "Filter": "Pool=none"});
    site.taken("POST", "/triggers", &hook).await;
    let all = site.everything();
    let refusal = async |method: &str, body: &str| site.refused(method, "/webhook/bell", &all, body).await;
    assert!(refusal("POST", "{}").await.messages[0].contains("not enabled"));
    let on = json!([{"op": "replace", "path": "/Enabled", "value": true}]);
    site.taken("PATCH", "/triggers/bell", &on).await;
    assert_eq!(refusal("PUT", "{}").await.code, 405);
    assert_eq!((refusal("POST", "[1]").await.code, refusal("POST", "?").await.code), (400, 400));
    let large = json!({"a": "x".repeat(70_000)}).to_string();
    assert_eq!(refusal("POST", &large).await.code, 413);
    assert_eq!(site.refused("POST", "/webhook/none", &all, "{}").await.code, 404);
    assert_eq!(site.refused("POST", "/webhook/bell", "", "{}").await.code, 401);
    let other = site.token(60, &[Claim::new("triggers", "get", "*")]);
    assert_eq!(site.refused("POST", "/webhook/bell", &other, "{}").await.code, 403);

    let right = site.token(60, &[Claim::new("triggers", "fire", "bell")]);
    let answer = site.send("POST", &format!("/webhook/bell?token={right}"), "", "").await;
    assert_eq!(answer.status(), 201, "a caller who can send no header has the token in the URL");
    assert!(orders(&site).await.is_empty(), "no machine matches, and nothing is queued");
    let queue = json!([{"op": "replace", "path": "/QueueMode", "value": true}]);
    site.taken("PATCH", "/triggers/bell", &queue).await;
    site.taken("POST", "/webhook/bell", &json!({})).await;
    let waiting = orders(&site).await;
    assert_eq!((&waiting[0]["Machine"], &waiting[0]["Filter"]), (&json!(""), &json!("Pool=none")));
    let bad = json!([{"op": "replace", "path": "/Filter", "value": "Nonsense=Eq(1)"}]);
    site.taken("PATCH", "/triggers/bell", &bad).await;
    assert!(refusal("POST", "{}").await.messages[0].starts_with("the filter of the trigger: "));
}

#[tokio::test]
async fn trigger_fires_on_the_events_that_it_names_and_never_on_its_own() {
    let site = site(&Clock::Real).await;
    let trigger = json!({"Name": "new", "TriggerProvider": "event-trigger", "Blueprint": "patch", "Enabled": true,
                         "Filter": "Name=m1", "StoreDataInParameter": "new/event",
                         "Params": {"event-trigger/event-match": "machines,work_orders.create.*"}});
    site.taken("POST", "/triggers", &trigger).await;
    let mut follower = Follower::new(&site.endpoint);
    site.taken("POST", "/profiles", &json!({"Name": "quiet"})).await;
    follower.turn(&site.endpoint).await;
    assert!(orders(&site).await.is_empty());
    let (machine, _) = site.taken("POST", "/machines", &json!({"Name": "m9"})).await;
    for _ in 0..3 {
        follower.turn(&site.endpoint).await;
    }
    let made = orders(&site).await;
    assert_eq!(made.len(), 1, "its own work order is an event that it names");
    let event = &made[0]["Params"]["new/event"];
    assert_eq!((&event["Action"], &event["Key"]), (&json!("create"), &machine["Uuid"]));
}

#[tokio::test]
async fn trigger_that_is_enabled_has_what_its_provider_needs() {
    let site = site(&Clock::Real).await;
    let token = site.everything();
    let trigger = |params: Value, enabled: bool| json!({"Name": "tt", "TriggerProvider": "cron-trigger", "Blueprint": "patch", "Params": params, "Enabled": enabled});
    let refused =
        async |trigger: Value| site.refused("POST", "/triggers", &token, &trigger.to_string()).await;
    let error = refused(trigger(json!({}), true)).await;
    assert!(
        error.code == 422 && error.messages[0].contains("needs the param cron-trigger/schedule"),
        "{error}"
    );
    let error = refused(trigger(json!({"cron-trigger/schedule": "soon"}), false)).await;
    assert!(error.code == 422 && error.messages[0].contains("no schedule"), "{error}");
    site.taken("POST", "/triggers", &trigger(json!({}), false)).await;
    let on = json!([{"op": "replace", "path": "/Enabled", "value": true}]).to_string();
    assert_eq!(site.refused("PATCH", "/triggers/tt", &token, &on).await.code, 422);
}
