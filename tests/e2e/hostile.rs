//! Those who mean no good, from outside.

mod crowd;

use std::{net::SocketAddr, os::unix::fs::MetadataExt as _};

use serde_json::json;

use self::crowd::{Behaviour, Crowd, LARGE_FILE};
use crate::endpoint::{Endpoint, PATIENCE, free_port};

/// Who comes: 10,000 connections from one address that ask nothing, or never to the end, or never listen.
const COMING: [(Behaviour, usize); 9] = [
    (Behaviour::Silent, 4_000),
    (Behaviour::HalfHandshake, 3_000),
    (Behaviour::HandshakeOnly, 400),
    (Behaviour::HalfHead, 400),
    (Behaviour::Http2WithoutStream, 400),
    (Behaviour::Http2WithoutBodies, 200),
    (Behaviour::HalfHeadForFile, 1_000),
    (Behaviour::DeafToFile, 300),
    (Behaviour::SilentToMetrics, 300),
];

/// What the endpoint may take for them and for itself, in KiB.
const MOST_KIB: u64 = 600 << 10;

/// Files that an endpoint has open more at one time than at another, without any of their connections.
const FEW_FILES: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_slow_connections_leave_every_port_answering_in_bounded_memory() {
    let slow = COMING.iter().map(|(_, count)| count).sum();
    assert_eq!(slow, 10_000);
    raise_file_limit(slow);
    let mut endpoint = Endpoint::start();
    let file = std::fs::File::create(endpoint.folder().join("tftpboot/large")).unwrap();
    file.set_len(LARGE_FILE).unwrap();
    assert_eq!(file.metadata().unwrap().blocks(), 0, "it takes no room");
    endpoint.kill();
    let metrics = free_port();
    endpoint.start_again_with(&["--metrics-port", &metrics.to_string()]);
    let client = endpoint.client();
    client.collection("profiles").create(&json!({"Name": "before"})).await.unwrap();
    let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let crowd =
        Crowd { api: local(endpoint.ports.api), files: local(endpoint.ports.files), metrics: local(metrics) };
    let files_before = endpoint.open_files();
    let held = crowd.come(&COMING).await;

    rustls::crypto::ring::default_provider().install_default().ok();
    let http = reqwest::Client::new();
    let get = async |port: u16, path: &str| {
        let url = format!("http://127.0.0.1:{port}/{path}");
        let asked = tokio::time::timeout(PATIENCE, http.get(url).send()).await.unwrap();
        asked.unwrap().error_for_status().unwrap().bytes().await.unwrap()
    };
    let profiles = client.collection("profiles");
    let amid = json!({"Name": "amid"});
    let made = tokio::time::timeout(PATIENCE, profiles.create(&amid)).await.unwrap().unwrap();
    assert_eq!(made["Name"], "amid");
    assert_eq!(get(endpoint.ports.files, "lpxelinux.0").await.len(), 70_000);
    let text = String::from_utf8(get(metrics, "metrics").await.to_vec()).unwrap();
    let line = text.lines().find(|line| line.starts_with("drp_connections_gave_way_total ")).unwrap();
    assert!(!line.ends_with(" 0"), "more came to the port of metrics than one address may have there");
    let resident = endpoint.resident_kib();
    assert!(resident < MOST_KIB, "{resident} KiB");

    drop(held);
    endpoint.eventually("their connections have ended", || endpoint.open_files() < files_before + FEW_FILES);
    let names = client.collection("profiles").list(&formwork_client::Query::new()).await.unwrap();
    for name in ["before", "amid"] {
        assert!(names.iter().any(|profile| profile["Name"] == name), "{name}");
    }
}

#[tokio::test]
async fn refusal_of_a_body_that_is_too_large_reaches_who_sends_it() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let profiles = client.collection("profiles");
    let large = json!({"Name": "large", "Description": "x".repeat(20 << 20)});
    for _ in 0..5 {
        assert_eq!(profiles.create(&large).await.unwrap_err().status(), Some(413));
    }
}

/// Lets this process have a file for each connection, and the endpoint that it starts.
fn raise_file_limit(slow: usize) {
    let slow = slow as u64;
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let wanted = hard.min(2 * slow);
    assert!(wanted > slow + 1_000, "the system allows {hard} open files only");
    setrlimit(Resource::RLIMIT_NOFILE, wanted.max(soft), hard).unwrap();
}
