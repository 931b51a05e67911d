//! OpenStack Ironic's API on SQLite, and the same work on an endpoint.
//!
//! Ironic runs as its one program of API and conductor, without messages between the two and without authentication, its
//! drivers fakes: nothing but its API and its database has work. The endpoint is asked over HTTPS with a token, and each of
//! its changes is durable when it is answered. Both hold the same number of objects when they are changed and listed.

use std::io::{Error, Result};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use formwork_bench::{Row, Samples, Stopwatch};
use serde_json::{Value, json};

use crate::SUITE;
use crate::site::{Site, as_number};
use crate::wire::{Target, Wire};

/// Where `cargo xtask bench` tells the Python of the peer's virtual environment.
const PYTHON: &str = "FORMWORK_IRONIC_PYTHON";

/// Where it tells why there is none.
const MISSING: &str = "FORMWORK_IRONIC_MISSING";

/// Clients at once.
const CLIENTS: usize = 4;

/// Objects that each side makes; the rates of the others need as many.
const OBJECTS: usize = 200;

/// How often each side makes its objects at least, after it has deleted those from before.
const ROUNDS: usize = 3;

/// How long objects are made, changed and listed for.
const WINDOW: Duration = Duration::from_secs(5);

/// How long the peer may take until it answers.
const PATIENCE: Duration = Duration::from_secs(90);

/// What each side is asked for, and what it must be better by.
const CASES: [&str; 3] = ["create", "patch", "list of 100"];

/// How many times the throughput of the peer is to be reached.
const RATIO: f64 = 50.0;

/// Measures both sides; rows without figures say why there is no peer.
pub(crate) async fn measure() {
    let site = Site::start().await;
    let ours = work(&site.target, &FORMWORK).await.expect("the endpoint's part");
    drop(site);
    let theirs = match peer().await {
        Ok(rates) => rates.map(Ok),
        Err(reason) => CASES.map(|_| Err(reason.clone())),
    };
    for ((case, ours), theirs) in CASES.iter().zip(ours).zip(theirs) {
        let row = Row::new(SUITE, format!("{case}, {CLIENTS} clients"), ours, "requests/s");
        let mut row = match theirs {
            Ok(rate) => row.beside("Ironic on SQLite", rate),
            Err(reason) => row.with_note(format!("not run: {reason}")),
        };
        row.target = Some(format!("ratio >= {RATIO}"));
        row.met = row.ratio.map(|ratio| ratio >= RATIO);
        row.print();
    }
}

/// How one side is asked.
struct Side {
    collection: &'static str,
    list: &'static str,
    description: &'static str,
    object: fn(&str, &Value) -> Value,
}

const FORMWORK: Side = Side {
    collection: "/api/v3/machines",
    list: "/api/v3/machines?limit=100",
    description: "/Description",
    object: |name, values| json!({"Uuid": uuid(name), "Name": name, "Params": values}),
};

const IRONIC: Side = Side {
    collection: "/v1/nodes",
    list: "/v1/nodes/detail?limit=100",
    description: "/description",
    object: |name, values| json!({"uuid": uuid(name), "name": name, "driver": "fake-hardware", "extra": values}),
};

/// The key of an object with a name that ends in hexadecimal digits.
fn uuid(name: &str) -> String {
    format!("00000000-0000-4000-8000-{:0>12}", name.trim_start_matches("node-"))
}

/// Returns how many objects a second one side makes, changes, and how many lists it answers.
async fn work(target: &Target, side: &'static Side) -> Result<[f64; 3]> {
    let mut creates = Samples::default();
    let clock = Stopwatch::start();
    for round in 0.. {
        creates.add(create(target, side).await?);
        if round + 1 >= ROUNDS && clock.elapsed() >= WINDOW {
            break;
        }
        delete(target, side).await?;
    }
    let patch = rate(target, |mut wire, client, clock| async move {
        let mut done = 0;
        while clock.elapsed() < WINDOW {
            // Each client has objects of its own: Ironic locks a node that is changed.
            let number = (done * CLIENTS + client) % OBJECTS;
            let change = json!([{"op": "add", "path": side.description, "value": format!("change {done}")}]);
            let path = format!("{}/{}", side.collection, uuid(&format!("node-{number}")));
            wire.ask("PATCH", &path, change.to_string().as_bytes()).await?.good()?;
            done += 1;
        }
        Ok(done)
    });
    let patch = patch.await?;
    let list = rate(target, |mut wire, _, clock| async move {
        let mut done = 0;
        while clock.elapsed() < WINDOW {
            wire.ask("GET", side.list, b"").await?.good()?;
            done += 1;
        }
        Ok(done)
    });
    Ok([creates.median(), patch, list.await?])
}

