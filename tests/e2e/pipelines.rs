//! Runs of pipelines, from the workflow that somebody begins to the last that a task chains to it.

use formwork_client::{Credentials, JobCreation, PatchOp};
use formwork_model::{Job, Machine, Meta};
use serde_json::json;

use crate::endpoint::Endpoint;

/// Pipeline and run of a machine or a job.
fn run_of(meta: &Meta) -> (Option<&str>, Option<&str>) {
    (meta.get("pipeline").map(String::as_str), meta.get("pipeline-uuid").map(String::as_str))
}

#[tokio::test]
async fn row_043_pipeline_and_its_run_are_in_the_meta_of_the_machine_and_its_jobs() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    client.collection("tasks").create(&json!({"Name": "one"})).await.unwrap();
    client.collection("stages").create(&json!({"Name": "st", "Tasks": ["one"]})).await.unwrap();
    for name in ["first", "second"] {
        client.collection("workflows").create(&json!({"Name": name, "Stages": ["st"]})).await.unwrap();
    }
    let name = "universal-application-web";
    let profile =
        json!({"Name": name, "Meta": {"pipeline": "true"}, "Params": {"universal/application": "web"}});
    client.collection("profiles").create(&profile).await.unwrap();
    let machine = json!({"Name": "m1", "Profiles": [name]});
    let uuid = client.collection("machines").create(&machine).await.unwrap()["Uuid"].clone();
    let uuid = uuid.as_str().unwrap();
    let idle: Machine = client.get(uuid).await.unwrap();
    assert_eq!(run_of(&idle.header.meta), (None, None));

    let begin = |workflow: &str| [PatchOp::replace("/Workflow", workflow)];
    let begun: Machine = client.patch(uuid, &begin("first")).await.unwrap();
    let (pipeline, Some(run)) = run_of(&begun.header.meta) else { panic!("{:?}", begun.header.meta) };
    assert_eq!(pipeline, Some("web"));
    let JobCreation::Created(job) = client.job_create(uuid, "", "").await.unwrap() else { panic!("no job") };
    assert_eq!(run_of(&job.header.meta), (Some("web"), Some(run)));

    let token = client.machine_token(uuid, "1h").await.unwrap().token;
    let agent = endpoint.client_with(Credentials::Token(token));
    client.patch::<Job>(&job.uuid, &[PatchOp::replace("/State", "running")]).await.unwrap();
    let chained: Machine = agent.patch(uuid, &begin("second")).await.unwrap();
    assert_eq!(
        (chained.workflow.as_str(), run_of(&chained.header.meta)),
        ("second", (Some("web"), Some(run)))
    );

    let again: Machine = client.patch(uuid, &begin("first")).await.unwrap();
    let (pipeline, other) = run_of(&again.header.meta);
    assert!(
        pipeline == Some("web") && other.is_some() && other != Some(run),
        "what a user begins is a new run"
    );
}
