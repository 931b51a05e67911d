//! Components that are refused before they are ever called.

use wasm_encoder::{
    BlockType, CodeSection, Component, CustomSection, Function, FunctionSection, Instruction, Module,
    ModuleSection, TypeSection, ValType,
};

use crate::made;
use crate::recipe::{Case, Recipe, guest};

/// A world that is none of those that are known.
const OTHER_WORLD: &str = "package test:other;
    interface other { run: func(); }
    world made { export other; }";

/// A world of a track that there is not.
const OTHER_TRACK: &str = "package formwork:task@0.9.0;
    interface task { run: func(); }
    world made { export task; }";

/// All cases with their names.
pub(crate) fn all() -> Vec<Case> {
    let whole = guest("guest-hostile");
    let bad = |name, words, component: Vec<u8>| {
        Case::new(name, words, move |number| {
            Recipe { number, component: component.clone(), ..Recipe::default() }.bytes()
        })
    };
    let noise: Vec<u8> = (0_u32..1 << 20).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let loops = Instruction::Loop(BlockType::Empty);
    vec![
        bad("no WebAssembly", "it does not begin with `\\0asm`", noise),
        bad("core module", "it is a core module, not a component", module(|_| ()).finish()),
        bad("cut off", "it is damaged at byte", whole.get(..whole.len() / 2).unwrap_or_default().to_vec()),
        bad("100,000 types", "types", with(&many_types(100_000))),
        bad(
            "giant function",
            "more than 1048576",
            with(&module(|body| {
                for _ in 0..1 << 20 {
                    body.instruction(&Instruction::Nop);
                }
            })),
        ),
        bad("300 loops over 1000 locals", "nests blocks too deeply", with(&nested(300, 1000, &loops))),
        bad("empty with 8 MiB of debug information", "its exports (none)", debug_information()),
        bad("another kind", "task", guest("guest-policy").to_vec()),
        bad("another world", "its exports (`test:other/other`)", made::dummy(OTHER_WORLD)),
        bad("another track", "of a wrong track", made::dummy(OTHER_TRACK)),
        Case::new("import that is not asked for", "not", |number| {
            Recipe { number, grants: &[], ..Recipe::default() }.bytes()
        }),
    ]
}

/// The good component with a module more.
fn with(module: &Module) -> Vec<u8> {
    let mut part = Component::new();
    part.section(&ModuleSection(module));
    [guest("guest-hostile"), part.finish().get(8..).unwrap_or_default()].concat()
}

/// A module of one function.
fn module(fill: impl FnOnce(&mut Function)) -> Module {
    of_function(Function::new([]), |body| fill(body))
}

fn of_function(mut body: Function, fill: impl FnOnce(&mut Function)) -> Module {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    fill(&mut body);
    body.instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    module
}

fn nested(depth: u32, locals: u32, open: &Instruction<'_>) -> Module {
    of_function(Function::new([(locals, ValType::I32)]), |body| {
        for level in 0..depth {
            body.instruction(open);
            body.instruction(&Instruction::LocalGet(level % locals));
            body.instruction(&Instruction::LocalSet((level + 1) % locals));
        }
        for level in (0..depth).rev() {
            body.instruction(&Instruction::LocalGet(level % locals));
            body.instruction(&Instruction::BrIf(0)).instruction(&Instruction::End);
        }
    })
}

fn many_types(count: u32) -> Module {
    let mut types = TypeSection::new();
    for number in 0..count {
        let params =
            (0..number % 20).map(|bit| if number >> bit & 1 == 0 { ValType::I32 } else { ValType::I64 });
        types.ty().function(params, []);
    }
    let mut module = Module::new();
    module.section(&types);
    module
}

fn debug_information() -> Vec<u8> {
    let mut component = Component::new();
    let data = vec![7; 8 << 20];
    component.section(&CustomSection { name: ".debug_info".into(), data: data.as_slice().into() });
    component.finish()
}
