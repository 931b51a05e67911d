//! Rights with the real program: tenants, and what auditors hear.

use std::collections::BTreeSet;

use formwork_client::{Credentials, PatchOp, Query};
use formwork_model::Profile;
use serde_json::json;

use crate::endpoint::Endpoint;

#[tokio::test]
async fn list_and_events_of_a_tenant_agree() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let profiles = client.collection("profiles");
    for name in ["p1", "p2", "p3"] {
        profiles.create(&json!({"Name": name})).await.unwrap();
    }
    let role = json!({"Name": "readers", "Claims": [{"scope": "*", "action": "list,get", "specific": "*"}]});
    client.collection("roles").create(&role).await.unwrap();
    client.collection("users").create(&json!({"Name": "guest", "Roles": ["readers"]})).await.unwrap();
    let tenant = json!({"Name": "t1", "Users": ["guest"], "Members": {"profiles": ["p1", "p3"]}});
    client.collection("tenants").create(&tenant).await.unwrap();
    let token = client.user_token("guest", &Query::new()).await.unwrap().token;
    let guest = endpoint.client_with(Credentials::Token(token));
    let listed: BTreeSet<String> =
        guest.list::<Profile>(&Query::new()).await.unwrap().into_iter().map(|profile| profile.name).collect();
    let mut stream = guest.events().await.unwrap();
    stream.register("profiles.*.*").await.unwrap();
    stream.register("stages.*.*").await.unwrap();
    for name in ["p1", "p2", "p3"] {
        let patch = [PatchOp::replace("/Description", name)];
        client.patch::<Profile>(name, &patch).await.unwrap();
    }
    // Types that the tenant does not name are not restricted; this one ends the list.
    client.collection("stages").create(&json!({"Name": "last"})).await.unwrap();
    let mut heard = BTreeSet::new();
    loop {
        let event = stream.next().await.unwrap();
        match event.r#type.as_str() {
            "profiles" => heard.insert(event.key),
            "stages" if event.key == "last" => break,
            _ => continue,
        };
    }
    assert_eq!(listed, BTreeSet::from(["p1", "p3"].map(String::from)));
    assert_eq!(heard, listed);
}

#[tokio::test]
async fn row_038_unlock_is_told_to_auditors() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let machine = client.collection("machines").create(&json!({"Name": "m1", "Locked": true})).await.unwrap();
    let uuid = machine["Uuid"].as_str().unwrap();
    let mut stream = client.events().await.unwrap();
    stream.register("audit.*.*").await.unwrap();
    let unlock = [PatchOp::replace("/Locked", false)];
    client.patch::<formwork_model::Machine>(uuid, &unlock).await.unwrap();
    loop {
        let event = stream.next().await.unwrap();
        if event.action == "unlock" {
            assert_eq!((event.key.as_str(), event.principal.as_str()), (uuid, "user:rocketskates"));
            return;
        }
    }
}
