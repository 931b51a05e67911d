//! Work orders, from the blueprint to the end, with the agent that runs them.

use std::process::Output;

use formwork_client::{EventStream, PatchOp};
use formwork_model::{Job, Machine, WorkOrder};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;

const MAC: &str = "52:54:00:00:74:01";

/// Makes a machine in work order mode, and blueprints of one task each: one that greets, and one that fails.
async fn site(endpoint: &Endpoint) -> String {
    let client = endpoint.client();
    let greets = "#!/bin/sh\necho '{{.Param \"greeting\"}} from {{.WorkOrder.Blueprint}}'\n";
    for (name, script) in [("greet", greets), ("fail", "#!/bin/sh\nexit 7\n")] {
        let task = json!({"Name": name, "Templates": [{"Name": "script", "Contents": script}]});
        client.collection("tasks").create(&task).await.unwrap();
        let blueprint = json!({"Name": name, "Tasks": [name], "Params": {"greeting": "hello"}});
        client.collection("blueprints").create(&blueprint).await.unwrap();
    }
    let machine =
        json!({"Name": "m1", "HardwareAddrs": [MAC], "WorkOrderMode": true, "Params": {"greeting": "no"}});
    client.collection("machines").create(&machine).await.unwrap()["Uuid"].as_str().unwrap().to_owned()
}

