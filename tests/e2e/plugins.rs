//! Plugins of the running program: what a plugin asked to be told reaches it, whatever happens to the endpoint.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use formwork_client::Query;
use formwork_packs::Archive;
use formwork_toolchain::{GuestBuild, Install, Toolchain};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::{
    endpoint::{Endpoint, PATIENCE},
    files::{curl, post},
};

/// Machines that are made while the endpoint is killed.
const MACHINES: usize = 30;

/// Builds the plugin and returns the folder of the pack `webhook` with a grant for one address.
pub(crate) fn webhook_pack(folder: &Path, address: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    // This program is in `<target>/<profile>/deps`.
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let toolchain = Toolchain::find(&target.join("toolchain"), Install::Never).unwrap();
    let build = GuestBuild {
        workspace_dir: root.clone(),
        packages: vec![String::from("plugin-webhook")],
        target_dir: target.join("guests"),
        profile: String::from("guest"),
    };
    let component = toolchain.build(&build).unwrap().remove(0);
    let pack = folder.join("webhook");
    std::fs::create_dir_all(pack.join("components")).unwrap();
    std::fs::create_dir_all(pack.join("params")).unwrap();
    let source = root.join("content/webhook");
    let manifest = std::fs::read_to_string(source.join("pack.yaml")).unwrap();
    let granted = manifest.replace("https://hooks.example/*", &format!("{address}/*"));
    assert_ne!(manifest, granted);
    std::fs::write(pack.join("pack.yaml"), granted).unwrap();
    std::fs::write(pack.join("components/webhook.wasm"), component.wasm).unwrap();
    for entry in std::fs::read_dir(source.join("params")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), pack.join("params").join(entry.file_name())).unwrap();
    }
    let file = folder.join("webhook.fwpack");
    let archive = Archive::from_folder(&pack).unwrap();
    archive.write(std::fs::File::create(&file).unwrap(), None).unwrap();
    file
}

/// A service that refuses at first and then takes everything, and tells what it took.
async fn service(refusals: usize) -> (String, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (taken, received) = mpsc::unbounded_channel();
    let left = Arc::new(AtomicUsize::new(refusals));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, taken.clone(), Arc::clone(&left)));
        }
    });
    (address, received)
}

/// Answers the requests of one connection.
async fn talk(mut stream: TcpStream, taken: mpsc::UnboundedSender<Value>, left: Arc<AtomicUsize>) {
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let Some(end) = end else {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let whole = end + 4 + length.trim().parse::<usize>().unwrap();
        while bytes.len() < whole {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body = serde_json::from_slice(&bytes[end + 4..whole]).unwrap();
        bytes.drain(..whole);
        let refuses =
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let status = if refuses { "503 Service Unavailable" } else { "200 OK" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if !refuses {
            let _ = taken.send(body);
        }
    }
}

#[tokio::test]
async fn every_event_reaches_its_webhook_in_order_over_kills() {
    let mut endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let folder = tempfile::tempdir().unwrap();
    let (address, mut taken) = service(1).await;
    let file = webhook_pack(folder.path(), &address);
    let installed = endpoint.cli(&["pack", "install", file.to_str().unwrap(), "--grant", "all"]);
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let client = endpoint.client();
    let provider = client.collection("plugin_providers").show("webhook", &Query::new()).await.unwrap();
    assert_eq!((&provider["Available"], &provider["HasPublish"]), (&json!(true), &json!(true)), "{provider}");
    let params = json!({"webhook/url": format!("{address}/in"), "webhook/events": ["machines.create.*"]});
    let plugin = json!({"Name": "hooks", "Provider": "webhook", "Params": params});
    client.collection("plugins").create(&plugin).await.unwrap();
    let mut made = Vec::new();
    for index in 0..MACHINES {
        made.push(endpoint.machine(&format!("m{index:02}")).await.uuid);
        if index % 10 == 9 {
            endpoint.kill_and_start_again();
        }
    }
    let mut seen: Vec<(u64, String)> = Vec::new();
    let all = async {
        while !made.iter().all(|uuid| seen.iter().any(|(_, key)| key == uuid)) {
            let event = taken.recv().await.unwrap();
            seen.push((event["Revision"].as_u64().unwrap(), event["Key"].as_str().unwrap().to_owned()));
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("some events never came");
    // What is repeated after a kill is the event that was under way; leaving repeats out, the order is that of the feed.
    let mut first: Vec<String> = Vec::new();
    for (_, key) in &seen {
        if !first.contains(key) {
            first.push(key.clone());
        }
    }
    assert_eq!(first, made);
    let plugin = endpoint.client().collection("plugins").show("hooks", &Query::new()).await.unwrap();
    assert_eq!(plugin["PluginErrors"], json!([]));
}

#[test]
fn pack_that_is_sent_as_a_provider_is_one_until_it_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let pack = std::fs::read(webhook_pack(folder.path(), "http://127.0.0.1:9")).unwrap();
    let endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let unasked = post(&endpoint, "plugin_providers/webhook", &pack);
    assert_eq!((unasked.code.as_str(), &unasked.json()["Type"]), ("409", &json!("NeedsConsent")));
    let misnamed = post(&endpoint, "plugin_providers/other?grant=all", &pack);
    assert_eq!(misnamed.code, "422");
    assert!(misnamed.json()["Messages"][0].as_str().unwrap().contains("no plugin component called `other`"));
    let sent = post(&endpoint, "plugin_providers/webhook?grant=all", &pack);
    assert_eq!((sent.code.as_str(), sent.json()), ("201", json!({"path": "webhook", "size": pack.len()})));
    let provider = curl(&endpoint, "plugin_providers/webhook", &[], b"").json();
    assert_eq!((&provider["Available"], &provider["Meta"]["Type"]), (&json!(true), &json!("plugin")));
    let binary = curl(&endpoint, "plugin_providers/webhook/binary", &[], b"");
    assert!(binary.body.starts_with(b"\0asm"));
    // Again, as an upgrade would.
    assert_eq!(post(&endpoint, "plugin_providers/webhook?grant=all", &pack).code, "201");
    let gone = curl(&endpoint, "plugin_providers/webhook", &["-X", "DELETE"], b"");
    assert_eq!((gone.code.as_str(), &gone.json()["Name"]), ("200", &json!("webhook")));
    assert_eq!(curl(&endpoint, "plugin_providers/webhook", &[], b"").code, "404");
    assert_eq!(curl(&endpoint, "packs/webhook", &[], b"").code, "404");
    assert_eq!(
        post(&endpoint, "plugin_providers/webhook?grant=all", &binary.body).code,
        "422",
        "it asks for grants"
    );
}
