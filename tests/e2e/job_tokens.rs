//! Tokens of jobs: what a task may do beyond its machine, and for how long.

use formwork_client::{Credentials, JobCreation, PatchOp};
use formwork_model::{Job, Machine};
use serde_json::json;

use crate::endpoint::Endpoint;

#[tokio::test]
async fn row_075_job_token_has_the_claims_of_its_task_while_the_job_lasts() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let role =
        json!({"Name": "looks", "Claims": [{"scope": "profiles", "action": "create", "specific": "*"}]});
    client.collection("roles").create(&role).await.unwrap();
    let looks = json!({"Name": "look", "ExtraRoles": ["looks"],
                       "ExtraClaims": [{"scope": "machines", "action": "get", "specific": "*"}]});
    client.collection("tasks").create(&looks).await.unwrap();
    client.collection("tasks").create(&json!({"Name": "plain"})).await.unwrap();
    let other = client.collection("machines").create(&json!({"Name": "m2"})).await.unwrap()["Uuid"].clone();
    let other = other.as_str().unwrap();
    let machine = json!({"Name": "m1", "Tasks": ["look", "plain"]});
    let machine = client.collection("machines").create(&machine).await.unwrap()["Uuid"].clone();
    let machine = machine.as_str().unwrap();
    let token = client.machine_token(machine, "1h").await.unwrap().token;
    let agent = endpoint.client_with(Credentials::Token(token));
    assert_eq!(
        agent.get::<Machine>(other).await.unwrap_err().status(),
        Some(403),
        "the machine itself may not"
    );

    let JobCreation::Created(job) = agent.job_create(machine, "", "").await.unwrap() else {
        panic!("no job")
    };
    assert_eq!(job.extra_claims.len(), 2, "{:?}", job.extra_claims);
    let job_client = endpoint.client_with(Credentials::Token(job.token.clone()));
    assert!(
        job_client.get::<Machine>(other).await.is_ok() && job_client.get::<Machine>(machine).await.is_ok()
    );
    job_client.collection("profiles").create(&json!({"Name": "p1"})).await.unwrap();
    let beyond = job_client.collection("machines").destroy(other).await.unwrap_err();
    assert_eq!(beyond.status(), Some(403));
    let stored: Job = client.get(&job.uuid).await.unwrap();
    assert!(stored.token.is_empty(), "it is in the answer to who runs the job, and nowhere else");

    for state in ["running", "finished"] {
        job_client.patch::<Job>(&job.uuid, &[PatchOp::replace("/State", state)]).await.unwrap();
    }
    let over = job_client.get::<Machine>(machine).await.unwrap_err();
    assert!(over.status() == Some(403) && over.to_string().contains("token"), "{over}");

    let JobCreation::Created(next) = agent.job_create(machine, "", "").await.unwrap() else {
        panic!("no job")
    };
    assert!(next.task == "plain" && next.token.is_empty() && next.extra_claims.is_empty(), "{next:?}");
}

#[tokio::test]
async fn nobody_writes_a_task_with_rights_that_he_has_not() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let claims = json!([{"scope": "tasks", "action": "*", "specific": "*"}]);
    client.collection("roles").create(&json!({"Name": "authors", "Claims": claims})).await.unwrap();
    client.collection("users").create(&json!({"Name": "ann", "Roles": ["authors"]})).await.unwrap();
    let words = ["users", "password", "ann", "correct-horse"];
    assert!(endpoint.cli(&words).status.success());
    let ann = endpoint.client_with(Credentials::from_key("ann:correct-horse"));
    let tasks = ann.collection("tasks");
    tasks.create(&json!({"Name": "plain"})).await.unwrap();
    for more in [
        json!({"Name": "more", "ExtraClaims": [{"scope": "users", "action": "*", "specific": "*"}]}),
        json!({"Name": "more", "ExtraRoles": ["superuser"]}),
    ] {
        let refused = tasks.create(&more).await.unwrap_err();
        assert_eq!(refused.status(), Some(403), "{refused}");
    }
    let own = json!({"Name": "own", "ExtraClaims": [{"scope": "tasks", "action": "get", "specific": "*"}]});
    tasks.create(&own).await.unwrap();
}
