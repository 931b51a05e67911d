//! What is looked at and refused before anything is compiled.

use std::path::PathBuf;

use formwork_sandbox::{Capability, Excess, InspectError, Kind, PrepareError, WorkerCommand, inspect};
use wasm_encoder::{
    BlockType, CodeSection, Component, Function, FunctionSection, Instruction, Module, ModuleSection,
    TypeSection, ValType,
};

use crate::support::{guest, sandbox};

/// A component of one function with nested blocks and many locals.
fn nested(depth: usize, locals: u32, open: &Instruction<'_>) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&ModuleSection(&nested_module(depth, locals, open)));
    component.finish()
}

/// A core module of one such function.
pub(crate) fn nested_module(depth: usize, locals: u32, open: &Instruction<'_>) -> Module {
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
    module
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

#[test]
fn blocks_and_loops_within_each_other_are_counted() {
    let (loops, blocks) = (Instruction::Loop(BlockType::Empty), Instruction::Block(BlockType::Empty));
    for (depth, open, expected) in [(401, &loops, (401, 401)), (4001, &blocks, (4001, 0))] {
        let error = inspect(&nested(depth, 1, open)).unwrap_err();
        let InspectError::Excessive(Excess::Depth { function: 0, blocks, loops }) = error else {
            panic!("{error:?}")
        };
        assert_eq!((blocks, loops), expected);
        assert!(!matches!(inspect(&nested(depth - 1, 1, open)), Err(InspectError::Excessive(_))));
    }
}

#[tokio::test]
async fn deep_blocks_over_few_locals_are_no_bomb() {
    let bytes = nested(250, 100, &Instruction::Block(BlockType::Empty));
    assert!(matches!(inspect(&bytes), Err(InspectError::UnknownWorld { .. })));
}
