//! Providers, plugins and the actions that they offer.

use formwork_core::jobs::Answer;
use formwork_model::{Job, JobState, Param, PluginProvider};

use super::{service::Service, *};
use crate::commands::jobs::create_job;

#[tokio::test]
async fn provider_comes_and_goes_with_its_pack() {
    let site = Site::new();
    site.install("probe", "guest-plugin-probe", PROBE).await;
    let provider = site.get::<PluginProvider>("probe").unwrap();
    assert!(provider.header.available, "{:?}", provider.header.errors);
    assert_eq!((provider.version.as_str(), provider.component.as_str()), ("1.2.3", "probe/probe"));
    assert!(provider.header.read_only && provider.has_publish && !provider.auto_start);
    assert_eq!(provider.available_actions[0].provider, "probe");
    site.plugin("p1", "probe", named()).await;
    assert!(site.get::<Plugin>("p1").unwrap().header.available);
    assert_eq!(site.ask("PUT", "/plugin_providers/probe", json!({})).await.0, 409);
    assert_eq!(site.ask("POST", "/plugin_providers", json!({"Name": "other"})).await.0, 405);
    site.delete("contents", "probe").await;
    settle(&site.endpoint).await;
    assert!(site.get::<PluginProvider>("probe").is_none());
    let errors = site.get::<Plugin>("p1").unwrap().header.errors.clone();
    assert_eq!(errors, ["p1: Plugin Provider probe does not exist"]);
}

#[tokio::test]
async fn provider_whose_component_lies_about_its_name_is_not_available() {
    let site = Site::new();
    site.install("other", "guest-plugin-probe", PROBE).await;
    let provider = site.get::<PluginProvider>("other").unwrap();
    assert_eq!(provider.header.errors, ["the component `other` calls itself `probe`"]);
    site.plugin("p1", "other", named()).await;
    assert!(!site.get::<Plugin>("p1").unwrap().header.available);
}

#[tokio::test]
async fn plugin_is_made_by_itself_once_and_stays_deleted() {
    let site = Site::new();
    site.install(
        "redfish",
        "plugin-redfish",
        &["http: https://*.bmc.example/redfish/*", "secrets: redfish/password"],
    )
    .await;
    let plugin = site.get::<Plugin>("redfish").unwrap();
    assert_eq!((plugin.provider.as_str(), plugin.header.available), ("redfish", true));
    assert_eq!(plugin.header.meta.get("title").map(String::as_str), Some("Redfish"));
    assert_eq!(site.ask("DELETE", "/plugins/redfish", Value::Null).await.0, 200);
    settle(&site.endpoint).await;
    assert!(site.get::<Plugin>("redfish").is_none());
}

#[tokio::test]
async fn plugin_waits_for_its_required_params() {
    let site = Site::new();
    site.install("probe", "guest-plugin-probe", PROBE).await;
    let (status, plugin) = site.ask("POST", "/plugins", json!({"Name": "p1", "Provider": "probe"})).await;
    assert_eq!((status.as_u16(), &plugin["Available"]), (201, &json!(false)));
    assert_eq!(plugin["Errors"], json!(["p1: required param `probe/name` has no value"]));
    assert_eq!(site.ask("GET", "/system/actions", Value::Null).await.1, json!([]));
    let (status, _) = site.ask("POST", "/plugins/p1/params/probe/name", json!("x")).await;
    assert_eq!(status, 200);
    assert!(site.get::<Plugin>("p1").unwrap().header.available);
    let (_, actions) = site.ask("GET", "/system/actions", Value::Null).await;
    assert_eq!(actions[0]["Command"], "ping");
    assert_eq!(site.ask("POST", "/system/actions/ping", json!({})).await, (StatusCode::OK, json!("pong")));
}

