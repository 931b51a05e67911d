//! What the endpoint tells of itself and of its host.

use formwork_client::Query;
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, free_port};

#[tokio::test]
async fn interfaces_are_those_of_the_host() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let interfaces = client.collection("interfaces");
    let all = interfaces.list(&Query::new()).await.unwrap();
    let loopback = all.iter().find(|interface| interface["Name"] == "lo").unwrap();
    assert_eq!(loopback["ActiveAddress"], json!("127.0.0.1/8"));
    assert_eq!(interfaces.show("lo", &Query::new()).await.unwrap()["Index"], loopback["Index"]);
    let error = interfaces.show("nothing0", &Query::new()).await.unwrap_err();
    assert!(error.to_string().contains("No interface"), "{error}");
}

#[tokio::test]
async fn last_lines_of_the_log_are_told_and_sent_to_who_watches() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let mut stream = client.events().await.unwrap();
    stream.register("log.*.*").await.unwrap();
    // A refused password is a line of the log.
    let stranger = endpoint.client_with(formwork_client::Credentials::from_key("nobody:wrong"));
    assert!(stranger.info().await.is_err());
    client.collection("profiles").create(&json!({"Name": "one"})).await.unwrap();
    let lines = client.collection("logs").list(&Query::new()).await.unwrap();
    assert!(!lines.is_empty() && lines.len() <= 1000);
    let sequence: Vec<i64> = lines.iter().map(|line| line["Seq"].as_i64().unwrap()).collect();
    assert!(sequence.windows(2).all(|pair| pair[0] < pair[1]));
    for line in &lines {
        assert!(!line.to_string().contains("test-password"), "{line}");
        assert!(line["Data"].is_array() && line["Service"].as_str().is_some_and(|word| !word.is_empty()));
    }
    // The refused login is told to who watches, with its service.
    loop {
        let event = stream.next().await.unwrap();
        assert_eq!(event.r#type, "log");
        if event.action == "audit" {
            assert_eq!(event.key, "frontend");
            break;
        }
    }
    let level = |line: &Value| line["Level"].as_str().unwrap_or_default().to_owned();
    assert!(lines.iter().any(|line| level(line) == "info"));
}

#[tokio::test]
async fn row_199_alert_counts_until_somebody_has_seen_it() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let alerts = client.collection("alerts");
    let raise = json!({"Name": "disk full", "Level": "Error", "Contents": "of m1"});
    let first = alerts.create(&raise).await.unwrap();
    assert_eq!((&first["Count"], &first["Principal"]), (&json!(1), &json!("user:rocketskates")));
    let second = alerts.create(&raise).await.unwrap();
    assert_eq!((&second["Uuid"], &second["Count"]), (&first["Uuid"], &json!(2)));
    let uuid = first["Uuid"].as_str().unwrap();
    let url = format!("{}/api/v3/alerts/{uuid}/acknowledge", endpoint.url());
    let acknowledge = || {
        let output = std::process::Command::new("curl")
            .args(["-sk", "-u", "rocketskates:test-password", "-X", "POST", "-d", "{}", &url])
            .output();
        serde_json::from_slice::<Value>(&output.unwrap().stdout).unwrap()
    };
    let seen = acknowledge();
    assert_eq!((&seen["Acknowledged"], &seen["AcknowledgeUser"]), (&json!(true), &json!("rocketskates")));
    assert_eq!(acknowledge()["AcknowledgeTime"], seen["AcknowledgeTime"]);
    let third = alerts.create(&raise).await.unwrap();
    assert!(third["Uuid"] != first["Uuid"] && third["Count"] == json!(1), "{third}");
}

#[tokio::test]
async fn text_is_rendered_for_a_machine_on_request() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let machine = endpoint.machine("m1").await;
    client
        .collection("templates")
        .create(&json!({"ID": "t1", "Contents": "of {{.Machine.Name}}"}))
        .await
        .unwrap();
    let curl = |path: &str, words: &[&str]| {
        let output = std::process::Command::new("curl")
            .args(["-sk", "-u", "rocketskates:test-password"])
            .args(words)
            .arg(format!("{}/api/v3/{path}", endpoint.url()))
            .output();
        serde_json::from_slice::<Value>(&output.unwrap().stdout).unwrap()
    };
    let path = format!("machines/{}/render", machine.uuid);
    let octets = ["-H", "Content-Type: application/octet-stream", "--data-binary", "I am {{.Machine.Name}}"];
    assert_eq!(curl(&path, &octets), json!("I am m1"));
    let text = ["-H", "Content-Type: application/json", "-d", "\"{{template \\\"t1\\\" .}}!\""];
    assert_eq!(curl(&path, &text), json!("of m1!"));
    assert_eq!(curl(&format!("templates/t1/render/{}", machine.uuid), &[]), json!("of m1"));
    let bad = ["-H", "Content-Type: text/plain", "-d", "{{.Machine.Nothing}}"];
    assert_eq!(curl(&path, &bad)["Code"], json!(422));
}

