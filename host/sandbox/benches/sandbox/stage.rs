//! What all cases share: guests, a sandbox that has prepared them, and a host that answers from memory.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use formwork_sandbox::{
    CallError, Digest, Grants, Host, HostAnswer, HostCall, HostError, HostFuture, Invocation, Limits,
    MachineInfo, Optimise, Outcome, ParamsCall, Report, Sandbox, SandboxConfig, TaskCall, Turn,
    WorkerCommand,
};
use formwork_toolchain::{GuestBuild, Install, Toolchain};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Calls that may be under way, as in the server.
pub(crate) const CALLS: u32 = 64;

const PACKAGES: [&str; 4] = ["guest-bench", "plugin-greet", "plugin-inventory", "guest-hostile"];

/// The guests and the sandbox.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    /// The guest that the figures are of: a small task.
    pub(crate) small: Digest,
    /// A task with four host calls, JSON, and memory that grows.
    pub(crate) greet: Digest,
    /// A task that can be made to wait.
    pub(crate) hostile: Digest,
    components: Vec<(String, Vec<u8>)>,
    _cache: TempDir,
}

impl Stage {
    /// Builds the guests and prepares them, optimised.
    pub(crate) fn set() -> Self {
        let components = build();
        let cache = tempfile::tempdir().expect("a folder");
        let sandbox = sandbox(cache.path());
        let mut stage = Self {
            sandbox: sandbox.clone(),
            small: Digest::of(b""),
            greet: Digest::of(b""),
            hostile: Digest::of(b""),
            components,
            _cache: cache,
        };
        let prepared = runtime().block_on(async {
            let mut digests = Vec::new();
            for package in ["guest-bench", "plugin-greet", "guest-hostile"] {
                digests.push(sandbox.prepare(stage.component(package)).await.expect("a good component"));
            }
            sandbox.settled().await;
            digests
        });
        if let [small, greet, hostile] = prepared[..] {
            (stage.small, stage.greet, stage.hostile) = (small, greet, hostile);
        }
        stage
    }

    /// The bytes of a component.
    pub(crate) fn component(&self, package: &str) -> &[u8] {
        let found = self.components.iter().find(|(name, _)| name == package);
        found.map(|(_, wasm)| wasm.as_slice()).expect("a package that was built")
    }
}

/// A sandbox as the server has it.
pub(crate) fn sandbox(cache: &Path) -> Sandbox {
    let worker = WorkerCommand::new(example("compile-worker"), []);
    Sandbox::new(SandboxConfig {
        limits: Limits::default(),
        concurrent_calls: CALLS,
        optimise: Optimise::AtOnce,
        ..SandboxConfig::new(cache.to_owned(), worker)
    })
    .expect("a sandbox")
}

/// A runtime of one thread.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A program of this package that was built beside this one.
pub(crate) fn example(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a path of this program");
    let program = this.ancestors().nth(2).expect("the folder of the profile").join("examples").join(name);
    assert!(
        program.is_file(),
        "no {}: run `cargo build --release -p formwork-sandbox --examples` first",
        program.display()
    );
    program
}

fn build() -> Vec<(String, Vec<u8>)> {
    let this = std::env::current_exe().expect("a path of this program");
    let target = this.ancestors().nth(3).expect("the target folder");
    let toolchain = Toolchain::find(&target.join("toolchain"), Install::Never).expect("a toolchain");
    let build = GuestBuild {
        workspace_dir: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        packages: PACKAGES.map(str::to_owned).to_vec(),
        target_dir: target.join("guests"),
        profile: "guest".to_owned(),
    };
    let built = toolchain.build(&build).expect("guests that compile");
    built.into_iter().map(|component| (component.package, component.wasm)).collect()
}

/// A host that answers from memory, and lets a task that asks for it wait for ever.
struct Memory;

impl Host for Memory {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        let answer = match call {
            HostCall::Params(ParamsCall::Read { name }) => match name.as_str() {
                "bench/flag" => HostAnswer::Text(Some("true".to_owned())),
                "hostile/behaviour" => HostAnswer::Text(Some("\"wait\"".to_owned())),
                "hostile/never" => return Box::pin(std::future::pending()),
                _ => HostAnswer::Text(None),
            },
            _ => HostAnswer::Done,
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// A call of a task with this name, granted what a task of its kind is granted. As on a machine, the grants are read once.
pub(crate) fn call(task: &str) -> (Invocation, TaskCall) {
    static GRANTS: LazyLock<Arc<Grants>> = LazyLock::new(|| {
        let lines =
            ["read bench/*", "read greet/name", "read inventory/*", "read hostile/*", "write greet/message"];
        Arc::new(Grants::parse(lines.map(|line| format!("params: {line}"))).expect("lines that are grants"))
    });
    let invocation = Invocation {
        grants: Arc::clone(&GRANTS),
        limits: Limits { host_calls: 100_000, ..Limits::default() },
        host: Some(Arc::new(Memory)),
        ..Invocation::new("bench/task", "")
    };
    let machine = MachineInfo {
        uuid: "7b1e0b3c-0000-4000-8000-000000000001".to_owned(),
        name: "n1".to_owned(),
        task: task.to_owned(),
        ..MachineInfo::default()
    };
    (invocation, TaskCall { machine, attempt: 0, now_ms: 1_700_000_000_000 })
}

/// Runs a task in somebody's turn.
pub(crate) async fn run_task(
    sandbox: &Sandbox,
    digest: &Digest,
    turn: Turn,
    (invocation, call): (Invocation, TaskCall),
) -> Result<Report<Outcome>, CallError> {
    sandbox.asking(digest, Invocation { turn, ..invocation }).run_task(call).await
}

/// The turn of one of some machines.
pub(crate) fn turn(machine: usize) -> Turn {
    Turn::new("bench", format!("n{machine}"))
}
