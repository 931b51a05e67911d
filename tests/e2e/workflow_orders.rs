//! Work orders in workflow mode: the machine goes through a workflow, and the order follows it.

use formwork_client::{Client, ClientError, EventStream, JobCreation, Method, PatchOp};
use formwork_model::{Job, Machine, WorkOrder};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;

/// Makes a machine that takes work orders, and a blueprint whose workflow has two tasks.
async fn site(client: &Client) -> String {
    for task in ["first", "second"] {
        let script = json!({"Name": "script", "Contents": "#!/bin/sh\necho '{{.Param \"greeting\"}}'\n"});
        client.collection("tasks").create(&json!({"Name": task, "Templates": [script]})).await.unwrap();
    }
    let stage = json!({"Name": "both", "Tasks": ["first", "second"]});
    client.collection("stages").create(&stage).await.unwrap();
    client
        .collection("workflows")
        .create(&json!({"Name": "lab-hardware", "Stages": ["both"]}))
        .await
        .unwrap();
    let blueprint = json!({"Name": "install", "Workflow": "lab-hardware", "Params": {"greeting": "hello"}});
    client.collection("blueprints").create(&blueprint).await.unwrap();
    let machine = json!({"Name": "m1", "WorkOrderMode": true, "Params": {"greeting": "no"}});
    client.collection("machines").create(&machine).await.unwrap()["Uuid"].as_str().unwrap().to_owned()
}

/// Makes an order, and waits until its machine goes through the workflow.
async fn begun(client: &Client, order: Value) -> WorkOrder {
    let mut events = client.events().await.unwrap();
    events.register("work_orders.*.*").await.unwrap();
    let uuid = client.collection("work_orders").create(&order).await.unwrap()["Uuid"].clone();
    reached(&mut events, uuid.as_str().unwrap(), "running").await;
    client.get(uuid.as_str().unwrap()).await.unwrap()
}

async fn reached(events: &mut EventStream, uuid: &str, state: &str) {
    loop {
        let event = events.next().await.unwrap();
        if event.key == uuid && event.object["State"] == state {
            return;
        }
    }
}

/// Has the next job of a machine end in a state; returns its task.
async fn run(client: &Client, machine: &str, state: &str) -> Option<String> {
    let job = match client.job_create(machine, "", "").await.unwrap() {
        JobCreation::Created(job) => job,
        _ => return None,
    };
    for state in ["running", state] {
        client.patch::<Job>(&job.uuid, &[PatchOp::replace("/State", state)]).await.unwrap();
    }
    Some(job.task)
}

async fn restart(client: &Client, order: &str, body: Value) -> Result<WorkOrder, ClientError> {
    let call = client.call(Method::POST, ["work_orders", order, "restart"]).json(&body)?;
    Ok(serde_json::from_value(call.send().await?.value).unwrap())
}

#[tokio::test]
async fn order_in_workflow_mode_has_finished_when_its_machine_is_through() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let machine = site(&client).await;
    let order = begun(&client, json!({"Blueprint": "install", "Machine": machine, "Mode": "workflow"})).await;
    let busy: Machine = client.get(&machine).await.unwrap();
    assert_eq!(
        (busy.workflow.as_str(), busy.work_order_mode, busy.running_work_orders),
        ("lab-hardware", false, 1)
    );

    let JobCreation::Created(job) = client.job_create(&machine, "", "").await.unwrap() else {
        panic!("no job")
    };
    let actions = client.job_actions(&job.uuid, "linux").await.unwrap();
    assert_eq!(
        actions[0].content, "#!/bin/sh\necho 'hello'\n",
        "the order's params go before those of the machine"
    );
    for state in ["running", "finished"] {
        client.patch::<Job>(&job.uuid, &[PatchOp::replace("/State", state)]).await.unwrap();
    }
    assert_eq!(run(&client, &machine, "finished").await.as_deref(), Some("second"));
    assert_eq!(run(&client, &machine, "finished").await, None);
    let ended: WorkOrder = client.get(&order.uuid).await.unwrap();
    assert_eq!((ended.state.as_str(), ended.stage.as_str()), ("finished", "both"));
    assert!(ended.pipeline_phase.len() == 1 && ended.pipeline_phase[0].phase == "hardware", "{ended:?}");
    let free: Machine = client.get(&machine).await.unwrap();
    assert_eq!((free.workflow.as_str(), free.work_order_mode, free.running_work_orders), ("", true, 0));
    let over = restart(&client, &order.uuid, json!({})).await.unwrap_err();
    assert!(over.status() == Some(409) && over.to_string().contains("is finished"), "{over}");
}

