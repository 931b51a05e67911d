//! An endpoint that does nothing but record what it is asked.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The peer.
pub(super) struct Peer {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, Arc::clone(&told)));
            }
        });
        Self { url, asked }
    }

    /// Returns what was asked since the last time.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// Answers one request and closes.
async fn serve(mut tcp: TcpStream, asked: Arc<Mutex<Vec<String>>>) {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if tcp.read_buf(&mut bytes).await.unwrap() == 0 {
            return;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let header = |name: &str| {
        text.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head + 4 + length {
        assert!(tcp.read_buf(&mut bytes).await.unwrap() > 0, "{text}");
    }
    let line: Vec<&str> = text.lines().next().unwrap().split(' ').collect();
    let (method, path) = (line[0], line[1].strip_prefix("/api/v3/").unwrap_or(line[1]));
    let body = String::from_utf8_lossy(&bytes[head + 4..]).into_owned();
    let mut shown = format!("{method} {path}");
    for part in [header("prefer"), header("if-none-match").filter(|_| header("prefer").is_some())] {
        shown.push_str(&part.map(|part| format!(" ({part})")).unwrap_or_default());
    }
    if !body.is_empty() {
        shown.push_str(&format!(" {body}"));
    }
    asked.lock().unwrap().push(shown);
    let answer = answer(method, path.split('?').next().unwrap(), &header("host").unwrap()).to_string();
    let sent = if method == "HEAD" { "" } else { &answer };
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"7\"\r\nX-DRP-LIST-FILTER-COUNT: 3\r\nConnection: close\r\n\r\n{sent}",
        answer.len(),
    );
    tcp.write_all(response.as_bytes()).await.unwrap();
    tcp.shutdown().await.ok();
}

fn answer(method: &str, path: &str, host: &str) -> Value {
    let url = format!("http://{host}/api/v3/files/x.iso");
    let object = json!({
        "Uuid": "u1", "Name": "fred", "Description": "", "Workflow": "", "Stage": "none", "BootEnv": "local",
        "Tasks": ["a", "b", "c"], "CurrentTask": 0, "Profiles": ["p1"], "Params": {"x": 1}, "Meta": {"m": "n"},
        "CurrentJob": "j1", "Runnable": true, "State": "running", "OS": {"IsoFile": "x.iso", "IsoUrl": url},
        "Options": [{"Code": 3, "Value": "10.0.0.1"}], "Id": "i1", "ID": "t1", "Addr": "C0A80001", "Contents": ""
    });
    let segments: Vec<&str> = path.split('/').collect();
    match (method, segments.as_slice()) {
        ("DELETE", ["jobs"]) | ("GET", ["contents"]) => json!([]),
        ("POST", ["contents"]) | ("PUT", ["contents", _]) => json!({"meta": {"Name": "c"}}),
        ("GET", ["contents", _]) => json!({
            "meta": {"Name": "c"}, "sections": {"stages": {"s": {"Name": "s"}}, "params": {"p": {"Name": "p"}}}
        }),
        ("GET", ["info"]) => json!({"id": "e", "version": "v"}),
        ("GET", ["prefs"]) => json!({"a": "b"}),
        ("GET", ["files" | "isos"]) => json!(["a", "b/"]),
        ("GET", ["jobs", _, "actions"]) => json!([]),
        ("GET", ["files", ..]) => json!({}),
        ("GET", ["meta", ..]) => json!({"m": "n"}),
        ("PATCH" | "GET" | "POST", [_, _, "params"]) => json!({"x": 1}),
        ("GET", [_]) => json!([object]),
        (_, [_] | [_, _]) => object,
        _ => json!({}),
    }
}
