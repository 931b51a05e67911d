//! What is compiled, by whom, how well, and what is kept of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use formwork_sandbox::{
    Digest, LimitName, Limits, Optimise, Outcome, PrepareError, Sandbox, Tier, WorkerCommand, inspect,
};
use nix::sys::resource::{UsageWho, getrusage};
use wasm_encoder::{
    BlockType, CodeSection, Component, Function, FunctionSection, Instruction, Module, ModuleSection,
    TypeSection,
};

use crate::prepare::nested_module;
use crate::support::corpus::Bad;
use crate::support::made::{PLAIN, task as task_made_by_hand};
use crate::support::{Memory, call, guest, params, sandbox, sandbox_that, task, worker};

/// A compiler that cannot start.
fn nobody() -> WorkerCommand {
    WorkerCommand::new(PathBuf::from("/nowhere/compiler"), [])
}

/// A component that works, with one more module in it.
fn greet_with(module: &Module) -> Vec<u8> {
    with(guest("plugin-greet"), module)
}

/// A component with one more module at its end.
fn with(component: &[u8], module: &Module) -> Vec<u8> {
    let mut part = Component::new();
    part.section(&ModuleSection(module));
    // A component's first eight bytes are its head.
    [component, &part.finish()[8..]].concat()
}

/// A component that takes the compiler that optimises some seconds and the other one some milliseconds.
fn slow_to_optimise() -> Vec<u8> {
    // The compiler itself is many times slower where it was not optimised.
    let (depth, locals) = if cfg!(debug_assertions) { (20, 200) } else { (45, 450) };
    greet_with(&nested_module(depth, locals, &Instruction::Loop(BlockType::Empty)))
}