#[tokio::test]
async fn order_that_failed_runs_again_from_where_it_is_told() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let machine = site(&client).await;
    let wanted = json!({"Blueprint": "install", "Machine": machine, "Mode": "workflow"});
    let first = begun(&client, wanted).await;
    run(&client, &machine, "finished").await;
    run(&client, &machine, "failed").await;
    let failed: WorkOrder = client.get(&first.uuid).await.unwrap();
    assert_eq!((failed.state.as_str(), failed.status.as_str()), ("failed", "task second failed"));
    let odd = restart(&client, &first.uuid, json!({"mode": "sideways"})).await.unwrap_err();
    assert_eq!(odd.status(), Some(422), "{odd}");

    let second = restart(&client, &first.uuid, json!({})).await.unwrap();
    assert_eq!((second.predecessor.as_str(), second.state.as_str()), (first.uuid.as_str(), "running"));
    let gone_on = restart(&client, &first.uuid, json!({})).await.unwrap_err();
    assert!(gone_on.status() == Some(409) && gone_on.to_string().contains("has gone on"), "{gone_on}");
    assert_eq!(
        run(&client, &machine, "failed").await.as_deref(),
        Some("second"),
        "from the task that failed"
    );

    let odd = endpoint.cli(&["work_orders", "restart", &second.uuid, "sideways"]);
    assert_eq!(odd.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&odd.stderr).contains("from-start begins the workflow anew"));
    let done = endpoint.cli(&["work_orders", "restart", &second.uuid, "from-start"]);
    let third: WorkOrder = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(third.predecessor, second.uuid);
    let over = endpoint.cli(&["work_orders", "restart", &first.uuid, "continue"]);
    let said = String::from_utf8_lossy(&over.stderr);
    assert!(over.status.code() == Some(1) && said.contains("hint: "), "{said}");
    assert_eq!(run(&client, &machine, "finished").await.as_deref(), Some("first"));
    run(&client, &machine, "failed").await;
    let fourth = restart(&client, &third.uuid, json!({"mode": "continue"})).await.unwrap();
    assert_eq!(run(&client, &machine, "finished").await, None, "nothing is behind the task that failed");
    let ended: WorkOrder = client.get(&fourth.uuid).await.unwrap();
    assert_eq!(ended.state, "finished");
    let free: Machine = client.get(&machine).await.unwrap();
    let counts = (free.pending_work_orders, free.running_work_orders);
    assert_eq!((free.work_order_mode, counts), (true, (0, 0)));
}

#[tokio::test]
async fn cancelled_order_ends_the_workflow_of_its_machine() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let machine = site(&client).await;
    let order = begun(&client, json!({"Blueprint": "install", "Machine": machine, "Mode": "workflow"})).await;
    let JobCreation::Created(job) = client.job_create(&machine, "", "").await.unwrap() else {
        panic!("no job")
    };
    let cancel = [PatchOp::replace("/State", "cancelled")];
    client.patch::<WorkOrder>(&order.uuid, &cancel).await.unwrap();
    assert_eq!(client.get::<Job>(&job.uuid).await.unwrap().state.as_str(), "failed");
    let free: Machine = client.get(&machine).await.unwrap();
    assert_eq!((free.workflow.as_str(), free.work_order_mode, free.running_work_orders), ("", true, 0));
    let plain = json!({"Blueprint": "install", "Machine": machine});
    let plain = client.collection("work_orders").create(&plain).await.unwrap()["Uuid"].clone();
    let plain = plain.as_str().unwrap();
    let refused = restart(&client, plain, json!({})).await.unwrap_err();
    assert!(refused.status() == Some(409) && refused.to_string().contains("in task mode"), "{refused}");
}
