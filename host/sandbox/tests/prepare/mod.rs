//! What is looked at, compiled, kept and refused before a call.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use formwork_sandbox::{
    Capability, Excess, InspectError, Kind, Outcome, PrepareError, Sandbox, WorkerCommand, inspect,
};
use wasm_encoder::{
    BlockType, CodeSection, Component, ComponentExportKind, ComponentExportSection, ComponentImportSection,
    ComponentTypeRef, ComponentTypeSection, Function, FunctionSection, InstanceType, Instruction, Module,
    ModuleSection, TypeSection, ValType,
};

use crate::support::{Memory, call, guest, params, sandbox, worker};

/// A task component that imports an interface and hands it on as its own.
fn importing(import: &str, export: &str) -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    let mut imports = ComponentImportSection::new();
    imports.import(import, ComponentTypeRef::Instance(0));
    let mut exports = ComponentExportSection::new();
    exports.export(export, ComponentExportKind::Instance, 0, None);
    let mut component = Component::new();
    component.section(&types).section(&imports).section(&exports);
    component.finish()
}

/// A component of one function with nested blocks and many locals.
fn nested(depth: usize, locals: u32, open: &Instruction<'_>) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut body = Function::new([(locals, ValType::I32)]);
    for level in 0..depth {
        body.instruction(open);
        let local = u32::try_from(level).unwrap() % locals;
        body.instruction(&Instruction::LocalGet(local))
            .instruction(&Instruction::LocalSet((local + 1) % locals));
    }
    for level in (0..depth).rev() {
        body.instruction(&Instruction::LocalGet(u32::try_from(level).unwrap() % locals));
        body.instruction(&Instruction::BrIf(0)).instruction(&Instruction::End);
    }
    body.instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}

