//! Work orders that any machine of their filter may take.

use super::*;

async fn machine(site: &Site, name: &str, takes: bool, pool: &str) -> String {
    let machine = json!({"Name": name, "WorkOrderMode": takes, "Runnable": true, "Pool": pool});
    site.taken("POST", "/machines", &machine).await.0["Uuid"].as_str().unwrap().to_owned()
}

/// More orders than anybody would ask filters for one by one are ahead, all for a machine that is not there.
#[tokio::test]
async fn order_is_found_behind_any_number_of_older_ones_for_others() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/blueprints", &json!({"Name": "patch"})).await;
    let uuid = machine(&site, "m1", true, "default").await;
    let pick = format!("/machines/{uuid}/pick/agent");
    let all = site.everything();
    for _ in 0..1_100 {
        site.taken("POST", "/work_orders", &json!({"Blueprint": "patch", "Filter": "Name=nobody"})).await;
    }
    assert_eq!(site.send("POST", &pick, &all, "").await.status(), 204);
    let mut wanted = Vec::new();
    for filter in ["Name=m1", "Pool=default"] {
        let order =
            site.taken("POST", "/work_orders", &json!({"Blueprint": "patch", "Filter": filter})).await.0;
        wanted.push(order["Uuid"].clone());
    }
    for order in &wanted {
        let picked = site.taken("POST", &pick, &serde_json::Value::Null).await.0;
        assert_eq!((&picked["Uuid"], &picked["Machine"]), (order, &json!(uuid)), "the oldest goes first");
        assert_eq!(site.taken("POST", &pick, &serde_json::Value::Null).await.0["Uuid"], *order, "and again");
        let path = format!("/work_orders/{}", order.as_str().unwrap());
        let cancel = json!([{"op": "replace", "path": "/State", "value": "cancelled"}]);
        site.taken("PATCH", &path, &cancel).await;
    }
    assert_eq!(site.send("POST", &pick, &all, "").await.status(), 204);
}

#[tokio::test]
async fn machines_are_told_at_once_of_an_order_for_any_of_their_filter_unless_one_of_its_context_runs_there()
{
    let site = Site::new(Wishes::default());
    site.taken("POST", "/blueprints", &json!({"Name": "patch"})).await;
    site.taken("POST", "/contexts", &json!({"Name": "shelf"})).await;
    let able = machine(&site, "m1", true, "lab").await;
    machine(&site, "m2", true, "shop").await;
    machine(&site, "m3", false, "lab").await;
    let mut told = site.endpoint.hub.listen();
    let (_shutdown, ends) = tokio::sync::watch::channel(false);
    let house = crate::housekeeping::start(Arc::clone(&site.endpoint), ends);
    let mut next_told = async || loop {
        let event = tokio::time::timeout(std::time::Duration::from_secs(30), told.recv()).await;
        let event = event.expect("nobody was told").unwrap();
        if event.action == "work_order" {
            break (event.r#type.clone(), event.key.clone());
        }
    };
    let (make, able) = (json!({"Blueprint": "patch", "Filter": "Pool=lab"}), ("machines".to_owned(), able));
    for _ in 0..2 {
        site.taken("POST", "/work_orders", &make).await;
        assert_eq!(next_told().await, able);
    }
    // One runs on it. So an order of the same context is for others, and one of another is for another agent.
    let pick = format!("/machines/{}/pick/agent", able.1);
    assert_eq!(site.taken("POST", &pick, &serde_json::Value::Null).await.0["State"], "running");
    site.taken("POST", "/work_orders", &make).await;
    let next = machine(&site, "m4", true, "yard").await;
    site.taken("POST", "/work_orders", &json!({"Blueprint": "patch", "Filter": "Pool=yard"})).await;
    assert_eq!(next_told().await, ("machines".to_owned(), next), "the machine is busy in that context");
    let other = json!({"Blueprint": "patch", "Filter": "Pool=lab", "Context": "shelf"});
    site.taken("POST", "/work_orders", &other).await;
    assert_eq!(next_told().await, able);
    house.abort();
}
