//! What the tests share: built guests, a sandbox that has prepared them, and a host that remembers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use formwork_sandbox::{
    Digest, Grants, HostError, HostFuture, Level, Limits, MachineInfo, Sandbox, SandboxConfig, TaskCall,
    TaskHost, WorkerCommand,
};
use formwork_toolchain::{GuestBuild, Install, Toolchain};
use tempfile::TempDir;
use tokio::sync::OnceCell;

const PACKAGES: [&str; 5] =
    ["plugin-classic", "plugin-greet", "plugin-inventory", "guest-hostile", "guest-endless-plan"];

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
    WorkerCommand { program, args: Vec::new() }
}

/// A sandbox with a cache folder of its own.
pub(crate) fn sandbox(cache: &Path, worker: WorkerCommand) -> Sandbox {
    let config =
        SandboxConfig { cache_dir: cache.to_owned(), worker, limits: Limits::default(), concurrent_calls: 8 };
    Sandbox::new(config).unwrap()
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

/// A host that keeps parameters and log lines in memory.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) params: Mutex<BTreeMap<String, String>>,
    pub(crate) lines: Mutex<Vec<(Level, String)>>,
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
}

impl TaskHost for Memory {
    fn log<'a>(&'a self, level: Level, message: &'a str) -> HostFuture<'a, ()> {
        self.lines.lock().unwrap().push((level, message.to_owned()));
        Box::pin(std::future::ready(()))
    }

    fn param<'a>(&'a self, name: &'a str) -> HostFuture<'a, Result<Option<String>, HostError>> {
        if name == "hostile/never" {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(Ok(self.value(name))))
    }

    fn set_param<'a>(&'a self, name: &'a str, json: &'a str) -> HostFuture<'a, Result<(), HostError>> {
        self.params.lock().unwrap().insert(name.to_owned(), json.to_owned());
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Grants of parameters.
pub(crate) fn params(read: &[&str], write: &[&str]) -> Grants {
    let words = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Grants { params_read: words(read), params_write: words(write), files: Vec::new() }
}

/// A call for the machine `n1`.
pub(crate) fn call(name: &str, grants: Grants, host: &Arc<Memory>) -> TaskCall {
    TaskCall {
        component_name: name.to_owned(),
        grants,
        limits: Limits::default(),
        machine: MachineInfo {
            uuid: "7b1e0b3c-0000-4000-8000-000000000001".to_owned(),
            name: "n1".to_owned(),
            context: "host".to_owned(),
            ..MachineInfo::default()
        },
        now_ms: 1_700_000_000_000,
        host: Arc::clone(host) as Arc<dyn TaskHost>,
    }
}