/// The compiled files in a cache folder.
fn compiled(cache: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

/// Writes a file that its owner may not write.
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Greets in a sandbox.
async fn greets(sandbox: &Sandbox, digest: &Digest) -> bool {
    let host = Arc::new(Memory::default());
    let report = sandbox.asking(digest, call("greet", params(&["*"], &["*"]), &host)).run_task(task()).await;
    report.is_ok_and(|report| report.answer == Outcome::Done)
}

#[tokio::test]
async fn a_component_is_callable_at_once_and_optimised_in_the_background() {
    let cache = tempfile::tempdir().unwrap();
    let sandbox = sandbox(cache.path(), worker());
    let digest = sandbox.prepare(guest("plugin-greet")).await.unwrap();
    assert_eq!(sandbox.tier(&digest), Some(Tier::Baseline));
    assert!(greets(&sandbox, &digest).await);
    sandbox.settled().await;
    assert_eq!(sandbox.tier(&digest), Some(Tier::Optimised));
    assert!(greets(&sandbox, &digest).await);
}

#[tokio::test]
async fn the_tiers_use_fuel_alike_and_stop_at_the_same_limit() {
    let cache = tempfile::tempdir().unwrap();
    let sandbox = sandbox(cache.path(), worker());
    let digest = sandbox.prepare(guest("guest-hostile")).await.unwrap();
    let mut used = Vec::new();
    for tier in [Tier::Baseline, Tier::Optimised] {
        assert_eq!(sandbox.tier(&digest), Some(tier));
        let host = Memory::with("hostile/behaviour", "\"none\"");
        let quiet = call("hostile", params(&["*"], &["*"]), &host);
        used.push(sandbox.asking(&digest, quiet).run_task(task()).await.unwrap().used.fuel);
        let host = Memory::with("hostile/behaviour", "\"spin\"");
        let mut spinning = call("hostile", params(&["*"], &["*"]), &host);
        spinning.limits = Limits { fuel: 1_000_000, ..Limits::default() };
        let error = sandbox.asking(&digest, spinning).run_task(task()).await.unwrap_err();
        let formwork_sandbox::CallError::Limit { limit, .. } = error else { panic!("{error:?}") };
        assert_eq!(limit, LimitName::Fuel);
        sandbox.settled().await;
    }
    // The simple compiler does not see some ends of blocks that are never reached.
    assert!(used[0].abs_diff(used[1]) * 100 < used[0], "{used:?}");
}

#[tokio::test]
async fn an_agent_optimises_only_what_is_called_often() {
    let cache = tempfile::tempdir().unwrap();
    let sandbox = sandbox_that(Optimise::AfterCalls(3), cache.path(), worker());
    let digest = sandbox.prepare(guest("plugin-greet")).await.unwrap();
    for _ in 0..2 {
        assert!(greets(&sandbox, &digest).await);
        sandbox.settled().await;
        assert_eq!(sandbox.tier(&digest), Some(Tier::Baseline));
    }
    assert!(greets(&sandbox, &digest).await);
    sandbox.settled().await;
    assert_eq!(sandbox.tier(&digest), Some(Tier::Optimised));
}

#[tokio::test]
async fn somebody_who_waits_goes_before_what_is_optimised() {
    let cache = tempfile::tempdir().unwrap();
    let sandbox = sandbox(cache.path(), worker());
    let slow = sandbox.prepare(&slow_to_optimise()).await.unwrap();
    let child = compiler_under_way().await;
    let quick = sandbox.prepare(guest("plugin-greet")).await.unwrap();
    assert!(greets(&sandbox, &quick).await);
    // The child that gave way was killed before the other began; the system takes its time to let it go.
    while is_alive(&child) {
        assert_eq!(
            sandbox.tier(&slow),
            Some(Tier::Baseline),
            "the only compiler was in use, and yet another one ran"
        );
        tokio::task::yield_now().await;
    }
    assert_eq!(sandbox.tier(&slow), Some(Tier::Baseline));
    sandbox.settled().await;
    assert_eq!(sandbox.tier(&slow), Some(Tier::Optimised));
    assert_eq!(sandbox.tier(&quick), Some(Tier::Optimised));
}

/// The folder in `/proc` of a child that compiles for the thread of this test, once there is one.
async fn compiler_under_way() -> PathBuf {
    let children = fs::read_link("/proc/thread-self").unwrap().join("children");
    let children = Path::new("/proc").join(children);
    loop {
        for child in fs::read_to_string(&children).unwrap().split_whitespace() {
            let child = Path::new("/proc").join(child);
            // It has set its last limit, and so has given up all that it gives up.
            let limits = fs::read_to_string(child.join("limits")).unwrap_or_default();
            if limits.lines().any(|line| line.starts_with("Max open files") && line.contains(" 3 ")) {
                return child;
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Whether a process is there and has not ended.
fn is_alive(process: &Path) -> bool {
    fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_child_that_compiles_has_no_files_no_network_and_little_time() {
    let cache = tempfile::tempdir().unwrap();
    let sandbox = sandbox(cache.path(), worker());
    sandbox.prepare(&slow_to_optimise()).await.unwrap();
    let child = compiler_under_way().await;
    let limits = fs::read_to_string(child.join("limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line.trim_start_matches(name).split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    // What it had before it was confined is not counted, and is no more than an allocator reserves.
    let spaces: Vec<u64> =
        limit("Max address space").split(' ').map(|bytes| bytes.parse().unwrap()).collect();
    assert_eq!(spaces[0], spaces[1]);
    assert!((2 << 30..4 << 30).contains(&spaces[0]), "{spaces:?}");
    assert_eq!(limit("Max cpu time"), "60 65");
    assert_eq!(limit("Max file size"), "0 0");
    assert_eq!(limit("Max core file size"), "0 0");
    assert_eq!(limit("Max open files"), "3 3");
    let stat = fs::read_to_string(child.join("stat")).unwrap();
    let nice = stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap();
    assert_eq!(nice, "19");
    assert!(fs::read_to_string(child.join("environ")).is_ok_and(|environ| environ.is_empty()) || !is_root());
    if is_root() {
        // Others may not look at these of a process that cannot be debugged.
        assert_eq!(fs::read_dir(child.join("fd")).unwrap().count(), 3);
        if Command::new("unshare")
            .args(["--user", "--net", "true"])
            .status()
            .is_ok_and(|ended| ended.success())
        {
            let net = |process: &Path| fs::read_link(process.join("ns/net")).unwrap();
            assert_ne!(net(&child), net(Path::new("/proc/self")));
            assert!(fs::read_link(child.join("root")).unwrap().ends_with("fdinfo"));
        }
    }
}

/// Whether this process may look at all others.
fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Looks at the sources, as no run can show what never happens.
#[test]
fn nothing_but_the_childs_own_work_names_a_function_that_compiles() {
    let mut naming = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("mod tests {").next().unwrap();
            for compiles in [
                "precompile_",
                "Component::new",
                "Component::from_",
                "Module::new",
                "Module::from_",
                "CodeBuilder",
            ] {
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                for line in lines.filter(|line| line.contains(compiles)) {
                    naming.push(format!("{}: {}", path.file_name().unwrap().to_string_lossy(), line.trim()));
                }
            }
        }
    }
    naming.retain(|line| !line.contains("precompile_compatibility_hash"));
    assert_eq!(naming, ["compile.rs: .and_then(|engine| engine.precompile_component(&wasm))"]);
}

/// Runs this test once more in a process of its own, whose time is that of nothing else.
#[test]
fn the_time_of_compiling_is_spent_by_the_children() {
    const ALONE: &str = "FORMWORK_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = "compiling::the_time_of_compiling_is_spent_by_the_children";
        let ended =
            Command::new(std::env::current_exe().unwrap()).args(["--exact", name]).env(ALONE, "1").output();
        let ended = ended.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let sandbox = sandbox(cache.path(), worker());
    let bytes = slow_to_optimise();
    let spent = |who| {
        let usage = getrusage(who).unwrap();
        let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
        micros(usage.user_time()) + micros(usage.system_time())
    };
    let (own, childrens) = (spent(UsageWho::RUSAGE_SELF), spent(UsageWho::RUSAGE_CHILDREN));
    runtime.block_on(async {
        sandbox.prepare(&bytes).await.unwrap();
        sandbox.settled().await;
    });
    let (own, childrens) = (spent(UsageWho::RUSAGE_SELF) - own, spent(UsageWho::RUSAGE_CHILDREN) - childrens);
    assert!(childrens > 10 * own, "own {own} us, children's {childrens} us");
}

#[tokio::test]
async fn a_process_without_a_compiler_calls_what_was_compiled_and_nothing_else() {
    let cache = tempfile::tempdir().unwrap();
    let earlier = sandbox(cache.path(), worker());
    let digest = earlier.prepare(guest("plugin-greet")).await.unwrap();
    let later = sandbox(cache.path(), nobody());
    assert!(later.is_ready(&digest).await);
    assert!(greets(&later, &digest).await);
    let error = later.prepare(guest("plugin-inventory")).await.unwrap_err();
    assert!(matches!(error, PrepareError::Worker { .. }), "{error:?}");
    assert!(!later.is_ready(&Digest::of(guest("plugin-inventory"))).await);
}

#[tokio::test]
async fn what_the_simple_compiler_does_not_know_is_compiled_by_the_other() {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut body = Function::new([]);
    body.instruction(&Instruction::ReturnCall(0)).instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let cache = tempfile::tempdir().unwrap();
    let sandbox = sandbox(cache.path(), worker());
    let digest = sandbox.prepare(&greet_with(&module)).await.unwrap();
    assert_eq!(sandbox.tier(&digest), Some(Tier::Optimised));
    assert!(greets(&sandbox, &digest).await);
}

#[tokio::test]
async fn tampered_results_are_refused_and_made_again() {
    let cache = tempfile::tempdir().unwrap();
    let earlier = sandbox(cache.path(), worker());
    let digest = earlier.prepare(guest("plugin-greet")).await.unwrap();
    earlier.settled().await;
    let paths = compiled(cache.path());
    assert_eq!(paths.len(), 2);
    let mut tampered = Vec::new();
    for path in &paths {
        let mut bad = fs::read(path).unwrap();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        overwrite(path, &bad);
        tampered.push(bad);
    }
    let later = sandbox(cache.path(), worker());
    assert!(!later.is_ready(&digest).await);
    assert!(!greets(&later, &digest).await);
    for (path, bad) in paths.iter().zip(&tampered) {
        assert!(!path.exists());
        fs::write(path, bad).unwrap();
    }
    later.prepare(guest("plugin-greet")).await.unwrap();
    later.settled().await;
    assert!(greets(&later, &digest).await);
    for (path, bad) in paths.iter().zip(&tampered) {
        assert!(fs::read(path).unwrap() != *bad);
    }
}

#[tokio::test]
async fn optimised_code_that_was_lost_is_made_again() {
    let cache = tempfile::tempdir().unwrap();
    let earlier = sandbox(cache.path(), worker());
    let digest = earlier.prepare(guest("plugin-greet")).await.unwrap();
    earlier.settled().await;
    for path in compiled(cache.path()) {
        if path.to_string_lossy().contains("optimised") {
            fs::remove_file(path).unwrap();
        }
    }
    let later = sandbox(cache.path(), worker());
    later.prepare(guest("plugin-greet")).await.unwrap();
    assert_eq!(later.tier(&digest), Some(Tier::Baseline));
    later.settled().await;
    assert_eq!(later.tier(&digest), Some(Tier::Optimised));
}

#[tokio::test]
async fn results_of_another_host_are_refused() {
    let (mine, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let foreign = sandbox(theirs.path(), worker());
    let digest = foreign.prepare(guest("plugin-greet")).await.unwrap();
    foreign.settled().await;
    let sandbox = sandbox(mine.path(), worker());
    for path in compiled(theirs.path()) {
        fs::copy(&path, mine.path().join(path.file_name().unwrap())).unwrap();
    }
    assert!(!greets(&sandbox, &digest).await);
    assert!(compiled(mine.path()).is_empty());
}

#[tokio::test]
async fn what_is_forgotten_leaves_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let sandbox = sandbox(cache.path(), worker());
    let digest = sandbox.prepare(guest("plugin-greet")).await.unwrap();
    assert!(greets(&sandbox, &digest).await);
    sandbox.settled().await;
    sandbox.forget(&digest).await.unwrap();
    assert!(!greets(&sandbox, &digest).await);
    let left: Vec<_> = fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["key"]);
}

#[tokio::test]
async fn a_compiler_that_fails_is_told_apart_from_a_bad_component() {
    let cache = tempfile::tempdir().unwrap();
    let error = sandbox(cache.path(), nobody()).prepare(guest("plugin-greet")).await.unwrap_err();
    assert!(matches!(error, PrepareError::Worker { .. }), "{error:?}");
    sandbox(cache.path(), worker()).prepare(guest("plugin-greet")).await.unwrap();
}

#[tokio::test]
async fn a_compiler_that_does_not_end_is_ended_by_its_wall_time_and_may_be_tried_again() {
    let (cache, marks) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mark = marks.path().join("pid");
    let script = format!("echo $$ >> '{}'; exec sleep 600", mark.display());
    let endless = WorkerCommand::new(PathBuf::from("/bin/sh"), ["-c".to_owned(), script]);
    assert_eq!(endless.wall_time, Duration::from_secs(180));
    let endless = WorkerCommand { wall_time: Duration::from_secs(3), ..endless };
    let error = sandbox(cache.path(), endless).prepare(guest("plugin-greet")).await.unwrap_err();
    assert_eq!(error.to_string(), "compiling it exceeded the limit `compile-wall-seconds` of 3");
    // It was the child of the compiler that is made callable first; there was no second one, and it is gone.
    let started = fs::read_to_string(&mark).unwrap();
    let [child] = started.lines().collect::<Vec<_>>().try_into().unwrap();
    let child = Path::new("/proc").join(child);
    // It was told to end, which takes the system a moment; without that it would be there for ten minutes.
    while is_alive(&child) {
        tokio::task::yield_now().await;
    }
    let later = sandbox(cache.path(), worker());
    let digest = later.prepare(guest("plugin-greet")).await.unwrap();
    assert!(greets(&later, &digest).await);
}

#[tokio::test]
async fn a_bad_component_is_compiled_only_once_also_after_a_restart() {
    let (cache, marks) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let count = marks.path().join("count");
    let script = format!("echo once >> '{}'; cat > /dev/null; echo no good >&2; exit 1", count.display());
    let refusing = WorkerCommand::new(PathBuf::from("/bin/sh"), ["-c".to_owned(), script]);
    for _ in 0..2 {
        let sandbox = sandbox(cache.path(), refusing.clone());
        for _ in 0..2 {
            let error = sandbox.prepare(guest("plugin-greet")).await.unwrap_err();
            let PrepareError::Refused { words } = &error else { panic!("{error:?}") };
            assert_eq!(words, "no good");
        }
    }
    assert_eq!(fs::read_to_string(&count).unwrap(), "once\nonce\n", "once by each compiler");
}

#[tokio::test]
async fn a_mark_of_failure_that_somebody_else_made_is_not_believed() {
    let cache = tempfile::tempdir().unwrap();
    let refusing = WorkerCommand::new(PathBuf::from("/bin/false"), []);
    sandbox(cache.path(), refusing).prepare(guest("plugin-greet")).await.unwrap_err();
    let marks = fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().path());
    let [mark] = marks
        .filter(|path| path.extension().is_some_and(|extension| extension == "failed"))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let mut bytes = fs::read(&mark).unwrap();
    bytes[0] ^= 1;
    overwrite(&mark, &bytes);
    let sandbox = sandbox(cache.path(), worker());
    let digest = sandbox.prepare(guest("plugin-greet")).await.unwrap();
    assert!(greets(&sandbox, &digest).await);
}

#[tokio::test]
async fn what_the_compiler_refuses_is_told_in_its_words() {
    // The look before it checks what is on the outside, not what functions do: this one adds two numbers that are not there.
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut body = Function::new([]);
    body.instruction(&Instruction::I32Add).instruction(&Instruction::Drop).instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let cache = tempfile::tempdir().unwrap();
    let error = sandbox(cache.path(), worker())
        .prepare(&with(&task_made_by_hand("", PLAIN, ""), &module))
        .await
        .unwrap_err();
    assert!(matches!(error, PrepareError::Refused { .. }), "{error:?}");
    Bad::BrokenFunction.is_told(&error);
}

#[test]
fn the_digest_that_prepare_returns_is_that_of_the_bytes() {
    let info = inspect(guest("plugin-greet")).unwrap();
    assert_eq!(info.digest, Digest::of(guest("plugin-greet")));
}
