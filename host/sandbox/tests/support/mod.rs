//! What the tests share: built guests, a sandbox that has prepared them, and a host that remembers.

pub(crate) mod corpus;
pub(crate) mod made;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use formwork_sandbox::{
    Digest, Grants, Host, HostAnswer, HostCall, HostError, HostFuture, Invocation, Level, Limits,
    MachineInfo, Optimise, ParamsCall, Sandbox, SandboxConfig, TaskCall, Turn, WorkerCommand, native,
};
use formwork_toolchain::{GuestBuild, Install, Toolchain};
use tempfile::TempDir;
use tokio::sync::OnceCell;

const PACKAGES: [&str; 11] = [
    "plugin-classic",
    "plugin-greet",
    "plugin-inventory",
    "guest-capable",
    "guest-endless-plan",
    "guest-hostile",
    "guest-old-track",
    "guest-parity",
    "guest-plugin",
    "guest-policy",
    "guest-step",
];

/// The components by the name of their package, built once for all tests.
static GUESTS: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let target = target_dir();
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

/// The folder that cargo builds into: this program is in `<target>/<profile>/deps`.
fn target_dir() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned()
}

/// The bytes of a component.
pub(crate) fn guest(package: &str) -> &'static [u8] {
    &GUESTS[package]
}

/// The program that compiles, an example of this crate.
pub(crate) fn worker() -> WorkerCommand {
    let program = std::env::current_exe().unwrap();
    let program = program.ancestors().nth(2).unwrap().join("examples/compile-worker");
    assert!(program.is_file(), "no {}: run `cargo test -p formwork-sandbox --examples`", program.display());
    WorkerCommand::new(program, [])
}

/// A sandbox with a cache folder of its own.
pub(crate) fn sandbox(cache: &Path, worker: WorkerCommand) -> Sandbox {
    sandbox_that(Optimise::AtOnce, cache, worker)
}

/// A sandbox that optimises at its time.
pub(crate) fn sandbox_that(optimise: Optimise, cache: &Path, worker: WorkerCommand) -> Sandbox {
    let config = SandboxConfig {
        limits: Limits::default(),
        concurrent_calls: 8,
        optimise,
        ..SandboxConfig::new(cache.to_owned(), worker)
    };
    Sandbox::new(config).unwrap()
}

/// The turn of the machine `n1` in the pack of the tests.
pub(crate) fn turn() -> Turn {
    Turn::new("tests", "n1")
}

/// A sandbox in which all guests are prepared, the same one for all tests.
pub(crate) async fn prepared(package: &str) -> (Sandbox, Digest) {
    static SHARED: OnceCell<(Sandbox, TempDir)> = OnceCell::const_new();
    let (sandbox, _) = SHARED
        .get_or_init(async || {
            let cache = tempfile::tempdir().unwrap();
            let sandbox = sandbox(cache.path(), worker());
            for package in PACKAGES {
                sandbox.prepare(guest(package)).await.unwrap();
            }
            (sandbox, cache)
        })
        .await;
    (sandbox.clone(), Digest::of(guest(package)))
}

/// A host that keeps parameters and log lines in memory, and everything else that it was asked.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) params: Mutex<BTreeMap<String, String>>,
    pub(crate) lines: Mutex<Vec<(Level, String)>>,
    pub(crate) files: native::Files,
    /// Answers to other calls, taken one by one.
    pub(crate) answers: Mutex<VecDeque<Result<HostAnswer, HostError>>>,
    /// Those other calls.
    pub(crate) asked: Mutex<Vec<HostCall>>,
}

impl Memory {
    /// A host with one parameter.
    pub(crate) fn with(name: &str, json: &str) -> Arc<Self> {
        let memory = Self::default();
        memory.params.lock().unwrap().insert(name.to_owned(), json.to_owned());
        Arc::new(memory)
    }

    /// The value of a parameter, as JSON text.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.params.lock().unwrap().get(name).cloned()
    }

    fn param(&self, call: ParamsCall) -> HostAnswer {
        let mut params = self.params.lock().unwrap();
        match call {
            ParamsCall::Read { name } => return HostAnswer::Text(params.get(&name).cloned()),
            ParamsCall::Write { name, json } => drop(params.insert(name, json)),
            ParamsCall::Remove { name } => drop(params.remove(&name)),
            ParamsCall::List { .. } => return HostAnswer::Names(params.keys().cloned().collect()),
            other => panic!("{other:?}"),
        }
        HostAnswer::Done
    }
}

impl Host for Memory {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        Box::pin(async move {
            match call {
                HostCall::Log(line) => self.lines.lock().unwrap().push((line.level, line.message)),
                HostCall::Params(ParamsCall::Read { name }) if name == "hostile/never" => {
                    std::future::pending().await
                }
                HostCall::Params(call) => return Ok(self.param(call)),
                HostCall::Files(call) => return self.files.call(call).await,
                other => {
                    self.asked.lock().unwrap().push(other);
                    let answer = self.answers.lock().unwrap().pop_front();
                    return answer.unwrap_or_else(|| panic!("there is no answer left"));
                }
            }
            Ok(HostAnswer::Done)
        })
    }
}

/// Grants of parameters.
pub(crate) fn params(read: &[&str], write: &[&str]) -> Grants {
    let words = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Grants { params_read: words(read), params_write: words(write), ..Grants::default() }
}

/// A call for the machine `n1`.
pub(crate) fn call(name: &str, grants: Grants, host: &Arc<Memory>) -> Invocation {
    let host = Arc::clone(host) as Arc<dyn Host>;
    Invocation { grants: grants.into(), turn: turn(), host: Some(host), ..Invocation::new(name, "") }
}

/// What a task is called with.
pub(crate) fn task() -> TaskCall {
    TaskCall {
        machine: MachineInfo {
            uuid: "7b1e0b3c-0000-4000-8000-000000000001".to_owned(),
            name: "n1".to_owned(),
            context: "host".to_owned(),
            ..MachineInfo::default()
        },
        attempt: 0,
        now_ms: 1_700_000_000_000,
    }
}
