//! The routine of `tests/guests/parity` with the real host's own parts. The guest crate's host for native tests answers the
//! same, which the guest's own tests show by the same files.
//!
//! `FORMWORK_GOLDEN=write` writes the answers anew.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use formwork_sandbox::{
    Blob, ExecOutput, Grants, Host, HostAnswer, HostCall, HostError, HostFuture, HttpRequest, HttpResponse,
    Invocation, KvCall, Level, Outcome, ParamsCall, native,
};
use serde::Deserialize;
use serde_json::Value;

use crate::support::{prepared, task, turn};

/// What the routine finds, also for the guest's own tests.
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

/// The real parts of a host, and the endpoint's part of it in memory.
struct Real {
    around: Surroundings,
    own: Mutex<BTreeMap<String, String>>,
    files: native::Files,
    kv: native::Kv,
    http: native::Http,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    progress: Vec<String>,
    requests: usize,
    programs: usize,
}

impl Real {
    async fn new(around: Surroundings, folder: &Path) -> Self {
        // Each absolute path of the routine is below one folder; `named` is the root that the host knows by name.
        let at = |path: &str| folder.join("disk").join(path.trim_start_matches('/'));
        for path in &around.folders {
            fs::create_dir_all(at(path)).unwrap();
        }
        for (path, text) in &around.files {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), text).unwrap();
        }
        for (path, target) in &around.links {
            symlink(target, at(path)).unwrap();
        }
        let mut files = native::Files::new().root("named", folder.join("named"));
        for root in ["/data", "/data/closed", "/single/file", "/single/new", "/nowhere"] {
            files = files.root(root, at(root));
        }
        let kv = native::Kv::new(folder.join("kv"));
        for (key, value) in &around.kv {
            let call = KvCall::Set { key: key.clone(), json: value.to_string() };
            kv.call("tests", call).await.unwrap();
        }
        let own = around.params.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        let own = Mutex::new(own);
        Self { around, own, files, kv, http: native::Http::new(), seen: Mutex::default() }
    }

    fn param(&self, call: ParamsCall) -> Result<HostAnswer, HostError> {
        let mut own = self.own.lock().unwrap();
        let inherited = &self.around.inherited;
        match call {
            ParamsCall::Read { name } => {
                let value = own.get(&name).cloned().or_else(|| inherited.get(&name).map(Value::to_string));
                return Ok(HostAnswer::Text(value));
            }
            ParamsCall::Write { name, json } => {
                if let Some(words) = self.around.refused.get(&name) {
                    return Err(HostError::Invalid(words.clone()));
                }
                own.insert(name, json);
            }
            ParamsCall::Remove { name } => drop(own.remove(&name)),
            ParamsCall::List { .. } => {
                return Ok(HostAnswer::Names(own.keys().chain(inherited.keys()).cloned().collect()));
            }
            other => panic!("{other:?}"),
        }
        Ok(HostAnswer::Done)
    }

    /// Answers from the list; an address, which no name server has a say in, is asked for real.
    async fn web(&self, request: HttpRequest) -> Result<HostAnswer, HostError> {
        let Some(answer) = self.around.http.get(&format!("{:?} {}", request.method, request.url)) else {
            let host = request.url.split("://").nth(1).unwrap();
            assert!(host.starts_with(|first: char| first == '[' || first.is_ascii_digit()), "{host}");
            return self.http.send(request).await.map(HostAnswer::Http);
        };
        self.seen.lock().unwrap().requests += 1;
        let header = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
        Ok(HostAnswer::Http(HttpResponse {
            status: answer.status,
            headers: answer.headers.iter().map(header).collect(),
            body: Blob(answer.body.clone().into_bytes()),
        }))
    }

    async fn answer(&self, call: HostCall) -> Result<HostAnswer, HostError> {
        match call {
            HostCall::Log(line) => {
                let level = match line.level {
                    Level::Debug => "debug",
                    Level::Info => "info",
                    Level::Warn => "warn",
                    Level::Error => "error",
                };
                let line = format!("{level} {}", shortened(&line.message));
                self.seen.lock().unwrap().lines.push(line);
            }
            HostCall::Progress(report) => {
                let line = format!("progress {:?} {}", report.percent, shortened(&report.message));
                self.seen.lock().unwrap().progress.push(line);
            }
            HostCall::Params(call) => return self.param(call),
            HostCall::Http(request) => return self.web(request).await,
            HostCall::Kv(call) => return self.kv.call("tests", call).await,
            HostCall::Files(call) => return self.files.call(call).await,
            HostCall::Exec(command) => {
                self.seen.lock().unwrap().programs += 1;
                let output: ExecOutput = native::exec(command).await?;
                return Ok(HostAnswer::Exec(output));
            }
            HostCall::Secrets(call) => {
                let long = self.around.secrets_of_bytes.get(&call.name).map(|bytes| "x".repeat(*bytes));
                return Ok(HostAnswer::Text(self.around.secrets.get(&call.name).cloned().or(long)));
            }
            HostCall::Clock => return Ok(HostAnswer::Time(1_700_000_000_000)),
            HostCall::Random(call) => return native::random(call),
            other => panic!("{other:?}"),
        }
        Ok(HostAnswer::Done)
    }
}

impl Host for Real {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        Box::pin(self.answer(call))
    }
}

fn routine() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/parity")
}

fn surroundings() -> Surroundings {
    serde_json::from_str(&fs::read_to_string(routine().join("surroundings.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn the_real_host_answers_as_the_one_for_native_tests() {
    let (sandbox, digest) = prepared("guest-parity").await;
    for (case, grants) in surroundings().cases {
        let folder = tempfile::tempdir().unwrap();
        let host = Arc::new(Real::new(surroundings(), folder.path()).await);
        let grants = Grants::parse(grants).unwrap().into();
        let shared = Arc::clone(&host) as Arc<dyn Host>;
        let call = Invocation { grants, turn: turn(), host: Some(shared), ..Invocation::new("parity", "") };
        let report = sandbox.asking(&digest, call).run_task(task()).await.unwrap();
        assert_eq!(report.answer, Outcome::Done);
        let seen = std::mem::take(&mut *host.seen.lock().unwrap());
        let mut found = [seen.lines, seen.progress].concat().join("\n");
        found.push_str(&format!("\nrequests {}\nprograms {}\n", seen.requests, seen.programs));
        let path = routine().join("answers").join(case).with_extension("txt");
        if std::env::var_os("FORMWORK_GOLDEN").is_some_and(|value| value == "write") {
            fs::write(&path, &found).unwrap();
        }
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
