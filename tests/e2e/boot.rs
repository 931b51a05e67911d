//! A machine from its firmware's first packet to the end of its workflow.

use std::{net::UdpSocket, process::Stdio};

use formwork_client::Query;
use formwork_model::{Job, JobState, Machine};

use crate::endpoint::{Endpoint, PATIENCE, program};

const MAC: &str = "52:54:00:77:00:01";

#[tokio::test]
async fn simulated_machine_boots_and_completes_its_workflow() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let prefs = [("unknownBootEnv", "discovery"), ("defaultWorkflow", "discover")];
    client.prefs_set(&prefs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()).await.unwrap();
    let mut events = client.events().await.unwrap();
    events.register("machines.*.*").await.unwrap();
    let state = tempfile::tempdir().unwrap();
    let mut machine = tokio::process::Command::from({
        let mut command = program();
        command.args([
            "demo",
            "firmware",
            "--agent",
            "--mac",
            MAC,
            "--uuid",
            "00112233-4455-6677-8899-aabbccddeeff",
        ]);
        command.args(["--dhcp", &format!("127.0.0.1:{}", endpoint.ports.dhcp)]);
        command.args(["--tftp", &format!("127.0.0.1:{}", endpoint.ports.tftp)]);
        command.arg("--state-dir").arg(state.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    })
    .kill_on_drop(true)
    .spawn()
    .unwrap();
    let complete = async {
        loop {
            tokio::select! {
                ended = machine.wait() => panic!("the machine ended: {ended:?}"),
                event = events.next() => {
                    let machine: Machine = serde_json::from_value(event.unwrap().object).unwrap();
                    if machine.workflow_complete && !machine.tasks.is_empty() {
                        return machine;
                    }
                }
            }
        }
    };
    let Ok(found) = tokio::time::timeout(PATIENCE, complete).await else {
        panic!("not complete: {}", std::fs::read_to_string(endpoint.folder().join("log")).unwrap());
    };
    machine.start_kill().unwrap();
    machine.wait().await.unwrap();
    assert_eq!(found.hardware_addrs, [MAC]);
    assert!(found.address.starts_with("127.0.77."), "{}", found.address);
    for name in ["inventory/cpu", "inventory/memory", "inventory/nics", "greet/message"] {
        assert!(found.params.contains_key(name), "{name} is missing in {:?}", found.params);
    }
    let jobs: Vec<Job> = client.list(&Query::new().with("Machine", &found.uuid)).await.unwrap();
    assert!(jobs.len() >= 2);
    assert!(jobs.iter().all(|job| job.state == JobState::Finished), "{jobs:?}");
    assert!(jobs.iter().any(|job| job.task == "greet" && job.context == "host"));
}

#[tokio::test]
async fn random_packets_harm_nobody() {
    let mut endpoint = Endpoint::start();
    let client = endpoint.client();
    let counted = async |name: &str| {
        let stats = client.info().await.unwrap().stats;
        stats.into_iter().find(|stat| stat.name == name).unwrap_or_else(|| panic!("no {name}")).count
    };
    for name in ["dhcp.received", "dhcp.malformed", "tftp.received", "tftp.malformed"] {
        assert_eq!(counted(name).await, 0, "{name}");
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut state = 0x2545_f491_4f6c_dd1du64;
    for length in 0..600usize {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .take(length)
        .collect();
        for port in [endpoint.ports.dhcp, endpoint.ports.tftp] {
            socket.send_to(&bytes, ("127.0.0.1", port)).unwrap();
        }
    }
    program()
        .args(["demo", "firmware", "--mac", MAC, "--dhcp", &format!("127.0.0.1:{}", endpoint.ports.dhcp)])
        .args(["--tftp", &format!("127.0.0.1:{}", endpoint.ports.tftp)])
        .output()
        .unwrap();
    assert!(counted("dhcp.answered").await > 0, "the firmware is answered as ever");
    let log = std::fs::read_to_string(endpoint.folder().join("log")).unwrap();
    assert!(!log.contains("panicked"));
    // The firmware's own packets came after all of these, and so does this one, for a file that is not there.
    let client_of_tftp = UdpSocket::bind("127.0.0.1:0").unwrap();
    client_of_tftp.set_read_timeout(Some(PATIENCE)).unwrap();
    client_of_tftp.send_to(b"\0\x01nothing\0octet\0", ("127.0.0.1", endpoint.ports.tftp)).unwrap();
    let mut answer = [0; 512];
    assert!(client_of_tftp.recv(&mut answer).unwrap() > 4);
    assert_eq!(answer[..2], [0, 5]);
    for service in ["dhcp", "tftp"] {
        let [received, malformed] = ["received", "malformed"].map(|what| format!("{service}.{what}"));
        let (received, malformed) = (counted(&received).await, counted(&malformed).await);
        assert!(0 < malformed && malformed < received, "{service}: {malformed} of {received}");
    }
    let (dhcp, tftp) = (counted("dhcp.malformed").await, counted("tftp.malformed").await);
    let log = endpoint.stop();
    for (words, count) in [("dhcp was served", dhcp), ("tftp was served", tftp)] {
        let line = log.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains(&format!("malformed: {count},")), "{line}");
    }
}
