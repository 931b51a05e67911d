//! What a task may do on a machine, with an endpoint on loopback that knows three parameters.

use std::sync::Arc;

use formwork_api::Whoami;
use formwork_client::{Client, Credentials, Endpoint};
use formwork_model::{Job, Machine};
use formwork_sandbox::{
    Blob, ExecCommand, ExecStatus, FilesCall, KvCall, Level, LogLine, RandomCall, SecretsCall,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::*;
use crate::{log::LogWriter, session::Session};

const UUID: &str = "7b1e0b3c-0000-4000-8000-000000000001";

/// Answers requests for parameters of the machine until the test ends, and tells what it was asked.
async fn endpoint() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (told, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            let text = String::from_utf8(request).unwrap();
            let line = text.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
            let (method, path) = line.split_once(' ').unwrap();
            let path = path.strip_prefix(&format!("/api/v3/machines/{UUID}/params")).unwrap();
            let (status, body) = match (method, path) {
                ("GET", "?aggregate=true") => ("200 OK", r#"{"a/1":1,"a/2":2,"b":null}"#),
                ("GET", "/a/1?aggregate=true") => ("200 OK", "1"),
                ("GET", "/b?aggregate=true") => ("200 OK", "null"),
                ("GET", "/s?aggregate=true") => ("200 OK", r#"{"Key":"a","Nonce":"b","Payload":"c"}"#),
                ("POST", "/a/1") => ("200 OK", "7"),
                ("POST", "/a/2") => {
                    ("422 Unprocessable Entity", r#"{"Code":422,"Messages":["it must be a text"]}"#)
                }
                ("DELETE", "/a/1") => ("200 OK", "1"),
                _ => ("404 Not Found", r#"{"Code":404,"Messages":["not there"]}"#),
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            told.send(format!("{method} {path}")).unwrap();
        }
    });
    (url, asked)
}

/// The host of a call whose endpoint is at a URL, and what is written to the job log.
fn host(url: &str) -> (AgentHost, mpsc::Receiver<Vec<u8>>) {
    let endpoint = Endpoint { url: url.to_owned(), credentials: Credentials::Token("token".to_owned()) };
    let client = Client::connect(endpoint).unwrap();
    let (log, pieces) = LogWriter::collecting();
    let place = JobPlace {
        session: Arc::new(Session::new(UUID.to_owned(), client, None, Whoami::default())),
        machine: Machine { uuid: UUID.to_owned(), ..Machine::default() },
        job: Job::default(),
        log,
    };
    (AgentHost::new(place, native::Http::new()), pieces)
}

#[tokio::test]
async fn secure_param_is_never_told_as_a_param() {
    let (url, _asked) = endpoint().await;
    let (host, _log) = host(&url);
    let read = HostCall::Params(ParamsCall::Read { name: "s".to_owned() });
    assert_eq!(host.call(read).await, Ok(HostAnswer::Text(None)));
}

#[tokio::test]
async fn params_are_those_of_the_machine_at_its_endpoint() {
    let (url, mut asked) = endpoint().await;
    let (host, _log) = host(&url);
    let name = || "a/1".to_owned();
    let params = |call| host.call(HostCall::Params(call));
    let text = |text: &str| Ok(HostAnswer::Text(Some(text.to_owned())));
    assert_eq!(params(ParamsCall::Read { name: name() }).await, text("1"));
    assert_eq!(params(ParamsCall::Read { name: "b".to_owned() }).await, Ok(HostAnswer::Text(None)));
    let write = |name: &str| ParamsCall::Write { name: name.to_owned(), json: "7".to_owned() };
    assert_eq!(params(write("a/1")).await, Ok(HostAnswer::Done));
    let refused = params(write("a/2")).await.unwrap_err();
    assert!(
        matches!(&refused, HostError::Invalid(words) if words.contains("it must be a text")),
        "{refused:?}"
    );
    assert_eq!(params(ParamsCall::Remove { name: name() }).await, Ok(HostAnswer::Done));
    // What is not there need not be removed.
    assert_eq!(params(ParamsCall::Remove { name: "c".to_owned() }).await, Ok(HostAnswer::Done));
    let names = params(ParamsCall::List { prefix: "a/".to_owned() }).await;
    assert_eq!(names, Ok(HostAnswer::Names(vec!["a/1".to_owned(), "a/2".to_owned()])));
    let mut lines = Vec::new();
    while let Ok(line) = asked.try_recv() {
        lines.push(line);
    }
    let expected = [
        "GET /a/1?aggregate=true",
        "GET /b?aggregate=true",
        "POST /a/1",
        "POST /a/2",
        "DELETE /a/1",
        "DELETE /c",
        "GET ?aggregate=true",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn files_programs_and_random_bytes_are_those_of_the_machine() {
    let (host, _log) = host("http://127.0.0.1:1");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "text").unwrap();
    let root = folder.path().to_str().unwrap().to_owned();
    let call = FilesCall::Read { root, path: "file".to_owned(), offset: 1, max_bytes: 9 };
    assert_eq!(host.call(HostCall::Files(call)).await, Ok(HostAnswer::Bytes(Blob(b"ext".to_vec()))));
    let command = ExecCommand {
        program: "sh".to_owned(),
        args: vec!["-c".to_owned(), "cat; exit 2".to_owned()],
        env: Vec::new(),
        stdin: Blob(b"input".to_vec()),
        timeout_ms: 60_000,
    };
    let HostAnswer::Exec(output) = host.call(HostCall::Exec(command)).await.unwrap() else { panic!() };
    assert_eq!((output.status, output.stdout), (ExecStatus::Exited(2), Blob(b"input".to_vec())));
    let random = host.call(HostCall::Random(RandomCall { count: 16 })).await.unwrap();
    assert!(matches!(random, HostAnswer::Bytes(bytes) if bytes.0.len() == 16));
    assert!(
        matches!(host.call(HostCall::Clock).await, Ok(HostAnswer::Time(time)) if time > 1_700_000_000_000)
    );
}

#[tokio::test]
async fn stores_and_secrets_stay_on_the_endpoint_and_the_guest_is_told_so() {
    let (host, _log) = host("http://127.0.0.1:1");
    for call in [
        HostCall::Kv(KvCall::Get { key: "a".to_owned() }),
        HostCall::Secrets(SecretsCall { name: "ipmi/password".to_owned() }),
    ] {
        let error = host.call(call).await.unwrap_err();
        assert!(
            matches!(&error, HostError::Unavailable(words) if words.contains("on the endpoint")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn the_same_progress_is_written_once() {
    let (host, mut log) = host("http://127.0.0.1:1");
    let report = |percent| {
        HostCall::Progress(ProgressReport { percent: Some(percent), message: "writing the image".to_owned() })
    };
    for call in [report(5), report(5), report(6)] {
        assert_eq!(host.call(call).await, Ok(HostAnswer::Done));
    }
    let line = LogLine { level: Level::Warn, message: "odd".to_owned() };
    assert_eq!(host.call(HostCall::Log(line)).await, Ok(HostAnswer::Done));
    drop(host);
    let mut text = String::new();
    while let Some(piece) = log.recv().await {
        text.push_str(&String::from_utf8(piece).unwrap());
    }
    assert_eq!(text, "progress: 5 % writing the image\nprogress: 6 % writing the image\nwarning: odd\n");
}
