//! The API as clients meet it.

use formwork_client::{ClientError, Credentials, JobCreation, PatchOp, Query};
use formwork_model::{Job, Machine, Profile};
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, PATIENCE};

fn refusal(error: ClientError) -> formwork_api::ApiError {
    match error {
        ClientError::Api(error) => *error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn fresh_endpoint_has_the_default_objects() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let bootenvs = client.collection("bootenvs").list(&Query::new()).await.unwrap();
    let names: Vec<&str> = bootenvs.iter().filter_map(|bootenv| bootenv["Name"].as_str()).collect();
    assert_eq!(names, ["discovery", "ignore", "local"]);
    for bootenv in &bootenvs {
        let layer = if bootenv["Name"] == "discovery" { "core" } else { "BasicStore" };
        assert_eq!((&bootenv["Bundle"], &bootenv["ReadOnly"]), (&json!(layer), &json!(true)));
        assert_eq!(bootenv["Available"], json!(true), "{bootenv}");
    }
    assert!(client.collection("profiles").exists("global").await.unwrap());
    assert_eq!(client.prefs().await.unwrap()["unknownBootEnv"], "ignore");
    let info = client.info().await.unwrap();
    assert!(info.version.starts_with("v4."));
    assert_eq!(info.address, "127.0.0.1");
}

#[tokio::test]
async fn objects_live_from_create_to_delete_in_canonical_json() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let profiles = client.collection("profiles");
    let created =
        profiles.create(&json!({"Name": "web", "Params": {"port": 80}, "Profiles": null})).await.unwrap();
    assert_eq!((&created["Profiles"], &created["Meta"]), (&json!([]), &json!({})));
    let error = refusal(profiles.create(&json!({"Name": "web"})).await.unwrap_err());
    assert_eq!(
        (error.code, error.r#type.as_str(), error.messages[0].as_str()),
        (409, "CREATE", "already exists")
    );
    let change = |to: u32| [PatchOp::test("/Params/port", 80), PatchOp::replace("/Params/port", to)];
    assert_eq!(profiles.patch("web", &change(81)).await.unwrap()["Params"]["port"], 81);
    let error = refusal(profiles.patch("web", &change(82)).await.unwrap_err());
    assert_eq!((error.code, error.r#type.as_str()), (409, "PATCH"));
    assert_eq!(error.messages[0], "Patch error at line 0: Test op failed.");
    assert_eq!(profiles.param("web", "port", false).await.unwrap(), json!(81));
    assert_eq!(profiles.param("web", "nothing/there", false).await.unwrap(), Value::Null);
    let first = profiles.etag("web").await.unwrap();
    profiles.param_set("web", "some/thing", &json!([1])).await.unwrap();
    assert_ne!(first, profiles.etag("web").await.unwrap());
    profiles.destroy("web").await.unwrap();
    let error = refusal(profiles.show("web", &Query::new()).await.unwrap_err());
    assert_eq!((error.code, error.model.as_str(), error.key.as_str()), (404, "profiles", "web"));
}

#[tokio::test]
async fn machine_with_wrong_references_is_refused_with_every_problem() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let machine = json!({"Name": "", "Stage": "nowhere", "BootEnv": "nothing", "Arch": "vax"});
    let error = refusal(client.collection("machines").create(&machine).await.unwrap_err());
    assert_eq!((error.code, error.r#type.as_str()), (422, "ValidationError"));
    let all = error.messages.join("\n");
    for part in [
        "Invalid Name ``",
        "Unsupported arch vax",
        "Stage nowhere does not exist",
        "Bootenv nothing does not exist",
    ] {
        assert!(all.contains(part), "{all}");
    }
    let unknown = json!({"Name": "m1", "BootEnv": "discovery"});
    let error = refusal(client.collection("machines").create(&unknown).await.unwrap_err());
    assert!(error.messages[0].contains("OnlyUnknown"), "{error}");
}

#[tokio::test]
async fn machine_token_reaches_its_own_machine_only() {
    let endpoint = Endpoint::start();
    let (one, two) = (endpoint.machine("one").await, endpoint.machine("two").await);
    let token = endpoint.client().machine_token(&one.uuid, "1h").await.unwrap().token;
    let agent = endpoint.client_with(Credentials::Token(token));
    assert!(agent.get::<Machine>(&one.uuid).await.is_ok());
    assert_eq!(agent.get::<Machine>(&two.uuid).await.unwrap_err().status(), Some(403));
    let patch = [PatchOp::replace("/Description", "mine")];
    assert_eq!(agent.patch::<Machine>(&two.uuid, &patch).await.unwrap_err().status(), Some(403));
    assert!(agent.patch::<Machine>(&one.uuid, &patch).await.is_ok());
    assert_eq!(agent.list::<formwork_model::User>(&Query::new()).await.unwrap_err().status(), Some(403));
    let revoke = [PatchOp::replace("/Secret", "x")];
    endpoint.client().patch::<Machine>(&one.uuid, &revoke).await.unwrap();
    assert_eq!(agent.get::<Machine>(&one.uuid).await.unwrap_err().status(), Some(403));
}

#[tokio::test]
async fn wrong_password_and_no_credentials_are_refused() {
    let endpoint = Endpoint::start();
    let stranger = endpoint.client_with(Credentials::from_key("rocketskates:wrong"));
    assert_eq!(stranger.info().await.unwrap_err().status(), Some(403));
    let forged = endpoint.client_with(Credentials::Token("AAAA.BBBB".into()));
    assert_eq!(forged.info().await.unwrap_err().status(), Some(403));
}

#[tokio::test]
async fn new_password_works_and_ends_the_old_one_with_all_tokens_of_the_user() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let claims = json!([{"scope": "users,profiles", "action": "*", "specific": "*"}]);
    client.collection("roles").create(&json!({"Name": "clerk", "Claims": claims})).await.unwrap();
    client.collection("users").create(&json!({"Name": "anna", "Roles": ["clerk"]})).await.unwrap();
    let with = |key: &str| endpoint.client_with(Credentials::from_key(key));
    // A user without a password has none that fits.
    assert_eq!(with("anna:").list::<Profile>(&Query::new()).await.unwrap_err().status(), Some(403));
    let set = client.user_password("anna", "first-password").await.unwrap();
    assert_eq!(
        (&set["Name"], set["PasswordHash"].as_str().unwrap_or_default()),
        (&json!("anna"), ""),
        "{set}"
    );
    let anna = with("anna:first-password");
    assert!(anna.list::<Profile>(&Query::new()).await.is_ok());
    assert_eq!(anna.list::<Machine>(&Query::new()).await.unwrap_err().status(), Some(403));

    let answer = anna.user_token("anna", &Query::new().with("ttl", "10m")).await.unwrap();
    assert_eq!(answer.info.address, "127.0.0.1");
    let granted = client.user_token("anna", &Query::new().with("ttl", "1h")).await.unwrap().token;
    let tokens = [answer.token, granted];
    let uses = async |token: &str| {
        let holder = endpoint.client_with(Credentials::Token(token.into()));
        holder.list::<Profile>(&Query::new()).await.map_err(|error| error.status())
    };
    for token in &tokens {
        assert!(uses(token).await.is_ok());
    }
    let own = client.user_token("rocketskates", &Query::new()).await.unwrap().token;

    client.user_password("anna", "second-password").await.unwrap();
    for token in &tokens {
        assert_eq!(uses(token).await.unwrap_err(), Some(403));
    }
    assert_eq!(anna.list::<Profile>(&Query::new()).await.unwrap_err().status(), Some(403));
    let anna = with("anna:second-password");
    assert!(anna.list::<Profile>(&Query::new()).await.is_ok());
    let fresh = anna.user_token("anna", &Query::new()).await.unwrap().token;
    assert!(uses(&fresh).await.is_ok());
    // Those of others go on.
    assert!(uses(&own).await.is_ok());
    let empty = refusal(client.user_password("anna", "").await.unwrap_err());
    assert_eq!((empty.code, empty.messages[0].as_str()), (422, "the password is empty"));
    assert!(uses(&fresh).await.is_ok());
    assert_eq!(client.user_password("nobody", "x").await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn listener_sees_what_follows_its_registration() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let mut events = client.events().await.unwrap();
    events.register("profiles.create.*").await.unwrap();
    client.collection("profiles").create(&json!({"Name": "seen"})).await.unwrap();
    let event = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap();
    assert_eq!(
        (event.r#type.as_str(), event.action.as_str(), event.key.as_str()),
        ("profiles", "create", "seen")
    );
    assert_eq!(event.principal, "user:rocketskates");
    assert_eq!(event.object["Name"], "seen");
    let injected = formwork_api::Event {
        r#type: "beeblebrox".into(),
        action: "arrive".into(),
        key: "k".into(),
        ..Default::default()
    };
    events.register("beeblebrox.*.*").await.unwrap();
    client.event_post(&injected).await.unwrap();
    let event = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap();
    assert_eq!(event.r#type, "beeblebrox");
}

#[tokio::test]
async fn stage_becomes_available_when_its_task_arrives() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let stage =
        client.collection("stages").create(&json!({"Name": "one", "Tasks": ["later"]})).await.unwrap();
    assert_eq!((&stage["Available"], &stage["RunnerWait"]), (&json!(false), &json!(true)));
    assert_eq!(stage["Errors"], json!(["one: Task later (at 0) does not exist"]));
    let workflow =
        client.collection("workflows").create(&json!({"Name": "wf", "Stages": ["one"]})).await.unwrap();
    assert_eq!(workflow["Available"], json!(false));
    client.collection("tasks").create(&json!({"Name": "later"})).await.unwrap();
    for (prefix, key) in [("stages", "one"), ("workflows", "wf")] {
        let object = client.collection(prefix).show(key, &Query::new()).await.unwrap();
        assert_eq!((&object["Available"], &object["Errors"]), (&json!(true), &json!([])), "{prefix}");
    }
}

#[tokio::test]
async fn row_006_workflow_gives_stage_and_tasks_and_jobs_are_asked_for_in_order() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    for name in ["first", "second"] {
        client.collection("tasks").create(&json!({"Name": name})).await.unwrap();
    }
    client
        .collection("tasks")
        .patch("second", &[PatchOp::replace("/Prerequisites", json!(["first"]))])
        .await
        .unwrap();
    client.collection("stages").create(&json!({"Name": "one", "Tasks": ["second"]})).await.unwrap();
    client.collection("workflows").create(&json!({"Name": "wf", "Stages": ["one"]})).await.unwrap();
    let machine =
        client.collection("machines").create(&json!({"Name": "m1", "Workflow": "wf"})).await.unwrap();
    assert_eq!(machine["Tasks"], json!(["stage:one", "first", "second"]));
    assert_eq!((&machine["CurrentTask"], &machine["Stage"]), (&json!(-1), &json!("none")));
    let uuid = machine["Uuid"].as_str().unwrap().to_owned();
    let mut done = Vec::new();
    let mut places = Vec::new();
    loop {
        let job: Job = match client.job_create(&uuid, "", "").await.unwrap() {
            JobCreation::Created(job) | JobCreation::Resumed(job) => job,
            JobCreation::Nothing => break,
        };
        done.push(job.task.clone());
        let machine: Machine = client.get(&uuid).await.unwrap();
        assert_eq!((machine.stage.as_str(), &machine.current_job), ("one", &job.uuid));
        places.push(machine.current_task);
        for (old, new) in [("created", "running"), ("running", "finished")] {
            let patch = [PatchOp::test("/State", old), PatchOp::replace("/State", new)];
            client.patch::<Job>(&job.uuid, &patch).await.unwrap();
        }
    }
    assert_eq!(done, ["first", "second"]);
    assert_eq!(places, [1, 2]);
    let machine: Machine = client.get(&uuid).await.unwrap();
    assert!(machine.workflow_complete);
}

#[tokio::test]
async fn row_049_new_stage_of_a_machine_without_a_workflow_replaces_its_tasks() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    for name in ["old", "first", "second"] {
        client.collection("tasks").create(&json!({"Name": name})).await.unwrap();
    }
    let stage = json!({"Name": "s1", "Tasks": ["first", "second"]});
    client.collection("stages").create(&stage).await.unwrap();
    let machines = client.collection("machines");
    let machine = machines.create(&json!({"Name": "m1", "Tasks": ["old"]})).await.unwrap();
    assert_eq!((&machine["Stage"], &machine["Tasks"]), (&json!("none"), &json!(["old"])));
    let uuid = machine["Uuid"].as_str().unwrap();
    let JobCreation::Created(job) = client.job_create(uuid, "", "").await.unwrap() else { panic!("no job") };
    for state in ["running", "finished"] {
        client.patch::<Job>(&job.uuid, &[PatchOp::replace("/State", state)]).await.unwrap();
    }
    assert!(matches!(client.job_create(uuid, "", "").await.unwrap(), JobCreation::Nothing));
    let machine = machines.patch(uuid, &[PatchOp::replace("/Stage", "s1")]).await.unwrap();
    assert_eq!((&machine["Stage"], &machine["Tasks"]), (&json!("s1"), &json!(["first", "second"])));
    assert_eq!((&machine["CurrentTask"], &machine["WorkflowComplete"]), (&json!(-1), &json!(false)));
    let error = refusal(machines.patch(uuid, &[PatchOp::replace("/Stage", "none")]).await.unwrap_err());
    assert_eq!(error.messages[0], "Can not change stages with pending tasks unless forced");
}

#[tokio::test]
async fn bundle_arrives_and_leaves_whole() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let bundle = json!({"meta": {"Name": "extra", "Version": "v1.0.0"}, "sections": {
        "tasks": {"one": {"Name": "one"}}, "stages": {"st": {"Name": "st", "Tasks": ["one"]}}}});
    let summary = client.content_create(&bundle).await.unwrap();
    assert_eq!((summary.counts["tasks"], summary.meta.r#type.as_str()), (1, "dynamic"));
    let task = client.collection("tasks").show("one", &Query::new()).await.unwrap();
    assert_eq!((&task["Bundle"], &task["ReadOnly"]), (&json!("extra"), &json!(true)));
    let collision = json!({"meta": {"Name": "other"}, "sections": {"tasks": {"two": {"Name": "two"}, "one": {"Name": "one"}}}});
    let error = refusal(client.content_create(&collision).await.unwrap_err());
    assert_eq!(error.code, 422);
    assert!(
        error.messages[0].contains("tasks:one in layer dynamic-other would override layer dynamic-extra"),
        "{error}"
    );
    assert!(!client.collection("tasks").exists("two").await.unwrap());
    let broken =
        json!({"meta": {"Name": "bad"}, "sections": {"tasks": {"ok1": {"Name": "ok1"}, "x": {"Name": 7}}}});
    assert!(client.content_create(&broken).await.is_err());
    assert!(!client.collection("tasks").exists("ok1").await.unwrap());
    let nameless = refusal(client.content_create(&json!({"meta": {}, "sections": {}})).await.unwrap_err());
    assert_eq!(
        (nameless.code, nameless.messages[0].as_str()),
        (422, "Store at content- has no Name metadata")
    );
    client.content_destroy("extra").await.unwrap();
    assert!(!client.collection("tasks").exists("one").await.unwrap());
}

#[tokio::test]
async fn filters_pages_and_counts_agree() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    for index in 0..5 {
        client
            .collection("profiles")
            .create(&json!({"Name": format!("p{index}"), "Params": {"number": index}}))
            .await
            .unwrap();
    }
    let profiles = client.collection("profiles");
    assert_eq!(profiles.count(&Query::new().with("Name", "Re(^p[0-9]$)")).await.unwrap(), 5);
    let page =
        profiles.list(&Query::new().with("Name", "Re(^p)").with("limit", 2).with("offset", 1)).await.unwrap();
    let names: Vec<&str> = page.iter().filter_map(|profile| profile["Name"].as_str()).collect();
    assert_eq!(names, ["p1", "p2"]);
    assert_eq!(profiles.list(&Query::new().with("number", "Eq(3)")).await.unwrap().len(), 1);
    let error = refusal(profiles.list(&Query::new().with("limit", -1)).await.unwrap_err());
    assert_eq!((error.code, error.messages[0].as_str()), (406, "Limit cannot be negative"));
}