#[tokio::test]
async fn action_gets_object_params_config_and_only_the_secrets_that_are_granted() {
    let site = Site::new();
    site.install("probe", "guest-plugin-probe", PROBE).await;
    let secret = |name: &str| Param { name: name.to_owned(), secure: true, ..Param::default() };
    site.put(secret("probe/secret")).await;
    site.plugin("p1", "probe", json!({"probe/name": "x", "probe/may": "plugin", "probe/secret": "s3"})).await;
    let machine = site.machine("m1", json!({"probe/must": "machine"})).await;
    let path = format!("/machines/{}/actions", machine.uuid);
    let (_, offered) = site.ask("GET", &path, Value::Null).await;
    let names: Vec<&str> =
        offered.as_array().unwrap().iter().map(|a| a["Command"].as_str().unwrap()).collect();
    assert_eq!(names, ["show", "refuse", "trap"]);
    let (status, shown) = site.ask("POST", &format!("{path}/show"), json!({"extra": 1})).await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!(
        shown,
        json!({
            "plugin": "p1",
            "model": "machines",
            "key": machine.uuid,
            "name": "m1",
            "private": null,
            "params": {"extra": 1, "probe/may": "plugin", "probe/must": "machine"},
            "config": {"probe/may": "plugin", "probe/name": "x"},
            "secret": "s3",
        })
    );
    let (_, shown) = site.ask("POST", &format!("{path}/show"), json!({"probe/must": "request"})).await;
    assert_eq!(shown["params"]["probe/must"], "request");
    let (_, log) = site.ask("GET", "/plugins/p1/log", Value::Null).await;
    assert_eq!(log[0]["Message"], format!("show of {}", machine.uuid));
}

#[tokio::test]
async fn missing_params_unknown_actions_and_refusals_are_told_apart() {
    let site = Site::new();
    site.install("probe", "guest-plugin-probe", PROBE).await;
    site.plugin("p1", "probe", named()).await;
    site.put(Param { name: "probe/must".into(), schema: json!({"type": "string"}), ..Param::default() })
        .await;
    let machine = site.machine("m1", json!({})).await;
    let path = format!("/machines/{}/actions", machine.uuid);
    let (status, error) = site.ask("POST", &format!("{path}/show"), Value::Null).await;
    assert_eq!(status, 400);
    assert_eq!(messages(&error), ["required param `probe/must` has no value"]);
    assert_eq!(site.ask("GET", &format!("{path}/show"), Value::Null).await.0, 404);
    assert_eq!(site.ask("POST", &format!("{path}/show"), json!({"probe/must": 5})).await.0, 400);
    assert_eq!(site.ask("POST", &format!("{path}/show"), json!([1])).await.0, 400);
    let (status, error) = site.ask("POST", &format!("{path}/jump"), json!({})).await;
    assert_eq!(
        (status.as_u16(), messages(&error)),
        (404, vec!["no plugin offers the action `jump`".to_owned()])
    );
    assert_eq!(site.ask("POST", &format!("{path}/show?plugin=p2"), json!({"probe/must": "x"})).await.0, 404);
    assert_eq!(site.ask("POST", &format!("{path}/show?plugin=p1"), json!({"probe/must": "x"})).await.0, 200);
    let (status, error) = site.ask("POST", &format!("{path}/refuse"), json!({})).await;
    assert_eq!((status.as_u16(), error["Type"].as_str()), (422, Some("not-today")));
    assert_eq!(messages(&error), ["it does not feel like it", "hint: ask tomorrow"]);
    let (status, error) = site.ask("POST", &format!("{path}/trap"), json!({})).await;
    assert_eq!(status, 500);
    assert!(messages(&error)[0].contains("as it was told"), "{error}");
}

#[tokio::test]
async fn claim_names_the_action() {
    let site = Site::new();
    site.install("probe", "guest-plugin-probe", PROBE).await;
    site.plugin("p1", "probe", named()).await;
    let machine = site.machine("m1", json!({"probe/must": "x"})).await;
    let path = format!("/machines/{}/actions", machine.uuid);
    let only_show = [Claim::new("machines", "action:show", &machine.uuid)];
    assert_eq!(site.ask_as(&only_show, "POST", &format!("{path}/show"), &json!({})).await.0, 200);
    assert_eq!(site.ask_as(&only_show, "POST", &format!("{path}/refuse"), &json!({})).await.0, 403);
    assert_eq!(site.ask_as(&only_show, "GET", &path, &Value::Null).await.0, 403);
    let all_actions = [Claim::new("machines", "action", "*")];
    assert_eq!(site.ask_as(&all_actions, "POST", &format!("{path}/show"), &json!({})).await.0, 200);
    let looking = [Claim::new("machines", "actions", "*")];
    assert_eq!(site.ask_as(&looking, "GET", &path, &Value::Null).await.0, 200);
}

#[tokio::test]
async fn store_of_a_pack_outlives_the_call_and_goes_with_the_pack() {
    let site = Site::new();
    site.install("probe", "guest-plugin-probe", PROBE).await;
    site.plugin("p1", "probe", named()).await;
    for count in 1..4 {
        let (_, counted) = site.ask("POST", "/plugins/p1/actions/count", json!({})).await;
        assert_eq!(counted, json!(count));
    }
    assert_eq!(site.ask("GET", "/pack_values", Value::Null).await.0, 404);
    site.delete("contents", "probe").await;
    settle(&site.endpoint).await;
    assert!(site.endpoint.snapshot().list::<formwork_model::PackValue>().is_empty());
}

