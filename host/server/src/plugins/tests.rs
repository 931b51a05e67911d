//! Plugins with real components, a real store and real web services, below the daemon.

mod actions;
mod delivery;
mod pieces;
mod service;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header::AUTHORIZATION},
};
use formwork_api::BASE_PATH;
use formwork_model::{
    Claim, ComponentKind, ComponentRecord, InstalledContent, Machine, Object, ObjectsExt, Plugin, Record,
};
use formwork_toolchain::{GuestBuild, Install, Toolchain};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};
use tower::ServiceExt;

use super::{Patience, settle, start};
use crate::{
    commit::commit,
    endpoint::Endpoint,
    http,
    testing::{self, Wishes},
};

const PACKAGES: [&str; 3] = ["plugin-webhook", "plugin-redfish", "guest-plugin-probe"];

/// The longest that a test waits for what must come; reached only when something is broken.
const LONGEST: Duration = Duration::from_secs(60);

/// The components by the name of their package, built once for all tests.
static GUESTS: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let target = program().ancestors().nth(3).unwrap().to_owned();
    let toolchain = Toolchain::find(&target.join("toolchain"), Install::Never).unwrap();
    let build = GuestBuild {
        workspace_dir: Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap(),
        packages: PACKAGES.map(str::to_owned).to_vec(),
        target_dir: target.join("guests"),
        profile: "guest".to_owned(),
    };
    let built = toolchain.build(&build).unwrap();
    built.into_iter().map(|component| (component.package, component.wasm)).collect()
});

/// This program, which is in `<target>/<profile>/deps`.
fn program() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// An endpoint without its sockets. The compiler is an example of this crate.
struct Site {
    base: testing::Site,
    endpoint: Arc<Endpoint>,
}

/// The loop of the plugins; it ends when dropped.
struct Loop {
    _stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    fn new() -> Self {
        Self::with(formwork_store::Limits::default())
    }

    fn with(store: formwork_store::Limits) -> Self {
        let compiler = program().ancestors().nth(2).unwrap().join("examples/server-compile-worker");
        assert!(
            compiler.is_file(),
            "no {}: run `cargo build -p formwork-server --examples`",
            compiler.display()
        );
        let base = testing::Site::new(Wishes { compiler, store, ..Wishes::default() });
        Self { endpoint: Arc::clone(&base.endpoint), base }
    }

    /// Starts the loop of the plugins, with a patience that is short enough for a test.
    fn start(&self) -> Loop {
        let patience =
            Patience { tries: 3, first: Duration::from_millis(10), longest: Duration::from_millis(20) };
        let (stop, stopped) = watch::channel(false);
        Loop { _stop: stop, task: start(Arc::clone(&self.endpoint), patience, stopped) }
    }

    /// Installs a pack of one plugin component, as an upload does, and waits until its provider is there.
    async fn install(&self, name: &str, package: &str, grants: &[&str]) {
        let wasm = &GUESTS[package];
        let digest = formwork_packs::digest(wasm);
        self.endpoint.library.keep_component(&digest, wasm).unwrap();
        let record = ComponentRecord {
            name: name.to_owned(),
            kind: ComponentKind::Plugin,
            digest,
            grants: grants.iter().map(|line| (*line).to_owned()).collect(),
            ..ComponentRecord::default()
        };
        let content = InstalledContent {
            name: name.to_owned(),
            components: vec![record],
            ..InstalledContent::default()
        };
        self.put(content).await;
        settle(&self.endpoint).await;
    }

    async fn put(&self, object: impl Object + Clone) {
        let put = commit(&self.endpoint, "user:anna", move |work| work.put(object.boxed()).map(drop));
        put.await.unwrap();
    }

    async fn plugin(&self, name: &str, provider: &str, params: Value) {
        let params = serde_json::from_value(params).unwrap();
        self.put(Plugin {
            name: name.to_owned(),
            provider: provider.to_owned(),
            params,
            ..Plugin::default()
        })
        .await;
    }

    async fn machine(&self, name: &str, params: Value) -> Machine {
        let machine = Machine {
            uuid: uuid::Uuid::new_v4().to_string(),
            name: name.to_owned(),
            params: serde_json::from_value(params).unwrap(),
            stage: String::from("none"),
            boot_env: String::from("local"),
            arch: String::from("amd64"),
            secret: String::from("hidden"),
            ..Machine::default()
        };
        self.put(machine.clone()).await;
        machine
    }

    async fn delete(&self, prefix: &'static str, key: &str) {
        let key = key.to_owned();
        let gone = commit(&self.endpoint, "user:anna", move |work| {
            work.tx.delete(prefix, &key);
            Ok(())
        });
        gone.await.unwrap();
    }

    fn get<R: Record>(&self, key: &str) -> Option<Arc<R>> {
        self.endpoint.snapshot().get::<R>(key)
    }

    /// Sends a request as a user who may do what the claims say.
    async fn ask_as(&self, claims: &[Claim], method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let token = self.base.token(3600, claims);
        let request = Request::builder()
            .method(method)
            .uri(format!("{BASE_PATH}{path}"))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
            .unwrap();
        let answer = http::routes(Arc::clone(&self.endpoint)).oneshot(request).await.unwrap();
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), 1 << 24).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask_as(&[Claim::new("*", "*", "*")], method, path, &body).await
    }

    /// Waits until something is so; looks again after each change of the store.
    async fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let mut feed = self.endpoint.store.feed();
        let waiting = async {
            while !is_so(self) {
                feed.next().await.unwrap();
            }
        };
        if tokio::time::timeout(LONGEST, waiting).await.is_err() {
            panic!("it never came that {what}: {:?}", self.endpoint.snapshot().list::<Plugin>());
        }
    }
}

/// The lines of an error.
fn messages(error: &Value) -> Vec<String> {
    serde_json::from_value(error["Messages"].clone()).unwrap()
}

/// The grants that the probe asks for.
const PROBE: &[&str] = &["params: write probe/seen", "kv: rw", "secrets: probe/secret"];

fn named() -> Value {
    json!({ "probe/name": "x" })
}