#[tokio::test]
async fn files_are_served_over_tls_and_numbers_to_monitoring() {
    let mut endpoint = Endpoint::start();
    let (secure, metrics) = (free_port(), free_port());
    endpoint.kill();
    let ports = [secure.to_string(), metrics.to_string()];
    endpoint.start_again_with(&["--static-secure-port", &ports[0], "--metrics-port", &ports[1]]);
    let info = endpoint.client().info().await.unwrap();
    assert!(info.secure_prov_enabled && info.secure_file_port == secure);
    rustls::crypto::ring::default_provider().install_default().ok();
    let http = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap();
    let get = async |url: String| http.get(url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(get(format!("https://127.0.0.1:{secure}/lpxelinux.0")).await.len(), 70_000);
    let text = String::from_utf8(get(format!("http://127.0.0.1:{metrics}/metrics")).await.to_vec()).unwrap();
    assert!(text.contains("drp_objects{type=\"users\"} 1\n"), "{text}");
}

#[tokio::test]
async fn host_becomes_a_machine_that_runs_its_jobs() {
    let mut endpoint = Endpoint::start();
    endpoint.kill();
    endpoint.start_again_with(&["--start-runner"]);
    let client = endpoint.client();
    let mut stream = client.events_since(0, &["machines.*.*"]).await.unwrap();
    let machine = loop {
        let event = stream.next().await.unwrap();
        if event.object["Meta"]["machine-role"] == "self" {
            break event.object;
        }
    };
    let uuid = machine["Uuid"].as_str().unwrap().to_owned();
    client.collection("tasks").create(&json!({"Name": "one"})).await.unwrap();
    let tasks = [formwork_client::PatchOp::replace("/Tasks", json!(["one"]))];
    client.collection("machines").patch(&uuid, &tasks).await.unwrap();
    loop {
        let event = stream.next().await.unwrap();
        if event.key == uuid && event.object["JobState"] == "finished" {
            break;
        }
    }
}

#[tokio::test]
async fn runner_of_the_endpoint_takes_clusters_and_brokers_through_their_tasks() {
    let endpoint = Endpoint::start_with(&["--start-runner"]);
    let client = endpoint.client();
    let script =
        json!({"Name": "say", "Path": "", "Contents": "#!/bin/sh\necho here for {{.Machine.Name}}\n"});
    client.collection("tasks").create(&json!({"Name": "say", "Templates": [script]})).await.unwrap();
    let mut stream = client.events_since(0, &["clusters.*.*", "resource_brokers.*.*"]).await.unwrap();
    for prefix in ["clusters", "resource_brokers"] {
        let group = client.collection(prefix).create(&json!({"Name": format!("g-{prefix}")})).await.unwrap();
        assert_eq!(group["Context"], "drpcli-runner");
        let uuid = group["Uuid"].as_str().unwrap().to_owned();
        let tasks = [formwork_client::PatchOp::replace("/Tasks", json!(["say"]))];
        client.collection(prefix).patch(&uuid, &tasks).await.unwrap();
        let group = loop {
            let event = stream.next().await.unwrap();
            if event.key == uuid && event.object["JobState"] == "finished" {
                break event.object;
            }
        };
        let log = client.job_log(group["CurrentJob"].as_str().unwrap()).await.unwrap();
        assert!(String::from_utf8_lossy(&log).contains(&format!("here for g-{prefix}")), "{log:?}");
    }
}

#[tokio::test]
async fn endpoint_without_a_runner_says_what_a_cluster_waits_for() {
    let mut endpoint = Endpoint::start();
    let client = endpoint.client();
    client.collection("tasks").create(&json!({"Name": "one"})).await.unwrap();
    let mut stream = client.events().await.unwrap();
    stream.register("log.*.*").await.unwrap();
    let group = client.collection("clusters").create(&json!({"Name": "c1"})).await.unwrap();
    let uuid = group["Uuid"].as_str().unwrap().to_owned();
    let tasks = [formwork_client::PatchOp::replace("/Tasks", json!(["one"]))];
    client.collection("clusters").patch(&uuid, &tasks).await.unwrap();
    let hint = format!("formwork agent --uuid {uuid} --context drpcli-runner");
    while !stream.next().await.unwrap().object.to_string().contains(&hint) {}
    assert!(endpoint.stop().contains("--start-runner"));
}

#[tokio::test]
async fn token_that_expires_ends_the_stream() {
    let mut endpoint = Endpoint::start();
    let token = endpoint.cli(&["users", "token", "rocketskates", "ttl", "2"]);
    let token: Value = serde_json::from_slice(&token.stdout).unwrap();
    let token = token["Token"].as_str().unwrap().to_owned();
    let client = endpoint.client_with(formwork_client::Credentials::Token(token));
    let mut stream = client.events().await.unwrap();
    stream.register("profiles.*.*").await.unwrap();
    stream.next().await.unwrap_err();
    assert!(endpoint.stop().contains("the token is expired"));
}
