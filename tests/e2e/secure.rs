//! Secure params with the real program (drp-api.md 6.3; drp-behaviour.md 1.6).

use std::{os::unix::fs::PermissionsExt, path::Path};

use formwork_client::{Credentials, Query};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;

/// A text that is in nothing but the secure params of these tests.
const SECRET: &str = "Battery-Staple-4711";

/// What holds no values: compiled components and what machines boot from, many megabytes of both.
const PROGRAMS: [&str; 2] = ["cache", "tftpboot"];

/// Returns the files below a folder that hold a text.
fn holders(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            if PROGRAMS.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            found.extend(holders(&path, text));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn row_188_secure_params_are_sealed_at_rest_and_in_transit() {
    let mut endpoint = Endpoint::start();
    let client = endpoint.client();
    let param = json!({"Name": "bmc/password", "Secure": true, "Schema": {"type": "string"}});
    client.collection("params").create(&param).await.unwrap();
    client.collection("params").create(&json!({"Name": "bmc/user"})).await.unwrap();
    let uuid = endpoint.machine("m1").await.uuid;
    let machines = client.collection("machines");
    let mut stream = client.events().await.unwrap();
    stream.register("machines.*.*").await.unwrap();
    // The client seals before it sends; the endpoint seals what comes in the clear.
    let values = json!({"bmc/password": SECRET, "bmc/user": "root", "free": 1});
    let sealed = machines.sealed_all(&uuid, values.as_object().unwrap()).await.unwrap();
    assert!(sealed["bmc/password"]["Payload"].is_string() && sealed["bmc/user"] == "root", "{sealed:?}");
    assert_eq!(machines.params_set(&uuid, &json!(sealed)).await.unwrap(), json!(sealed));
    let one = machines.sealed(&uuid, "bmc/password", &json!(SECRET)).await.unwrap();
    assert_ne!(one, sealed["bmc/password"], "each time it is sealed anew");
    assert_eq!(machines.sealed(&uuid, "bmc/password", &one).await.unwrap(), one, "and never twice");
    let sealed = machines.param_set(&uuid, "bmc/password", &json!(SECRET)).await.unwrap();
    assert!(sealed["Payload"].is_string());
    assert_eq!(machines.param_set(&uuid, "bmc/password", &one).await.unwrap(), one);
    assert_eq!(machines.param(&uuid, "bmc/password", true).await.unwrap(), one);
    for _ in 0..3 {
        let event = stream.next().await.unwrap();
        let text = format!("{}{}", event.object, event.original);
        assert!(text.contains("Payload") && !text.contains(SECRET), "{text}");
    }
    let decode = Query::new().with("decode", true);
    for restarted in [false, true] {
        let clear = endpoint.client().collection("machines").show(&uuid, &decode).await.unwrap();
        assert_eq!(clear["Params"]["bmc/password"], SECRET, "restarted: {restarted}");
        if !restarted {
            endpoint.kill_and_start_again();
        }
    }
    // A token of the machine opens what is its own; it cannot those of another.
    let other = endpoint.machine("m2").await.uuid;
    let token = endpoint.client().machine_token(&uuid, "1h").await.unwrap().token;
    let agent = endpoint.client_with(Credentials::Token(token));
    let own = agent.collection("machines").show(&uuid, &decode).await.unwrap();
    assert_eq!(own["Params"]["bmc/password"], SECRET);
    assert_eq!(agent.collection("machines").show(&other, &decode).await.unwrap_err().status(), Some(403));
    let key = endpoint.folder().join("keys/secure.key");
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    endpoint.stop();
    let known = holders(endpoint.folder(), "bmc/password");
    assert!(
        known.iter().any(|path| path.ends_with("formwork.redb")),
        "the search finds what is there: {known:?}"
    );
    assert_eq!(holders(endpoint.folder(), SECRET), Vec::<String>::new());
    assert_ne!(own["Params"]["free"], Value::Null);
}