/// A machine's controller, as Redfish shows it.
async fn controller(power: &'static str) -> Service {
    Service::answering(move |came| match came.path.as_str() {
        "/redfish/v1/Systems" => json!({"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]}),
        "/redfish/v1/Systems/1" => json!({
            "PowerState": power,
            "@odata.etag": "W/\"5\"",
            "Actions": {"#ComputerSystem.Reset": {
                "target": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
                "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "ForceRestart", "PowerCycle"],
            }},
        }),
        _ => json!({}),
    })
    .await
}

#[tokio::test]
async fn redfish_switches_a_machine_off_with_basic_login() {
    let site = Site::new();
    let mut bmc = controller("On").await;
    site.install("redfish", "plugin-redfish", &[&bmc.grant(), "secrets: redfish/password"]).await;
    site.put(Param { name: "redfish/password".into(), secure: true, ..Param::default() }).await;
    let params =
        json!({"redfish/address": bmc.address, "redfish/username": "root", "redfish/password": "pw"});
    let machine = site.machine("m1", params).await;
    let (status, done) =
        site.ask("POST", &format!("/machines/{}/actions/poweroff", machine.uuid), json!({})).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!((&done["power"], &done["asked"]["ResetType"]), (&json!("On"), &json!("ForceOff")));
    let list = bmc.next().await;
    assert_eq!(list.header("authorization"), "Basic cm9vdDpwdw==");
    assert_eq!(bmc.next().await.path, "/redfish/v1/Systems/1");
    let reset = bmc.next().await;
    assert_eq!(reset.path, "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset");
    assert_eq!(reset.json(), json!({"ResetType": "ForceOff"}));
}

#[tokio::test]
async fn redfish_sets_the_next_boot_device_in_a_session_that_it_closes() {
    let site = Site::new();
    let mut bmc = controller("On").await;
    site.install("redfish", "plugin-redfish", &[&bmc.grant(), "secrets: redfish/password"]).await;
    let params = json!({"redfish/address": bmc.address, "redfish/username": "root", "redfish/password": "pw",
                        "redfish/auth": "session", "redfish/system": "1"});
    let machine = site.machine("m1", params).await;
    let path = format!("/machines/{}/actions/nextbootpxe", machine.uuid);
    assert_eq!(site.ask("POST", &path, json!({})).await.0, 200);
    assert_eq!(bmc.next().await.json(), json!({"UserName": "root", "Password": "pw"}));
    let system = bmc.next().await;
    assert_eq!((system.path.as_str(), system.header("x-auth-token")), ("/redfish/v1/Systems/1", "the-token"));
    let change = bmc.next().await;
    assert_eq!((change.method.as_str(), change.header("if-match")), ("PATCH", "W/\"5\""));
    let boot = json!({"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"});
    assert_eq!(change.json(), json!({ "Boot": boot }));
    let closed = bmc.next().await;
    assert_eq!(
        (closed.method.as_str(), closed.path.as_str()),
        ("DELETE", "/redfish/v1/SessionService/Sessions/7")
    );
}

#[tokio::test]
async fn redfish_leaves_a_machine_alone_that_is_on_and_tells_a_refusal_of_the_controller() {
    let site = Site::new();
    let mut bmc = controller("On").await;
    site.install("redfish", "plugin-redfish", &[&bmc.grant(), "secrets: redfish/password"]).await;
    let machine = site.machine("m1", json!({"redfish/address": bmc.address})).await;
    let path = |action: &str| format!("/machines/{}/actions/{action}", machine.uuid);
    let (_, done) = site.ask("POST", &path("poweron"), json!({})).await;
    assert_eq!(done["asked"], Value::Null);
    assert_eq!((bmc.next().await.method.as_str(), bmc.next().await.method.as_str()), ("GET", "GET"));
    bmc.answer_with([200, 200, 409]);
    let (status, error) = site.ask("POST", &path("powercycle"), json!({})).await;
    assert_eq!((status.as_u16(), error["Type"].as_str()), (422, Some("bmc-refused")));
    let (status, error) =
        site.ask("POST", &path("powerstatus"), json!({"redfish/address": "https://elsewhere.example"})).await;
    assert_eq!(status, 422);
    assert!(messages(&error)[0].contains("is not granted"), "{error}");
}

/// A machine that runs a list of entries in the endpoint's own context.
async fn listed(site: &Site, tasks: &[&str], params: Value) -> Machine {
    let machine = site.machine("m1", params).await;
    let machine = Machine {
        tasks: tasks.iter().map(|task| (*task).to_owned()).collect(),
        current_task: -1,
        workflow_complete: false,
        runnable: true,
        ..machine
    };
    site.put(machine.clone()).await;
    machine
}

async fn asks(site: &Site, machine: &Machine, uuid: &str) -> Answer {
    let request = Job { machine: machine.uuid.clone(), uuid: uuid.to_owned(), ..Job::default() };
    create_job(&site.endpoint, "runner:test", request).await.unwrap()
}

#[tokio::test]
async fn action_of_a_task_list_is_a_job_that_the_endpoint_finishes() {
    let site = Site::new();
    let mut bmc = controller("Off").await;
    site.install("redfish", "plugin-redfish", &[&bmc.grant(), "secrets: redfish/password"]).await;
    let list = ["action:redfish:poweron", "action:powerstatus"];
    let machine = listed(&site, &list, json!({"redfish/address": bmc.address})).await;
    let uuid = uuid::Uuid::new_v4().to_string();
    let Answer::Created(job) = asks(&site, &machine, &uuid).await else { panic!("no job") };
    assert_eq!((job.task.as_str(), job.state), ("action:redfish:poweron", JobState::Finished));
    assert_eq!((bmc.next().await.path, bmc.next().await.path).1, "/redfish/v1/Systems/1");
    assert_eq!(bmc.next().await.json(), json!({"ResetType": "On"}));
    let log = site.endpoint.logs.read(&job.uuid, 0, 1 << 16).await.unwrap();
    let log = String::from_utf8(log).unwrap();
    assert!(log.contains("[endpoint] action `poweron`") && log.contains("\"ResetType\":\"On\""), "{log}");
    let Answer::Created(again) = asks(&site, &machine, &uuid).await else {
        panic!("the lost answer is not repeated")
    };
    assert_eq!(again.uuid, job.uuid);
    let Answer::Created(second) = asks(&site, &machine, "").await else { panic!("no second job") };
    assert_eq!((second.task.as_str(), second.state), ("action:powerstatus", JobState::Finished));
    assert_eq!(asks(&site, &machine, "").await, Answer::Nothing);
    assert!(site.get::<Machine>(&machine.uuid).unwrap().workflow_complete);
}

#[tokio::test]
async fn failed_action_of_a_task_list_stops_the_machine_with_the_reason() {
    let site = Site::new();
    site.install("probe", "guest-plugin-probe", PROBE).await;
    site.plugin("p1", "probe", named()).await;
    let machine = listed(&site, &["action:jump"], json!({})).await;
    assert_eq!(asks(&site, &machine, "").await, Answer::Nothing);
    let machine = site.get::<Machine>(&machine.uuid).unwrap();
    let job = site.get::<Job>(&machine.current_job).unwrap();
    assert!(!machine.runnable);
    assert_eq!(
        (job.state, job.result_errors.as_slice()),
        (JobState::Failed, &["no plugin offers the action `jump`".to_owned()][..])
    );
}

#[tokio::test]
async fn action_that_a_crash_interrupted_is_done_by_the_next_who_asks() {
    let site = Site::new();
    site.install("probe", "guest-plugin-probe", PROBE).await;
    site.plugin("p1", "probe", named()).await;
    let machine = listed(&site, &["action:p1:refuse"], json!({})).await;
    // What a process leaves that ended in the middle.
    let job = Job {
        uuid: uuid::Uuid::new_v4().to_string(),
        machine: machine.uuid.clone(),
        task: String::from("action:p1:refuse"),
        state: JobState::Running,
        current: true,
        next_index: 1,
        ..Job::default()
    };
    let left = Machine { current_job: job.uuid.clone(), current_task: 0, ..machine.clone() };
    let uuid = job.uuid.clone();
    let put = commit(&site.endpoint, "runner:test", move |work| {
        work.put_unchecked(Box::new(job.clone()))?;
        work.put(Box::new(left.clone())).map(drop)
    });
    put.await.unwrap();
    assert_eq!(asks(&site, &machine, "").await, Answer::Nothing);
    let job = site.get::<Job>(&uuid).unwrap();
    assert_eq!((job.state, job.result_errors[0].as_str()), (JobState::Failed, "it does not feel like it"));
}