/// The compiled files in a cache folder.
fn compiled(cache: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

/// Greets in a sandbox that has loaded nothing yet.
async fn greets(sandbox: &Sandbox) -> bool {
    let host = Arc::new(Memory::default());
    let digest = inspect(guest("plugin-greet")).unwrap().digest;
    let report = sandbox.run_task(&digest, call("greet", params(&["*"], &["*"]), &host)).await;
    report.is_ok_and(|report| report.outcome == Outcome::Done)
}

#[test]
fn a_component_imports_what_it_uses_and_nothing_else() {
    use Capability::{Files, Log, Machine, Params};
    for (package, kind, imports) in [
        ("plugin-greet", Kind::Task, vec![Log, Params, Machine]),
        ("plugin-inventory", Kind::Task, vec![Log, Params, Files, Machine]),
        ("plugin-classic", Kind::Workflow, vec![Log]),
    ] {
        let info = inspect(guest(package)).unwrap();
        assert_eq!((info.kind, info.imports), (kind, imports), "{package}");
    }
}

#[test]
fn a_component_cut_off_anywhere_is_refused() {
    let whole = guest("plugin-greet");
    for length in (0..whole.len()).step_by(509) {
        assert!(inspect(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn an_unknown_import_or_world_is_told_by_name() {
    let task = "formwork:task/task@0.1.0";
    let error = inspect(&importing("wasi:cli/environment@0.2.6", task)).unwrap_err();
    assert_eq!(error, InspectError::UnknownImport { import: "wasi:cli/environment@0.2.6".to_owned() });
    let error = inspect(&importing("formwork:log/log@0.1.0", "wasi:cli/run@0.2.6")).unwrap_err();
    assert_eq!(error, InspectError::UnknownWorld { exports: "`wasi:cli/run@0.2.6`".to_owned() });
    let files = "formwork:files/files@0.1.0";
    let error = inspect(&importing(files, "formwork:workflow/workflow@0.1.0")).unwrap_err();
    assert_eq!(error, InspectError::NotForKind { import: files.to_owned(), kind: Kind::Workflow });
}

#[tokio::test]
async fn a_compile_bomb_is_refused_before_it_is_compiled() {
    let bomb = nested(300, 1000, &Instruction::Loop(BlockType::Empty));
    assert!(bomb.len() < 20_000);
    let cache = tempfile::tempdir().unwrap();
    // A compiler that cannot start shows that none was started.
    let nobody = WorkerCommand { program: PathBuf::from("/nowhere/compiler"), args: Vec::new() };
    let error = sandbox(cache.path(), nobody).prepare(&bomb).await.unwrap_err();
    let PrepareError::Inspect(InspectError::Excessive(excess)) = &error else { panic!("{error:?}") };
    assert!(matches!(excess, Excess::Complexity { locals: 1000, .. }), "{excess:?}");
}

#[tokio::test]
async fn deep_blocks_over_few_locals_are_no_bomb() {
    let bytes = nested(250, 100, &Instruction::Block(BlockType::Empty));
    assert!(matches!(inspect(&bytes), Err(InspectError::UnknownWorld { .. })));
}

#[tokio::test]
async fn a_prepared_component_is_loaded_by_a_later_process() {
    let cache = tempfile::tempdir().unwrap();
    sandbox(cache.path(), worker()).prepare(guest("plugin-greet")).await.unwrap();
    let nobody = WorkerCommand { program: PathBuf::from("/nowhere/compiler"), args: Vec::new() };
    let later = sandbox(cache.path(), nobody);
    later.prepare(guest("plugin-greet")).await.unwrap();
    assert!(greets(&later).await);
}

#[tokio::test]
async fn a_tampered_result_is_refused_and_made_again() {
    let cache = tempfile::tempdir().unwrap();
    sandbox(cache.path(), worker()).prepare(guest("plugin-greet")).await.unwrap();
    let [path] = compiled(cache.path()).try_into().unwrap();
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&path, &bad).unwrap();

    let later = sandbox(cache.path(), worker());
    assert!(!greets(&later).await);
    fs::write(&path, &bad).unwrap();
    later.prepare(guest("plugin-greet")).await.unwrap();
    assert!(fs::read(&path).unwrap() != bad);
    assert!(greets(&later).await);
}

#[tokio::test]
async fn a_compiler_that_fails_is_told_apart_from_a_bad_component() {
    let cache = tempfile::tempdir().unwrap();
    let missing = WorkerCommand { program: PathBuf::from("/nowhere/compiler"), args: Vec::new() };
    let error = sandbox(cache.path(), missing).prepare(guest("plugin-greet")).await.unwrap_err();
    assert!(matches!(error, PrepareError::Worker { .. }), "{error:?}");
    assert!(compiled(cache.path()).is_empty());
}

#[tokio::test]
async fn a_bad_component_is_compiled_only_once() {
    let (cache, marks) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let count = marks.path().join("count");
    let script = format!("echo once >> '{}'; cat > /dev/null; echo no good >&2; exit 1", count.display());
    let refusing = WorkerCommand { program: PathBuf::from("/bin/sh"), args: vec!["-c".to_owned(), script] };
    let sandbox = sandbox(cache.path(), refusing);
    for _ in 0..2 {
        let error = sandbox.prepare(guest("plugin-greet")).await.unwrap_err();
        let PrepareError::Refused { words } = &error else { panic!("{error:?}") };
        assert_eq!(words, "no good");
    }
    assert_eq!(fs::read_to_string(&count).unwrap(), "once\n");
}

#[tokio::test]
async fn what_the_compiler_refuses_is_told_in_its_words() {
    // The look at its names does not check that what is exported exists.
    let mut broken = importing("formwork:log/log@0.1.0", "formwork:task/task@0.1.0");
    let mut exports = ComponentExportSection::new();
    exports.export("other", ComponentExportKind::Instance, 99, None);
    let mut tail = Component::new();
    tail.section(&exports);
    broken.extend_from_slice(&tail.finish()[8..]);
    let cache = tempfile::tempdir().unwrap();
    let error = sandbox(cache.path(), worker()).prepare(&broken).await.unwrap_err();
    let PrepareError::Refused { words } = &error else { panic!("{error:?}") };
    assert!(words.contains("instance"), "{words}");
}

#[tokio::test]
async fn a_result_of_another_host_is_refused() {
    let (mine, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    sandbox(theirs.path(), worker()).prepare(guest("plugin-greet")).await.unwrap();
    let [path] = compiled(theirs.path()).try_into().unwrap();
    let sandbox = sandbox(mine.path(), worker());
    fs::copy(&path, mine.path().join(path.file_name().unwrap())).unwrap();
    assert!(!greets(&sandbox).await);
}
