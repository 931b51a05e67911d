//! The event stream: order, resumption, and the jobs of one machine.

use formwork_client::{ClientError, JobCreation, PatchOp};
use formwork_model::Job;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;

#[tokio::test]
async fn stream_resumes_without_a_gap_or_a_repetition() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let profiles = client.collection("profiles");
    // A fresh endpoint keeps all that ever happened.
    let mut stream = client.events_since(0, &["profiles.create.*"]).await.unwrap();
    let mut seen = Vec::new();
    for round in 0..3 {
        for number in 0..4 {
            profiles.create(&json!({"Name": format!("p{round}-{number}")})).await.unwrap();
        }
        // Some are read, then the connection breaks; the next stream goes on with the first that was not.
        let mut revision = 0;
        for _ in 0..3 {
            let event = stream.next().await.unwrap();
            revision = event.revision.unwrap();
            seen.extend(Some(event.key).filter(|key| key.starts_with('p')));
        }
        stream = client.events_since(revision, &["profiles.create.*"]).await.unwrap();
    }
    while seen.len() < 12 {
        seen.push(stream.next().await.unwrap().key);
    }
    let all: Vec<String> = (0..12).map(|index| format!("p{}-{}", index / 4, index % 4)).collect();
    assert_eq!(seen, all);
    let future = client.events_since(1 << 40, &[]).await.unwrap_err();
    assert!(matches!(&future, ClientError::Api(refusal) if refusal.code == 410), "{future}");
}

#[tokio::test]
async fn row_197_filters_are_lists_with_escapes_and_end_when_deregistered() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let mut stream = client.events().await.unwrap();
    let lists = "profiles, stages.create,delete.p1, p2,s1";
    stream.register(lists).await.unwrap();
    stream.register(r"odd\1type.odd\2act.odd\3key,end").await.unwrap();
    let (profiles, stages) = (client.collection("profiles"), client.collection("stages"));
    for name in ["p1", "p2", "p3"] {
        profiles.create(&json!({ "Name": name })).await.unwrap();
        profiles.patch(name, &[PatchOp::replace("/Description", "d")]).await.unwrap();
        profiles.destroy(name).await.unwrap();
    }
    stages.create(&json!({"Name": "s1"})).await.unwrap();
    let odd = async |r#type: &str, action: &str, key: &str| {
        let event = formwork_api::Event {
            r#type: r#type.into(),
            action: action.into(),
            key: key.into(),
            ..formwork_api::Event::default()
        };
        client.event_post(&event).await.unwrap();
    };
    for (r#type, action, key) in
        [("odd", "odd,act", "end"), ("odd.type", "act", "end"), ("odd.type", "odd,act", "oddxkey")]
    {
        odd(r#type, action, key).await;
    }
    odd("odd.type", "odd,act", "odd*key").await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last: &String| !last.starts_with("odd")) {
        let event = stream.next().await.unwrap();
        seen.push(format!("{} {} {}", event.r#type, event.action, event.key));
    }
    let expected = [
        "profiles create p1",
        "profiles delete p1",
        "profiles create p2",
        "profiles delete p2",
        "stages create s1",
    ];
    assert_eq!(seen[..5], expected);
    assert_eq!(seen[5..], ["odd.type odd,act odd*key"]);
    stream.deregister(lists).await.unwrap();
    profiles.create(&json!({"Name": "p1"})).await.unwrap();
    odd("odd.type", "odd,act", "end").await;
    let event = stream.next().await.unwrap();
    assert_eq!(
        (event.r#type.as_str(), event.key.as_str()),
        ("odd.type", "end"),
        "what was deregistered is over"
    );
    // What is no filter is refused and ends nothing.
    assert!(stream.register("profiles.create").await.is_err());
}

#[tokio::test]
async fn row_055_jobs_of_one_machine_are_watched_with_their_logs() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    client.collection("tasks").create(&json!({"Name": "one"})).await.unwrap();
    let machine =
        client.collection("machines").create(&json!({"Name": "m1", "Tasks": ["one"]})).await.unwrap();
    let uuid = machine["Uuid"].as_str().unwrap();
    let mut stream = client.events().await.unwrap();
    stream.register(&format!("machine_jobs.*.{uuid}")).await.unwrap();
    let JobCreation::Created(job) = client.job_create(uuid, "", "").await.unwrap() else { panic!("no job") };
    client.job_log_append(&job.uuid, b"hello\n").await.unwrap();
    client.patch::<Job>(&job.uuid, &[PatchOp::replace("/State", "running")]).await.unwrap();
    let mut found = Vec::new();
    for _ in 0..3 {
        let event = stream.next().await.unwrap();
        assert_eq!((event.r#type.as_str(), event.key.as_str()), ("machine_jobs", uuid));
        found.push((event.action, event.object));
    }
    let (actions, objects): (Vec<String>, Vec<Value>) = found.into_iter().unzip();
    let mut sorted = actions.clone();
    sorted.sort();
    assert_eq!(sorted, ["create", "log", "update"]);
    let log = actions.iter().position(|action| action == "log").unwrap();
    assert_eq!(objects[log], json!({"Job": job.uuid, "Log": "hello\n"}));
    let update = actions.iter().position(|action| action == "update").unwrap();
    assert_eq!(objects[update]["State"], json!("running"));
}
