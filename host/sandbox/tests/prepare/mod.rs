//! What is looked at and refused before anything is compiled.

use std::path::PathBuf;

use formwork_sandbox::{Capability, Excess, InspectError, Kind, PrepareError, WorkerCommand, inspect};
use wasm_encoder::{
    BlockType, CodeSection, Component, ComponentTypeSection, CoreTypeSection, CustomSection, Function,
    FunctionSection, InstanceType, Instruction, Module, ModuleSection, ModuleType, NestedComponentSection,
    PrimitiveValType, TypeSection, ValType,
};

use crate::support::corpus::Bad;
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
    let nobody = WorkerCommand::new(PathBuf::from("/nowhere/compiler"), []);
    let error = sandbox(cache.path(), nobody).prepare(&bomb).await.unwrap_err();
    Bad::CompileBomb.is_told(&error);
    let PrepareError::Inspect(InspectError::Excessive(excess)) = &error else { panic!("{error:?}") };
    assert!(matches!(excess, Excess::Complexity { locals: 1000, .. }), "{excess:?}");
}

#[test]
fn blocks_and_loops_within_each_other_are_counted() {
    let (loops, blocks) = (Instruction::Loop(BlockType::Empty), Instruction::Block(BlockType::Empty));
    for (bad, depth, open, expected) in
        [(Bad::DeepLoops, 401, &loops, (401, 401)), (Bad::DeepBlocks, 4001, &blocks, (4001, 0))]
    {
        let error = inspect(&nested(depth, 1, open)).unwrap_err();
        bad.is_told(&error);
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

/// A component of one core module.
fn of_module(module: &Module) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&ModuleSection(module));
    component.finish()
}

/// A component of one core module with these functions.
fn of_functions(bodies: impl IntoIterator<Item = Function>) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    for mut body in bodies {
        functions.function(0);
        code.function(body.instruction(&Instruction::End));
    }
    of_module(Module::new().section(&types).section(&functions).section(&code))
}

/// What a component is found to have too much of.
fn excess(bytes: &[u8], bad: Bad) -> Excess {
    let error = inspect(bytes).unwrap_err();
    bad.is_told(&error);
    let InspectError::Excessive(excess) = error else { panic!("{error:?}") };
    excess
}

/// Whether the counts find nothing. None of these components has a world, which is looked at last.
fn is_moderate(bytes: &[u8]) -> bool {
    matches!(inspect(bytes), Err(InspectError::UnknownWorld { .. }))
}

#[test]
fn what_is_no_component_is_told_by_what_it_is() {
    Bad::NotWasm.is_told(&inspect(b"#!/bin/sh\n").unwrap_err());
    Bad::Empty.is_told(&inspect(b"").unwrap_err());
    Bad::CoreModule.is_told(&inspect(&Module::new().finish()).unwrap_err());
    let whole = nested(3, 1, &Instruction::Block(BlockType::Empty));
    Bad::Truncated.is_told(&inspect(&whole[..whole.len() - 9]).unwrap_err());
}

#[test]
fn debug_info_makes_no_world_and_is_bounded_by_the_bytes() {
    let with_bytes = |length: usize| {
        let data = vec![0_u8; length].into();
        let mut component = Component::new();
        component.section(&CustomSection { name: ".debug_info".into(), data });
        component.finish()
    };
    Bad::DebugInfoOnly.is_told(&inspect(&with_bytes(1 << 20)).unwrap_err());
    let much = with_bytes(32 << 20);
    assert_eq!(excess(&much, Bad::MuchDebugInfo), Excess::Bytes { found: much.len() });
    // Nothing is looked at where there is that much.
    assert_eq!(excess(&vec![b'x'; (32 << 20) + 1], Bad::ManyBytes), Excess::Bytes { found: (32 << 20) + 1 });
    assert_eq!(inspect(&vec![b'x'; 32 << 20]), Err(InspectError::NotWasm));
}

/// A component of so many types of a core module.
fn module_types(count: usize) -> Vec<u8> {
    let mut types = TypeSection::new();
    for _ in 0..count {
        types.ty().function([], []);
    }
    of_module(Module::new().section(&types))
}

#[test]
fn types_of_all_sorts_are_counted_together_wherever_they_are() {
    let mut core = CoreTypeSection::new();
    let mut within = ModuleType::new();
    let mut own = ComponentTypeSection::new();
    let mut instance = InstanceType::new();
    for _ in 0..50_000 {
        within.ty().function([], []);
        own.defined_type().primitive(PrimitiveValType::U8);
        instance.ty().defined_type().primitive(PrimitiveValType::U8);
    }
    core.ty().module(&within);
    let mut of_instance = ComponentTypeSection::new();
    of_instance.instance(&instance);
    let [mut module, mut defined, mut nested] = [Component::new(), Component::new(), Component::new()];
    module.section(&core);
    defined.section(&own);
    nested.section(&of_instance);
    for bytes in [module_types(100_000), module.finish(), defined.finish(), nested.finish()] {
        assert_eq!(excess(&bytes, Bad::ManyTypes), Excess::Types);
    }
    assert!(is_moderate(&module_types(20_000)));
    // Twice half of that, and one more.
    let mut halves = module_types(10_000);
    halves.extend_from_slice(&module_types(10_001)[8..]);
    assert_eq!(excess(&halves, Bad::ManyTypes), Excess::Types);
}

#[test]
fn functions_are_counted_and_measured() {
    let short = |count| of_functions((0..count).map(|_| Function::new([])));
    assert_eq!(excess(&short(50_001), Bad::ManyFunctions), Excess::Functions);
    assert!(is_moderate(&short(50_000)));
    let long = |length: usize| {
        let mut body = Function::new([]);
        body.raw(vec![0x01; length]);
        of_functions([body])
    };
    // One byte says that there are no locals, another one ends the function.
    assert_eq!(
        excess(&long(1 << 20), Bad::GiantFunction),
        Excess::Body { function: 0, found: (1 << 20) + 2 }
    );
    assert!(is_moderate(&long((1 << 20) - 2)));
    let local = |count| of_functions([Function::new([]), Function::new([(count, ValType::I64)])]);
    assert_eq!(excess(&local(50_001), Bad::ManyLocals), Excess::Locals { function: 1, found: 50_001 });
    assert!(is_moderate(&local(50_000)));
}

#[test]
fn modules_and_components_within_each_other_are_counted() {
    let nested = |depth: usize| {
        let mut component = Component::new();
        for _ in 0..depth {
            let mut outer = Component::new();
            outer.section(&NestedComponentSection(&component));
            component = outer;
        }
        component.finish()
    };
    assert_eq!(excess(&nested(17), Bad::DeepNesting), Excess::Nesting);
    assert!(is_moderate(&nested(16)));
    assert_eq!(excess(&nested(5000), Bad::DeepNesting), Excess::Nesting);
}