/// Runs the agent until no order waits.
fn agent(endpoint: &Endpoint) -> Output {
    let state = endpoint.folder().join("agent");
    let words = ["agent", "--once", "--simulate-mac", MAC, "--state-dir", state.to_str().unwrap()];
    let output = endpoint.cli(&words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn run(endpoint: &Endpoint, blueprint: &str) -> String {
    let output = endpoint.cli(&["work_orders", "run", blueprint, "on", "Name:m1"]);
    let made: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    made["Uuid"].as_str().unwrap().to_owned()
}

/// Returns the states that a stream tells of, each once in a row, up to a final one.
async fn states(events: &mut EventStream) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    loop {
        let event = events.next().await.unwrap();
        let state = event.object["State"].as_str().unwrap().to_owned();
        let is_over = !matches!(state.as_str(), "created" | "running");
        if seen.last() != Some(&state) {
            seen.push(state);
        }
        if is_over {
            return seen;
        }
    }
}

#[tokio::test]
async fn row_074_work_order_goes_from_created_over_running_to_its_end() {
    let endpoint = Endpoint::start();
    let machine = site(&endpoint).await;
    let client = endpoint.client();
    let mut events = client.events().await.unwrap();
    events.register("work_orders.*.*").await.unwrap();

    let good = run(&endpoint, "greet");
    let waiting: Machine = client.get(&machine).await.unwrap();
    assert_eq!((waiting.pending_work_orders, waiting.running_work_orders), (1, 0));
    agent(&endpoint);
    assert_eq!(states(&mut events).await, ["created", "running", "finished"]);
    let order: WorkOrder = client.get(&good).await.unwrap();
    assert!(!order.start_time.is_unset() && order.end_time >= order.start_time);
    let job: Job = client.get(&order.current_job).await.unwrap();
    assert_eq!(
        (job.work_order.as_str(), job.machine.as_str(), job.task.as_str()),
        (&*good, &*machine, "greet")
    );
    let log = String::from_utf8(client.job_log(&job.uuid).await.unwrap()).unwrap();
    assert!(log.contains("hello from greet\n"), "the order's params go before those of the machine: {log}");

    let (bad, next) = (run(&endpoint, "fail"), run(&endpoint, "greet"));
    agent(&endpoint);
    assert_eq!(states(&mut events).await, ["created", "running", "failed"]);
    let failed: WorkOrder = client.get(&bad).await.unwrap();
    assert_eq!(failed.status, "task fail failed");
    assert_eq!(client.get::<WorkOrder>(&next).await.unwrap().state, "finished", "another order goes on");

    let dropped = run(&endpoint, "greet");
    let kept = client.collection("work_orders").destroy(&dropped).await.unwrap_err();
    assert!(kept.status() == Some(409) && kept.to_string().contains("cancelled"), "{kept}");
    let cancel = [PatchOp::replace("/State", "cancelled")];
    client.patch::<WorkOrder>(&dropped, &cancel).await.unwrap();
    agent(&endpoint);
    assert!(client.get::<WorkOrder>(&dropped).await.unwrap().current_job.is_empty());
    client.collection("work_orders").destroy(&dropped).await.unwrap();
    let idle: Machine = client.get(&machine).await.unwrap();
    assert_eq!((idle.pending_work_orders, idle.running_work_orders, idle.runnable), (0, 0, true));
}

#[tokio::test]
async fn order_without_a_machine_goes_to_the_first_that_its_filter_finds_and_asks() {
    let endpoint = Endpoint::start();
    let machine = site(&endpoint).await;
    let client = endpoint.client();
    let orders = client.collection("work_orders");
    let make = |filter: &str| json!({"Blueprint": "greet", "Filter": filter});
    let others = orders.create(&make("Name=m2")).await.unwrap();
    let own = orders.create(&make("Name=Re(^m) Pool=default")).await.unwrap();
    let refused = orders.create(&make("Pool=Between(a)")).await.unwrap_err();
    assert!(refused.status() == Some(422) && refused.to_string().contains("Filter"), "{refused}");
    agent(&endpoint);
    let of = |order: &Value| order["Uuid"].as_str().unwrap().to_owned();
    let taken: WorkOrder = client.get(&of(&own)).await.unwrap();
    assert_eq!((taken.machine.as_str(), taken.state.as_str()), (&*machine, "finished"));
    let left: WorkOrder = client.get(&of(&others)).await.unwrap();
    assert_eq!((left.machine.as_str(), left.state.as_str()), ("", "created"));
}

/// Makes a blueprint whose task makes work orders of its batch, one of which fails at the first try.
async fn members(endpoint: &Endpoint, machine: &str) {
    let client = endpoint.client();
    let order = |blueprint: &str| {
        format!(
            "curl -skf -X POST -H \"Authorization: Bearer $RS_TOKEN\" -H 'Content-Type: application/json' \
             \"$RS_ENDPOINT/api/v3/work_orders\" -d '{{\"Blueprint\": \"{blueprint}\", \"Machine\": \"{machine}\", \
             \"Meta\": {{\"batch\": \"{{{{.WorkOrder.Meta.batch}}}}\"}}}}'"
        )
    };
    let script = format!("#!/bin/sh\nset -e\n{}\n{}\n", order("greet"), order("fail"));
    let task = json!({"Name": "split", "Templates": [{"Name": "script", "Contents": script}],
                      "ExtraClaims": [{"scope": "work_orders", "action": "create", "specific": "*"}]});
    client.collection("tasks").create(&task).await.unwrap();
    client.collection("blueprints").create(&json!({"Name": "split", "Tasks": ["split"]})).await.unwrap();
}

/// Waits until a batch is over.
async fn over(events: &mut EventStream, uuid: &str) -> Value {
    loop {
        let event = events.next().await.unwrap();
        let is_final =
            !matches!(event.object["State"].as_str(), Some("created" | "setup" | "running" | "post"));
        if event.key == uuid && is_final {
            return event.object;
        }
    }
}

#[tokio::test]
async fn batch_runs_what_its_setup_makes_and_again_what_failed() {
    let endpoint = Endpoint::start();
    let machine = site(&endpoint).await;
    members(&endpoint, &machine).await;
    let client = endpoint.client();
    let mut events = client.events().await.unwrap();
    events.register("batches.*.*").await.unwrap();
    let of = |blueprint: &str| json!({"Blueprint": blueprint, "Machine": machine});
    let batches = client.collection("batches");
    let body = json!({"SetupWorkOrderTemplate": of("split"), "PostWorkOrderTemplate": of("greet")});
    let batch = batches.create(&body).await.unwrap()["Uuid"].as_str().unwrap().to_owned();
    let early = client.call(reqwest::Method::POST, ["batches", &batch, "restart"]).send().await.unwrap_err();
    assert_eq!(early.status(), Some(409), "{early}");

    let state = endpoint.folder().join("agent");
    let words = ["agent", "--simulate-mac", MAC, "--state-dir", state.to_str().unwrap()];
    let mut agent = endpoint.command(&words).spawn().unwrap();
    let ended = over(&mut events, &batch).await;
    assert_eq!(
        (&ended["State"], &ended["Status"]),
        (&json!("failed"), &json!("1 work order did not finish"))
    );
    assert_eq!(ended["WorkOrderCounts"], json!({"failed": 1, "finished": 1}));

    let mended = [PatchOp::replace("/Templates/0/Contents", "#!/bin/sh\ntrue\n")];
    client.collection("tasks").patch("fail", &mended).await.unwrap();
    let again = client.call(reqwest::Method::POST, ["batches", &batch, "restart"]).send().await.unwrap();
    let again = again.value;
    assert_eq!(again["Predecessor"], json!(batch));
    let ended = over(&mut events, again["Uuid"].as_str().unwrap()).await;
    assert_eq!((&ended["State"], &ended["WorkOrderCounts"]), (&json!("finished"), &json!({"finished": 1})));
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test]
async fn work_orders_of_a_cancelled_batch_are_cancelled() {
    let endpoint = Endpoint::start();
    let machine = site(&endpoint).await;
    let client = endpoint.client();
    let template = json!({"Blueprint": "greet", "Machine": machine, "SchedulingHold": true});
    let batch =
        client.collection("batches").create(&json!({"SetupWorkOrderTemplate": template})).await.unwrap();
    let batch = batch["Uuid"].as_str().unwrap();
    let member = json!({"Blueprint": "greet", "Machine": machine, "Meta": {"batch": batch}});
    let member = client.collection("work_orders").create(&member).await.unwrap()["Uuid"].clone();
    let mut events = client.events().await.unwrap();
    events.register("work_orders.*.*").await.unwrap();
    client.collection("batches").patch(batch, &[PatchOp::replace("/State", "cancelled")]).await.unwrap();
    loop {
        let event = events.next().await.unwrap();
        if event.key == member.as_str().unwrap() && event.object["State"] == "cancelled" {
            break;
        }
    }
    client.collection("batches").destroy(batch).await.unwrap();
}
