//! Those who mean no good, from outside.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
};

use serde_json::json;

use crate::endpoint::{Endpoint, PATIENCE};

/// Connections that do nothing.
const SLOW: usize = 10_000;

/// What the endpoint may take for them, in KiB.
const MOST_KIB: u64 = 600 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_slow_connections_leave_the_api_answering_in_bounded_memory() {
    raise_file_limit();
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    client.collection("profiles").create(&json!({"Name": "before"})).await.unwrap();
    let address: SocketAddr = ([127, 0, 0, 1], endpoint.ports.api).into();
    let held = tokio::task::spawn_blocking(move || {
        (0..SLOW)
            .map(|number| {
                let mut stream = TcpStream::connect(address).unwrap();
                // Every other one begins to shake hands and stops.
                if number % 2 == 0 {
                    stream.write_all(&[0x16, 0x03, 0x01, 0x02]).unwrap();
                }
                stream
            })
            .collect::<Vec<_>>()
    });
    let held = held.await.unwrap();
    let profiles = client.collection("profiles");
    let amid = json!({"Name": "amid"});
    let made = tokio::time::timeout(PATIENCE, profiles.create(&amid)).await.unwrap().unwrap();
    assert_eq!(made["Name"], "amid");
    let resident = endpoint.resident_kib();
    assert!(resident < MOST_KIB, "{resident} KiB");
    drop(held);
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
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let wanted = hard.min(2 * SLOW as u64);
    assert!(wanted > SLOW as u64 + 1_000, "the system allows {hard} open files only");
    setrlimit(Resource::RLIMIT_NOFILE, wanted.max(soft), hard).unwrap();
}
