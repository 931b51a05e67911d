//! The routine with the host of the guest crate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use formwork_sdk::exec::{Output, Status};
use formwork_sdk::testing::{Host, Reply};
use formwork_sdk::{HostError, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::*;

/// What the routine finds, also for the sandbox.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Surroundings {
    cases: BTreeMap<String, Vec<String>>,
    params: BTreeMap<String, Value>,
    inherited: BTreeMap<String, Value>,
    refused: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    /// So many bytes, as they are too many to be written there.
    secrets_of_bytes: BTreeMap<String, usize>,
    kv: BTreeMap<String, Value>,
    folders: Vec<String>,
    files: BTreeMap<String, String>,
    links: BTreeMap<String, String>,
    http: BTreeMap<String, Answer>,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn surroundings() -> Surroundings {
    serde_json::from_str(&fs::read_to_string(folder().join("surroundings.json")).unwrap()).unwrap()
}

fn host(around: Surroundings, grants: &[String]) -> Host {
    let mut host = Host::new().grants(grants).unwrap().machine_name("n1").at(Timestamp(1_700_000_000_000));
    for (name, value) in around.params {
        host = host.param(name, value);
    }
    for (name, value) in around.inherited {
        host = host.inherited_param(name, value);
    }
    for (name, words) in around.refused {
        host = host.refuse_param(name, words);
    }
    for (name, text) in around.secrets {
        host = host.secret(name, text);
    }
    for (name, bytes) in around.secrets_of_bytes {
        host = host.secret(name, "x".repeat(bytes));
    }
    for (key, value) in around.kv {
        host = host.kv(key, value);
    }
    for path in around.folders {
        host = host.folder(&path);
    }
    for (path, text) in around.files {
        host = host.file(&path, text);
    }
    for (path, target) in around.links {
        host = host.link(&path, target);
    }
    let answers = around.http;
    host.exec(shell).http(move |request| {
        let request = format!("{:?} {}", request.method, request.url);
        let request = request.trim_start_matches("Method::");
        let answer = answers.get(request).unwrap_or_else(|| panic!("there is no answer to {request}"));
        let reply = Reply::status(answer.status).body(answer.body.clone());
        Ok(answer.headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value)))
    })
}

/// What the shell does in the routine.
fn shell(command: &exec::Command) -> Result<Output, HostError> {
    if command.program != "sh" {
        let words = format!("there is no program `{}` on this machine", command.program);
        return Err(HostError::Unavailable(words));
    }
    let (code, stdout, stderr) = match command.args[1].as_str() {
        "exit 3" => (3, 0, 0),
        "head -c 600000 /dev/zero; head -c 70000 /dev/zero >&2" => (0, 600_000, 70_000),
        other => panic!("{other}"),
    };
    Ok(Output {
        status: Status::Exited(code),
        stdout: vec![0; stdout],
        stderr: vec![0; stderr],
        truncated: false,
    })
}

#[test]
fn answers_are_those_of_the_real_host() {
    for (case, grants) in surroundings().cases {
        let host = host(surroundings(), &grants);
        assert_eq!(host.run::<Parity>(), Ok(Outcome::Done));
        let mut found = String::new();
        for (level, line) in host.lines() {
            found.push_str(&format!("{} {}\n", level.as_str().to_lowercase(), shortened(&line)));
        }
        for report in host.progress() {
            found.push_str(&format!("progress {:?} {}\n", report.percent, shortened(&report.message)));
        }
        for (name, requests) in [("requests", host.requests().len()), ("programs", host.commands().len())] {
            found.push_str(&format!("{name} {requests}\n"));
        }
        let path = folder().join("answers").join(case).with_extension("txt");
        let expected = fs::read_to_string(&path).unwrap();
        for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
            assert_eq!(found, expected, "{}:{}", path.display(), number + 1);
        }
        assert_eq!(found.lines().count(), expected.lines().count(), "{}", path.display());
    }
}

/// A line without its breaks, and of a long one the length.
fn shortened(line: &str) -> String {
    if line.len() > 400 {
        let start: String = line.chars().take(40).collect();
        return format!("{start}... of {} bytes", line.len());
    }
    line.escape_debug().to_string()
}