/// Makes the objects of one side; returns how many a second.
async fn create(target: &Target, side: &'static Side) -> Result<f64> {
    rate(target, |mut wire, client, _| async move {
        let values: Value =
            (0..20).map(|place| (format!("note-{place}"), json!(format!("value {place}")))).collect();
        let mut done = 0;
        for number in (client..OBJECTS).step_by(CLIENTS) {
            let object = (side.object)(&format!("node-{number}"), &values).to_string();
            wire.ask("POST", side.collection, object.as_bytes()).await?.good()?;
            done += 1;
        }
        Ok(done)
    })
    .await
}

/// Deletes the objects of one side.
async fn delete(target: &Target, side: &'static Side) -> Result<()> {
    let mut wire = target.connect().await?;
    for number in 0..OBJECTS {
        let path = format!("{}/{}", side.collection, uuid(&format!("node-{number}")));
        wire.ask("DELETE", &path, b"").await?.good()?;
    }
    Ok(())
}

/// Lets clients work at once; returns what they did a second.
async fn rate<F>(target: &Target, work: impl Fn(Wire, usize, Stopwatch) -> F) -> Result<f64>
where
    F: Future<Output = Result<usize>> + Send + 'static,
{
    let mut wires = Vec::new();
    for _ in 0..CLIENTS {
        wires.push(target.connect().await?);
    }
    let clock = Stopwatch::start();
    let clients = wires.into_iter().enumerate().map(|(client, wire)| tokio::spawn(work(wire, client, clock)));
    let mut done = 0;
    for client in clients.collect::<Vec<_>>() {
        done += client.await.map_err(Error::other)??;
    }
    Ok(as_number(done) / clock.elapsed().as_secs_f64())
}

/// Runs Ironic and its part of the work.
async fn peer() -> std::result::Result<[f64; 3], String> {
    let python = std::env::var(PYTHON).map_err(|_| {
        std::env::var(MISSING).unwrap_or_else(|_| String::from("only `cargo xtask bench api` installs it"))
    })?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let ironic = Ironic::start(Path::new(&python), folder.path()).await.map_err(|error| error.to_string())?;
    work(&ironic.target, &IRONIC).await.map_err(|error| error.to_string())
}

/// The peer in a process of its own; it is told to end when dropped.
struct Ironic {
    process: Child,
    target: Target,
}

impl Ironic {
    async fn start(python: &Path, folder: &Path) -> Result<Self> {
        let program = |name: &str| python.with_file_name(name);
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let settings = folder.join("ironic.conf");
        let text = include_str!("../../../../tests/peers/ironic/ironic.conf");
        let text =
            text.replace("@FOLDER@", &folder.display().to_string()).replace("@PORT@", &port.to_string());
        std::fs::write(&settings, text)?;
        let made = command(&program("ironic-dbsync"), &settings, folder)?.arg("create_schema").status()?;
        if !made.success() {
            return Err(Error::other("`ironic-dbsync` failed"));
        }
        let process = command(&program("ironic"), &settings, folder)?.spawn()?;
        let version = "X-OpenStack-Ironic-API-Version: 1.80\r\n";
        let ironic = Self { process, target: Target::plain(port, version) };
        let clock = Stopwatch::start();
        while clock.elapsed() < PATIENCE {
            if ironic.answers().await.is_ok() {
                return Ok(ironic);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(Error::other(std::fs::read_to_string(folder.join("log")).unwrap_or_default()))
    }

    /// Asks whether it takes nodes yet: its conductor must have said which drivers there are.
    async fn answers(&self) -> Result<()> {
        let body = self.target.connect().await?.ask("GET", "/v1/drivers", b"").await?.good()?;
        let known = String::from_utf8_lossy(&body).contains("fake-hardware");
        if known { Ok(()) } else { Err(Error::other("there is no driver yet")) }
    }
}

impl Drop for Ironic {
    fn drop(&mut self) {
        let id = self.process.id().to_string();
        // It ends its own children when it is asked to.
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        for _ in 0..100 {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program of the peer, whose words go into a file.
fn command(program: &PathBuf, settings: &Path, folder: &Path) -> Result<Command> {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new(program);
    command.arg("--config-file").arg(settings).current_dir(folder);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command)
}
